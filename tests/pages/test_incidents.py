"""The incident log: everything in order, nothing edited, and provably so."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from streamlit.testing.v1 import AppTest

from lib.diagnosis.diagnose import diagnose
from lib.journal.entry import Fact, Kind, Outcome, Receipt, StepState
from lib.journal.incident_export import incident_record
from lib.journal.request import NewRequest, Request
from lib.model.people import Actor, Role, Via
from lib.model.phone import masked
from lib.reports.diagnosis_record import diagnosis_record
from lib.reports.documents import ExportFormat, export
from lib.settings import Settings
from lib.snapshot import utc_now
from lib.ui import incidents_view
from lib.ui.action_service import ActionService
from lib.ui.runtime import DiagnosisService
from tests.diagnosis import builders
from tests.pages import synthetic
from tests.pages.conftest import Open, sent

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)


@pytest.fixture
def incident(action_service: ActionService) -> UUID:
    """An incident with a step, a note in a stranger's words, and two diagnoses that differ."""
    journal = action_service.journal
    opened = journal.open_incident("Texts do not arrive", ANA).id
    journal.append(diagnosis_record(diagnose(synthetic.planted(), synthetic.NOW)), ANA, opened)
    journal.step(opened, "migration", StepState.DOING, ANA)
    journal.note(f"{synthetic.HOSTILE} {synthetic.PHONE} {synthetic.KEY}", ANA, incident_id=opened)
    journal.append(diagnosis_record(diagnose(synthetic.nothing_configured(), synthetic.NOW)), ANA, opened)
    return opened


def log(open_page: Open, action_service: ActionService, **more: object) -> AppTest:
    return open_page("incidents", synthetic.planted(), action_service=action_service, **more)


def test_it_tells_the_story_in_order_and_leaks_nothing(
    open_page: Open, action_service: ActionService, incident: UUID
) -> None:
    test = log(open_page, action_service)
    assert not test.exception
    entries = next(piece.value for piece in test.get("html") if "sb-story" in piece.value and "<ol" in piece.value)
    said = ("Incident opened", "BROKEN", "Step 3 Emergency migration", "Note", "CANNOT TELL")
    order = [entries.index(message) for message in said]
    assert order == sorted(order, reverse=True), "the newest event stands first"
    assert "schema_contract" not in entries and "Does the database accept what the code writes? Failed" in entries
    assert "UTC" in entries and "ana@example.com" in entries
    assert "<img" not in entries and "onerror" in entries
    assert [secret for secret in synthetic.PLANTED if secret.encode() in sent(test)] == []


@pytest.mark.parametrize("page", ["incidents", "plan", "status"])
def test_on_a_shared_screen_no_receipt_or_refusal_shows_a_digit_of_a_number(
    open_page: Open, action_service: ActionService, incident: UUID, page: str
) -> None:
    journal, number = action_service.journal, masked("+447700900123")

    def asked() -> Request:
        about = NewRequest("resend_link", 3, "a booking", "0" * 64, incident_id=incident, step_id="verify_fix")
        return journal.submit_request(about, ANA)

    done, refused = asked(), asked()
    journal.lock(done.id, "one", ANA)
    journal.start(done.id, ANA, timedelta(minutes=1))
    journal.finish(done.id, Receipt(Outcome.FAILED, f"Not sent to {number}.", (Fact("number", number),)), ANA)
    journal.refuse(refused.id, f"Now it would be: POST mobile_number: {number}", ANA)
    action_service.changed()
    plain = open_page(page, synthetic.planted(), action_service=action_service)
    shared = open_page(page, synthetic.planted(), action_service=action_service, state={"share": True})
    assert not plain.exception and not shared.exception
    assert number.encode() in sent(plain)
    assert "••123".encode() not in sent(shared)


def test_two_diagnoses_stand_side_by_side(open_page: Open, action_service: ActionService, incident: UUID) -> None:
    seen = list(incidents_view.recorded_diagnoses(action_service.journal.entries(incident_id=incident)))
    test = log(open_page, action_service, state={"seen_before": seen[0], "seen_after": seen[1]})
    table = next(piece.value for piece in test.get("html") if "Check or cause" in piece.value)
    assert "Do texts arrive?" in table and "cannot tell" in table


def test_a_note_is_added_and_the_field_is_empty_again(
    open_page: Open, action_service: ActionService, incident: UUID
) -> None:
    test = log(open_page, action_service)
    test.text_area(key="note_text").set_value("Rang the landlord").run()
    test.button(key="note_add").click().run()
    notes = action_service.journal.entries(incident_id=incident, kinds=[Kind.NOTE])
    assert notes[-1].payload.text == "Rang the landlord"
    assert test.text_area(key="note_text").value == ""
    assert b"Rang the landlord" in sent(test)


def test_a_note_may_tell_of_an_earlier_time_and_correct_an_earlier_note(
    open_page: Open, action_service: ActionService, incident: UUID
) -> None:
    earlier = action_service.journal.entries(incident_id=incident, kinds=[Kind.NOTE])[-1]
    test = log(open_page, action_service)
    test.text_area(key="note_text").set_value("It was the day before")
    test.datetime_input(key="note_at").set_value(datetime(2026, 6, 1, 9, 30))  # noqa: DTZ001 - as the field gives it
    test.selectbox(key="note_corrects").select(str(earlier.id)).run()
    test.button(key="note_add").click().run()
    note = action_service.journal.entries(incident_id=incident, kinds=[Kind.NOTE])[-1].payload
    assert (note.happened_at, note.corrects) == (datetime(2026, 6, 1, 8, 30, tzinfo=UTC), earlier.id), "London's summer"
    assert test.datetime_input(key="note_at").value is None


def test_an_incident_can_be_linked_to(open_page: Open, action_service: ActionService, incident: UUID) -> None:
    action_service.journal.open_incident("A newer one", ANA)
    test = log(open_page, action_service, state={"incident": str(incident)})
    assert test.selectbox(key="incident").value == str(incident)
    unknown = log(open_page, action_service, state={"incident": "another"})
    assert unknown.selectbox(key="incident").value == str(action_service.journal.incidents()[0].id)


def test_the_chain_is_proved_and_a_changed_byte_is_found(
    open_page: Open, action_service: ActionService, incident: UUID, tmp_path
) -> None:
    assert b"is intact" in sent(log(open_page, action_service))
    with sqlite3.connect(tmp_path / "journal.sqlite3") as connection:
        triggers = connection.execute("select name from sqlite_master where type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f'drop trigger "{name}"')
        tables = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        entries = next(name for name in tables if "entries" in name)
        connection.execute(f"update {entries} set payload = replace(payload, 'Texts', 'Taxis') where seq = 1")
    action_service._proven.forget("chain")
    assert b"The chain is broken" in sent(log(open_page, action_service))


def test_the_exports_are_offered_and_hold_the_same_story(
    open_page: Open, action_service: ActionService, incident: UUID
) -> None:
    test = log(open_page, action_service)
    assert [button.label for button in test.get("download_button")] == ["Document to print", "Markdown", "CSV", "JSON"]
    story, zone = incident_record(action_service.journal, incident), Settings().zone
    assert "# Incident: Texts do not arrive" in export(story, ExportFormat.MARKDOWN, zone, synthetic.NOW)
    rows = list(csv.DictReader(io.StringIO(export(story, ExportFormat.CSV, zone, synthetic.NOW))))
    document = json.loads(export(story, ExportFormat.JSON, zone, synthetic.NOW))
    assert len(rows) == len(document["entries"]) == len(story.entries)


def test_a_document_of_an_open_incident_records_the_diagnosis_of_now_first_and_only_once(
    action_service: ActionService, incident: UUID
) -> None:
    journal = action_service.journal
    service = DiagnosisService(Settings(), lambda size: synthetic.planted(), lambda: synthetic.NOW)

    def recorded(form: ExportFormat) -> int:
        incidents_view.document(service, journal, incident, form, Settings().zone, utc_now())
        return len(journal.entries(incident_id=incident, kinds=[Kind.DIAGNOSIS]))

    assert [recorded(form) for form in (ExportFormat.CSV, ExportFormat.JSON)] == [3, 3]
    newest = journal.entries(incident_id=incident, kinds=[Kind.DIAGNOSIS])[-1]
    assert (newest.payload.state.value, newest.actor.role) == ("broken", Role.DESK)


def test_where_nothing_is_wrong_no_title_of_an_incident_is_proposed() -> None:
    assert incidents_view.suggested_title(diagnose(builders.snapshot(), builders.NOW)) == ""
    assert "BROKEN" in incidents_view.suggested_title(diagnose(synthetic.planted(), synthetic.NOW))


def test_before_the_first_incident_it_says_how_to_open_one(open_page: Open, action_service: ActionService) -> None:
    assert b"No incident has been opened yet" in sent(log(open_page, action_service))


def test_a_viewer_reads_everything_and_writes_nothing(
    open_page: Open, action_service: ActionService, incident: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"operators": "ana@example.com", "viewers": "owner@example.com"})
    monkeypatch.setattr("lib.ui.guard.settings_.load", lambda: settings)
    test = log(open_page, action_service, settings=settings, user={"is_logged_in": True, "email": "owner@example.com"})
    assert b"Incident opened" in sent(test)
    assert [button.key for button in test.button] == [] and len(test.text_area) == 0
