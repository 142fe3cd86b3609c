"""Entries of the journal as marks on the timeline."""

from __future__ import annotations

from datetime import timedelta

from lib.diagnosis.timeline import Mark, MarkKind
from lib.journal.entry import Argument, Fact, Outcome, Receipt
from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model.window import Window, WindowSize
from lib.reports.marks import with_journal
from tests.clocks import Clock
from tests.diagnosis.builders import NOW, ago
from tests.reports.conftest import ANA


def ran(journal: Journal, action: str, outcome: Outcome, *, changed: bool = True) -> None:
    new = NewRequest(action, 3, "booking", "ab" * 32, arguments=(Argument("name", "pending_bookings_metadata"),))
    request = journal.submit_request(new, ANA)
    journal.lock(request.id, action, ANA)
    journal.start(request.id, ANA, timedelta(minutes=5))
    after = (Fact("column", "there"),) if changed else ()
    journal.finish(request.id, Receipt(outcome, "done", after=after), ANA)


def test_incidents_migrations_and_what_took_effect_are_marked_in_order_beside_the_deployments(
    journal: Journal, clock: Clock
) -> None:
    clock.now = ago(days=2)
    ran(journal, "promote", Outcome.SUCCEEDED)  # before the window
    clock.now = ago(hours=3)
    incident = journal.open_incident("No texts", ANA)
    ran(journal, "run_migration", Outcome.SUCCEEDED)
    ran(journal, "redeploy", Outcome.UNKNOWN)
    ran(journal, "roll_back", Outcome.FAILED, changed=False)
    ran(journal, "resend_link", Outcome.SUCCEEDED)
    ran(journal, "rehearse_migration", Outcome.SUCCEEDED)
    ran(journal, "test_validation", Outcome.SUCCEEDED)
    clock.now = ago(hours=1)
    journal.close_incident(incident.id, ANA)
    live = Mark(ago(hours=2), MarkKind.DEPLOYMENT, "3aee739 became live")
    marks = with_journal([live], journal.incidents(), journal.requests(), Window.ending(NOW, WindowSize.DAY))
    assert [(mark.kind, mark.message) for mark in marks] == [
        (MarkKind.INCIDENT, "incident opened: No texts"),
        (MarkKind.ACTION, "redeploy pending_bookings_metadata unknown"),
        (MarkKind.MIGRATION, "run_migration pending_bookings_metadata succeeded"),
        (MarkKind.DEPLOYMENT, "3aee739 became live"),
        (MarkKind.INCIDENT, "incident closed: No texts"),
    ]
