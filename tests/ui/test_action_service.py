"""What all viewers share of the journal: read once, read anew when it changes, and not waited for while it is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
import time_machine

from lib.journal import journal_state as state_module
from lib.journal.journal import Journal
from lib.journal.journal_state import JournalState
from lib.journal.request import NewRequest
from lib.model.people import Actor, Role, Via
from lib.settings import Settings
from lib.snapshot import utc_now

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
    return Journal.open(settings, utc_now)


def journal_state(journal: Journal, before: JournalState | None = None) -> JournalState:
    return state_module.read_journal_state(journal, before)


def test_without_a_new_entry_nothing_is_read_again_unless_time_can_change_it(journal: Journal):
    journal.note("all is quiet", ANA)
    quiet = journal_state(journal)
    assert journal_state(journal, quiet) is quiet
    journal.submit_request(NewRequest("redeploy", 2, "booking", "ab" * 32, needs_approval=True), ANA)
    asked = journal_state(journal, quiet)
    assert [request.state for request in asked.requests] == ["waiting"]
    with time_machine.travel(asked.requests[0].deadline, tick=False):
        expired = journal_state(journal, asked)
    assert [request.state for request in expired.requests] == ["expired"]


def test_what_an_open_incident_asked_for_is_there_however_much_was_asked_for_since(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(state_module, "LATEST_REQUESTS", 2)
    incident = journal.open_incident("No texts", ANA)
    mine = journal.submit_request(NewRequest("promote", 3, "booking", "ab" * 32, incident_id=incident.id), ANA)
    for number in range(3):
        journal.submit_request(NewRequest("test_booking", 2, f"probe {number}", "ab" * 32), ANA)
    assert [request.action for request in journal_state(journal).requests] == [
        "test_booking",
        "test_booking",
        "promote",
    ]
    assert journal_state(journal).requests[-1].id == mine.id
