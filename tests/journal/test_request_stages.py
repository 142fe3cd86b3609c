"""How far a request is: no stage is called done that nobody has seen."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from lib.journal.entry import About, Asked, Outcome, Receipt
from lib.journal.request import Request, RequestState
from lib.journal.request_stages import StageState, stages
from lib.model.people import Actor, Role, Via

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)
BEN = Actor("ben@example.com", Role.OPERATOR, Via.PAGE)
NOW = datetime(2026, 11, 28, tzinfo=UTC)


def request(state: RequestState, *, approved_by: Actor | None = None, receipt: Receipt | None = None) -> Request:
    asked = Asked(tier=2, target="booking", digest="0" * 64, valid_until=NOW)
    about = About(action="redeploy", request_id=UUID(int=2))
    return Request(UUID(int=2), about, asked, ANA, NOW, state, approved_by=approved_by, receipt=receipt)


def shown(of: Request) -> dict[str, str]:
    return {stage.id: stage.state.value for stage in stages(of)}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (RequestState.REQUESTED, ("done", "current", "to_come", "to_come")),
        (RequestState.LOCKED, ("done", "done", "current", "to_come")),
        (RequestState.STARTED, ("done", "done", "current", "to_come")),
        (RequestState.SUCCEEDED, ("done", "done", "done", "done")),
        (RequestState.UNKNOWN, ("done", "done", "done", "unknown")),
        (RequestState.FAILED, ("done", "done", "stopped", "to_come")),
        (RequestState.REFUSED, ("done", "stopped", "to_come", "to_come")),
        (RequestState.CANCELLED, ("done", "stopped", "to_come", "to_come")),
        (RequestState.EXPIRED, ("done", "stopped", "to_come", "to_come")),
    ],
)
def test_each_state_says_which_stages_were_reached(state: RequestState, expected: tuple[str, ...]) -> None:
    assert tuple(shown(request(state)).values()) == expected


def test_what_took_effect_and_was_seen_to_have_failed_stopped_at_the_verification() -> None:
    seen = Receipt(Outcome.FAILED, "The catalog does not show the change.", verified=False)
    assert shown(request(RequestState.FAILED, receipt=seen))["verified"] == StageState.STOPPED


def test_a_second_persons_approval_is_a_stage_of_its_own_where_one_is_needed() -> None:
    assert shown(request(RequestState.WAITING))["approved"] == StageState.CURRENT
    assert shown(request(RequestState.STARTED, approved_by=BEN))["approved"] == StageState.DONE
    assert "approved" not in shown(request(RequestState.STARTED))
