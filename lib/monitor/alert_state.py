"""When an alert is told: a pure state machine. What was known and one reading make what is known next, and the events.

A reading is one look at one rule. "Cannot tell" is neither a failure nor a success: it changes nothing here, and has a
rule of its own. A trouble that another rule explains already does not count either, until that one is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Annotated, Protocol

from pydantic import AliasChoices, Field

from lib.model.verdict import Hop

# Stored as `words`, as earlier versions did.
StoredMessage = Annotated[str, Field(validation_alias=AliasChoices("words", "message"), serialization_alias="words")]


class RuleStatus(StrEnum):
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
class AlertContent:
    """What a message says of one trouble, in plain words without customers' data. `since` may be unknown."""

    title: str
    message: StoredMessage = ""
    cause: str = ""
    next_step: str = ""
    page: str = ""  # the address of the desk's page that goes with it
    severity: Severity = Severity.WARNING
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleReading:
    """One look at one rule. `at_once`: no second look is needed to believe it.

    `hop` is where it shows, `explains` where its trouble shows as well: other rules keep still about those.
    `parts` are the stable ids of what is wrong, where one rule watches several things that break each by itself;
    `unknown` are those of which this look says nothing.
    """

    finding: RuleStatus
    story: AlertContent = AlertContent("")
    at_once: bool = False
    hop: Hop | None = None
    explains: frozenset[Hop] = frozenset()
    parts: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


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
class SilenceState:
    """What people decided: `silent` while muted or in maintenance, `acknowledged` if somebody is on it."""

    silent: bool = False
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class AlertState:
    """What is remembered of one rule. It fires from `fired_at` on; people know of it from `told_at` on.

    `failures`, `worse` and `successes` are looks in a row; `worse` are those at which it is worse than what was told.
    `since` is since when the trouble lasts. `told_parts` are the parts that people know of, each with at how many looks
    in a row it was away; None while nothing was told, and where an older version told it.
    """

    failures: int = 0
    worse: int = 0
    successes: int = 0
    since: datetime | None = None
    fired_at: datetime | None = None
    told_at: datetime | None = None
    told_severity: Severity | None = None
    told_parts: Mapping[str, int] | None = None
    last_told_at: datetime | None = None
    reminders: int = 0
    story: AlertContent | None = None

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
    story: AlertContent
    since: datetime
    lasted: timedelta | None = None
    now_is: str = ""


Step = tuple[AlertState, tuple[AlertEvent, ...]]


def next_state(
    previous: AlertState,
    reading: RuleReading,
    rule: Patience,
    now: datetime,
    silence_state: SilenceState = SilenceState(),
) -> Step:
    """Return what is known after `reading`, and what is to be told.

    At most one event follows a reading. A trouble that nobody was told of ends in silence; one that was told is
    always told to be over, muted or not.
    """
    match reading.finding:
        case RuleStatus.GOOD:
            return _after_success(previous, reading, rule, now)
        case RuleStatus.BAD:
            return _told(_after_failure(previous, reading, rule, now), reading, rule, now, silence_state)
        case RuleStatus.EXPLAINED:
            # It must prove itself anew once what explains it is over: troubles end together, but not at the same look.
            return (replace(previous, successes=0, worse=0) if previous.firing else AlertState()), ()
        case RuleStatus.CANNOT_TELL:
            return previous, ()


def _after_success(previous: AlertState, reading: RuleReading, rule: Patience, now: datetime) -> Step:
    if not previous.firing:
        return AlertState(), ()
    successes = previous.successes + 1
    if successes < rule.resolve_after:
        return replace(previous, successes=successes, worse=0), ()
    if previous.told_at is None or previous.story is None or previous.since is None:
        return AlertState(), ()
    lasted = max(now - previous.since, timedelta(0))
    over = AlertEvent(EventKind.RESOLVED, now, previous.story, previous.since, lasted, reading.story.message)
    return AlertState(), (over,)


def _after_failure(previous: AlertState, reading: RuleReading, rule: Patience, now: datetime) -> AlertState:
    failures = previous.failures + 1
    fires = previous.firing or reading.at_once or failures >= rule.fire_after
    begun = reading.story.since or now
    state = replace(
        previous,
        failures=failures,
        successes=0,
        since=previous.since or min(begun, now),
        fired_at=(previous.fired_at or now) if fires else None,
        told_parts=_aged(previous, reading, rule),
        story=reading.story,
    )
    return replace(state, worse=state.worse + 1 if _is_worse(state, reading) else 0)


def _aged(state: AlertState, reading: RuleReading, rule: Patience) -> Mapping[str, int] | None:
    """Return the parts that people know of after `reading`. One that was away for long enough is news when it is back.

    A look that names no part says nothing of them.
    """
    if state.told_at is None or not reading.parts:
        return state.told_parts
    if state.told_parts is None:  # an older version told it, and what it told was surely this
        return dict.fromkeys(sorted(reading.parts), 0)
    away = {
        part: 0 if part in reading.parts else count + (part not in reading.unknown)
        for part, count in state.told_parts.items()
    }
    return {part: count for part, count in away.items() if count < rule.resolve_after}


def _is_worse(state: AlertState, reading: RuleReading) -> bool:
    """Whether it is worse than what was told: more severe, or something else is wrong as well, or instead."""
    if state.told_severity is None:
        return False
    return reading.story.severity > state.told_severity or not reading.parts <= set(state.told_parts or ())


def _told(state: AlertState, reading: RuleReading, rule: Patience, now: datetime, silence_state: SilenceState) -> Step:
    """Decide whether a firing alert is told now."""
    if not state.firing or silence_state.silent or state.story is None or state.since is None:
        return state, ()
    if kind := _due(state, reading, rule, now, silence_state):
        told = replace(
            state,
            told_at=state.told_at or now,
            worse=0,
            told_severity=state.story.severity,
            told_parts={**(state.told_parts or {}), **dict.fromkeys(sorted(reading.parts), 0)},
            last_told_at=now,
            reminders=state.reminders + (kind is EventKind.REMINDER),
        )
        return told, (AlertEvent(kind, now, state.story, state.since),)
    return state, ()


def _due(
    state: AlertState, reading: RuleReading, rule: Patience, now: datetime, silence_state: SilenceState
) -> EventKind | None:
    if state.told_at is None or state.last_told_at is None:
        return None if silence_state.acknowledged else EventKind.FIRED
    if state.worse and (reading.at_once or state.worse >= rule.fire_after):
        return EventKind.WORSE
    if silence_state.acknowledged or state.reminders >= rule.most_reminders:
        return None
    return EventKind.REMINDER if now - state.last_told_at >= rule.remind_every else None
