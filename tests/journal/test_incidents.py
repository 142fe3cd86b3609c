"""Incidents, steps, notes and events."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from lib.journal.entry import CheckRecord, DiagnosisRecord, HypothesisRecord, Kind, Mute, Note, StepState
from lib.journal.errors import ConflictError, JournalError
from lib.journal.journal import Journal
from lib.model.people import Actor
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from tests.clocks import Clock
from tests.journal.workers import a_request


def test_an_incident_is_opened_worked_through_and_closed(
    journal: Journal, ann: Actor, bob: Actor, clock: Clock
) -> None:
    opened = journal.open_incident("No texts since lunch", ann)
    assert opened.open and opened.steps == ()
    clock.advance(minutes=1)
    journal.step(opened.id, "verify_deployment", StepState.DOING, ann)
    journal.step(opened.id, "check_git", StepState.SKIPPED, bob, "Git is fine.")
    clock.advance(minutes=5)
    journal.step(opened.id, "verify_deployment", StepState.DONE, ann)
    journal.close_incident(opened.id, bob, "The column is back.")
    incident = journal.incident(opened.id)
    assert not incident.open
    assert (incident.closed_by, incident.closing_message) == (bob, "The column is back.")
    assert [(step.id, step.state) for step in incident.steps] == [
        ("verify_deployment", StepState.DONE),
        ("check_git", StepState.SKIPPED),
    ]
    step = incident.step("check_git")
    assert step is not None and (step.reason, step.actor) == ("Git is fine.", bob)
    assert incident.step("monitor") is None
    newer = journal.open_incident("Links do not open", bob)
    assert journal.incidents() == (newer, incident)
    assert journal.incidents(limit=1) == (newer,)


def test_a_step_is_skipped_only_with_a_reason(local: Journal, ann: Actor) -> None:
    incident = local.open_incident("No texts", ann)
    with pytest.raises(JournalError, match="reason"):
        local.step(incident.id, "check_git", StepState.SKIPPED, ann, " ")


def test_a_closed_incident_takes_notes_and_no_steps(local: Journal, ann: Actor) -> None:
    incident = local.open_incident("No texts", ann)
    local.close_incident(incident.id, ann)
    local.note("What we learnt", ann, incident_id=incident.id)
    with pytest.raises(ConflictError):
        local.step(incident.id, "check_git", StepState.DONE, ann)
    with pytest.raises(ConflictError):
        local.close_incident(incident.id, ann)


def test_a_note_is_corrected_by_another_that_stands_beside_it(local: Journal, ann: Actor, clock: Clock) -> None:
    incident = local.open_incident("No texts", ann)
    lunch = clock.now - timedelta(hours=2)
    wrong = local.note("A customer called at 12.", ann, incident_id=incident.id)
    right = local.note("It was at 13.", ann, incident_id=incident.id, happened_at=lunch, corrects=wrong.id)
    notes = local.entries(incident_id=incident.id, kinds=[Kind.NOTE])
    assert notes == (wrong, right)
    assert right.payload == Note("It was at 13.", lunch, wrong.id)
    with pytest.raises(JournalError):
        local.note("x", ann, corrects=uuid4())


def test_nothing_is_added_to_an_incident_that_is_not_there(local: Journal, ann: Actor, clock: Clock) -> None:
    nowhere = uuid4()
    for add in (
        lambda: local.note("x", ann, incident_id=nowhere),
        lambda: local.step(nowhere, "check_git", StepState.DONE, ann),
        lambda: local.close_incident(nowhere, ann),
        lambda: local.append(Mute("sms", clock.now, "x"), ann, nowhere),
    ):
        with pytest.raises(JournalError, match="no such incident"):
            add()
    assert local.entries() == ()


def test_what_was_done_for_an_incident_stands_among_its_entries(local: Journal, ann: Actor) -> None:
    incident = local.open_incident("No texts", ann)
    request = local.submit_request(a_request(incident_id=incident.id, step_id="deploy"), ann)
    local.cancel(request.id, ann)
    local.note("Elsewhere", ann)
    entries = local.entries(incident_id=incident.id)
    assert [entry.kind for entry in entries] == [Kind.INCIDENT_OPENED, Kind.REQUEST, Kind.CANCELLED]
    assert {entry.about.step_id for entry in entries[1:]} == {"deploy"}


def test_a_diagnosis_that_was_seen_comes_back_as_it_was(journal: Journal, ann: Actor, clock: Clock) -> None:
    seen = DiagnosisRecord(
        HeadlineState.BROKEN,
        "Texts are not sent.",
        clock.now,
        (CheckRecord("schema_contract", CheckStatus.FAIL),),
        (HypothesisRecord("missing_column", Verdict.CONFIRMED),),
    )
    incident = journal.open_incident("No texts", ann)
    journal.append(seen, ann, incident.id)
    assert journal.entries(kinds=[Kind.DIAGNOSIS])[0].payload == seen


def test_entries_are_read_on_from_where_one_stopped(journal: Journal, ann: Actor, clock: Clock) -> None:
    for number in range(10):
        journal.note(f"note {number}", ann)
        clock.advance(minutes=1)
    assert [entry.seq for entry in journal.entries(since_seq=7)] == [8, 9, 10]
    assert [entry.seq for entry in journal.entries(limit=2)] == [1, 2]
    assert [entry.seq for entry in journal.entries(limit=2, newest=True)] == [9, 10]
    assert [entry.seq for entry in journal.entries(since=clock.now - timedelta(minutes=3))] == [8, 9, 10]
    assert journal.position().seq == 10
