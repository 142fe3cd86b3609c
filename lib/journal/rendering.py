"""Renders an entry as a sentence with details; the same on a page, on the command line and in an export.

The journal names checks, causes, actions and steps by their ids. `Titles` says what people call them; without it, as in
exports for programs, the ids stand. The sentences hold text from outside unescaped: the caller escapes them for the
place where they are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from lib.journal.entry import (
    Acknowledgement,
    Alert,
    Approved,
    Asked,
    Cancelled,
    DiagnosisRecord,
    Entry,
    Expired,
    Fact,
    FollowedUp,
    FollowUp,
    Freeze,
    IncidentClosed,
    IncidentOpened,
    Locked,
    Mute,
    Note,
    Outcome,
    Progress,
    Receipt,
    Refused,
    Resolution,
    Started,
    StepMoved,
    StepState,
    Unfreeze,
    Unmute,
)
from lib.model.verdict import CheckStatus, Verdict

_STEP_LABELS = {
    StepState.DOING: "is being worked on",
    StepState.DONE: "is done",
    StepState.SKIPPED: "was skipped",
    StepState.FAILED: "failed",
}
_OUTCOME_LABELS = {
    Outcome.SUCCEEDED: "succeeded",
    Outcome.FAILED: "failed",
    Outcome.UNKNOWN: "outcome unknown",
}
_FOLLOW_UP_LABELS = {
    FollowUp.CALLED: "was called",
    FollowUp.GAVE_UP: "was given up",
    FollowUp.NOTHING: "is to be helped again: what was recorded before is taken back",
}
_CHECK_LABELS = {CheckStatus.FAIL: "Failed", CheckStatus.WARN: "Warning"}
_VERIFIED_LABELS = {True: "yes", False: "no: the sources do not agree", None: "not checked"}


@dataclass(frozen=True, slots=True)
class Titles:
    """What people call the things that the journal names by id. An id without a title stands for itself."""

    checks: Mapping[str, str] = field(default_factory=dict)
    hypotheses: Mapping[str, str] = field(default_factory=dict)
    actions: Mapping[str, str] = field(default_factory=dict)
    steps: Mapping[str, str] = field(default_factory=dict)

    def check(self, check_id: str) -> str:
        return self.checks.get(check_id, check_id)

    def hypothesis(self, hypothesis_id: str) -> str:
        return self.hypotheses.get(hypothesis_id, hypothesis_id)

    def action(self, action_id: str) -> str:
        return self.actions.get(action_id, action_id)

    def step(self, step_id: str) -> str:
        return self.steps.get(step_id, step_id)


IDS = Titles()


@dataclass(frozen=True, slots=True)
class RenderedEntry:
    """An entry as text: one line, and the details below it."""

    line: str
    details: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join((self.line, *self.details))


def render(entry: Entry, titles: Titles = IDS) -> RenderedEntry:
    """Return `entry` as text. Instants in it are in UTC."""
    action, step = titles.action(entry.about.action or "action"), titles.step(entry.about.step_id or "step")
    match entry.payload:
        case Asked() as asked:
            return _asked(action, asked)
        case Approved(message):
            return RenderedEntry(f"{action}: approved by a second person", _some(message))
        case Locked():
            return RenderedEntry(f"{action}: last checks before it starts")
        case Started(until):
            return RenderedEntry(f"{action}: started", (f"a receipt is due by {_utc(until)}",))
        case Progress(message, external_id):
            return RenderedEntry(f"{action}: {message}", _some(external_id))
        case Receipt() as receipt:
            return _receipt(action, receipt)
        case Resolution(outcome, seen):
            return RenderedEntry(f"{action}: {_OUTCOME_LABELS[outcome]}, as found in the other system", _some(seen))
        case Refused(message):
            return RenderedEntry(f"{action}: refused, nothing was done", _some(message))
        case Cancelled(message):
            return RenderedEntry(f"{action}: cancelled, nothing was done", _some(message))
        case Expired(message):
            return RenderedEntry(f"{action}: expired, nothing was done", _some(message))
        case IncidentOpened(title):
            return RenderedEntry(f"incident opened: {title}")
        case IncidentClosed(message):
            return RenderedEntry("incident closed", _some(message))
        case StepMoved(state, reason):
            return RenderedEntry(f"step {step} {_STEP_LABELS[state]}", _some(reason))
        case Note(text, happened_at, corrects):
            when = f" of {_utc(happened_at)}" if happened_at else ""
            return RenderedEntry(f"note{when}{' that corrects an earlier entry' if corrects else ''}", _some(text))
        case DiagnosisRecord() as seen:
            return _seen(seen, titles)
        case Freeze(reason):
            return RenderedEntry("all actions frozen", _some(reason))
        case Unfreeze(reason):
            return RenderedEntry("actions allowed again", _some(reason))
        case Mute(subject, until, reason, begins):
            begin = f" from {_utc(begins)}" if begins else ""
            return RenderedEntry(f"alerts about {subject} muted{begin} until {_utc(until)}", _some(reason))
        case Unmute(subject, reason):
            return RenderedEntry(f"alerts about {subject} no longer muted", _some(reason))
        case Acknowledgement(subject, reason):
            return RenderedEntry(f"alert about {subject} acknowledged", _some(reason))
        case Alert(subject, event, message, since):
            return RenderedEntry(f"alert about {subject} {event}: {message}", (f"since {_utc(since)}",))
        case FollowedUp(booking, state):
            return RenderedEntry(f"the person of pending booking {booking} {_FOLLOW_UP_LABELS[state]}")


def _asked(action: str, asked: Asked) -> RenderedEntry:
    details = [*_some(asked.summary)]
    details += [f"{argument.name} = {argument.value}" for argument in asked.arguments]
    if asked.reason:
        details.append(f"reason: {asked.reason}")
    if asked.needs_approval:
        details.append("needs a second person")
    return RenderedEntry(f"requested: {action}, on {asked.target}", tuple(details))


def _receipt(action: str, receipt: Receipt) -> RenderedEntry:
    details = [*_some(receipt.message), *_facts("before", receipt.before), *_facts("after", receipt.after)]
    details += [f"evidence: {message}" for message in receipt.evidence]
    details.append(f"verified: {_VERIFIED_LABELS[receipt.verified]}")
    if receipt.external_id:
        details.append(f"id there: {receipt.external_id}")
    return RenderedEntry(f"{action}: {_OUTCOME_LABELS[receipt.outcome]}", tuple(details))


def _seen(seen: DiagnosisRecord, titles: Titles) -> RenderedEntry:
    details = [
        f"{hypothesis.verdict} cause: {titles.hypothesis(hypothesis.id)}"
        for hypothesis in seen.hypotheses
        if hypothesis.verdict in (Verdict.CONFIRMED, Verdict.LIKELY)
    ]
    details += [
        f"{_asked_for(titles.check(check.id))} {_CHECK_LABELS[check.status]}"
        f"{f'. {check.summary}' if check.summary else ''}"
        for check in seen.checks
        if check.status in _CHECK_LABELS
    ]
    if seen.people is not None:
        details.append(f"affected: {seen.people.message}")
    return RenderedEntry(f"diagnosis: {seen.state.word}. {seen.sentence}", tuple(details))


def _asked_for(check: str) -> str:
    """Return a question as it is, and an id with a colon behind it."""
    return check if check.endswith("?") else f"{check}:"


def _facts(name: str, facts: Sequence[Fact]) -> list[str]:
    return [f"{name}: {fact.name} = {fact.value}" for fact in facts]


def _some(message: str | None) -> tuple[str, ...]:
    return (message,) if message else ()


def _utc(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
