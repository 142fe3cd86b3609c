"""Which migrations would cure something that was seen. The rest cure nothing, however tempting their names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import pandas as pd

from lib.diagnosis.checks.recording import NULL_REFUSED, null_errors, null_still_refused
from lib.diagnosis.code_findings import misfit_line
from lib.diagnosis.contract import Break, Code
from lib.diagnosis.facts import Facts
from lib.diagnosis.hypothesis_api import TaskContext
from lib.formatting import counted
from lib.migrations.catalogue import Migration, catalogue
from lib.model.frames import MetadataState
from lib.model.served_code import Problem
from lib.model.task import Task

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
        return {
            f"{kind.value}:{misfit.table}{f'.{misfit.column}' if misfit.column else ''}": misfit_line(misfit)
            for misfit in (*facts.code.next_on_flow, *facts.code.on_flow)
            if (kind := _BREAKS.get(misfit.problem)) is not None and not misfit.sometimes
        }
    return {
        f"{breach.kind.value}:{breach.place}": breach.sentence
        for breach in facts.breaches or ()
        if breach.rule.code in (Code.ANY, Code.AFTER) and breach.is_write
    }


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


def recommended_now(facts: Facts) -> tuple[Migration, ...]:
    """Return the migrations that cure something that was seen; none while the catalog cannot be read."""
    return recommended(database_faults(facts)) if facts.snapshot.catalog.usable(facts.now) else ()


def migration_tasks(context: TaskContext, cause: str, *kinds: str) -> list[Task]:
    """Return the recommended migrations of which the first fault that they cure is of one of these kinds, as tasks.

    Code that writes no null any more is the cure of one that is refused; until it is live, the column may take nulls.
    """
    faults = database_faults(context.facts)
    return [
        _task(migration, cause, faults, meanwhile=context.new_code_is_due)
        for migration in recommended_now(context.facts)
        if _kind(next(fault for fault in migration.cures if fault in faults)) in kinds
    ]


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
