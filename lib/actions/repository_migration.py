"""Run a migration of the app's own repository: one file, of one commit, looked through and tried before it runs.

The file comes from outside. What runs is bound to version, commit and digest: another file is another order. It goes
the way of the catalogue's migrations (`lib.migrations.runner`), and its row is written into the history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from lib.actions import production
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
from lib.actions.migration_actions import (
    LOCK_ATTEMPTS,
    database_checks,
    database_facts,
    effect_of,
    lock_on_database,
    runner_on,
    verification_of,
)
from lib.diagnosis.code_findings import misfit_line
from lib.formatting import counted
from lib.migrations.linter import LinterError, complaints
from lib.migrations.repository_file import RepositoryFile, open_file
from lib.migrations.runner import MigrationOutcome, MigrationStatus, Runner
from lib.migrations.script import scripts
from lib.migrations.statement_rules import Instead
from lib.model.database import AppliedMigration
from lib.model.served_code import MigrationFile, MigrationState, Misfit, Schema, ServedCode, Way
from lib.redaction import redact
from lib.served_code import flow, live_schema, repository_migrations
from lib.served_code.misfits import judge
from lib.sources.catalog import Row
from lib.sources.http import Deadline

_READ_SECONDS = 15.0
_CODE_SECONDS = 60.0  # an archive that was never read comes from far away
_SHA = re.compile(r"[0-9a-f]{40}")
_VERSION = re.compile(r"[0-9]{1,20}")
_MOST_NAMED = 5


@dataclass(frozen=True)
class _Resolved:
    """One file as the repository has it, and what it is held against: the code that is served, on its flow's way."""

    opened: RepositoryFile
    runner: Runner
    status: MigrationStatus
    schema: Schema
    pending: tuple[str, ...]
    served: tuple[tuple[ServedCode, Way], ...]
    served_by: tuple[str, ...]
    is_head: bool

    def misfits(self, schema: Schema) -> tuple[Misfit, ...]:
        """What the code that is served asks of a schema and does not get, each once whichever commit it is of."""
        found = (misfit for code, way in self.served for misfit in judge(code.uses, schema, way).misfits)
        return tuple(dict.fromkeys(found))


class _OfTheRepository(Action):
    """What running a file and trying it have in common."""

    touches: ClassVar[Touches] = Touches.DATABASE
    asks: ClassVar[tuple[str, ...]] = ("version", "commit")
    timeout: ClassVar[timedelta] = timedelta(minutes=6)

    def lock(self, context: ActionContext, args: Args) -> str:
        return lock_on_database(context)

    def resolve(self, context: ActionContext, args: Args) -> Target:
        found = _looked_at(context, args)
        opened = found.opened
        changes = repository_migrations.read(opened.file.sql).changes
        facts = (
            ("migration", opened.migration.name),
            ("file", opened.file.path),
            ("commit", args["commit"]),
            ("SQL", opened.digest),
            *database_facts(context, found.status),
            ("on record", "yes" if found.status.recorded else "no"),
            ("pending before it", _named(found.pending) or "none"),
            ("changes", _named([change.message for change in changes]) or "rows, or nothing that the schema shows"),
            ("locks", opened.migration.lock),
        )
        return Target(opened.file.version, tuple((name, redact(value)) for name, value in facts))

    def will_differ(self, target: Target) -> tuple[str, ...]:
        facts = dict(target.facts)
        return (f"{facts['changes']}.", f"Lock: {facts['locks']}.", "The migration history holds the file.")

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        found = _looked_at(context, args)
        migration = found.opened.migration
        return (
            _commit_check(found, args["commit"]),
            *_rule_checks(found.opened),
            *_lint_checks(found.opened),
            _needed_check(found),
            _order_check(found.pending),
            *database_checks(migration, found.status),
            *_content_checks(found.opened),
            _cure_check(found),
        )

    def script(self, context: ActionContext, args: Args, *, dry_run: bool) -> tuple[str, ...]:
        """Return the whole SQL that runs, with the transaction around it."""
        opened = open_file(_file(_code(context, args["commit"]), args["version"]))
        question = live_schema.SCHEMA_SQL if dry_run else ""
        steps = scripts(opened.migration, dry_run=dry_run, history=opened.history, question=question)
        # What looks like a secret is not shown; that it is there is said, and the digest is of the file itself.
        return tuple(redact(step.sql) for step in steps)


def _file(code: ServedCode, version: str) -> MigrationFile:
    files = [file for file in code.migrations if file.version == version]
    if not files:
        raise RefusedError(f"The commit {(code.commit or '')[:7]} has no migration {version}.")
    if len(files) > 1:
        raise RefusedError(
            f"The commit has {len(files)} migrations with the version {version}: which one is not clear."
        )
    return files[0]


def _code(context: ActionContext, commit: str) -> ServedCode:
    return context.sources.github_archive.code(commit, Deadline(_CODE_SECONDS))


def _looked_at(context: ActionContext, args: Args) -> _Resolved:
    """Return what `_resolved` does, read once within one look."""
    return context.ask(("repository migration", args["version"], args["commit"]), lambda: _resolved(context, args))


def _resolved(context: ActionContext, args: Args) -> _Resolved:
    """Read the file and what it is held against. Raises `RefusedError` or `SourceError`."""
    commit, version = args["commit"], args["version"]
    if not _SHA.fullmatch(commit) or not _VERSION.fullmatch(version):
        raise RefusedError("Say the commit by its 40 digits, and the version of the migration by its digits.")
    hosts, branch = production.hostnames(context), production.production_branch(context)
    code = _code(context, commit)
    schema = context.sources.catalog.live_schema(_soon()).value
    opened = open_file(_file(code, version), schema)
    runner = runner_on(context, opened.history)
    root = production.project(context).root_directory or ""  # null: the repository's own
    served = dict.fromkeys(host.serving_commit for host in hosts if host.serving_commit)
    return _Resolved(
        opened=opened,
        runner=runner,
        status=runner.inspect(opened.migration),
        schema=schema,
        pending=_pending(code, _history(context, runner), schema, version),
        served=tuple(
            (one, flow.way(one, context.settings.served_code_addresses, root))
            for one in (_code(context, sha) for sha in served)
        ),
        served_by=tuple(host.name for host in hosts if host.serving_commit == commit),
        is_head=branch.head.sha == commit,
    )


def _soon() -> Deadline:
    return Deadline(_READ_SECONDS)


def _history(context: ActionContext, runner: Runner) -> tuple[AppliedMigration, ...]:
    return context.sources.catalog.migrations(_soon()).value if runner.has_history(_soon()) else ()


def _pending(code: ServedCode, history: Sequence[AppliedMigration], schema: Schema, version: str) -> tuple[str, ...]:
    """Return the files that come before this one and are not applied, as far as that is known."""
    states = repository_migrations.compare(code.migrations, history, schema)
    return tuple(
        f"{one.version}_{one.name}"
        for one in states
        if one.state is MigrationState.NOT_APPLIED and int(one.version) < int(version)
    )


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_NAMED
    return "; ".join(names[:_MOST_NAMED]) + (f"; and {more:,} more" if more > 0 else "")


# --- what is looked at before


def _commit_check(found: _Resolved, commit: str) -> Preflight:
    if found.served_by:
        return ok("commit", f"{commit[:7]} is served by {', '.join(found.served_by)}.")
    if found.is_head:
        return warn("commit", f"{commit[:7]} is the newest commit, and production does not serve it yet.")
    message = f"{commit[:7]} is neither served nor the newest commit: take the file of one that is."
    return block("commit", message)


def _rule_checks(opened: RepositoryFile) -> tuple[Preflight, ...]:
    if not opened.refusals:
        return (ok("statements", "Each statement says what it does, fits in one transaction and loses no data."),)
    return tuple(
        block("statements", redact(f"Line {one.line}: {one.reason} Use instead: {opened.command(one.instead)}"))
        for one in sorted(opened.refusals, key=lambda one: one.line)[:_MOST_NAMED]
    )


def _lint_checks(opened: RepositoryFile) -> tuple[Preflight, ...]:
    try:
        found = complaints(opened.file.sql)
    except LinterError as error:
        return (warn("lint", f"{error} Only Switchboard's own rules were applied."),)
    if not found:
        return (ok("lint", "The linter squawk has no objection."),)
    instead = opened.command(Instead.PUSH)
    return tuple(
        block("lint", redact(f"Line {one.line}: {one.message} ({one.rule}) Use instead: {instead}"))
        if one.is_destructive
        else warn("lint", redact(f"Line {one.line}: {one.message} ({one.rule})"))
        for one in found
    )


def _needed_check(found: _Resolved) -> Preflight:
    version = found.opened.file.version
    if not found.status.recorded:
        return ok("needed", "The migration history does not hold it.")
    if found.status.in_place:
        return block("needed", "It is on record as applied, and its effect is there: there is nothing to do.")
    repair = f"supabase migration repair --status reverted {version}"
    return block("needed", f"It is on record as applied, and its effect is not there. Take it off the record: {repair}")


def _order_check(pending: Sequence[str]) -> Preflight:
    if not pending:
        return ok("order", "No migration before it waits to be applied.")
    message = (
        f"{counted(len(pending), 'migration')} before it not applied: {_named(pending)}. Afterwards "
        "`supabase db push` wants --include-all for them."
    )
    return warn("order", redact(message))


def _content_checks(opened: RepositoryFile) -> tuple[Preflight, ...]:
    checks: list[Preflight] = []
    if opened.content.changes_rows:
        checks.append(warn("rows", "It writes rows: what it overwrites or deletes cannot be brought back."))
    hidden = [str(number) for number, line in enumerate(opened.file.sql.split("\n"), start=1) if redact(line) != line]
    if hidden:
        where = "Line" if len(hidden) == 1 else "Lines"
        message = "what looks like a secret or a phone number is not shown here, and runs as the repository has it."
        checks.append(warn("hidden", f"{where} {', '.join(hidden[:_MOST_NAMED])}: {message}"))
    return tuple(checks)


def _cure_check(found: _Resolved) -> Preflight:
    """Say which misfits of the served code it would cure by what is read of it; trying it says more."""
    before = found.misfits(found.schema)
    reading = repository_migrations.read(found.opened.file.sql)
    left = {_key(one) for one in found.misfits(repository_migrations.applied(reading, found.schema))}
    cured = [one for one in before if _key(one) not in left]
    if cured:
        lines = _named([misfit_line(one) for one in cured])
        return ok("cures", redact(f"By what is read of it, it would fix {counted(len(cured), 'misfit')}: {lines}."))
    return warn("cures", "By what is read of it, it would fix no misfit of the live code.")


def _key(misfit: Misfit) -> tuple[object, ...]:
    return misfit.use, misfit.problem, misfit.table, misfit.column, misfit.literal


def _count(misfits: Sequence[Misfit]) -> str:
    return f"{counted(len(misfits), 'misfit')}, {sum(one.on_flow for one in misfits):,} on the way of a booking"


# --- trying, running and looking


@dataclass(frozen=True, slots=True)
class _Trial:
    """What a dry run showed: the misfits of the served code before, and inside of the transaction after."""

    message: str
    worse: tuple[Misfit, ...]


def _tried(found: _Resolved, progress: OnProgress) -> _Trial:
    """Run the file and roll it back. Raises `FailedError` where it does not work."""
    before = found.misfits(found.schema)
    result = found.runner.run(
        found.opened.migration, dry_run=True, question=live_schema.SCHEMA_SQL, on_progress=progress
    )
    if result.outcome is not MigrationOutcome.DRY_RUN:
        raise FailedError(result.message)
    schema = _schema_in(result.rows)
    if schema is None:
        return _Trial(f"{result.message} The misfits that it would leave could not be counted.", ())
    after = found.misfits(schema)
    known = {_key(one) for one in before}
    worse = tuple(one for one in after if one.on_flow and not one.sometimes and _key(one) not in known)
    return _Trial(f"{result.message} Before: {_count(before)}. With it: {_count(after)}.", worse)


def _schema_in(rows: Sequence[Row]) -> Schema | None:
    try:
        return live_schema.schema_of(rows[-1]["schema"])
    except (LookupError, TypeError, ValueError):
        return None


def _lines(misfits: Iterable[Misfit]) -> str:
    return redact(_named([misfit_line(one) for one in misfits]))


class RunRepositoryMigration(_OfTheRepository):
    """Run one file of the repository's migrations, after it was tried and rolled back."""

    id: ClassVar[str] = "run_repository_migration"
    title: ClassVar[str] = "Run a migration of the repository"
    button: ClassVar[str] = "Run this migration"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    undo: ClassVar[str] = "Cannot be undone from here: write a migration that takes it back."
    settles_within: ClassVar[timedelta] = timedelta(seconds=15)

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return self.script(context, args, dry_run=False)

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        found = _resolved(context, args)
        if found.opened.digest != dict(target.facts)["SQL"]:
            raise RefusedError("The file is another than the one that was confirmed.")
        if found.opened.refusals:
            raise RefusedError(redact(found.opened.refusals[0].reason))
        trial = _tried(found, progress)
        progress(trial.message)
        if trial.worse:
            raise FailedError(
                f"It was tried and rolled back: with it, code that is served would fail. {_lines(trial.worse)}. "
                "Nothing was changed."
            )
        result = found.runner.run(found.opened.migration, attempts=LOCK_ATTEMPTS, on_progress=progress)
        return effect_of(result, found.opened.migration)

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        found = _resolved(context, args)
        # Not on record proves nothing yet: what was sent may still wait its turn.
        if not found.status.in_place:
            return None
        return Effect("The history and the catalog show it.", "not in place", "in place", found.opened.migration.name)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        found = _resolved(context, args)
        seen = verification_of(found.status)
        now = _count(found.misfits(found.schema))
        return Verification(seen.agreed, f"{seen.message} The served code now has {now}.")


class DryRunRepositoryMigration(_OfTheRepository):
    """Run one file of the repository's migrations and roll it back. It takes the same locks as the real thing."""

    id: ClassVar[str] = "rehearse_repository_migration"
    title: ClassVar[str] = "Try a migration of the repository, and roll it back"
    button: ClassVar[str] = "Try it and roll back"
    tier: ClassVar[Tier] = Tier.CONFIRM
    touches: ClassVar[Touches] = Touches.NOTHING
    undo: ClassVar[str] = "Nothing stays that could be undone."
    settles_within: ClassVar[timedelta] = timedelta(0)
    leaves_nothing: ClassVar[bool] = True

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return self.script(context, args, dry_run=True)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        facts = dict(target.facts)
        return ("Nothing: it is rolled back.", f"Lock, while it is tried: {facts['locks']}.")

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        found = _resolved(context, args)
        if found.opened.refusals:
            raise RefusedError(redact(found.opened.refusals[0].reason))
        trial = _tried(found, progress)
        worse = f" With it, code that is served would fail: {_lines(trial.worse)}." if trial.worse else ""
        name = found.opened.migration.name
        return Effect(f"{trial.message}{worse}", "not in place", "not in place: it was rolled back", name)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        if _resolved(context, args).status.in_place:
            return Verification(False, "It is in place: somebody else ran it meanwhile.")
        return Verification(True, "The catalog is as it was.")
