"""One entry of the journal: what happened, when, by whom; and what each kind of entry may hold.

The payloads are an allowlist: a field that is not declared here cannot be stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from lib.journal.errors import JournalError
from lib.journal.text_rules import WRITING, Digest, Exact, Message, Name, PlainText
from lib.model.people import Actor
from lib.model.verdict import CheckStatus, HeadlineState, Verdict


class Kind(StrEnum):
    """Everything that can happen. The list is closed: one kind, one payload."""

    REQUEST = "request"
    APPROVAL = "approval"
    LOCKED = "claimed"
    STARTED = "started"
    PROGRESS = "progress"
    RECEIPT = "receipt"
    RESOLUTION = "resolution"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    INCIDENT_OPENED = "incident_opened"
    STEP = "step"
    NOTE = "note"
    DIAGNOSIS = "diagnosis"
    INCIDENT_CLOSED = "incident_closed"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    MUTE = "mute"
    UNMUTE = "unmute"
    ACKNOWLEDGEMENT = "acknowledgement"
    ALERT = "alert"
    FOLLOW_UP = "follow_up"


class Phase(StrEnum):
    """A station in the life of a request. The database holds each at most once per request.

    Started, refused, cancelled and expired are one station: so the last three always mean that nothing was done.
    """

    REQUEST = "request"
    APPROVAL = "approval"
    CLAIM = "claim"
    DECISION = "decision"
    RECEIPT = "receipt"
    RESOLUTION = "resolution"


PHASE_OF: Mapping[Kind, Phase] = {
    Kind.REQUEST: Phase.REQUEST,
    Kind.APPROVAL: Phase.APPROVAL,
    Kind.LOCKED: Phase.CLAIM,
    Kind.STARTED: Phase.DECISION,
    Kind.REFUSED: Phase.DECISION,
    Kind.CANCELLED: Phase.DECISION,
    Kind.EXPIRED: Phase.DECISION,
    Kind.RECEIPT: Phase.RECEIPT,
    Kind.RESOLUTION: Phase.RESOLUTION,
}


class Outcome(StrEnum):
    """How an action ended. UNKNOWN: it may have taken effect or not."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class StepState(StrEnum):
    """How far a step of the plan is."""

    DOING = "doing"
    DONE = "done"
    SKIPPED = "skipped"
    FAILED = "failed"


class FollowUp(StrEnum):
    """What somebody did for a person who got no working link. NOTHING takes back what was said before."""

    CALLED = "called"
    GAVE_UP = "gave_up"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an action. It comes back exactly as given, so it may hold ids and names, never a number."""

    name: Name
    value: Exact


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that was seen, for people to read: `serving commit` and `3f2c1ab`."""

    name: PlainText
    value: PlainText


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asked for, and what they saw when they did.

    `digest` is that of the preview and the resolved target: an approval of the request is one of exactly this.
    `target` and `summary` are for people, `arguments` for the action.
    """

    tier: int
    target: PlainText
    digest: Digest
    valid_until: AwareDatetime
    arguments: tuple[Argument, ...] = ()
    summary: PlainText = ""
    reason: PlainText = ""
    needs_approval: bool = False


@dataclass(frozen=True, slots=True)
class Approved:
    message: Message = ""


@dataclass(frozen=True, slots=True)
class Locked:
    """Somebody is about to start it and re-checks first. If they are not heard of by `until`, nothing was done."""

    until: AwareDatetime


@dataclass(frozen=True, slots=True)
class Started:
    """The effect may have happened from here on. If nothing is heard by `until`, the outcome is unknown."""

    until: AwareDatetime


@dataclass(frozen=True, slots=True)
class Progress:
    """A sign of life while it runs, and what to look for outside if no receipt follows."""

    message: Message
    external_id: PlainText | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What an action did. `verified` is whether the sources agree that it worked; None: not looked, or not yet.

    Nothing in it is `Exact`: what was done must be recorded, whatever the other side answered.
    """

    outcome: Outcome
    message: Message
    before: tuple[Fact, ...] = ()
    after: tuple[Fact, ...] = ()
    verified: bool | None = None
    evidence: tuple[PlainText, ...] = ()
    external_id: PlainText | None = None  # what the other side calls it: a deployment, a commit


@dataclass(frozen=True, slots=True)
class Resolution:
    """What somebody saw outside of an action whose outcome was unknown."""

    outcome: Outcome
    seen: PlainText


@dataclass(frozen=True, slots=True)
class Refused:
    message: Message


@dataclass(frozen=True, slots=True)
class Cancelled:
    message: Message = ""


@dataclass(frozen=True, slots=True)
class Expired:
    message: Message = ""


@dataclass(frozen=True, slots=True)
class IncidentOpened:
    title: PlainText


@dataclass(frozen=True, slots=True)
class IncidentClosed:
    message: Message = ""


@dataclass(frozen=True, slots=True)
class StepMoved:
    state: StepState
    reason: PlainText = ""


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody wrote. `happened_at` is when it was, if not now; `corrects` the entry it puts right."""

    text: PlainText
    happened_at: AwareDatetime | None = None
    corrects: UUID | None = None


@dataclass(frozen=True, slots=True)
class CheckRecord:
    id: Name
    status: CheckStatus
    summary: PlainText = ""


@dataclass(frozen=True, slots=True)
class HypothesisRecord:
    """`supports` and `refutes` are the ids of the checks for and against it."""

    id: Name
    verdict: Verdict
    title: PlainText = ""
    supports: tuple[Name, ...] = ()
    refutes: tuple[Name, ...] = ()


@dataclass(frozen=True, slots=True)
class SeriesRecord:
    """How often something happened per bucket; None: it could not be read."""

    id: Name
    counts: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class BucketsRecord:
    """What a chart of this moment needs: counts per bucket of `seconds` from `begins` on, and nothing else."""

    begins: AwareDatetime
    seconds: int
    lines: tuple[SeriesRecord, ...]


@dataclass(frozen=True, slots=True)
class CountRecord:
    id: Name
    count: int


@dataclass(frozen=True, slots=True)
class AffectedRecord:
    """How many people asked and got no working link. None: it could not be told, and `words` say why.

    `states` is what has become of them. `seats` is how many those who have not booked may cost; None: unknown.
    `since` is from when on most of those who asked got none.
    """

    count: int | None
    message: Message = ""
    at_least: bool = False
    states: tuple[CountRecord, ...] = ()
    seats: int | None = None
    since: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class DiagnosisRecord:
    """What the diagnosis said at this moment: enough to lay two of them side by side, and to draw and tell it later.

    Entries of before there were `buckets` and `people` have None.
    """

    state: HeadlineState
    sentence: PlainText
    since: AwareDatetime | None = None
    checks: tuple[CheckRecord, ...] = ()
    hypotheses: tuple[HypothesisRecord, ...] = ()
    buckets: BucketsRecord | None = None
    people: AffectedRecord | None = None

    @property
    def broken(self) -> bool:
        """Whether something was wrong with the flow."""
        return self.state in (HeadlineState.BROKEN, HeadlineState.DEGRADED)

    @property
    def broke_at(self) -> datetime | None:
        """Since when it was broken, if it was and anything says so.

        The headline speaks of the last run of failures; where only most fail, people were left behind before it.
        """
        moments = (self.since, self.people.since if self.people else None)
        return min(filter(None, moments), default=None) if self.broken else None


@dataclass(frozen=True, slots=True)
class Freeze:
    """No action starts from here on."""

    reason: PlainText


@dataclass(frozen=True, slots=True)
class Unfreeze:
    reason: PlainText = ""


@dataclass(frozen=True, slots=True)
class Mute:
    """Alerts about `subject` are kept quiet until then, `begins` on if that is later; it is measured on."""

    subject: Name
    until: AwareDatetime
    reason: PlainText
    begins: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class Unmute:
    subject: Name
    reason: PlainText = ""


@dataclass(frozen=True, slots=True)
class FollowedUp:
    """Somebody who got no working link was called, or given up.

    They are known by the id of their pending booking alone: random, without a meaning outside of the booking
    database, and gone with the booking. A digest of their number could be found by trying every number there is.
    """

    booking: UUID
    state: FollowUp


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody is on the alert about `subject`. It holds until that is over."""

    subject: Name
    reason: PlainText


@dataclass(frozen=True, slots=True)
class Alert:
    """What the monitor told about `subject`: that it fired, got worse or is over. `since` is since when it lasts."""

    subject: Name
    event: Name
    message: Message
    since: AwareDatetime


# What stands for itself and may be appended at any time.
Event = DiagnosisRecord | Mute | Unmute | Acknowledgement | Alert | FollowedUp
Payload = (
    Asked
    | Approved
    | Locked
    | Started
    | Progress
    | Receipt
    | Resolution
    | Refused
    | Cancelled
    | Expired
    | IncidentOpened
    | StepMoved
    | Note
    | IncidentClosed
    | Freeze
    | Unfreeze
    | Event
)

PAYLOAD_OF: Mapping[Kind, type[Any]] = {
    Kind.REQUEST: Asked,
    Kind.APPROVAL: Approved,
    Kind.LOCKED: Locked,
    Kind.STARTED: Started,
    Kind.PROGRESS: Progress,
    Kind.RECEIPT: Receipt,
    Kind.RESOLUTION: Resolution,
    Kind.REFUSED: Refused,
    Kind.CANCELLED: Cancelled,
    Kind.EXPIRED: Expired,
    Kind.INCIDENT_OPENED: IncidentOpened,
    Kind.STEP: StepMoved,
    Kind.NOTE: Note,
    Kind.DIAGNOSIS: DiagnosisRecord,
    Kind.INCIDENT_CLOSED: IncidentClosed,
    Kind.FREEZE: Freeze,
    Kind.UNFREEZE: Unfreeze,
    Kind.MUTE: Mute,
    Kind.UNMUTE: Unmute,
    Kind.ACKNOWLEDGEMENT: Acknowledgement,
    Kind.ALERT: Alert,
    Kind.FOLLOW_UP: FollowedUp,
}
_KIND_OF = {payload: kind for kind, payload in PAYLOAD_OF.items()}
_ADAPTERS: Mapping[Kind, TypeAdapter[Any]] = {kind: TypeAdapter(payload) for kind, payload in PAYLOAD_OF.items()}


@dataclass(frozen=True, slots=True)
class About:
    """What an entry belongs to."""

    incident_id: UUID | None = None
    step_id: str | None = None
    action: str | None = None
    request_id: UUID | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as it stands. `seq` counts from 1 without gaps; `lock_key` is what a claim holds alone."""

    seq: int
    id: UUID
    at: datetime
    kind: Kind
    actor: Actor
    about: About
    payload: Payload
    lock_key: str | None
    prev_hash: str
    hash: str


def kind_of(payload: Payload) -> Kind:
    """Return the one kind whose entries hold such a payload."""
    return _KIND_OF[type(payload)]


def dumped(payload: Payload) -> str:
    """Return `payload` as canonical JSON, tidied. Raises `JournalError` for what must not or cannot be stored."""
    adapter = _ADAPTERS[kind_of(payload)]
    try:
        tidied = adapter.validate_python(asdict(payload), context=WRITING)
    except ValidationError as error:
        raise _unfit(error) from None
    return canonical(adapter.dump_python(tidied, mode="json", by_alias=True))


def payload_fields(payload: Payload) -> dict[str, Any]:
    """Return the fields of `payload` under the names that stored entries and exports use."""
    fields: dict[str, Any] = _ADAPTERS[kind_of(payload)].dump_python(payload, by_alias=True)
    return fields


def loaded(kind: Kind, text: str) -> Payload:
    """Return the payload that `dumped` stored as `text`. Raises `ValueError` if somebody else wrote it."""
    return cast(Payload, _ADAPTERS[kind].validate_json(text))


def canonical(value: Any) -> str:
    """Return the one JSON text of `value`: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def name(text: str) -> str:
    """Return `text` if it may be the name of an action, a step or a lock. Raises `JournalError`."""
    try:
        return _NAME.validate_python(text, context=WRITING)
    except ValidationError as error:
        raise _unfit(error) from None


_NAME: TypeAdapter[str] = TypeAdapter(Name)


def _unfit(error: ValidationError) -> JournalError:
    """Return our words for what pydantic refused; its own repeat the value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "name"
    why = first["msg"].removeprefix("Value error, ") if first["type"] == "value_error" else "does not have its form"
    return JournalError(f"This cannot be written to the journal: {where} {why}.")
