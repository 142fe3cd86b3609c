"""When an alert is sent: a pure state machine. A state and one reading of a rule make the next state and the events.

"Cannot tell" is neither a failure nor a success: it changes no state here, and has a rule of its own. A problem that
another rule explains does not count either, until that rule recovers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Annotated

from lib.journal.text_rules import STORED_AS_WORDS
from lib.model.verdict import Hop


class RuleStatus(StrEnum):
    """The result of one reading of a rule."""

    GOOD = "good"
    BAD = "bad"
    CANNOT_TELL = "cannot_tell"
    EXPLAINED = "explained"  # bad, because of the problem that another rule reports


class Severity(IntEnum):
    """How bad a problem is. CRITICAL ones affect customers."""

    WARNING = 1
    CRITICAL = 2


@dataclass(frozen=True, slots=True)
class AlertContent:
    """The content of an alert about one problem, without customers' data. `since` None: unknown."""

    title: str
    message: Annotated[str, STORED_AS_WORDS] = ""
    cause: str = ""
    next_step: str = ""
    page: str = ""  # the path of the page to open
    severity: Severity = Severity.WARNING
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class RuleReading:
    """One reading of one rule. `at_once`: it fires without a second reading.

    `hop` is where the problem shows, `explains` where it shows as well: other rules do not fire about those hops.
    `parts` are the stable ids of what is wrong, for a rule about several things that break independently; `unknown` are
    those parts that this reading cannot judge.
    """

    finding: RuleStatus
    story: AlertContent = AlertContent("")
    at_once: bool = False
    hop: Hop | None = None
    explains: frozenset[Hop] = frozenset()
    parts: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertThresholds:
    """When a rule fires and resolves, in readings in a row, and how often at most it reminds."""

    fire_after: int = 3
    resolve_after: int = 2
    remind_every: timedelta = timedelta(hours=2)
    most_reminders: int = 12


@dataclass(frozen=True, slots=True)
class SilenceState:
    """Decisions of people: `silent` while muted or in maintenance, `acknowledged` if a person works on it."""

    silent: bool = False
    acknowledged: bool = False


@dataclass(frozen=True, slots=True)
class AlertState:
    """The stored state of one rule. It fires from `fired_at` on; its first message was sent at `told_at`.

    `failures`, `successes` and `worse` count readings in a row; `worse` those with a worse problem than the one sent.
    `since` is when the problem began. `told_parts` are the parts that were sent, each with the number of readings in a
    row without it; None while nothing was sent, and where a version without parts sent it.
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
        """Whether another reading could change it: it fails and does not fire yet, or begins to recover."""
        return self.successes > 0 if self.firing else self.failures > 0


class EventKind(StrEnum):
    """The kinds of messages about an alert."""

    FIRED = "fired"
    WORSE = "worse"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """A message to send. `story` is the problem; `lasted` and `now_is` are set when it is resolved."""

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
    rule: AlertThresholds,
    now: datetime,
    silence_state: SilenceState = SilenceState(),
) -> Step:
    """Return the state after `reading`, and the events to send: at most one.

    A problem that was never sent ends without a message. One that was sent is always resolved by a message, also while
    it is muted.
    """
    match reading.finding:
        case RuleStatus.GOOD:
            return _after_success(previous, reading, rule, now)
        case RuleStatus.BAD:
            return _with_event(_after_failure(previous, reading, rule, now), reading, rule, now, silence_state)
        case RuleStatus.EXPLAINED:
            # It must fail again once the other rule recovers: the two end together, but not at the same reading.
            return (replace(previous, successes=0, worse=0) if previous.firing else AlertState()), ()
        case RuleStatus.CANNOT_TELL:
            return previous, ()


def _after_success(previous: AlertState, reading: RuleReading, rule: AlertThresholds, now: datetime) -> Step:
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


def _after_failure(previous: AlertState, reading: RuleReading, rule: AlertThresholds, now: datetime) -> AlertState:
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


def _aged(state: AlertState, reading: RuleReading, rule: AlertThresholds) -> Mapping[str, int] | None:
    """Return the parts that count as sent after `reading`. One that was absent for long enough is sent again.

    A reading that names no part leaves them as they are.
    """
    if state.told_at is None or not reading.parts:
        return state.told_parts
    if state.told_parts is None:  # a version without parts sent it, and surely these
        return dict.fromkeys(sorted(reading.parts), 0)
    away = {
        part: 0 if part in reading.parts else count + (part not in reading.unknown)
        for part, count in state.told_parts.items()
    }
    return {part: count for part, count in away.items() if count < rule.resolve_after}


def _is_worse(state: AlertState, reading: RuleReading) -> bool:
    """Whether it is worse than what was sent: more severe, or another part is wrong."""
    if state.told_severity is None:
        return False
    return reading.story.severity > state.told_severity or not reading.parts <= set(state.told_parts or ())


def _with_event(
    state: AlertState, reading: RuleReading, rule: AlertThresholds, now: datetime, silence_state: SilenceState
) -> Step:
    """Return `state` with the event that is due now, if any."""
    if not state.firing or silence_state.silent or state.story is None or state.since is None:
        return state, ()
    if kind := _due(state, reading, rule, now, silence_state):
        sent = replace(
            state,
            told_at=state.told_at or now,
            worse=0,
            told_severity=state.story.severity,
            told_parts={**(state.told_parts or {}), **dict.fromkeys(sorted(reading.parts), 0)},
            last_told_at=now,
            reminders=state.reminders + (kind is EventKind.REMINDER),
        )
        return sent, (AlertEvent(kind, now, state.story, state.since),)
    return state, ()


def _due(
    state: AlertState, reading: RuleReading, rule: AlertThresholds, now: datetime, silence_state: SilenceState
) -> EventKind | None:
    if state.told_at is None or state.last_told_at is None:
        return None if silence_state.acknowledged else EventKind.FIRED
    if state.worse and (reading.at_once or state.worse >= rule.fire_after):
        return EventKind.WORSE
    if silence_state.acknowledged or state.reminders >= rule.most_reminders:
        return None
    return EventKind.REMINDER if now - state.last_told_at >= rule.remind_every else None
