"""One entry of the journal: what happened, when and by whom, and the payload of each kind of entry.

The payloads are an allowlist: a field that is not declared here cannot be stored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, cast, dataclass_transform
from uuid import UUID

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from lib.journal.errors import JournalError
from lib.journal.text_rules import WRITING, Digest, Exact, Message, Name, PlainText
from lib.model.people import Actor
from lib.model.verdict import CheckStatus, HeadlineState, Verdict

T = TypeVar("T")


class Kind(StrEnum):
    """The kinds of entries. The list is closed, and each kind has one payload."""

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
    """A phase in the life of a request. The database holds each at most once for a request.

    Started, refused, cancelled and expired are one phase, so the last three always mean that nothing was done.
    """

    REQUEST = "request"
    APPROVAL = "approval"
    LOCK = "claim"
    DECISION = "decision"
    RECEIPT = "receipt"
    RESOLUTION = "resolution"


# Of each kind that is a phase of a request, the phase; of each kind, its payload. The decorator fills both.
PHASE_OF: dict[Kind, Phase] = {}
PAYLOAD_OF: dict[Kind, type[Any]] = {}


@dataclass_transform(frozen_default=True)
def payload_of(kind: Kind, phase: Phase | None = None) -> Callable[[type[T]], type[T]]:
    """Make a class the payload of the entries of one kind: a frozen dataclass, registered under the kind."""

    def register(declared: type[T]) -> type[T]:
        made = dataclass(frozen=True, slots=True)(declared)
        PAYLOAD_OF[kind] = made
        if phase is not None:
            PHASE_OF[kind] = phase
        return made

    return register


class Outcome(StrEnum):
    """How an action ended. UNKNOWN: it may or may not have taken effect."""

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
    """What an operator did for a person who got no working link. NOTHING takes back the earlier entry."""

    CALLED = "called"
    GAVE_UP = "gave_up"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of an action. It is stored exactly as given, so it may hold ids and names, never a phone number."""

    name: Name
    value: Exact


@dataclass(frozen=True, slots=True)
class Fact:
    """One observed value, for people to read: `serving commit` and `3f2c1ab`."""

    name: PlainText
    value: PlainText


@payload_of(Kind.REQUEST, Phase.REQUEST)
class Asked:
    """A request for an action, and the preview that its requester saw.

    `digest` is that of the preview and the resolved target, so an approval covers exactly these. `target` and `summary`
    are for people, `arguments` for the action.
    """

    tier: int
    target: PlainText
    digest: Digest
    valid_until: AwareDatetime
    arguments: tuple[Argument, ...] = ()
    summary: PlainText = ""
    reason: PlainText = ""
    needs_approval: bool = False


@payload_of(Kind.APPROVAL, Phase.APPROVAL)
class Approved:
    message: Message = ""


@payload_of(Kind.LOCKED, Phase.LOCK)
class Locked:
    """A process has locked the request and re-checks it. If no entry follows by `until`, nothing was done."""

    until: AwareDatetime


@payload_of(Kind.STARTED, Phase.DECISION)
class Started:
    """From here on the effect may have happened. If no receipt follows by `until`, the outcome is unknown."""

    until: AwareDatetime


@payload_of(Kind.PROGRESS)
class Progress:
    """Progress of a running action, and the id to look up outside if no receipt follows."""

    message: Message
    external_id: PlainText | None = None


@payload_of(Kind.RECEIPT, Phase.RECEIPT)
class Receipt:
    """What an action did. `verified`: whether the sources confirm that it worked; None: not checked, or not yet known.

    No field is `Exact`: what was done must be recorded, whatever the other system answered.
    """

    outcome: Outcome
    message: Message
    before: tuple[Fact, ...] = ()
    after: tuple[Fact, ...] = ()
    verified: bool | None = None
    evidence: tuple[PlainText, ...] = ()
    external_id: PlainText | None = None  # the id at the other system: of a deployment, a commit


@payload_of(Kind.RESOLUTION, Phase.RESOLUTION)
class Resolution:
    """What a person observed outside about an action whose outcome was unknown."""

    outcome: Outcome
    seen: PlainText


@payload_of(Kind.REFUSED, Phase.DECISION)
class Refused:
    message: Message


@payload_of(Kind.CANCELLED, Phase.DECISION)
class Cancelled:
    message: Message = ""


@payload_of(Kind.EXPIRED, Phase.DECISION)
class Expired:
    message: Message = ""


@payload_of(Kind.INCIDENT_OPENED)
class IncidentOpened:
    title: PlainText


@payload_of(Kind.INCIDENT_CLOSED)
class IncidentClosed:
    message: Message = ""


@payload_of(Kind.STEP)
class StepMoved:
    state: StepState
    reason: PlainText = ""


@payload_of(Kind.NOTE)
class Note:
    """A note by a person. `happened_at` is when it was, if not now; `corrects` is the id of the entry it corrects."""

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
    """Counts per bucket of time; None: could not be read."""

    id: Name
    counts: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class BucketsRecord:
    """The counts of a chart, in buckets of `seconds` from `begins` on."""

    begins: AwareDatetime
    seconds: int
    lines: tuple[SeriesRecord, ...]


@dataclass(frozen=True, slots=True)
class CountRecord:
    id: Name
    count: int


@dataclass(frozen=True, slots=True)
class AffectedRecord:
    """How many people asked to book and got no working link. None: cannot tell, and `message` says why.

    `states` counts them by what was done for them. `seats` is how many seats those without a booking may cost; None:
    unknown. `since` is when most of those who asked began to get no link.
    """

    count: int | None
    message: Message = ""
    at_least: bool = False
    states: tuple[CountRecord, ...] = ()
    seats: int | None = None
    since: AwareDatetime | None = None


@payload_of(Kind.DIAGNOSIS)
class DiagnosisRecord:
    """A diagnosis as the journal keeps it: enough to compare two of them, and to report and draw it later.

    `buckets` and `people` are None in entries of versions that did not record them.
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
        """Whether the flow was broken or degraded."""
        return self.state in (HeadlineState.BROKEN, HeadlineState.DEGRADED)

    @property
    def broke_at(self) -> datetime | None:
        """When the flow broke, if it was broken and that is known.

        The headline's moment is the start of the last run of failures. Where only most texts fail, people went without
        a link before that.
        """
        moments = (self.since, self.people.since if self.people else None)
        return min(filter(None, moments), default=None) if self.broken else None


@payload_of(Kind.FREEZE)
class Freeze:
    """The start of a freeze: no action starts."""

    reason: PlainText


@payload_of(Kind.UNFREEZE)
class Unfreeze:
    reason: PlainText = ""


@payload_of(Kind.MUTE)
class Mute:
    """Alerts about `subject` are silenced until `until`, from `begins` on if that is later. Measuring goes on."""

    subject: Name
    until: AwareDatetime
    reason: PlainText
    begins: AwareDatetime | None = None


@payload_of(Kind.UNMUTE)
class Unmute:
    subject: Name
    reason: PlainText = ""


@payload_of(Kind.FOLLOW_UP)
class FollowedUp:
    """What was done for a person who got no working link.

    The entry names only the id of the pending booking: it is random, means nothing outside of the booking database, and
    is deleted with the booking. A digest of the phone number could be reversed by trying every number.
    """

    booking: UUID
    state: FollowUp


@payload_of(Kind.ACKNOWLEDGEMENT)
class Acknowledgement:
    """A person works on the alert about `subject`. It holds until the alert resolves."""

    subject: Name
    reason: PlainText


@payload_of(Kind.ALERT)
class Alert:
    """An alert that the monitor sent about `subject`: fired, worse or resolved. `since` is when the problem began."""

    subject: Name
    event: Name
    message: Message
    since: AwareDatetime


# What belongs to no request and may be appended at any time.
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
    """One entry. `seq` counts from 1 without gaps. `lock_key` names the target that a locked request holds."""

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
    """Return the kind of the entries that hold such a payload."""
    return _KIND_OF[type(payload)]


def dumped(payload: Payload) -> str:
    """Return `payload` as canonical JSON, redacted. Raises `JournalError` if it must not or cannot be stored."""
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
    """Return the payload that `dumped` wrote as `text`. Raises `ValueError` for any other text."""
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
    """Return an error of our own for what pydantic refused: its message would repeat the value."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "name"
    why = first["msg"].removeprefix("Value error, ") if first["type"] == "value_error" else "does not have its form"
    return JournalError(f"This cannot be written to the journal: {where} {why}.")
