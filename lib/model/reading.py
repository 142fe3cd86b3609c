"""A reading: a value with where and when it was observed, or the reason there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class SourceName(StrEnum):
    """The six outside systems, as named on screen, in JSON and in links."""

    BOOKING_DATA = "booking_data"
    CATALOG = "catalog"
    VERCEL = "vercel"
    GITHUB = "github"
    TWILIO = "twilio"
    BOOKING_APP = "booking_app"


class FailureKind(StrEnum):
    """Why a source gave no value. The list is closed: every outside error becomes one of these."""

    NOT_CONFIGURED = "not_configured"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    TIMEOUT = "timeout"
    UNAVAILABLE = "unavailable"
    BAD_DATA = "bad_data"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no value: `sentence` for the person, `hint` for the fix. Neither ever holds a secret."""

    kind: FailureKind
    sentence: str
    hint: str = ""


class SourceError(Exception):
    """The one error a source raises. `str()` of it is safe to show and to log."""

    def __init__(self, kind: FailureKind, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.failure = Failure(kind, sentence, hint)

    @property
    def kind(self) -> FailureKind:
        return self.failure.kind


class CaveatKind(StrEnum):
    """In which way a value is less than what was asked for."""

    TRUNCATED = "truncated"
    MISSING_COLUMN = "missing_column"
    PARTIAL = "partial"


@dataclass(frozen=True, slots=True)
class Caveat:
    """One way in which a value is incomplete. `subject` is the table, column, host … it is about."""

    kind: CaveatKind
    subject: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Observed(Generic[T]):
    """What a source returns: the value, and what is incomplete about it.

    `since` is set where rows were read newest first and those before it were not: on purpose, because the
    database counts them, or with a caveat that says TRUNCATED.
    """

    value: T
    caveats: tuple[Caveat, ...] = ()
    since: datetime | None = None


class Freshness(StrEnum):
    """How far a reading can be trusted now. Only FRESH and AGING may ever support a green verdict.

    COMING: nobody waits for it, and it was never there yet; that is no fault of its source.
    """

    FRESH = "fresh"
    AGING = "aging"
    STALE = "stale"
    FAILED = "failed"
    NOT_CONFIGURED = "not_configured"
    COMING = "coming"


# A reading is aging past its budget and stale past this many budgets.
STALE_AFTER_BUDGETS = 4


@dataclass(frozen=True, slots=True)
class Reading(Generic[T]):
    """One value of one source with its provenance.

    Exactly one of `value` and `failure` is set (a value may itself be an empty frame: that is a fact,
    not a failure). `observed_at` is when the answer was complete, in UTC. `budget` is how old it may
    grow before it counts as aging. `failing_since` is the first of the failures in a row. `since` is as in
    `Observed`: rows from then on are all there. `is_coming` says that it is being asked for the first time, and that
    nobody waits for it; `failure` then says how far it has come.
    """

    name: str
    source: SourceName
    observed_at: datetime
    latency_ms: float
    budget: timedelta
    value: T | None = None
    failure: Failure | None = None
    caveats: tuple[Caveat, ...] = ()
    failing_since: datetime | None = None
    since: datetime | None = None
    is_coming: bool = False

    def freshness(self, now: datetime) -> Freshness:
        """Return how far the reading can be trusted at `now` (UTC)."""
        if self.is_coming:
            return Freshness.COMING
        if self.failure is not None:
            not_configured = self.failure.kind is FailureKind.NOT_CONFIGURED
            return Freshness.NOT_CONFIGURED if not_configured else Freshness.FAILED
        age = now - self.observed_at
        if age <= self.budget:
            return Freshness.FRESH
        return Freshness.AGING if age <= STALE_AFTER_BUDGETS * self.budget else Freshness.STALE

    def usable(self, now: datetime) -> bool:
        """Whether a verdict may rest on this reading at `now`: there is a value and it is not stale."""
        return self.freshness(now) in (Freshness.FRESH, Freshness.AGING)

    @property
    def truncated(self) -> bool:
        """Whether rows are known to be missing from the value."""
        return any(caveat.kind is CaveatKind.TRUNCATED for caveat in self.caveats)


@dataclass(frozen=True, slots=True)
class SourceHealth:
    """How far a source as a whole can be trusted. `partly`: it answers, and not to everything it was asked."""

    state: Freshness
    partly: bool


# A source is as old as the oldest of its answers; it failed when none of its readings is an answer.
_WORST_FIRST = (Freshness.STALE, Freshness.AGING, Freshness.FRESH, Freshness.FAILED, Freshness.NOT_CONFIGURED)


def source_health(readings: Iterable[Reading[Any]], now: datetime) -> SourceHealth:
    """Return the health of the source whose `readings` these are, at `now` (UTC)."""
    states = {reading.freshness(now) for reading in readings}
    state = next((state for state in _WORST_FIRST if state in states), Freshness.NOT_CONFIGURED)
    return SourceHealth(state, partly=Freshness.FAILED in states and state is not Freshness.FAILED)
