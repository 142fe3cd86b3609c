"""What the monitor does besides looking, where the settings ask for it: a synthetic booking, the owner's week.

The journal knows the last booking, the monitor's memory one that could not even be asked for, the outbox the last
summary. Only the monitor that has the lease runs errands, and the executor and its limits stand before the booking as
before everybody's.
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

# It acts for whoever set SYNTHETIC_EVERY, and is told apart from people by this name.
PROBE = Actor("synthetic booking", Role.OPERATOR, Via.MONITOR)
PROBE_ACTION = "test_booking"
# A summary that could not be sent in time is sent late, but not when the week is half over.
LATE_BY_AT_MOST = timedelta(days=2)
_WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Slot:
    """When in the week something is due, by the business's clock: `weekday` 0 is Monday."""

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
        """Return the name of the message that is due at `now`, after the week in which it became so; else None."""
        due = self._last_due(now, zone)
        year, week, _ = due.isocalendar()
        return f"weekly:{year}-{week:02}" if now - due.astimezone(UTC) <= LATE_BY_AT_MOST else None

    def _last_due(self, now: datetime, zone: ZoneInfo) -> datetime:
        """Return the newest moment at which it was due, which late on a Sunday or early on a Monday is of last week."""
        today = now.astimezone(zone).date()
        day = today - timedelta(days=today.weekday()) + timedelta(days=self.weekday)
        due = datetime.combine(day, time(self.hour, self.minute), zone)
        # Instants are compared in UTC: by the clock on the wall, a moment of the repeated hour would be in the past.
        return due if due.astimezone(UTC) <= now else datetime.combine(day - _WEEK, due.timetz())


def last_probe(journal: Journal, since: datetime) -> Request | None:
    """Return the newest synthetic booking asked for at or after `since`. Raises `JournalError`."""
    requests = journal.requests(since=since)
    return next((one for one in requests if one.action == PROBE_ACTION and one.requested_by.name == PROBE.name), None)


def last_attempt(journal: Journal, since: datetime) -> Request | Unmade | None:
    """Return the newest synthetic booking since then, or that none could be made after it. Raises `JournalError`.

    What became of one during a trouble of the flow that was told and is over says nothing of now.
    """
    since = max(since, _last_over(journal, since) or since)
    probe, unmade = last_probe(journal, since), MonitorStore(journal).unmade()
    if unmade is None or unmade.at < since or (probe and probe.requested_at > unmade.at):
        return probe
    return unmade


def _last_over(journal: Journal, since: datetime) -> datetime | None:
    """Return when the last trouble was over that explains a synthetic booking's."""
    for entry in reversed(journal.entries(kinds=[Kind.ALERT], since=since, newest=True)):
        told = entry.payload
        if isinstance(told, Alert) and told.subject in BY_ID["probe"].yields_to and told.event == EventKind.RESOLVED:
            return entry.at
    return None


def is_due(journal: Journal, every: timedelta, now: datetime) -> bool:
    """Whether a synthetic booking is due, if there is to be one `every` so long. Raises `JournalError`."""
    return last_probe(journal, now - every) is None


class Prober:
    """Starts synthetic bookings, each in a thread of its own: it watches its text to the end, which takes minutes."""

    def __init__(self) -> None:
        self._running: threading.Thread | None = None

    def start(self, executor: Executor) -> str | None:
        """Ask for one booking and have it carried out; return why none could be asked for, else None.

        What speaks against one that was asked for stands in the journal.
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
        """Let a booking that is under way come to its end."""
        if self._running:
            self._running.join(patience.total_seconds())


def _carry_out(executor: Executor, request_id: UUID) -> None:
    try:
        executor.carry_out(request_id, PROBE)
    except Exception:  # the last line of defence of a thread: without a receipt its outcome becomes unknown
        log.exception("The synthetic booking was left without a receipt.")


def weekly_message(subject: str, week: Diagnosis, journal: Journal, dashboard_url: str | None) -> Message:
    """Return the owner's week as a message."""
    summary = weekly(week, journal)
    link = f"\n\n{dashboard_url}/status" if dashboard_url else ""
    return Message(subject, NotificationType.INFO, summary.title, f"{summary.body}{link}")
