"""How far a request is, as stages that a person follows: asked, locked, started, verified."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lib.journal.request import Request, RequestState


class StageState(StrEnum):
    """How a stage stands. STOPPED: it went no further here. UNKNOWN: nobody can say whether it was reached."""

    DONE = "done"
    CURRENT = "current"
    TO_COME = "to_come"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RequestStage:
    """One stage of a request, in the order of `STAGES`."""

    id: str
    state: StageState


ASKED, APPROVED, LOCKED, STARTED, VERIFIED = "asked", "approved", "locked", "started", "verified"
STAGES = (ASKED, LOCKED, STARTED, VERIFIED)
_WITH_APPROVAL = (ASKED, APPROVED, LOCKED, STARTED, VERIFIED)


def stages(request: Request) -> tuple[RequestStage, ...]:
    """Return the stages of a request; that of a second person's approval only where one is needed."""
    approval = request.approved_by is not None or request.state is RequestState.WAITING
    names = _WITH_APPROVAL if approval else STAGES
    last, state = _reached(request)
    at = names.index(last)
    before = (RequestStage(name, StageState.DONE) for name in names[:at])
    after = (RequestStage(name, StageState.TO_COME) for name in names[at + 1 :])
    return (*before, RequestStage(last, state), *after)


def _reached(request: Request) -> tuple[str, StageState]:
    """Return the stage that a request is in, and how that stands."""
    match request.state:
        case RequestState.WAITING:
            return APPROVED, StageState.CURRENT
        case RequestState.REQUESTED:
            return LOCKED, StageState.CURRENT
        case RequestState.LOCKED:
            return STARTED, StageState.CURRENT
        case RequestState.STARTED:
            return STARTED, StageState.CURRENT
        case RequestState.SUCCEEDED:
            return VERIFIED, StageState.DONE
        case RequestState.UNKNOWN:
            return VERIFIED, StageState.UNKNOWN
        case RequestState.FAILED:
            # A receipt with a verdict says that it took effect, and that the sources show something else.
            looked = request.receipt is not None and request.receipt.verified is not None
            return (VERIFIED if looked else STARTED), StageState.STOPPED
        case _:
            # Refused, cancelled and expired: nothing was done.
            return LOCKED, StageState.STOPPED
