"""The scheduled jobs of the monitor: the weekly summary and the synthetic booking."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from lib import settings as settings_
from lib.actions.executor import Executor
from lib.actions.preview_store import PreviewStore
from lib.journal.entry import Outcome, Receipt
from lib.journal.journal import Journal
from lib.journal.request import NewRequest, RequestState
from lib.model.reading import Failure, FailureKind
from lib.monitor import sender
from lib.monitor.inputs import MonitorInputs, StandaloneInputs
from lib.monitor.loop import Monitor
from lib.monitor.monitor_status import read_status
from lib.monitor.rules import Unmade
from lib.monitor.scheduled_jobs import PROBE, PROBE_ACTION, Slot, is_due, last_attempt, last_probe
from lib.monitor.store import MonitorStore
from lib.snapshot import utc_now
from tests.clocks import Clock
from tests.diagnosis import builders as b
from tests.journal.workers import settings_of
from tests.monitor.conftest import FakeTarget, World

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


@pytest.mark.parametrize(
    ("slot", "now", "subject"),
    [
        ("sun 20:00", datetime(2026, 6, 7, 18, 59, tzinfo=UTC), None),
        ("sun 20:00", datetime(2026, 6, 7, 19, 0, tzinfo=UTC), "weekly:2026-23"),
        ("sun 20:00", datetime(2026, 6, 7, 23, 10, tzinfo=UTC), "weekly:2026-23"),  # ten past twelve on Monday
        ("sun 20:00", datetime(2026, 6, 9, 19, 1, tzinfo=UTC), None),
        ("thu 20:00", datetime(2027, 1, 2, 12, 0, tzinfo=UTC), "weekly:2026-53"),
        # The clocks go forward on Sunday the 29th of March 2026, and back on the 25th of October, each at 01:00 UTC.
        ("sat 20:00", datetime(2026, 3, 30, 20, 0, tzinfo=UTC), "weekly:2026-13"),
        ("sat 20:00", datetime(2026, 3, 30, 20, 1, tzinfo=UTC), None),
        ("sun 20:00", datetime(2026, 3, 29, 18, 59, tzinfo=UTC), None),
        ("sun 20:00", datetime(2026, 3, 29, 19, 0, tzinfo=UTC), "weekly:2026-13"),
        ("sun 01:30", datetime(2026, 10, 25, 0, 29, tzinfo=UTC), None),
        ("sun 01:30", datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "weekly:2026-43"),
        ("sun 01:30", datetime(2026, 10, 25, 1, 10, tzinfo=UTC), "weekly:2026-43"),  # ten past one, for the second time
        ("sun 20:00", datetime(2026, 10, 26, 0, 10, tzinfo=UTC), "weekly:2026-43"),
    ],
)
def test_a_week_that_was_due_before_midnight_is_still_due_after_it_whatever_the_clocks_do(
    slot: str, now: datetime, subject: str | None
) -> None:
    assert Slot.read(slot).subject(now, LONDON) == subject


def test_the_weekly_summary_is_sent_once(
    world: World, clock: Clock, target: FakeTarget, environ: dict[str, str], journal: Journal
) -> None:
    clock.now = MONDAY + timedelta(minutes=1)
    given = {"NOTIFY_URLS": f"json://{target.url}/", "WEEKLY_SUMMARY": "mon 09:00", "TIME_ZONE": "Europe/London"}
    view = MonitorInputs(settings_of(environ | given), journal, lambda age: b.snapshot(), "prj", week=b.snapshot)
    for name in ("here 1 first", "here 2 restarted"):
        monitor = Monitor(lambda: view, clock, timedelta(milliseconds=4), name=name)
        for _ in range(2):
            monitor.round()
        monitor.leave()
    weeks = [title for title in target.titles if title.startswith("Week to")]
    assert len(weeks) == 1


def test_a_weekly_summary_that_was_given_up_is_tried_again_and_then_sent_once(
    world: World, clock: Clock, target: FakeTarget, environ: dict[str, str], journal: Journal
) -> None:
    clock.now = MONDAY
    given = {"NOTIFY_URLS": f"json://{target.url}/", "WEEKLY_SUMMARY": "mon 09:00", "TIME_ZONE": "Europe/London"}
    view = MonitorInputs(settings_of(environ | given), journal, world.take_snapshot, "prj", week=b.snapshot)
    monitor = Monitor(lambda: view, clock, timedelta(milliseconds=4), name="here 1 first")
    target.status = 500

    def passes(hours: int) -> None:
        for _ in range(hours):
            clock.advance(hours=1)
            monitor.round()

    passes(hours=2 * sender.MOST_ATTEMPTS)
    target.status = 200
    passes(hours=3)
    assert [title.partition(" to")[0] for title in target.titles] == ["Week"], (
        "it was given up once, and is posted anew"
    )
    passes(hours=3)
    assert len(target.titles) == 1


def make_probe(journal: Journal, outcome: Outcome) -> None:
    """Write down a synthetic booking that ended so."""
    request = journal.submit_request(NewRequest(PROBE_ACTION, 1, "an event", "0" * 64), PROBE)
    assert journal.lock(request.id, PROBE_ACTION, PROBE).granted
    assert journal.start(request.id, PROBE, timedelta(minutes=4)).granted
    journal.finish(request.id, Receipt(outcome, "Text: failed."), PROBE)


@pytest.fixture
def unable(world: World, clock: Clock, target: FakeTarget, environ: dict[str, str], journal: Journal) -> Monitor:
    """A monitor that is to book every two hours and cannot: its executor refuses."""
    given = {"NOTIFY_URLS": f"json://{target.url}/", "SYNTHETIC_EVERY": "2h"}
    executor = Executor(journal, cast(Any, None), {}, PreviewStore())
    view = MonitorInputs(settings_of(environ | given), journal, world.take_snapshot, "prj", executor=lambda: executor)
    return Monitor(lambda: view, clock, timedelta(milliseconds=4), name="here 1 first")


def test_a_failed_booking_that_cannot_be_repeated_is_not_reported_as_resolved(
    unable: Monitor, clock: Clock, target: FakeTarget, journal: Journal
) -> None:
    make_probe(journal, Outcome.FAILED)
    for _ in range(5):
        unable.round()
        clock.advance(hours=2, minutes=1)
    assert target.types and "success" not in target.types
    (alert,) = read_status(journal, clock.now).firing
    assert alert.rule == "probe"
    assert alert.story.cause == "The synthetic booking could not be made: There is no action test_booking. There are: ."
    make_probe(journal, Outcome.SUCCEEDED)
    unable.round()
    assert target.types[-1] == "success" and read_status(journal, clock.now).firing == ()


def test_a_booking_that_failed_while_the_flow_was_broken_is_not_sent_besides_neither_during_it_nor_after(
    unable: Monitor, world: World, clock: Clock, target: FakeTarget, journal: Journal
) -> None:
    make_probe(journal, Outcome.SUCCEEDED)
    world.breaks()
    unable.round()
    clock.advance(minutes=1)
    make_probe(journal, Outcome.FAILED)
    silent = {"app_health": Failure(FailureKind.TIMEOUT, "The booking app did not answer.")}
    for changed in (world.changed, silent, world.changed, {}, {}):
        world.changed = changed
        unable.round()
        clock.advance(minutes=1)
    assert [title.partition(":")[0] for title in target.titles] == ["BROKEN", "RESOLVED"]
    make_probe(journal, Outcome.FAILED)
    unable.round()
    assert target.titles[2:] == ["BROKEN: The synthetic booking did not go through"]


def test_once_no_synthetic_bookings_are_asked_for_the_alert_about_them_ends_and_says_so(
    unable: Monitor, world: World, clock: Clock, target: FakeTarget, environ: dict[str, str], journal: Journal
) -> None:
    make_probe(journal, Outcome.FAILED)
    unable.round()
    unable.leave()
    assert target.types == ["failure"]
    settings = settings_of(environ | {"NOTIFY_URLS": f"json://{target.url}/"})
    view = MonitorInputs(settings, journal, world.take_snapshot, "prj")
    restarted = Monitor(lambda: view, clock, timedelta(milliseconds=4), name="here 2 restarted")
    for _ in range(2):
        restarted.round()
    assert target.types == ["failure", "success"]
    assert "Now: No synthetic bookings are made any more." in target.received[1]["message"]
    assert read_status(journal, clock.now).firing == ()


def test_a_booking_that_could_never_be_made_is_sent_after_a_few_rounds(
    unable: Monitor, clock: Clock, target: FakeTarget
) -> None:
    for _ in range(3):
        unable.round()
        clock.advance(minutes=1)
    assert target.received == []
    unable.round()
    assert target.titles == ["WARNING: The synthetic booking could not be made"]


def test_what_could_not_be_made_is_remembered_beside_what_is_known_until_a_newer_booking(
    unable: Monitor, clock: Clock, journal: Journal
) -> None:
    unable.round()
    unable.round()
    tried_at, hour = clock.now, timedelta(hours=1)
    attempt = last_attempt(journal, clock.now - hour)
    assert isinstance(attempt, Unmade) and attempt.at == tried_at
    with MonitorStore(journal).writing("here 1 first", clock) as page:
        assert page and page.row.known and page.row.known.world == "prj"
    clock.advance(minutes=1)
    make_probe(journal, Outcome.SUCCEEDED)
    newer = last_attempt(journal, clock.now - hour)
    assert newer is not None and not isinstance(newer, Unmade)
    assert last_attempt(journal, clock.now + hour) is None, "what is long ago says nothing about now"


@pytest.mark.sandbox
def test_a_synthetic_booking_goes_through_every_hop_and_the_next_one_waits_its_time(
    play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    given = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}", "SYNTHETIC_EVERY": "2h"}
    environ = play("healthy") | given
    settings = settings_.load(environ, tmp_path / "none")
    assert not settings.problems
    journal = Journal.open(settings, utc_now)
    view = StandaloneInputs(settings, environ, journal, utc_now)
    monitor = Monitor(view, utc_now, timedelta(seconds=1))
    monitor.round()
    monitor.round()
    monitor.finish(timedelta(seconds=100))
    probe = last_probe(journal, utc_now() - timedelta(hours=1))
    assert probe is not None and probe.state is RequestState.SUCCEEDED, probe
    assert "text: delivered" in probe.message and "link: confirmation" in probe.message
    assert [one.requested_by for one in journal.requests()] == [PROBE], "one booking, and no second one yet"
    assert not is_due(journal, timedelta(hours=2), utc_now())
    assert is_due(journal, timedelta(hours=2), utc_now() + timedelta(hours=2, seconds=1))
    monitor.leave()
    view.close()
    journal.close()
