"""What the monitor does besides looking: the owner's week once a week, a synthetic booking every so long."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from lib import settings as settings_
from lib.journal.request import RequestState
from lib.journal.store import Journal
from lib.monitor.errands import PROBE, Slot, is_due, last_probe
from lib.monitor.loop import Monitor
from lib.monitor.view import OwnView, View
from lib.snapshot import utc_now
from tests.diagnosis import builders as b
from tests.journal.conftest import Clock
from tests.journal.workers import settings_of
from tests.monitor.conftest import Ear, World

LONDON = ZoneInfo("Europe/London")
MONDAY = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)  # nine o'clock in London, in summer


@pytest.mark.parametrize(
    ("now", "subject"),
    [
        (MONDAY - timedelta(seconds=1), None),
        (MONDAY, "weekly:2026-23"),
        (MONDAY + timedelta(hours=30), "weekly:2026-23"),
        (MONDAY + timedelta(days=3), None),
        (MONDAY + timedelta(days=7), "weekly:2026-24"),
    ],
)
def test_the_week_is_due_at_its_hour_by_the_businesss_clock_and_not_days_late(
    now: datetime, subject: str | None
) -> None:
    assert Slot.read("mon 09:00").subject(now, LONDON) == subject


def test_the_owner_is_told_of_the_week_once(
    world: World, clock: Clock, ear: Ear, environ: dict[str, str], journal: Journal
) -> None:
    clock.now = MONDAY + timedelta(minutes=1)
    given = {"NOTIFY_URLS": f"json://{ear.url}/", "WEEKLY_SUMMARY": "mon 09:00", "TIME_ZONE": "Europe/London"}
    view = View(settings_of(environ | given), journal, lambda age: b.snapshot(), "prj", week=b.snapshot)
    for name in ("here 1 first", "here 2 restarted"):
        monitor = Monitor(lambda: view, clock, timedelta(milliseconds=4), name=name)
        for _ in range(2):
            monitor.round()
        monitor.leave()
    weeks = [title for title in ear.titles if title.startswith("Week to")]
    assert len(weeks) == 1


@pytest.mark.sandbox
def test_a_synthetic_booking_goes_through_every_hop_and_the_next_one_waits_its_time(
    play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    given = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}", "SYNTHETIC_EVERY": "2h"}
    environ = play("healthy") | given
    settings = settings_.load(environ, tmp_path / "none")
    assert not settings.problems
    journal = Journal.open(settings, utc_now)
    view = OwnView(settings, environ, journal, utc_now)
    monitor = Monitor(view, utc_now, timedelta(seconds=1))
    monitor.round()
    monitor.round()
    monitor.finish(timedelta(seconds=100))
    probe = last_probe(journal, utc_now() - timedelta(hours=1))
    assert probe is not None and probe.state is RequestState.SUCCEEDED, probe
    assert "text: delivered" in probe.words and "link: confirmation" in probe.words
    assert [one.requested_by for one in journal.requests()] == [PROBE], "one booking, and no second one yet"
    assert not is_due(journal, timedelta(hours=2), utc_now())
    time.sleep(0.01)
    assert is_due(journal, timedelta(milliseconds=5), utc_now())
    monitor.leave()
    view.close()
    journal.close()
