"""Which migrations would cure something that was seen. The rest cure nothing, however tempting their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from lib.diagnosis.checks.recording import NULL_REFUSED, null_errors, null_still_refused
from lib.diagnosis.code_findings import misfit_line
from lib.diagnosis.contract import Break, Code
from lib.diagnosis.facts import Facts
from lib.diagnosis.hypothesis_api import DATABASE_ADMIN, TaskContext
from lib.formatting import counted
from lib.migrations.catalogue import Migration, catalogue
from lib.migrations.repository_file import open_file
from lib.model.frames import MetadataState
from lib.model.served_code import MigrationFile, Misfit, Problem
from lib.model.task import Task
from lib.redaction import redact
from lib.served_code import repository_migrations

# The kind of fault that is no breach of the contract: the role has no right to write.
FORBIDDEN = "forbidden"
# SQLSTATE of a write that the role has no right to.
_FORBIDDEN = "42501"
_BOOKINGS = "pending_bookings"
_BREAKS = {
    Problem.MISSING_TABLE: Break.MISSING_TABLE,
    Problem.MISSING_COLUMN: Break.MISSING_COLUMN,
    Problem.NULL_REFUSED: Break.NULL_REFUSED,
    Problem.LEFT_OUT: Break.NULL_REFUSED,
    Problem.REFUSED_LITERAL: Break.LITERAL_REFUSED,
}


def database_faults(facts: Facts) -> Mapping[str, str]:
    """Return what is wrong with the database, as `kind:table.column`, each with the sentence that shows it."""
    faults = _of_the_code(facts)
    errors = facts.value(facts.snapshot.database_errors)
    if errors is None:
        return faults
    null = null_errors(facts)
    if not null.empty and null_still_refused(facts, null["at"].max().to_pydatetime()) is False:
        errors = errors.drop(null.index)  # they are over
    refused = errors[(errors["sql_state"] == NULL_REFUSED) & errors["column_name"].notna()]
    places = refused["table_name"] + "." + refused["column_name"]
    for place, count in places.value_counts().items():
        faults[f"null_refused:{place}"] = f"{counted(count, 'write')} failed because {place} must not be empty."
    forbidden = errors[(errors["sql_state"] == _FORBIDDEN) & errors["table_name"].notna()]
    written = _last_written(facts)
    if written is not None:  # what was refused before that is over
        forbidden = forbidden[(forbidden["table_name"] != _BOOKINGS) | (forbidden["at"] > written)]
    for table, count in forbidden["table_name"].value_counts().items():
        faults[f"{FORBIDDEN}:{table}"] = (
            f"{counted(count, 'write')} to {table} failed: the app has no permission for it."
        )
    return faults


def _of_the_code(facts: Facts) -> dict[str, str]:
    """Return what the database refuses of the served code and of the newest; by the contract where it is unread.

    What code that is to become live needs is part of it: else its deployment would break the flow anew.
    """
    if facts.code.complete:
        faults: dict[str, str] = {}
        # The one that is told of several on the same place: of served code before the newest, a write before a read.
        found = (*facts.code.on_flow, *facts.code.next_on_flow)
        for misfit in sorted(found, key=lambda one: not one.use.operation.is_write):
            fault = _fault(misfit)
            if fault is not None and not misfit.sometimes:
                faults.setdefault(fault, misfit_line(misfit))
        return faults
    return {
        f"{breach.kind.value}:{breach.place}": breach.sentence
        for breach in facts.breaches or ()
        if breach.rule.code in (Code.ANY, Code.AFTER) and breach.is_write
    }


def _fault(misfit: Misfit) -> str | None:
    """Return a misfit as a fault of the database, `kind:table.column`; None where it is the code that asks wrongly."""
    kind = _BREAKS.get(misfit.problem)
    return None if kind is None else f"{kind.value}:{misfit.table}{f'.{misfit.column}' if misfit.column else ''}"


def _last_written(facts: Facts) -> datetime | None:
    """Return when the newest of the bookings that have their text stored with them was made."""
    pending = facts.pending
    if pending is None:
        return None
    last = pending.loc[pending["metadata_state"] == MetadataState.STORED, "created_at"].max()
    return None if pd.isna(last) else last.to_pydatetime()


def cured_by(migration: Migration, faults: Mapping[str, str]) -> tuple[str, ...]:
    """Return the sentences of the faults that `migration` cures; empty if it cures nothing that was seen."""
    return tuple(faults[fault] for fault in migration.cures if fault in faults)


def recommended(faults: Mapping[str, str]) -> tuple[Migration, ...]:
    """Return the migrations of the catalogue that cure something that was seen, most first."""
    useful = [migration for migration in catalogue().values() if cured_by(migration, faults)]
    return tuple(sorted(useful, key=lambda migration: -len(cured_by(migration, faults))))


@dataclass(frozen=True, slots=True)
class RepositoryCure:
    """Files of the repository that were not applied and cure a fault, in their order, and the commit that has them."""

    files: tuple[MigrationFile, ...]
    commit: str


def repository_cures(facts: Facts) -> Mapping[str, RepositoryCure]:
    """Return which faults files of the repository cure, as far as the code that was read names them."""
    schema = facts.schema
    if schema is None:
        return {}
    cures: dict[str, RepositoryCure] = {}
    for misfit in (*facts.code.on_flow, *facts.code.next_on_flow):
        fault = _fault(misfit)
        if fault is None or fault in cures or misfit.migration is None:
            continue
        # Its own commit first: a file of the same version may be another elsewhere.
        for commit in sorted(facts.code.commits, key=lambda one: one.code.commit != misfit.commit):
            files = repository_migrations.files_that_cure(misfit, commit.code.migrations, commit.migrations, schema)
            if files and commit.code.commit is not None:
                cures[fault] = RepositoryCure(files, commit.code.commit)
                break
    return cures


def migration_tasks(context: TaskContext, cause: str, *kinds: str) -> list[Task]:
    """Return the tasks that cure faults of these kinds: files of the repository first, and the catalogue for the rest.

    Of a migration of the catalogue it is the first fault that it cures that counts. Code that writes no null any more
    is the cure of one that is refused; until it is live, the column may take nulls.
    """
    if not context.facts.snapshot.catalog.usable(context.facts.now):
        return []
    faults = database_faults(context.facts)
    of_repository = repository_cures(context.facts)
    rest = {fault: sentence for fault, sentence in faults.items() if fault not in of_repository}
    files: dict[str, Task] = {}
    for fault, sentence in faults.items():
        if fault in of_repository and _kind(fault) in kinds:
            bridges = context.new_code_is_due and _kind(fault) == Break.NULL_REFUSED
            for file in of_repository[fault].files:
                task = _file_task(file, of_repository[fault].commit, cause, sentence, meanwhile=bridges)
                files.setdefault(task.id, task)
    return [*files.values()] + [
        _task(migration, cause, rest, meanwhile=context.new_code_is_due)
        for migration in recommended(rest)
        if _kind(next(fault for fault in migration.cures if fault in rest)) in kinds
    ]


def _file_task(file: MigrationFile, commit: str, cause: str, why: str, *, meanwhile: bool) -> Task:
    """Return the task to run a file of the repository: by the desk, or by hand where the desk refuses it."""
    opened = open_file(file)
    task_id, name = f"run_repository_{file.version}", redact(file.name)
    message = f"Run the repository's migration {file.version} ({name}), which was not applied."
    if not opened.refusals:
        args = (("version", file.version), ("commit", commit))
        return Task(task_id, cause, "migration", message, why, "run_repository_migration", args, meanwhile=meanwhile)
    first = opened.refusals[0]
    return Task(
        task_id,
        cause,
        "migration",
        message,
        redact(f"{why} It is not run from here: line {first.line}: {first.reason}"),
        who=DATABASE_ADMIN,
        place="the app's repository, with Supabase's command line",
        exactly=opened.command(first.instead),
        meanwhile=meanwhile,
    )


def _kind(fault: str) -> str:
    return fault.partition(":")[0]


def _task(migration: Migration, cause: str, faults: Mapping[str, str], *, meanwhile: bool) -> Task:
    bridges = meanwhile and all(_kind(fault) == Break.NULL_REFUSED for fault in migration.cures)
    until = ", until the code that does not need it is live" if bridges else ""
    return Task(
        f"run_{migration.name}",
        cause,
        "migration",
        f"{migration.title}{until}.",
        " ".join(cured_by(migration, faults)),
        action="run_migration",
        args=(("name", migration.name),),
        meanwhile=bridges,
    )
