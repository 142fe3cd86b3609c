"""Decisions of people about alerts: mute them for a while, plan maintenance, acknowledge them.

Each decision is an entry of the journal, with who made it and why. Measuring goes on in any case.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lib.actions.action import RefusedError
from lib.journal.entry import Acknowledgement, Entry, Kind, Mute, Unmute
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.model.people import Actor, Role
from lib.monitor.alert_state import AlertState, SilenceState
from lib.monitor.rules import BY_ID

# A mute is for a while: a rule that should be silent for longer should be removed.
LONGEST_MUTE = timedelta(days=7)
LONGEST_AHEAD = timedelta(days=60)
DECISION_KINDS = (Kind.MUTE, Kind.UNMUTE, Kind.ACKNOWLEDGEMENT)


class Subject(StrEnum):
    """What can be muted besides a single rule."""

    ALL = "all"
    MAINTENANCE = "maintenance"  # all as well, but separate, so that it can be cancelled by itself
    DEPLOYMENTS = "deployments"  # the news of deployments


SUBJECTS = (*BY_ID, *Subject)


@dataclass(frozen=True, slots=True)
class Silence:
    """One mute of `subject`, present or planned."""

    subject: str
    begins: datetime
    until: datetime
    reason: str
    by: str

    def holds(self, now: datetime) -> bool:
        return self.begins <= now < self.until


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person who works on an alert."""

    by: str
    at: datetime
    reason: str


def mute(journal: Journal, actor: Actor, subject: str, length: timedelta, reason: str, now: datetime) -> None:
    """Mute a rule, or all, for `length` from `now`. Raises `RefusedError` or `JournalError`."""
    _may(actor, reason)
    if subject not in SUBJECTS:
        raise RefusedError(f"There is no alert {subject!r}. There are: {', '.join(SUBJECTS)}.")
    if not timedelta(0) < length <= LONGEST_MUTE:
        raise RefusedError(f"An alert is muted for a while: up to {LONGEST_MUTE.days} days.")
    journal.append(Mute(subject, now + length, reason), actor)


def unmute(journal: Journal, actor: Actor, subject: str, reason: str = "") -> None:
    """Send alerts about `subject` again; `maintenance` cancels planned maintenance. Raises as `mute`."""
    _operator(actor)
    if subject not in SUBJECTS:
        raise RefusedError(f"There is no alert {subject!r}. There are: {', '.join(SUBJECTS)}.")
    journal.append(Unmute(subject, reason), actor)


def maintenance(journal: Journal, actor: Actor, begins: datetime, until: datetime, reason: str, now: datetime) -> None:
    """Plan a time in which no alert is sent and everything is measured. Raises as `mute`."""
    _may(actor, reason)
    if until <= max(begins, now):
        raise RefusedError("Maintenance ends after it begins, and not in the past.")
    if until - begins > LONGEST_MUTE or begins - now > LONGEST_AHEAD:
        raise RefusedError(
            f"Maintenance lasts up to {LONGEST_MUTE.days} days and is planned up to {LONGEST_AHEAD.days} days ahead."
        )
    journal.append(Mute(Subject.MAINTENANCE, until, reason, begins), actor)


def acknowledge(journal: Journal, actor: Actor, rule_id: str, reason: str) -> None:
    """Record that a person works on an alert: no reminders until it is resolved or gets worse. Raises as `mute`."""
    _may(actor, reason)
    if rule_id not in BY_ID:
        raise RefusedError(f"There is no alert {rule_id!r}. There are: {', '.join(BY_ID)}.")
    journal.append(Acknowledgement(rule_id, reason), actor)


def _may(actor: Actor, reason: str) -> None:
    _operator(actor)
    if not reason.strip():
        raise JournalError("This needs a reason: others will wonder why there are no alerts.")


def _operator(actor: Actor) -> None:
    if actor.role is not Role.OPERATOR:
        raise RefusedError("Viewers can look but not decide: ask an operator.")


@dataclass(frozen=True, slots=True)
class Decisions:
    """The decisions that may still have an effect, oldest first."""

    entries: tuple[Entry, ...]

    def silences(self, now: datetime) -> tuple[Silence, ...]:
        """Return the present and planned mutes."""
        open_: list[Silence] = []
        for entry in self.entries:
            match entry.payload:
                case Mute(subject, until, reason, begins):
                    open_.append(Silence(subject, begins or entry.at, until, reason, entry.actor.name))
                case Unmute(subject):
                    open_ = [silence for silence in open_ if silence.subject != subject]
        return tuple(silence for silence in open_ if silence.until > now)

    def silence(self, subject: str, now: datetime) -> Silence | None:
        """Return the mute that holds for `subject` now; of several, the one that lasts longest."""
        everything = (subject, Subject.ALL, Subject.MAINTENANCE)
        holding = [one for one in self.silences(now) if one.subject in everything and one.holds(now)]
        return max(holding, key=lambda one: one.until, default=None)

    def acknowledged(self, rule_id: str, state: AlertState) -> Acknowledged | None:
        """Return who works on the firing alert. An acknowledgement of an earlier alert does not count."""
        if state.fired_at is None:
            return None
        for entry in reversed(self.entries):
            payload = entry.payload
            if isinstance(payload, Acknowledgement) and payload.subject == rule_id and entry.at >= state.fired_at:
                return Acknowledged(entry.actor.name, entry.at, payload.reason)
        return None

    def silence_state(self, rule_id: str, state: AlertState, now: datetime) -> SilenceState:
        """Return the decisions about a rule, for its next state."""
        return SilenceState(self.silence(rule_id, now) is not None, self.acknowledged(rule_id, state) is not None)


def matters_since(states: Iterable[AlertState], now: datetime) -> datetime:
    """Return how old a decision with an effect can be: the longest plan, or the oldest firing alert."""
    fired = [state.fired_at for state in states if state.fired_at]
    return min([now - LONGEST_AHEAD - LONGEST_MUTE, *fired])
