"""What the code that was read asks of the live database and does not get, per commit, and what its migrations are.

Pure. The work is done once for the same code, schema and history: a diagnosis is made every few seconds.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lib.model.database import AppliedMigration
from lib.model.served_code import (
    BOOKING_ADDRESSES,
    ErrorHandling,
    Misfit,
    Problem,
    RepositoryMigration,
    Schema,
    ServedCode,
    Unjudged,
    Use,
    Way,
)
from lib.served_code import flow, repository_migrations
from lib.served_code.misfits import judge

# What of a way of a booking could not be followed is told up to this many places.
_PLACES_TOLD = 3
_VERBS = {
    Problem.MISSING_TABLE: "which the database does not have",
    Problem.MISSING_COLUMN: "which the database does not have",
    Problem.MISSING_FUNCTION: "which the database does not have as it is called",
}
_ERRORS = {
    ErrorHandling.IGNORED: "its error is ignored",
    ErrorHandling.LOOKED_AT: "its error is checked",
    ErrorHandling.UNKNOWN: "whether its error is checked could not be read",
}


@dataclass(frozen=True)
class CommitFindings:
    """One commit held against the database: its way of a booking, and what does not fit, on the way first."""

    code: ServedCode
    way: Way
    misfits: tuple[Misfit, ...]
    unjudged: tuple[Unjudged, ...]
    migrations: tuple[RepositoryMigration, ...]

    @property
    def on_flow(self) -> tuple[Misfit, ...]:
        return tuple(misfit for misfit in self.misfits if misfit.on_flow)

    @property
    def uses_on_flow(self) -> tuple[Use, ...]:
        return tuple(use for use in self.code.uses if self.way.hop(use) is not None)

    @property
    def gaps(self) -> tuple[str, ...]:
        """What of the way of a booking could not be read or judged, in short."""
        unread = [f"{one.file}: {one.reason}" for one in self.way.unresolved]
        unread += [f"{one.use.place}: {one.reason}" for one in self.unjudged if self.way.hop(one.use) is not None]
        more = len(unread) - _PLACES_TOLD
        return (
            *unread[:_PLACES_TOLD],
            *((f"{more:,} more places in the booking flow could not be judged",) if more > 0 else ()),
        )

    def writes(self, table: str, column: str) -> bool:
        """Whether a booking's way leads to a write of this column."""
        return any(
            use.table == table and use.operation.is_write and any(one.column == column for one in use.writes)
            for use in self.uses_on_flow
        )


@dataclass(frozen=True)
class CodeFindings:
    """What is known of the code. `why_partial` says why a verdict may not rest on it alone; empty if it may.

    `serving` are the commits that hostnames serve and that were read; `others` what was read besides (the head).
    """

    serving: tuple[CommitFindings, ...]
    others: tuple[CommitFindings, ...]
    why_partial: str

    @property
    def complete(self) -> bool:
        return bool(self.serving) and not self.why_partial

    @property
    def on_flow(self) -> tuple[Misfit, ...]:
        """The misfits on the way of a booking through the code that is served."""
        return tuple(misfit for commit in self.serving for misfit in commit.on_flow)

    @property
    def next_on_flow(self) -> tuple[Misfit, ...]:
        """The misfits on that way through code that is not served yet, and that the served code does not have."""
        known = {_place(misfit) for misfit in self.on_flow}
        return tuple(misfit for commit in self.others for misfit in commit.on_flow if _place(misfit) not in known)

    @property
    def commits(self) -> tuple[CommitFindings, ...]:
        return (*self.serving, *self.others)

    @property
    def misfits(self) -> tuple[Misfit, ...]:
        return tuple(misfit for commit in self.commits for misfit in commit.misfits)

    @property
    def migrations(self) -> tuple[RepositoryMigration, ...]:
        """The migrations of the newest code that was read: it holds all that older code has."""
        return self.commits[-1].migrations if self.commits else ()

    @property
    def gaps(self) -> tuple[str, ...]:
        return tuple(gap for commit in self.serving for gap in commit.gaps)


def _place(misfit: Misfit) -> tuple[Problem, str | None, str | None]:
    return misfit.problem, misfit.table, misfit.column


def hold(
    code: ServedCode,
    schema: Schema,
    history: Sequence[AppliedMigration] | None,
    addresses: tuple[str, ...] = BOOKING_ADDRESSES,
    root: str = "",
) -> CommitFindings:
    """Hold one commit against the schema and the history. Done once for the same five.

    `addresses` are those that a booking passes, `root` is the folder of the app in the repository (Vercel's
    rootDirectory).
    """
    given = (code, schema, history, addresses, root)
    with _lock:
        for known, before in _made:
            if before[0] is code and before[1:] == given[1:]:
                return known
    way = flow.way(code, addresses, root)
    judgement = judge(code.uses, schema, way, code.commit)
    migrations = repository_migrations.compare(code.migrations, history, schema)
    misfits = repository_migrations.cures(judgement.misfits, code.migrations, migrations, schema)
    found = CommitFindings(code, way, tuple(misfits), judgement.unjudged, migrations)
    with _lock:
        _made.append((found, given))
        del _made[:-_KEPT]
    return found


# The serving commits of a few hostnames and the head, against the schema of now and of a moment ago.
_KEPT = 8
_Given: TypeAlias = tuple[ServedCode, Schema, Sequence[AppliedMigration] | None, tuple[str, ...], str]
_made: list[tuple[CommitFindings, _Given]] = []
_lock = threading.Lock()


def misfit_line(misfit: Misfit) -> str:
    """Return a misfit as evidence: who does what where, what the database says, and what would cure it."""
    cure = (
        f"; the repository's migration {misfit.migration} would fix it and is not in effect" if misfit.migration else ""
    )
    return f"{_said(misfit)} ({misfit.answers[0]}); {_ERRORS[misfit.error]}{cure}"


def misfit_in_short(misfit: Misfit) -> str:
    """Return who does what where in the code, and whether anybody would learn that it fails."""
    return f"{_said(misfit)}; {_ERRORS[misfit.error]}"


def _said(misfit: Misfit) -> str:
    who = _hop(misfit.hop) or misfit.use.route or misfit.file
    place = f"({misfit.file}, line {misfit.line})"
    column = f"{misfit.table}.{misfit.column}" if misfit.column else misfit.table
    maybe = "can " if misfit.sometimes else ""
    plain = {"writes": "write", "reads": "read", "leaves out": "leave out", "calls": "call", "names": "name"}

    def does(verb: str) -> str:
        return f"{who} {maybe}{plain[verb] if maybe else verb}"

    written = any(one.column == misfit.column for one in misfit.use.writes) or (
        misfit.column is None and misfit.use.operation.is_write
    )
    match misfit.problem:
        case Problem.MISSING_TABLE | Problem.MISSING_COLUMN:
            said = f"{does('writes' if written else 'reads')} {column} {place}, {_VERBS[misfit.problem]}"
        case Problem.MISSING_FUNCTION:
            said = f"{does('calls')} {misfit.detail}() {place}, {_VERBS[misfit.problem]}"
        case Problem.LEFT_OUT:
            said = f"{does('leaves out')} {column} {place}, which must have a value"
        case Problem.NULL_REFUSED:
            said = f"{does('writes')} null to {column} {place}, which {_refuser(misfit)} refuses"
        case Problem.REFUSED_LITERAL:
            said = (
                f"{does('writes')} “{str(misfit.literal)[:80]}” to {column} {place}, which {_refuser(misfit)} refuses"
            )
        case Problem.NO_UNIQUE_INDEX:
            said = f"{does('names')} ({misfit.detail}) of {misfit.table} in onConflict {place}, without a unique index"
        case Problem.TYPE:
            said = f"{misfit.sentence.partition('. ')[0].rstrip('.')} {place}"
    return said


def _refuser(misfit: Misfit) -> str:
    return "NOT NULL" if misfit.detail == "NOT NULL" else f"the check {misfit.detail}"


def _hop(address: str | None) -> str | None:
    """Return the address of the flow as people call it: its last part that has a name."""
    parts = [part for part in (address or "").split("/") if part and not part.startswith("[")]
    return parts[-1] if parts else None
