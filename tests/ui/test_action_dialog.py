"""The dialog and the action service, on the whole app: nothing happens unconfirmed, and nothing happens twice."""

from __future__ import annotations

import dataclasses
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from lib.journal.entry import Kind, Outcome
from lib.journal.request import RequestState
from lib.model.people import Actor, Role, Via
from lib.settings import Settings
from lib.ui import action_dialog, guard
from lib.ui.action_dialog import OpenDialog
from lib.ui.action_service import ActionService
from tests.pages import synthetic
from tests.pages.conftest import Open, action_service, fake_target, on_this_machine, open_page, sent, settled
from tests.pages.fake_action import FakeTarget
from tests.waiting import wait_until

__all__ = ["action_service", "fake_target", "on_this_machine", "open_page"]  # fixtures of the pages' tests

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)
BEN = Actor("ben@example.com", Role.OPERATOR, Via.COMMAND_LINE)


def opened(open_page: Open, action_service: ActionService, **more: object) -> AppTest:
    """Return the plan with the dialog of the dangerous action open."""
    state = {"step_migration": True, "ask": OpenDialog("run_migration", {"name": "pending_bookings_metadata"})}
    return open_page("plan", synthetic.planted(), action_service=action_service, state=state, **more)


def take_preview(ask: OpenDialog, action_service: ActionService) -> None:
    """Take a preview of the target as it is now, and wait for it."""
    ask.begin_preview(action_service)
    ask.use_preview()


def typed(test: AppTest, phrase: str = "hall lamp", reason: str = "it is dark") -> AppTest:
    test.text_input(key="ask_phrase").set_value(phrase)
    test.text_input(key="ask_reason").set_value(reason)
    return test.run()


def keys(test: AppTest) -> list[str]:
    return [button.key or "" for button in test.button]


def test_the_dialog_shows_exactly_what_will_be_done_and_what_was_looked_at(
    open_page: Open, action_service: ActionService
) -> None:
    test = opened(open_page, action_service)
    assert [code.value for code in test.code][-1] == "PATCH /lamp  on: true"
    out = sent(test)
    for message in (b"hall lamp", b"There will be light.", b"The bulb is whole.", b"It cannot be undone."):
        assert message in out
    assert "<img" not in "".join(piece.value for piece in test.get("html"))


@pytest.mark.parametrize(
    ("phrase", "reason"), [("", ""), ("hall lamp", ""), ("hall lamp", "  "), ("lamp", "dark"), ("HALL LAMP", "dark")]
)
def test_without_the_phrase_and_a_reason_an_action_cannot_be_confirmed(
    open_page: Open, action_service: ActionService, phrase: str, reason: str
) -> None:
    assert typed(opened(open_page, action_service), phrase, reason).button(key="ask_confirm").disabled


def test_a_confirmed_action_runs_once_and_everybody_sees_it(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    test = typed(opened(open_page, action_service))
    test.button(key="ask_confirm").click().run()
    assert settled(action_service).state is RequestState.SUCCEEDED
    assert fake_target.switched == 1 and "ask_confirm" not in keys(test)
    another = open_page("status", synthetic.planted(), action_service=action_service)
    assert b"There is light." in sent(another)


def test_three_clicks_are_one_request(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget, monkeypatch
) -> None:
    test = opened(open_page, action_service)
    ask = test.session_state["ask"]
    order = action_dialog.order(ask, "hall lamp", "it is dark", None)
    for _ in range(3):
        action_service.submit(order, ANA)
    assert settled(action_service).state is RequestState.SUCCEEDED
    assert fake_target.switched == 1 and len(action_service.journal_state().requests) == 1


def test_the_second_tier_asks_for_a_click_and_no_phrase(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    test = open_page(
        "plan", synthetic.planted(), action_service=action_service, state={"ask": OpenDialog("redeploy", {})}
    )
    assert "ask_phrase" not in [field.key for field in test.text_input]
    test.button(key="ask_confirm").click().run()
    assert settled(action_service).state is RequestState.SUCCEEDED and fake_target.switched == 1


def test_what_is_blocked_has_no_confirm_button(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    fake_target.broken = True
    test = opened(open_page, action_service)
    assert b"The bulb is broken." in sent(test) and "ask_confirm" not in keys(test)
    fake_target.broken = False
    assert "ask_confirm" in keys(test.button(key="ask_look").click().run())


def test_a_preview_that_fails_says_why_and_can_be_taken_again(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    fake_target.gone = True
    test = opened(open_page, action_service)
    assert any("The lamp does not answer" in error.value for error in test.error)
    assert "ask_confirm" not in keys(test)
    fake_target.gone = False
    assert "ask_confirm" in keys(test.button(key="ask_look").click().run())


def test_a_target_that_changed_after_the_preview_is_refused_with_the_difference(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    test = typed(opened(open_page, action_service))
    fake_target.colour = "blue"
    test.button(key="ask_confirm").click().run()
    assert any("red → blue" in error.value for error in test.error)
    assert fake_target.switched == 0 and settled(action_service).state is RequestState.REFUSED


def test_leaving_the_dialog_does_nothing(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    test = opened(open_page, action_service)
    test.button(key="ask_leave").click().run()
    assert (
        "ask" not in test.session_state and fake_target.switched == 0 and action_service.journal_state().requests == ()
    )


def viewing() -> dict[str, object]:
    settings = Settings.model_validate({"operators": "ana@example.com", "viewers": "owner@example.com"})
    return {"settings": settings, "user": {"is_logged_in": True, "email": "owner@example.com"}}


def test_a_viewer_gets_no_button_and_no_dialog(open_page: Open, action_service: ActionService, monkeypatch) -> None:
    who = viewing()
    monkeypatch.setattr("lib.ui.guard.settings_.load", lambda: who["settings"])
    test = opened(open_page, action_service, **who)
    assert not test.exception
    assert keys(test) == [] and "PATCH /lamp  on: true" not in [code.value for code in test.code]


def test_a_viewer_who_forges_a_click_is_refused(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    viewer = Actor("owner@example.com", Role.VIEWER, Via.PAGE)
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    for forged in (
        lambda: action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), viewer),
        lambda: action_service.approve(UUID(int=1), viewer),
        lambda: action_service.recheck(UUID(int=1), viewer),
        lambda: action_service.record_observation(UUID(int=1), Outcome.SUCCEEDED, "It is light.", viewer),
    ):
        with pytest.raises(action_dialog.RefusedError):
            forged()
    assert fake_target.switched == 0 and action_service.journal_state().requests == ()


def test_what_runs_is_shown_with_who_runs_it_and_how_far_it_is(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    fake_target.may_go_on.clear()
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    request = action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), BEN)
    wait_until(lambda: action_service.journal.request(request.id).progress)
    action_service.changed()
    out = sent(open_page("status", synthetic.planted(), action_service=action_service))
    assert b"ben@example.com" in out and b"Turning the switch" in out
    fake_target.may_go_on.set()
    assert settled(action_service).state is RequestState.SUCCEEDED


def test_a_lost_answer_is_unknown_and_can_only_be_looked_at(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    fake_target.lost = True
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), ANA)
    request = settled(action_service)
    assert request.state is RequestState.UNKNOWN and fake_target.switched == 1
    test = open_page("status", synthetic.planted(), action_service=action_service)
    assert b"never run again by itself" in sent(test)
    test.button(key=f"strip_look_{request.id}").click().run()
    assert fake_target.switched == 1


def lost(action_service: ActionService, fake_target: FakeTarget) -> UUID:
    """Return a request whose answer was lost, and which nothing that the desk can see resolves."""
    fake_target.lost = True
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), BEN)
    request = settled(action_service)
    assert request.state is RequestState.UNKNOWN
    return request.id


@pytest.mark.parametrize(("button", "state"), [("happened", RequestState.SUCCEEDED), ("did_not", RequestState.FAILED)])
def test_who_records_what_they_saw_themselves_unlocks_the_target(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget, button: str, state: RequestState
) -> None:
    request_id = lost(action_service, fake_target)
    test = open_page("plan", synthetic.planted(), action_service=action_service)
    test.text_input(key=f"strip_seen_{request_id}").set_value("I stood in the hall.").run()
    test.button(key=f"strip_{button}_{request_id}").click().run()
    request = action_service.journal.request(request_id)
    assert (request.state, request.message) == (state, "I stood in the hall.")
    assert request.resolved_by is not None and fake_target.switched == 1
    fake_target.lost = False
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), ANA)
    assert settled(action_service).state is RequestState.SUCCEEDED and fake_target.switched == 2


def test_an_observation_without_a_text_is_refused(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    request_id = lost(action_service, fake_target)
    test = open_page("plan", synthetic.planted(), action_service=action_service)
    test.button(key=f"strip_happened_{request_id}").click().run()
    assert any("what was found" in warning.value for warning in test.warning)
    assert action_service.journal.request(request_id).state is RequestState.UNKNOWN


def test_a_request_that_another_server_did_not_finish_is_shown_and_not_run(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    left = action_service.executor.submit(action_dialog.order(ask, "hall lamp", "why", None), ANA)
    test = open_page("status", synthetic.planted(), action_service=action_service)
    assert b"Nobody here carries it out" in sent(test)
    test.button(key=f"strip_cancel_{left.id}").click().run()
    assert action_service.journal.request(left.id).state is RequestState.CANCELLED and fake_target.switched == 0


def needing_a_second_person(action_service: ActionService, by: Actor) -> UUID:
    action_service.executor.context = dataclasses.replace(
        action_service.executor.context, settings=Settings.model_validate({"require_second_person": True})
    )
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    request = action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), by)
    assert request.state is RequestState.WAITING
    return request.id


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Ana, an operator by the settings, as the login reports her."""
    monkeypatch.setattr(guard.settings_, "load", lambda: Settings.model_validate({"operators": ANA.name}))
    return {"is_logged_in": True, "email": ANA.name}


def test_a_second_person_sees_the_preview_before_they_approve(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget, logged_in: dict[str, object]
) -> None:
    waiting = needing_a_second_person(action_service, BEN)
    test = open_page("plan", synthetic.planted(), action_service=action_service, user=logged_in)
    test.button(key=f"strip_approve_{waiting}").click().run()
    assert [code.value for code in test.code][-1] == "PATCH /lamp  on: true" and fake_target.switched == 0
    test.button(key="ask_approve").click().run()
    assert settled(action_service).state is RequestState.SUCCEEDED and fake_target.switched == 1
    assert action_service.journal.request(waiting).approved_by is not None


def test_a_target_that_changed_since_the_request_cannot_be_approved(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget, logged_in: dict[str, object]
) -> None:
    waiting = needing_a_second_person(action_service, BEN)
    fake_target.colour = "blue"
    test = open_page("plan", synthetic.planted(), action_service=action_service, user=logged_in)
    test.button(key=f"strip_approve_{waiting}").click().run()
    assert "ask_approve" not in keys(test) and any("request it again" in error.value for error in test.error)


def test_nobody_approves_what_they_asked_for(
    open_page: Open, action_service: ActionService, logged_in: dict[str, object]
) -> None:
    waiting = needing_a_second_person(action_service, ANA)
    test = open_page("status", synthetic.planted(), action_service=action_service, user=logged_in)
    assert f"strip_cancel_{waiting}" in keys(test) and f"strip_approve_{waiting}" not in keys(test)


def test_who_did_not_log_in_is_offered_no_approval(open_page: Open, action_service: ActionService) -> None:
    """It may be who asked, at the command line of the same machine."""
    waiting = needing_a_second_person(action_service, BEN)
    test = open_page("status", synthetic.planted(), action_service=action_service)
    assert f"strip_cancel_{waiting}" in keys(test) and f"strip_approve_{waiting}" not in keys(test)


def test_freezing_needs_a_reason_and_stops_what_was_confirmed(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget
) -> None:
    test = open_page("plan", synthetic.planted(), action_service=action_service)
    test.button(key="freeze").click().run()
    assert any("needs a reason" in warning.value for warning in test.warning)
    test.text_input(key="freeze_reason").set_value("we wait for Vercel").run()
    test.button(key="freeze").click().run()
    assert b"we wait for Vercel" in sent(test)
    ask = OpenDialog("run_migration", {"name": "x"})
    take_preview(ask, action_service)
    action_service.submit(action_dialog.order(ask, "hall lamp", "why", None), ANA)
    assert settled(action_service).state is RequestState.REFUSED and fake_target.switched == 0
    test.run().button(key="unfreeze").click().run()
    assert action_service.journal.frozen() is None


def test_without_a_journal_the_page_only_looks_and_says_why(open_page: Open) -> None:
    test = open_page("plan", synthetic.planted(), state={"step_migration": True})
    assert any("can only read" in warning.value for warning in test.warning)
    assert keys(test) == []


def test_the_journal_names_who_confirmed_and_why(open_page: Open, action_service: ActionService) -> None:
    typed(opened(open_page, action_service)).button(key="ask_confirm").click().run()
    settled(action_service)
    kinds = [entry.kind for entry in action_service.journal.entries()]
    assert kinds.index(Kind.REQUEST) < kinds.index(Kind.STARTED) < kinds.index(Kind.RECEIPT)
    assert action_service.journal_state().requests[0].asked.reason == "it is dark"
