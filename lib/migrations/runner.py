"""Runs a migration of the catalogue, so that whatever happens can be told afterwards.

It looks first (which database, is it done already, may it be done), runs each step as one transaction that gives up
rather than make others wait, and looks again: in the catalog, and through the Data API, which is what the app sees.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from psycopg import sql

from lib.migrations.catalogue import Migration, MigrationStep
from lib.migrations.executors import MigrationExecutor, SqlRefusedError
from lib.migrations.script import BUSY, LOCK_KEY, NOT_VERIFIED, RELOAD_SCHEMA, HistoryRow, scripts
from lib.model.database import Blocker, CatalogAccess, DatabaseIdentity
from lib.model.reading import SourceError
from lib.redaction import redact
from lib.sources import parse
from lib.sources.catalog import STATE_SQL, DescriptionCatalogClient, Row, blockers, database_state
from lib.sources.http import Deadline, OutcomeUnknownError

OnProgress = Callable[[str], None]

MAX_ATTEMPTS = 3
LOOK_SECONDS = 15.0
# How long the Data API may take to load its schema cache again, and a lost step to come to its end.
SETTLE_SECONDS = 10.0
_POLL_SECONDS = 0.25
_PAUSE_SECONDS = 1.0  # between attempts, give or take a half
# Beyond the time of the statements: to connect, and for the answer to arrive.
_GRACE_SECONDS = 10.0
_NAMED_BLOCKERS = 3

_LOCK_NOT_AVAILABLE = "55P03"
_NOTHING_CHANGED = "Nothing was changed."
_IS_RUNNING_SQL = f"""
select exists (
    select from pg_catalog.pg_locks
    where locktype = 'advisory' and classid = 0 and objid = {LOCK_KEY} and objsubid = 1
) as answer
"""  # noqa: S608 - a constant


_HAS_HISTORY_SQL = "select pg_catalog.to_regclass('supabase_migrations.schema_migrations') is not null as answer"


class MigrationOutcome(StrEnum):
    """How a run ended. Only after SUCCEEDED and UNKNOWN may the last step tried have changed anything."""

    SUCCEEDED = "succeeded"
    NOTHING_TO_DO = "nothing_to_do"
    DRY_RUN = "rehearsed"
    REFUSED = "refused"  # the world was not as it must be, or somebody was in the way
    FAILED = "failed"  # Postgres did not do it
    UNKNOWN = "unknown"  # the answer was lost, and looking did not settle it


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """What the database says of a migration now.

    `in_place` is the answer to its `verify`, `requires_met` to its `requires`. `blockers` hold locks on its tables,
    the longest transaction first. `visible` is whether the Data API knows its columns; None: it is not connected, or
    was not asked. `recorded` is whether the history holds it: what comes from a file is in place only with its record.
    None: it comes from no file.
    """

    identity: DatabaseIdentity
    in_place: bool
    requires_met: bool
    blockers: tuple[Blocker, ...]
    visible: bool | None
    recorded: bool | None = None


@dataclass(frozen=True, slots=True)
class MigrationResult:
    """What a run did, for people (`words`) and for the receipt.

    `before` and `after` say whether the change was in place; None: not looked, or it could not be seen.
    `visible` is what the Data API says afterwards. `blockers` are who was in the way when the lock was not to be had.
    `rows` are the answer to the question that a dry run asked.
    """

    outcome: MigrationOutcome
    message: str
    before: bool | None = None
    after: bool | None = None
    visible: bool | None = None
    steps_done: int = 0
    seconds: float = 0.0
    blockers: tuple[Blocker, ...] = ()
    rows: tuple[Row, ...] = ()

    @property
    def verified(self) -> bool:
        """Whether catalog and Data API agree that the change is in place."""
        return self.after is True and self.visible is not False


class _Stop(Exception):  # noqa: N818 - it ends a run; its result says whether that is an error
    def __init__(self, result: MigrationResult) -> None:
        super().__init__(result.message)
        self.result = result


@dataclass(frozen=True, kw_only=True)
class Runner:
    """Runs migrations through one way in. `clock` gives the time in UTC, `sleep` waits for so many seconds.

    `history` is the row that the migration adds to the history: only for one that is a file of the app's repository.
    """

    executor: MigrationExecutor
    data_api: DescriptionCatalogClient | None
    clock: Callable[[], datetime]
    history: HistoryRow | None = None
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def inspect(self, migration: Migration, *, ask_data_api: bool = True) -> MigrationStatus:
        """Read what preview and preflight need, without changing anything: one question on one connection.

        Raises `SourceError`. Without `ask_data_api` it is not asked whether the Data API knows the change.
        """
        deadline = Deadline(LOOK_SECONDS)
        row = self._row(f"select {_answers_sql(migration)}, {STATE_SQL}", deadline)
        in_place, requires_met = _yes_or_no(row)
        recorded = self._recorded(deadline)
        who, held = database_state(row, self.executor.way)
        return MigrationStatus(
            who,
            in_place and recorded is not False,
            requires_met,
            tuple(blocker for blocker in held if blocker.table in migration.tables),
            self._visible(migration) if ask_data_api else None,
            recorded,
        )

    def run(
        self,
        migration: Migration,
        *,
        dry_run: bool = False,
        attempts: int = 1,
        question: str = "",
        on_progress: OnProgress = lambda message: None,
    ) -> MigrationResult:
        """Run `migration`, or rehearse it and roll back; raises nothing that an outcome can say.

        `attempts` (at most 3) is how often a step is tried where its lock is not to be had. `question` is asked of a
        dry run's changes before they are rolled back. `on_progress` hears each step.
        A rehearsal takes the same locks as the real thing, for milliseconds.
        """
        start = self.monotonic()
        try:
            result = self._run(migration, dry_run, min(attempts, MAX_ATTEMPTS), question, on_progress)
        except _Stop as stop:
            result = stop.result
        return replace(result, seconds=self.monotonic() - start)

    def _run(
        self, migration: Migration, dry_run: bool, attempts: int, question: str, on_progress: OnProgress
    ) -> MigrationResult:
        try:
            status = self.inspect(migration)
        except SourceError as error:
            return MigrationResult(MigrationOutcome.REFUSED, f"{error} {_NOTHING_CHANGED}")
        _may_be_written(status.identity)
        on_progress(f"Database {status.identity.database}, as {status.identity.user}, through the {self.executor.way}.")
        if status.in_place:
            return self._nothing_to_do(migration, status, dry_run, on_progress)
        if not status.requires_met:
            return _refusal(migration.requires_message, before=False)
        if status.blockers:
            on_progress(f"Locks on {', '.join(migration.tables)} now: {self._named(status.blockers)}.")
        rendered = scripts(migration, dry_run=dry_run, history=self.history, question=question)
        rows: list[Row] = []
        for number, step in enumerate(rendered):
            on_progress(f"Step {number + 1} of {len(migration.steps)}: {step.message}.")
            rows = self._step(migration, step, number, dry_run, attempts, on_progress)
        if dry_run:
            return replace(_dry_run_done(migration), rows=tuple(rows))
        return self._confirmed(migration, "It is in place.", on_progress)

    def _nothing_to_do(
        self, migration: Migration, status: MigrationStatus, dry_run: bool, on_progress: OnProgress
    ) -> MigrationResult:
        """Leave the schema alone; but if the Data API has not noticed it yet, tell it to load the schema again."""
        message, visible = "It is in place already: nothing to do.", status.visible
        if visible is False and not dry_run:
            on_progress("It is in place, but the Data API does not have it: its schema cache is stale.")
            try:
                self.executor.run(RELOAD_SCHEMA, Deadline(LOOK_SECONDS))
            except (SqlRefusedError, SourceError):
                message += " The Data API could not be notified."
            else:
                message += " The Data API was notified to reload the schema."
            visible = self._becomes_visible(migration)
        return MigrationResult(
            MigrationOutcome.NOTHING_TO_DO,
            message + _visible_message(visible),
            before=True,
            after=True,
            visible=visible,
        )

    def _step(
        self,
        migration: Migration,
        step: MigrationStep,
        number: int,
        dry_run: bool,
        attempts: int,
        on_progress: OnProgress,
    ) -> list[Row]:
        """Run one step and return its rows. Raises `_Stop` if it did not happen, or if nobody can say."""
        seconds = _GRACE_SECONDS + migration.statement_seconds * step.sql.count(";\n")
        attempt = 0
        while True:
            attempt += 1
            try:
                return self.executor.run(step.sql, Deadline(seconds))
            except SqlRefusedError as error:
                if error.state == _LOCK_NOT_AVAILABLE and attempt < attempts:
                    on_progress(f"The lock was not free within {migration.lock_timeout}; trying again.")
                    self.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret hangs on it
                    continue
                raise _Stop(self._refused(migration, error, number)) from None
            except OutcomeUnknownError as error:
                if dry_run:
                    message = f"{error} This is a dry run, so it is rolled back in any case."
                    raise _Stop(MigrationResult(MigrationOutcome.FAILED, message, before=False)) from None
                on_progress("The answer was lost: checking whether it happened.")
                raise _Stop(self._resolved(migration, error, number, on_progress)) from None
            except SourceError as error:
                message = f"{error} {_left(migration, number)}"
                raise _Stop(
                    MigrationResult(MigrationOutcome.FAILED, message, before=False, steps_done=number)
                ) from None

    def _refused(self, migration: Migration, error: SqlRefusedError, number: int) -> MigrationResult:
        """Say what Postgres's error means. Its transaction has changed nothing."""
        held: tuple[Blocker, ...] = ()
        outcome = MigrationOutcome.REFUSED
        match error.state:
            case "55P03":
                held = self._blockers_now(migration)
                message = (
                    f"The lock on {migration.table} was not free within {migration.lock_timeout}, so it gave up. "
                    + (f"Held by {self._named(held)}." if held else "Its holder has released it.")
                )
            case _ if error.state == BUSY:
                message = "Another migration is running: wait for it to end."
            case "42501":
                message = f"This database user may not do that: it must own {migration.table}."
            case "25006":
                message = "This connection may only read."
            case _ if error.state == NOT_VERIFIED:
                outcome = MigrationOutcome.FAILED
                message = "The change did not have the effect that it must have, so it was rolled back."
            case "57014":
                outcome = MigrationOutcome.FAILED
                message = f"A statement took longer than {migration.statement_timeout}, so it was rolled back."
            case _:
                outcome = MigrationOutcome.FAILED
                message = f"Postgres refused it ({error.state}: {error})."
        message = f"{message} {_left(migration, number)}"
        return MigrationResult(outcome, message, before=False, steps_done=number, blockers=held)

    def _resolved(
        self, migration: Migration, lost: OutcomeUnknownError, number: int, on_progress: OnProgress
    ) -> MigrationResult:
        """Find out by looking what became of a step whose answer was lost. It is never sent again."""
        unknown = MigrationResult(MigrationOutcome.UNKNOWN, str(lost), before=False, steps_done=number)
        try:
            if not self._has_ended():
                return replace(unknown, message=f"{lost} It is still running: check again in a minute.")
            in_place, _ = self._answers(migration, Deadline(LOOK_SECONDS))
        except SourceError as error:
            return replace(unknown, message=f"{lost} Checking failed: {error}")
        if in_place:
            return self._confirmed(migration, "Its answer was lost; a check shows that it is in place.", on_progress)
        if number + 1 < len(migration.steps):
            # What was asked speaks of the whole, and that is not in place before the last step, whatever this one did.
            return replace(unknown, message=f"{lost} {_in_doubt(migration, number)}", after=False)
        if self.executor.way is CatalogAccess.DIRECT or lost.status is not None:
            message = f"The answer was lost; a check shows that it did not happen. {_left(migration, number)}"
            return replace(unknown, outcome=MigrationOutcome.FAILED, message=message, after=False)
        # A request that nobody answered may still stand in a queue on the way.
        return replace(unknown, message=f"{lost} So far it is not in place: check again in a minute.", after=False)

    def _has_ended(self) -> bool:
        """Wait until no migration is running. Raises `SourceError`."""
        deadline = Deadline(SETTLE_SECONDS, self.monotonic)
        while self._answer(_IS_RUNNING_SQL, Deadline(LOOK_SECONDS)):
            if deadline.left() <= 0:
                return False
            self.sleep(_POLL_SECONDS)
        return True

    def _confirmed(self, migration: Migration, message: str, on_progress: OnProgress) -> MigrationResult:
        """Look at what was committed: in the catalog, and as the app sees it."""
        on_progress("Done. Verifying it in the catalog and through the Data API.")
        result = MigrationResult(MigrationOutcome.SUCCEEDED, message, before=False, steps_done=len(migration.steps))
        try:
            after, _ = self._answers(migration, Deadline(LOOK_SECONDS))
        except SourceError as error:
            return replace(result, message=f"It was committed, but could not be verified: {error}")
        if not after:
            return replace(result, message="It was committed, and the catalog no longer shows it.", after=False)
        visible = self._becomes_visible(migration)
        return replace(result, message=message + _visible_message(visible), after=True, visible=visible)

    def _becomes_visible(self, migration: Migration) -> bool | None:
        """Wait until the Data API knows what was made, as it does once its schema cache has been loaded again."""
        deadline = Deadline(SETTLE_SECONDS, self.monotonic)
        while (visible := self._visible(migration)) is False and deadline.left() > 0:
            self.sleep(_POLL_SECONDS)
        return visible

    def _visible(self, migration: Migration) -> bool | None:
        """Whether the Data API knows what the migration makes; None if it is not connected or does not answer."""
        if self.data_api is None:
            return None
        columns: dict[str, list[str]] = {}
        for place in migration.visible:
            table, _, column = place.partition(".")
            columns.setdefault(table, []).append(column)
        deadline = Deadline(SETTLE_SECONDS)
        try:
            return self.data_api.offers(migration.functions, deadline) and all(
                self.data_api.knows(table, names, deadline) for table, names in columns.items()
            )
        except SourceError:
            return None

    def _answers(self, migration: Migration, deadline: Deadline) -> tuple[bool, bool]:
        """Return the answers to `verify` and `requires`. No answer (null) is a no."""
        in_place, requires_met = _yes_or_no(self._row(f"select {_answers_sql(migration)}", deadline))
        return in_place and self._recorded(deadline) is not False, requires_met

    def _row(self, sql_text: str, deadline: Deadline) -> Row:
        found = self.executor.rows(sql_text, deadline)
        return parse.need(found[0] if found else None, f"The {self.executor.way}", "whether the change is in place")

    def _recorded(self, deadline: Deadline) -> bool | None:
        """Whether the history holds the file; None if the migration is none. Raises `SourceError`."""
        if self.history is None:
            return None
        if not self.has_history(deadline):
            return False
        asked = sql.SQL(
            "select exists (select from supabase_migrations.schema_migrations where version = {}) as answer"
        )
        return self._answer(asked.format(self.history.version).as_string(None), deadline)

    def has_history(self, deadline: Deadline) -> bool:
        """Whether the database keeps a migration history. Raises `SourceError`."""
        return self._answer(_HAS_HISTORY_SQL, deadline)

    def _answer(self, question: str, deadline: Deadline) -> bool:
        found = self.executor.rows(question, deadline)
        answer = parse.boolean(found[0] if found else None, "answer")
        return parse.need(answer, f"The {self.executor.way}", "a yes or no")

    def _blockers(self, migration: Migration, deadline: Deadline) -> tuple[Blocker, ...]:
        return tuple(held for held in blockers(self.executor, deadline) if held.table in migration.tables)

    def _blockers_now(self, migration: Migration) -> tuple[Blocker, ...]:
        try:
            return self._blockers(migration, Deadline(LOOK_SECONDS))
        except SourceError:
            return ()

    def _named(self, held: tuple[Blocker, ...]) -> str:
        """Name who holds locks, one mention for each session, the longest transaction first."""
        sessions: dict[int, Blocker] = {}
        for blocker in held:
            sessions.setdefault(blocker.pid, blocker)
        named = [_name(blocker, self.clock()) for blocker in sessions.values()]
        more = len(named) - _NAMED_BLOCKERS
        return ", ".join(named[:_NAMED_BLOCKERS]) + (f" and {more} more" if more > 0 else "")


def _answers_sql(migration: Migration) -> str:
    return f"({migration.verify}) as in_place, ({migration.requires or 'true'}) as requires_met"


def _yes_or_no(row: Row) -> tuple[bool, bool]:
    return row.get("in_place") is True, row.get("requires_met") is True


def _name(blocker: Blocker, now: datetime) -> str:
    application = redact((blocker.application or "without a name")[:60])
    message = f"process {blocker.pid} ({application}, {blocker.state}"
    if blocker.transaction_started_at is None:
        return f"{message})"
    age = max((now - blocker.transaction_started_at).total_seconds(), 0)
    return f"{message}, its transaction is {age:.0f} s old)"


def _may_be_written(who: DatabaseIdentity) -> None:
    """Raise `_Stop` unless this is a database that can be written to, and says so."""
    if who.in_recovery is not False:
        raise _Stop(_refusal("This server is a replica: connect to the primary."))
    if who.read_only is not False:
        raise _Stop(_refusal("This connection may only read."))


def _refusal(message: str, before: bool | None = None) -> MigrationResult:
    return MigrationResult(MigrationOutcome.REFUSED, f"{message} {_NOTHING_CHANGED}", before=before)


def _dry_run_done(migration: Migration) -> MigrationResult:
    count = len(migration.steps)
    what = "It works" if count == 1 else f"The first of {count} steps works; the others build on it"
    message = f"{what}. It was rolled back. {_NOTHING_CHANGED}"
    return MigrationResult(MigrationOutcome.DRY_RUN, message, before=False, after=False)


def _left(migration: Migration, number: int) -> str:
    """Say what stays after a run that stopped in the step with this number, counted from 0."""
    if number == 0:
        return _NOTHING_CHANGED
    undo = f", or take them back with {migration.undone_by}" if migration.undone_by else ""
    done = "The first step stays" if number == 1 else f"The first {number} steps stay"
    return f"{done}, the rest was not done: run it again{undo}."


def _in_doubt(migration: Migration, number: int) -> str:
    """Say what may be after a run whose step with this number, counted from 0, may have happened or not."""
    before = {0: "", 1: " The first step stays."}.get(number, f" The first {number} steps stay.")
    undo = f", or take it all back with {migration.undone_by}" if migration.undone_by else ""
    return (
        f"Step {number + 1} of {len(migration.steps)} may have happened; none after it was begun.{before} "
        f"Look at {migration.table} and say what you saw; then run it again{undo}."
    )


def _visible_message(visible: bool | None) -> str:
    match visible:
        case True:
            return " The Data API has it."
        case False:
            return " The Data API does not have it yet, so the app cannot use it: its schema cache is stale."
        case None:
            return " Whether the Data API has it could not be checked."
