"""What all viewers share of the journal: read once, read anew when it changes, and not waited for while it is gone."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import time_machine

from lib.journal import journal_state as state_module
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.journal_state import JournalState
from lib.journal.request import NewRequest
from lib.model.people import Actor, Role, Via
from lib.settings import Settings
from lib.snapshot import utc_now
from lib.ui import action_service as service_module
from lib.ui.action_service import SharedRead

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)


class Register:
    """Something to read, that counts how often it was, and can be gone."""

    def __init__(self) -> None:
        self.reads = 0
        self.gone = False

    def __call__(self, before: int | None) -> int:
        self.reads += 1
        if self.gone:
            raise JournalError("The journal does not answer.")
        return self.reads


def test_fifty_who_ask_at_once_cause_one_reading():
    register, all_here = Register(), threading.Barrier(50)
    shared = SharedRead(register, seconds=60)

    def ask() -> int:
        all_here.wait()
        return shared.get()

    with ThreadPoolExecutor(50) as viewers:
        assert {viewer.result() for viewer in [viewers.submit(ask) for _ in range(50)]} == {1}


def test_what_is_forgotten_is_read_anew():
    shared = SharedRead(Register(), seconds=60)
    assert (shared.get(), shared.get()) == (1, 1)
    shared.forget()
    assert shared.get() == 2


def test_a_journal_that_is_gone_is_waited_for_once_and_not_by_every_viewer(monkeypatch: pytest.MonkeyPatch):
    register = Register()
    shared = SharedRead(register, seconds=0)
    register.gone = True
    for _ in range(50):
        with pytest.raises(JournalError, match="does not answer"):
            shared.get()
    assert register.reads == 1
    monkeypatch.setattr(service_module, "TRIED_AGAIN_SECONDS", 0.0)
    register.gone = False
    assert shared.get() == 2


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
