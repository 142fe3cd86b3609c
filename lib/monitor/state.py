"""When an alert is told: a pure state machine. What was known and one reading make what is known next, and the events.

A reading is one look at one rule. "Cannot tell" is neither a failure nor a success: it changes nothing here, and has a
rule of its own. A trouble that another rule explains already does not count either, until that one is over.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Protocol

from lib.model.verdict import Hop


class Finding(StrEnum):
    """What a rule found at one look."""

    GOOD = "good"
    BAD = "bad"
    CANNOT_TELL = "cannot_tell"
    EXPLAINED = "explained"  # bad, because of what another rule tells of


class Severity(IntEnum):
    """How bad it is. Customers are hit by what is CRITICAL."""

    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class Story:
    """What a message says of one trouble, in plain words without customers' data. `since` may be unknown."""

    title: str
    words: str = ""
    cause: str = ""
    next_step: str = ""
    page: str = ""  # the address of the desk's page that goes with it
    severity: Severity = Severity.WARNING
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleReading:
    """One look at one rule. `at_once`: no second look is needed to believe it.

    `hop` is where it shows, `explains` where its trouble shows as well: other rules keep still about those.
    """

    finding: Finding
    story: Story = Story("")
    at_once: bool = False
    hop: Hop | None = None
    explains: frozenset[Hop] = frozenset()


class Patience(Protocol):
    """What of a rule decides when it fires, resolves and reminds."""

    @property
    def fire_after(self) -> int: ...
    @property
    def resolve_after(self) -> int: ...
    @property
    def remind_every(self) -> timedelta: ...
    @property
    def most_reminders(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Hush:
    """What people decided: `silent` while muted or in maintenance, `acknowledged` if somebody is on it."""

    silent: bool = False
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered of one rule. It fires from `fired_at` on; people know of it from `told_at` on.

    `failures`, `severe` and `successes` are looks in a row. `since` is since when the trouble lasts.
    """

    failures: int = 0
    severe: int = 0
    successes: int = 0
    since: datetime | None = None
    fired_at: datetime | None = None
    told_at: datetime | None = None
    told_severity: Severity | None = None
    last_told_at: datetime | None = None
    reminders: int = 0
    story: Story | None = None

    @property
    def firing(self) -> bool:
        return self.fired_at is not None

    @property
    def unsettled(self) -> bool:
        """Whether another look could change it: it began to fail and does not fire, or began to recover."""
        return self.successes > 0 if self.firing else self.failures > 0


class EventKind(StrEnum):
    """What is told."""

    FIRED = "fired"
    WORSE = "worse"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something to tell. `story` is the trouble; `lasted` and `now_is` are set when it is over."""

    kind: EventKind
    at: datetime
    story: Story
    since: datetime
    lasted: timedelta | None = None
    now_is: str = ""


Step = tuple[AlertState, tuple[AlertEvent, ...]]


def next_state(previous: AlertState, reading: RuleReading, rule: Patience, now: datetime, hush: Hush = Hush()) -> Step:
    """Return what is known after `reading`, and what is to be told.

    At most one event follows a reading. A trouble that nobody was told of ends in silence; one that was told is
    always told to be over, muted or not.
    """
    match reading.finding:
        case Finding.GOOD:
            return _after_success(previous, reading, rule, now)
        case Finding.BAD:
            return _told(_after_failure(previous, reading, rule, now), reading, rule, now, hush)
        case Finding.EXPLAINED:
            # It must prove itself anew once what explains it is over: troubles end together, but not at the same look.
            return (replace(previous, successes=0, severe=0) if previous.firing else AlertState()), ()
        case Finding.CANNOT_TELL:
            return previous, ()


def _after_success(previous: AlertState, reading: RuleReading, rule: Patience, now: datetime) -> Step:
    if not previous.firing:
        return AlertState(), ()
    successes = previous.successes + 1
    if successes < rule.resolve_after:
        return replace(previous, successes=successes, severe=0), ()
    if previous.told_at is None or previous.story is None or previous.since is None:
        return AlertState(), ()
    lasted = max(now - previous.since, timedelta(0))
    over = AlertEvent(EventKind.RESOLVED, now, previous.story, previous.since, lasted, reading.story.words)
    return AlertState(), (over,)


def _after_failure(previous: AlertState, reading: RuleReading, rule: Patience, now: datetime) -> AlertState:
    failures = previous.failures + 1
    fires = previous.firing or reading.at_once or failures >= rule.fire_after
    begun = reading.story.since or now
    return replace(
        previous,
        failures=failures,
        severe=previous.severe + 1 if reading.story.severity is Severity.CRITICAL else 0,
        successes=0,
        since=previous.since or min(begun, now),
        fired_at=(previous.fired_at or now) if fires else None,
        story=reading.story,
    )


def _told(state: AlertState, reading: RuleReading, rule: Patience, now: datetime, hush: Hush) -> Step:
    """Decide whether a firing alert is told now."""
    if not state.firing or hush.silent or state.story is None or state.since is None:
        return state, ()
    if kind := _due(state, reading, rule, now, hush):
        told = replace(
            state,
            told_at=state.told_at or now,
            told_severity=state.story.severity,
            last_told_at=now,
            reminders=state.reminders + (kind is EventKind.REMINDER),
        )
        return told, (AlertEvent(kind, now, state.story, state.since),)
    return state, ()


def _due(state: AlertState, reading: RuleReading, rule: Patience, now: datetime, hush: Hush) -> EventKind | None:
    if state.told_at is None or state.last_told_at is None:
        return None if hush.acknowledged else EventKind.FIRED
    worse = state.told_severity is not None and reading.story.severity > state.told_severity
    if worse and (reading.at_once or state.severe >= rule.fire_after):
        return EventKind.WORSE
    if hush.acknowledged or state.reminders >= rule.most_reminders:
        return None
    return EventKind.REMINDER if now - state.last_told_at >= rule.remind_every else None
