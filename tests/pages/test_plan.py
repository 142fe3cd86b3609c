"""The action plan: evidence for each step, and a record of who did what."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

import pytest
from streamlit.testing.v1 import AppTest

from lib.diagnosis.diagnose import diagnose
from lib.journal.entry import DiagnosisRecord, StepState
from lib.journal.errors import JournalError
from lib.model import frames
from lib.model.people import Actor, Role, Via
from lib.model.verdict import CheckStatus, Tile
from lib.model.window import WindowSize
from lib.plan import STEPS
from lib.plan_state import judged_since, last_remediation, tiles_since
from lib.settings import Settings
from lib.ui import incidents_view, runtime, support_bundle
from lib.ui.action_service import ActionService
from lib.ui.page_frame import View
from tests.pages import synthetic
from tests.pages.conftest import Open, sent

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)
ALL_OPEN = {f"step_{step.id}": True for step in STEPS} | dict.fromkeys(
    ("step_escalation", "step_after_care", "steps_not_needed", "plan_other_migrations"), True
)


def view() -> View:
    return View(diagnose(synthetic.planted(), synthetic.NOW), Settings(), sharing=False)


def since(seen: View, at: datetime) -> tuple[Tile, ...]:
    return tiles_since(judged_since(seen.diagnosis, at), at)


def opened(open_page: Open, action_service: ActionService, **more: object) -> AppTest:
    action_service.journal.open_incident("Texts do not arrive", ANA)
    return open_page("plan", synthetic.planted(), action_service=action_service, state=dict(ALL_OPEN), **more)


@pytest.mark.parametrize("state", [synthetic.planted, synthetic.empty, synthetic.stale, synthetic.nothing_configured])
def test_every_step_draws_open_in_every_state_and_leaks_nothing(
    open_page: Open, action_service: ActionService, state
) -> None:
    action_service.journal.open_incident("Texts do not arrive", ANA)
    test = open_page("plan", state(), action_service=action_service, state=dict(ALL_OPEN))
    assert not test.exception
    out = sent(test)
    assert [secret for secret in synthetic.PLANTED if secret.encode() in out] == []
    labels = " ".join(box.label for box in test.expander)
    assert [step.title for step in STEPS if step.title.split(":")[0] not in labels.replace("\\", "")] == []


def test_what_others_wrote_stays_text_in_every_step(open_page: Open, action_service: ActionService) -> None:
    action_service.journal.open_incident(synthetic.HOSTILE, ANA)
    test = open_page("plan", synthetic.planted(), action_service=action_service, state=dict(ALL_OPEN))
    assert b"onerror" in sent(test)
    assert "<img" not in "".join(piece.value for piece in test.get("html"))


def test_opening_an_incident_keeps_what_is_seen_for_later(open_page: Open, action_service: ActionService) -> None:
    test = open_page("plan", synthetic.planted(), action_service=action_service)
    title = test.text_input(key="incident_title").value
    assert title.startswith(diagnose(synthetic.planted(), synthetic.NOW).headline.state.value.upper().replace("_", " "))
    test.button(key="incident_open").click().run()
    incident = action_service.journal.incidents()[0]
    assert incident.open
    assert isinstance(action_service.journal.entries(incident_id=incident.id)[1].payload, DiagnosisRecord)
    assert b"minutes planned" in sent(test)


def test_a_step_is_moved_with_who_and_when_and_skipped_only_with_a_reason(
    open_page: Open, action_service: ActionService
) -> None:
    test = opened(open_page, action_service)
    test.button(key="doing_migration").click().run()
    test.button(key="skip_redeploy").click().run()
    assert any("needs a reason" in warning.value for warning in test.warning)
    test.text_input(key="skip_reason_redeploy").set_value("the fix is live").run()
    test.button(key="skip_redeploy").click().run()
    incident = action_service.journal.incidents()[0]
    moved = {step.id: (step.state, step.reason, step.actor.name) for step in incident.steps}
    assert moved == {
        "migration": (StepState.DOING, "", "local, no login"),
        "redeploy": (StepState.SKIPPED, "the fix is live", "local, no login"),
    }


def test_dry_runs_are_offered_beside_what_they_try_and_the_build_command_is_shown(
    open_page: Open, action_service: ActionService
) -> None:
    test = opened(open_page, action_service)
    offered = {button.key: button.label for button in test.button}
    assert offered["plan_other_rehearse"] == "Try it and roll back …"
    assert offered["plan_test_validation"] == "Test the booking call alone …"
    assert b"Build command" in sent(test)


def test_who_did_something_elsewhere_says_so_and_only_what_is_seen_since_counts(
    open_page: Open, action_service: ActionService
) -> None:
    test = opened(open_page, action_service)
    asked = [button.key for button in test.button if str(button.key).startswith("done_")]
    test.button(key=asked[0]).click().run()
    incident = action_service.journal.incidents()[0]
    fix = last_remediation(action_service.journal.requests(), incident)
    assert fix is not None and (fix.at, fix.message) == (incident.steps[0].at, incident.steps[0].reason)
    assert b"Waiting for evidence" in sent(test) or b"Waiting for the next bookings" in sent(test)


def test_with_an_unreadable_journal_no_page_says_that_no_incident_is_open(
    open_page: Open, action_service: ActionService, monkeypatch
) -> None:
    action_service.journal.open_incident("No texts", ANA)

    def gone(*_: object) -> None:
        raise JournalError("The journal cannot be reached.")

    monkeypatch.setattr("lib.ui.action_service.read_journal_state", gone)
    test = open_page("plan", synthetic.planted(), action_service=action_service)
    assert not test.exception
    assert b"Whether an incident is open is not known" in sent(test)
    assert "No incident is open" not in [title.value for title in test.subheader]
    assert "incident_open" not in [button.key for button in test.button]


def test_an_incident_keeps_a_day_whatever_window_its_writer_looks_at(
    open_page: Open, action_service: ActionService
) -> None:
    test = open_page("plan", synthetic.planted(), action_service=action_service, state={"window": "1h"})
    asked: list[WindowSize] = []
    desk = runtime.app_runtime().desk
    diagnosis = desk.diagnosis
    desk.diagnosis = lambda size: (asked.append(size), diagnosis(size))[1]
    test.text_input(key="incident_title").set_value("No texts").run()
    asked.clear()
    test.button(key="incident_open").click().run()
    assert action_service.journal.incidents()[0].title == "No texts"
    assert asked[0] is WindowSize.DAY


def test_closing_keeps_a_last_diagnosis(open_page: Open, action_service: ActionService) -> None:
    test = opened(open_page, action_service)
    test.text_input(key="incident_words").set_value("the column is back").run()
    test.button(key="incident_close").click().run()
    incident = action_service.journal.incidents()[0]
    assert not incident.open and incident.closing_message == "the column is back"
    assert incidents_view.first_diagnosis(action_service, incident) is not None
    assert b"No incident is open" in sent(test)


def test_a_migration_that_would_not_help_says_so(open_page: Open, action_service: ActionService) -> None:
    out = sent(opened(open_page, action_service))
    assert b"Would not help" in out


def test_tiles_rest_on_evidence_newer_than_the_fix_alone() -> None:
    before, after = since(view(), synthetic.NOW - timedelta(hours=10)), since(view(), synthetic.NOW)
    assert {tile.id: tile.value for tile in before}["delivered"] == "2 of 4"
    assert [tile.id for tile in after if tile.status is CheckStatus.OK] == []


def test_that_nothing_was_refused_proves_nothing_before_somebody_asked_again() -> None:
    quiet = dataclasses.replace(
        view().snapshot.database_errors, value=frames.frame(frames.DATABASE_ERRORS, []), observed_at=synthetic.NOW
    )
    snapshot = dataclasses.replace(synthetic.planted(), database_errors=quiet)
    seen = View(diagnose(snapshot, synthetic.NOW), Settings(), sharing=False)

    def refused(minutes: int) -> CheckStatus:
        tiles = since(seen, synthetic.NOW - timedelta(minutes=minutes))
        return next(tile.status for tile in tiles if tile.id == "null_errors")

    assert refused(minutes=60) is CheckStatus.OK  # somebody asked 40 minutes ago
    assert refused(minutes=30) is CheckStatus.NOT_APPLICABLE


def test_the_support_bundle_has_ids_and_times_and_nothing_of_a_customer(action_service: ActionService) -> None:
    text = support_bundle.bundle(view(), action_service.journal_state().requests)
    for known in ("dpl_broken", "dpl_serving", f"SM{0:032x}", "30005", "2026-11-22 11:00:00"):
        assert known in text
    assert [secret for secret in synthetic.PLANTED if secret in text] == []


def test_a_viewer_sees_the_evidence_and_no_button(open_page: Open, action_service: ActionService, monkeypatch) -> None:
    settings = Settings.model_validate({"operators": "ana@example.com", "viewers": "owner@example.com"})
    monkeypatch.setattr("lib.ui.guard.settings_.load", lambda: settings)
    user = {"is_logged_in": True, "email": "owner@example.com"}
    test = opened(open_page, action_service, settings=settings, user=user)
    assert [button.key for button in test.button] == [] and test.text_input == []
    assert b"Would not help" in sent(test) and b"ana@example.com" in sent(test)
