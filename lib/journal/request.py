"""A request for an action, and its state, computed from its entries and the time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID, uuid4

from lib.journal.entry import (
    PHASE_OF,
    About,
    Argument,
    Asked,
    Cancelled,
    Entry,
    Kind,
    Locked,
    Outcome,
    Phase,
    Progress,
    Receipt,
    Refused,
    Resolution,
    Started,
)
from lib.model.people import Actor

VALID_FOR = timedelta(minutes=15)
# The process that carries out a request sends a heartbeat this often; after the longer time without one it counts as
# dead.
HEARTBEAT_EVERY = timedelta(seconds=10)
SILENT_AFTER = timedelta(seconds=40)


class RequestState(StrEnum):
    """The state of a request. Refused, cancelled and expired mean that nothing was done."""

    WAITING = "waiting"  # for a second person
    REQUESTED = "requested"
    LOCKED = "claimed"  # a process re-checks it and is about to start
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"  # it may or may not have taken effect: look outside, never run it again
    REFUSED = "refused"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def may_be_stopped(self) -> bool:
        """Whether it can still be kept from happening."""
        return self in (self.WAITING, self.REQUESTED, self.LOCKED)

    @property
    def holds_its_target(self) -> bool:
        """Whether no other request may change the target meanwhile."""
        return self in (self.LOCKED, self.STARTED, self.UNKNOWN)

    @property
    def over(self) -> bool:
        return not (self.may_be_stopped or self.holds_its_target)


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What to submit. Submitting the same `idempotency_key` again returns the first request.

    `needs_approval`: a second person must approve it. If it is not started within `valid_for`, it expires, because its
    preview is out of date.
    """

    action: str
    tier: int
    target: str
    digest: str
    idempotency_key: UUID = field(default_factory=uuid4)
    arguments: tuple[Argument, ...] = ()
    summary: str = ""
    reason: str = ""
    needs_approval: bool = False
    valid_for: timedelta = VALID_FOR
    incident_id: UUID | None = None
    step_id: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request at one moment. `deadline` is when its present state ends by itself.

    `message` is the last one about it: why it was refused, or that of its receipt.
    """

    id: UUID
    about: About
    asked: Asked
    requested_by: Actor
    requested_at: datetime
    state: RequestState
    message: str = ""
    deadline: datetime | None = None
    approved_by: Actor | None = None
    approved_at: datetime | None = None
    lock_key: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    progress: tuple[Progress, ...] = ()
    receipt: Receipt | None = None
    resolution: Resolution | None = None
    resolved_by: Actor | None = None

    @property
    def action(self) -> str:
        return self.about.action or ""


class LockRefusal(StrEnum):
    """Why a lock or a start is not granted."""

    TAKEN = "taken"  # another process has locked it
    NOT_READY = "not_ready"  # it waits for a second person, or is over
    BUSY = "busy"  # another request holds the same target
    UNRESOLVED = "unresolved"  # the outcome of an earlier one on the same target is unknown
    COOLING_DOWN = "cooling_down"
    FROZEN = "frozen"
    CLOCK = "clock"  # the clock of this instance differs from the one of the journal's database


@dataclass(frozen=True, slots=True)
class LockResult:
    """The answer to a lock or a start: granted, or why not. `held_by` is the request that holds the target."""

    request: Request
    refusal: LockRefusal | None = None
    message: str = ""
    held_by: Request | None = None

    @property
    def granted(self) -> bool:
        return self.refusal is None


def request_of(entries: Sequence[Entry], now: datetime, last_heartbeat: datetime | None = None) -> Request:
    """Return the request that `entries`, all of one request and in order, make at `now`. Pure.

    `last_heartbeat` is that of the process that carries it out; None if it sent none.
    """
    at = {PHASE_OF[entry.kind]: entry for entry in entries if entry.kind in PHASE_OF}
    first, approval, lock = at[Phase.REQUEST], at.get(Phase.APPROVAL), at.get(Phase.LOCK)
    decision, receipt, resolution = at.get(Phase.DECISION), at.get(Phase.RECEIPT), at.get(Phase.RESOLUTION)
    assert isinstance(first.payload, Asked)  # noqa: S101 - one kind, one payload
    started = decision if decision is not None and decision.kind is Kind.STARTED else None
    state, deadline = _state_and_deadline(first.payload, at, now, last_heartbeat)
    ends = receipt or resolution or (decision if decision is not started else None)
    return Request(
        id=_id(first),
        about=first.about,
        asked=first.payload,
        requested_by=first.actor,
        requested_at=first.at,
        state=state,
        message=_message(at),
        deadline=deadline,
        approved_by=approval.actor if approval else None,
        approved_at=approval.at if approval else None,
        lock_key=lock.lock_key if lock else None,
        started_at=started.at if started else None,
        ended_at=ends.at if ends else None,
        progress=tuple(entry.payload for entry in entries if isinstance(entry.payload, Progress)),
        receipt=receipt.payload if receipt and isinstance(receipt.payload, Receipt) else None,
        resolution=resolution.payload if resolution and isinstance(resolution.payload, Resolution) else None,
        resolved_by=resolution.actor if resolution else None,
    )


_STATE_OF_OUTCOME = {
    Outcome.SUCCEEDED: RequestState.SUCCEEDED,
    Outcome.FAILED: RequestState.FAILED,
    Outcome.UNKNOWN: RequestState.UNKNOWN,
}
_STATE_OF_STOP = {
    Kind.REFUSED: RequestState.REFUSED,
    Kind.CANCELLED: RequestState.CANCELLED,
    Kind.EXPIRED: RequestState.EXPIRED,
}


def _state_and_deadline(
    asked: Asked, at: dict[Phase, Entry], now: datetime, last_heartbeat: datetime | None
) -> tuple[RequestState, datetime | None]:
    # A receipt that says how it ended outranks what a person observed, even if the receipt came later.
    for phase in (Phase.RECEIPT, Phase.RESOLUTION):
        payload = at[phase].payload if phase in at else None
        if isinstance(payload, Receipt | Resolution) and payload.outcome is not Outcome.UNKNOWN:
            return _STATE_OF_OUTCOME[payload.outcome], None
    if Phase.RECEIPT in at:
        return RequestState.UNKNOWN, None
    decision, lock = at.get(Phase.DECISION), at.get(Phase.LOCK)
    if decision is not None and isinstance(decision.payload, Started):
        until = decision.payload.until
        if last_heartbeat is not None:
            until = min(until, last_heartbeat + SILENT_AFTER)
        return (RequestState.STARTED, until) if now < until else (RequestState.UNKNOWN, None)
    if decision is not None:
        return _STATE_OF_STOP[decision.kind], None
    if lock is not None and isinstance(lock.payload, Locked):
        until = lock.payload.until
        return (RequestState.LOCKED, until) if now < until else (RequestState.EXPIRED, None)
    if now >= asked.valid_until:
        return RequestState.EXPIRED, None
    waits = asked.needs_approval and Phase.APPROVAL not in at
    return (RequestState.WAITING if waits else RequestState.REQUESTED), asked.valid_until


def _message(at: dict[Phase, Entry]) -> str:
    receipt = at[Phase.RECEIPT].payload if Phase.RECEIPT in at else None
    unknown = isinstance(receipt, Receipt) and receipt.outcome is Outcome.UNKNOWN
    # Where the receipt does not know how it ended, the resolution that follows says more.
    ends = (Phase.RESOLUTION, Phase.RECEIPT) if unknown else (Phase.RECEIPT, Phase.RESOLUTION)
    for phase in (*ends, Phase.DECISION):
        payload = at[phase].payload if phase in at else None
        if isinstance(payload, Receipt | Refused | Cancelled):
            return payload.message
        if isinstance(payload, Resolution):
            return payload.seen
    return ""


def _id(entry: Entry) -> UUID:
    assert entry.about.request_id is not None  # noqa: S101 - every entry with a phase has it
    return entry.about.request_id
