"""Actions on the database: run a migration of the catalogue, or undo one. There is no free SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import ClassVar

from lib.actions.action import (
    Action,
    ActionContext,
    Args,
    Effect,
    FailedError,
    OnProgress,
    Preflight,
    RefusedError,
    Target,
    Tier,
    Touches,
    Verification,
    block,
    ok,
    warn,
)
from lib.diagnosis.applicable_migrations import cured_by, database_faults
from lib.diagnosis.facts import Facts
from lib.migrations.catalogue import Migration, catalogue
from lib.migrations.executors import migration_executor
from lib.migrations.runner import MigrationOutcome, MigrationResult, MigrationStatus, Runner
from lib.migrations.script import HistoryRow, scripts
from lib.model.reading import FailureKind
from lib.sources.http import OutcomeUnknownError

LOCK_ATTEMPTS = 3
# The migration that adds the reporting functions.
REPORTING = "reporting"


def runner_on(context: ActionContext, history: HistoryRow | None = None) -> Runner:
    """Return the runner on the desk's way into the database. Raises `SourceError` if there is none.

    `history` is the row of a file of the app's repository.
    """
    catalog = context.sources.catalog
    executor = migration_executor(catalog)
    return Runner(executor=executor, data_api=catalog.description, clock=context.clock, history=history)


def lock_on_database(context: ActionContext) -> str:
    """Name what only one migration may touch at a time, whichever it is."""
    return f"database:{context.settings.supabase_project_ref or 'main'}"


def _named(name: str) -> Migration:
    try:
        return catalogue()[name]
    except KeyError:
        known = ", ".join(catalogue())
        raise RefusedError(f"There is no migration {name} in the catalogue. There are: {known}.") from None


def _status(context: ActionContext, migration: Migration) -> MigrationStatus:
    """Return how the migration stands in the database. Whether the Data API knows it matters once it has run."""
    return context.ask(("migration", migration.name), lambda: runner_on(context).inspect(migration, ask_data_api=False))


class _Migrate(Action):
    """What running and undoing have in common: both run one migration of the catalogue."""

    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    touches: ClassVar[Touches] = Touches.DATABASE
    asks: ClassVar[tuple[str, ...]] = ("name",)
    settles_within: ClassVar[timedelta] = timedelta(seconds=15)
    timeout: ClassVar[timedelta] = timedelta(minutes=6)

    def migration(self, args: Args) -> Migration:
        """Return the migration that is run. Raises `RefusedError`."""
        return _named(args["name"])

    def lock(self, context: ActionContext, args: Args) -> str:
        return lock_on_database(context)

    def resolve(self, context: ActionContext, args: Args) -> Target:
        migration = self.migration(args)
        status = _status(context, migration)
        facts = (
            ("migration", migration.name),
            ("SQL", migration.digest[:12]),
            *database_facts(context, status),
            ("in place", "yes" if status.in_place else "no"),
        )
        return Target(migration.table, facts)

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return tuple(step.sql for step in scripts(self.migration(args)))

    def will_differ(self, target: Target) -> tuple[str, ...]:
        migration = _named(dict(target.facts)["migration"])
        return (f"{migration.title}.", f"Lock: {migration.lock}.")

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        migration = self.migration(args)
        status = _status(context, migration)
        needed = (
            block("needed", "It is in place already: there is nothing to do.")
            if status.in_place
            else ok("needed", "It is not in place.")
        )
        return (needed, *database_checks(migration, status), self.applicability(context, migration))

    def button_for(self, args: Args) -> str:
        return self.migration(args).button

    def undo_for(self, args: Args) -> str:
        migration = self.migration(args)
        return migration.undone_by or f"Cannot be undone. {migration.cannot_be_undone or ''}".strip()

    def applicability(self, context: ActionContext, migration: Migration) -> Preflight:
        """Say which error that was seen it cures, or that it cures none."""
        cured = cured_by(migration, database_faults(Facts(context.take_snapshot(), context.clock())))
        if cured:
            return ok("cures", f"It would help: {' '.join(cured)}")
        return warn("cures", "It would not help: no error that it fixes was found.")

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        migration = self.migration(args)
        result = runner_on(context).run(migration, attempts=LOCK_ATTEMPTS, on_progress=progress)
        return effect_of(result, migration)

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        migration = self.migration(args)
        # Not in place proves nothing yet: what was sent may still wait its turn.
        if not runner_on(context).inspect(migration, ask_data_api=False).in_place:
            return None
        return Effect("The catalog shows the change.", "not in place", "in place", migration.name)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        return verification_of(runner_on(context).inspect(self.migration(args)))


def database_facts(context: ActionContext, status: MigrationStatus) -> tuple[tuple[str, str], ...]:
    """Name the database that a migration would change."""
    who = status.identity
    return (
        ("database", f"{who.database} as {who.user}, Postgres {who.server_version}"),
        ("project", context.settings.supabase_project_ref or "not named"),
    )


def effect_of(result: MigrationResult, migration: Migration) -> Effect:
    """Return what a run did. Raises `OutcomeUnknownError` or `FailedError` where that is not what was asked for."""
    if result.outcome is MigrationOutcome.UNKNOWN:
        raise OutcomeUnknownError(FailureKind.UNAVAILABLE, result.message, "Read the catalog again.")
    if result.outcome not in (MigrationOutcome.SUCCEEDED, MigrationOutcome.NOTHING_TO_DO):
        done = f"{result.steps_done} of {len(migration.steps)} steps done" if result.steps_done else ""
        raise FailedError(result.message, after=done)
    return Effect(result.message, "not in place", "in place", migration.name)


def verification_of(status: MigrationStatus) -> Verification:
    """Return whether the catalog and the Data API show the change."""
    if not status.in_place:
        return Verification(False, "The catalog does not show the change.")
    if status.visible is False:
        return Verification(None, "The catalog shows the change; the Data API has not loaded it yet.")
    through = "" if status.visible is None else ", and so does the Data API"
    return Verification(True, f"The catalog shows the change{through}.")


def database_checks(migration: Migration, status: MigrationStatus) -> tuple[Preflight, ...]:
    """Say whether the database can be changed now: that it takes writes, and who is in the way."""
    held = [f"pid {blocker.pid} ({blocker.application or 'unnamed'}, {blocker.state})" for blocker in status.blockers]
    tables = ", ".join(migration.tables)
    return (
        ok("writable", "The database accepts changes.")
        if not (status.identity.in_recovery or status.identity.read_only)
        else block("writable", "The database accepts no changes: it is a replica, or read-only."),
        ok("requires", "Its precondition holds.")
        if status.requires_met
        else block("requires", migration.requires_message or "Its precondition does not hold."),
        warn("blockers", f"Somebody holds a lock on {tables}: {', '.join(held)}. It may have to give up.")
        if held
        else ok("blockers", f"Nobody holds a lock on {tables}."),
    )


class RunMigration(_Migrate):
    """Run one migration of the catalogue."""

    id: ClassVar[str] = "run_migration"
    title: ClassVar[str] = "Run a migration"
    undo: ClassVar[str] = "undo_migration, where the migration says that it can be undone"


class UndoMigration(_Migrate):
    """Undo a migration by the one that its header names."""

    id: ClassVar[str] = "undo_migration"
    title: ClassVar[str] = "Undo a migration"
    undo: ClassVar[str] = "run_migration"

    def migration(self, args: Args) -> Migration:
        wanted = _named(args["name"])
        if wanted.undone_by is None:
            raise RefusedError(f"{wanted.title} cannot be undone. {wanted.cannot_be_undone or ''}".strip())
        return _named(wanted.undone_by)

    def applicability(self, context: ActionContext, migration: Migration) -> Preflight:
        return warn("cures", "Undoing fixes nothing: do it only when nothing relies on it any more.")


class InstallReporting(_Migrate):
    """Install the functions that count in the database, so that a long window need not be read row by row."""

    id: ClassVar[str] = "install_reporting"
    title: ClassVar[str] = "Install the reporting functions"
    asks: ClassVar[tuple[str, ...]] = ()
    undo: ClassVar[str] = f"undo_migration, name={REPORTING}"

    def migration(self, args: Args) -> Migration:
        return _named(REPORTING)

    def undo_for(self, args: Args) -> str:
        return self.undo

    def applicability(self, context: ActionContext, migration: Migration) -> Preflight:
        return ok("cures", "It fixes no problem and changes no table: it lets Switchboard count inside the database.")
