"""The monitor's scheduled jobs, where the settings ask for them: the synthetic booking and the owner's weekly summary.

The journal holds the last booking, the monitor's store one that could not be requested, the outbox the last summary.
Only the monitor with the lease runs jobs, and a synthetic booking passes the executor's guards like any other.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from lib.actions.action import RefusedError
from lib.actions.executor import Executor, Order
from lib.diagnosis.diagnose import Diagnosis
from lib.journal.entry import Alert, Kind
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.request import Request
from lib.model.people import Actor, Role, Via
from lib.model.reading import SourceError
from lib.monitor.alert_state import EventKind
from lib.monitor.messages import Message, NotificationType
from lib.monitor.rules import BY_ID, Unmade
from lib.monitor.store import MonitorStore
from lib.reports.weekly import weekly
from lib.settings import WEEKDAYS

log = logging.getLogger(__name__)

# It acts for the person who set SYNTHETIC_EVERY. The name distinguishes it from people.
PROBE = Actor("synthetic booking", Role.OPERATOR, Via.MONITOR)
PROBE_ACTION = "test_booking"
# A summary that could not be sent in time is sent late, up to this.
LATE_BY_AT_MOST = timedelta(days=2)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Slot:
    """A time of the week, in the business's time zone: `weekday` 0 is Monday."""

    weekday: int
    hour: int
    minute: int

    @classmethod
    def read(cls, text: str) -> Slot:
        """Return the slot that WEEKLY_SUMMARY names, as in "mon 09:00"."""
        day, _, clock = text.partition(" ")
        hour, _, minute = clock.partition(":")
        return cls(WEEKDAYS.index(day), int(hour), int(minute))

    def subject(self, now: datetime, zone: ZoneInfo) -> str | None:
        """Return the subject of the message that is due at `now`, which names its week; None if none is due."""
        due = self._last_due(now, zone)
        year, week, _ = due.isocalendar()
        return f"weekly:{year}-{week:02}" if now - due.astimezone(UTC) <= LATE_BY_AT_MOST else None

    def _last_due(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the latest moment, up to `now`, at which it was due: in this week or in the last."""
        today = now.astimezone(zone).date()
        day = today - timedelta(days=today.weekday()) + timedelta(days=self.weekday)
        due = datetime.combine(day, time(self.hour, self.minute), zone)
        # Compared in UTC: in local time, a moment of the hour that is repeated in autumn would be in the past.
        return due if due.astimezone(UTC) <= now else datetime.combine(day - _WEEK, due.timetz())


def last_probe(journal: Journal, since: datetime) -> Request | None:
    """Return the newest synthetic booking asked for at or after `since`. Raises `JournalError`."""
    requests = journal.requests(since=since)
    return next((one for one in requests if one.action == PROBE_ACTION and one.requested_by.name == PROBE.name), None)


def last_attempt(journal: Journal, since: datetime) -> Request | Unmade | None:
    """Return the newest synthetic booking since then, or a later failure to request one. Raises `JournalError`.

    One from before the last resolved alert about the flow does not count: its outcome says nothing about now.
    """
    since = max(since, _last_resolved(journal, since) or since)
    probe, unmade = last_probe(journal, since), MonitorStore(journal).unmade()
    if unmade is None or unmade.at < since or (probe and probe.requested_at > unmade.at):
        return probe
    return unmade


def _last_resolved(journal: Journal, since: datetime) -> datetime | None:
    """Return when the last alert was resolved whose problem explains a failed synthetic booking."""
    for entry in reversed(journal.entries(kinds=[Kind.ALERT], since=since, newest=True)):
        alert = entry.payload
        if isinstance(alert, Alert) and alert.subject in BY_ID["probe"].yields_to and alert.event == EventKind.RESOLVED:
            return entry.at
    return None


def is_due(journal: Journal, every: timedelta, now: datetime) -> bool:
    """Whether a synthetic booking is due, if one is made `every` so often. Raises `JournalError`."""
    return last_probe(journal, now - every) is None


class Prober:
    """Starts synthetic bookings, each in its own thread: following its text to the end takes minutes."""

    def __init__(self) -> None:
        self._running: threading.Thread | None = None

    def start(self, executor: Executor) -> str | None:
        """Request one booking and carry it out in a thread. Return why it could not be requested; None if it was.

        Why a requested one was refused is recorded in the journal.
        """
        if self._running and self._running.is_alive():
            return None
        try:
            preview = executor.preview(PROBE_ACTION, {})
            order = Order(PROBE_ACTION, {}, preview.digest, reason="Synthetic booking, as SYNTHETIC_EVERY asks for.")
            request = executor.submit(order, PROBE)
        except (RefusedError, SourceError, JournalError) as error:
            log.warning("No synthetic booking was made: %s", error)
            return str(error)
        self._running = threading.Thread(target=_carry_out, args=(executor, request.id), name="probe", daemon=True)
        self._running.start()
        return None

    def wait(self, patience: timedelta) -> None:
        """Wait, up to `patience`, until a booking that is under way has ended."""
        if self._running:
            self._running.join(patience.total_seconds())


def _carry_out(executor: Executor, request_id: UUID) -> None:
    try:
        executor.carry_out(request_id, PROBE)
    except Exception:  # the thread's last guard: without a receipt the outcome becomes unknown
        log.exception("The synthetic booking was left without a receipt.")


def weekly_message(subject: str, week: Diagnosis, journal: Journal, dashboard_url: str | None) -> Message:
    """Return the owner's weekly summary as a message."""
    summary = weekly(week, journal)
    link = f"\n\n{dashboard_url}/status" if dashboard_url else ""
    return Message(subject, NotificationType.INFO, summary.title, f"{summary.body}{link}")
