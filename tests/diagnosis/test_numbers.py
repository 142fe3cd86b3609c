"""Statistics at small numbers, demand, and the timeline's buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from lib.diagnosis.builds import is_transient
from lib.diagnosis.statistics import Share, chance_of_at_least, chance_of_silence, percent
from lib.diagnosis.text_log import reconciled
from lib.diagnosis.timeline import Series, per_bucket, timeline
from lib.diagnosis.usual_demand import usual
from lib.model import frames
from lib.model.window import Window, WindowSize
from tests.diagnosis.builders import NOW, table, text

LONDON = ZoneInfo("Europe/London")


@pytest.mark.parametrize(
    ("count", "total", "message"),
    [
        (10, 10, "10 of 10 (72–100 %)"),
        (9, 10, "9 of 10 (60–98 %)"),
        (8, 10, "8 of 10 (49–94 %)"),
        (45, 50, "45 of 50 (79–96 %)"),
        (48, 50, "48 of 50 (87–99 %)"),
        (3, 3, "3 of 3 (44–100 %)"),
        (0, 3, "0 of 3 (0–56 %)"),
        (0, 0, "0 of 0"),
        (1_000, 2_000, "1,000 of 2,000 (48–52 %)"),
    ],
)
def test_counts_come_first_and_the_interval_is_wilsons(count: int, total: int, message: str) -> None:
    assert Share(count, total).message == message


@pytest.mark.parametrize(
    ("failed", "total", "chance"), [(3, 10, 0.012), (4, 10, 0.001), (2, 5, 0.023), (3, 5, 0.0012), (2, 2, 0.0025)]
)
def test_a_burst_of_failures_is_weighed_against_chance(failed: int, total: int, chance: float) -> None:
    assert chance_of_at_least(failed, total, 0.05) == pytest.approx(chance, rel=0.06)


@pytest.mark.parametrize(("expected", "chance"), [(4.6, 0.01), (3.0, 0.05), (0, 1), (-1, 1)])
def test_a_silence_is_the_less_likely_the_more_was_to_be_expected(expected: float, chance: float) -> None:
    assert chance_of_silence(expected) == pytest.approx(chance, rel=0.01)


@pytest.mark.parametrize(
    ("rate", "message"),
    [(0, "0 %"), (0.001, "less than 1 %"), (0.42, "42 %"), (0.999, "more than 99 %"), (1, "100 %")],
)
def test_a_rate_that_is_not_quite_all_or_nothing_does_not_read_as_such(rate: float, message: str) -> None:
    assert percent(rate) == message


# Demand ------------------------------------------------------------------------------------------------------


def history(*moments: datetime) -> pd.Series:
    rows = ({"id": f"d{number}", "created_at": at} for number, at in enumerate(moments))
    return table(frames.DEMAND, rows)["created_at"]


def test_usual_demand_is_the_mean_of_earlier_days() -> None:
    window = Window.ending(NOW, WindowSize.DAY)
    moments = [NOW - timedelta(days=day, hours=1) for day in range(1, 29) for _ in range(day % 2 + 1)]
    assert usual(history(*moments), window) == pytest.approx(1.5, abs=0.06)


def test_usual_demand_of_an_hour_looks_at_the_same_hour_of_earlier_days() -> None:
    window = Window.ending(NOW, WindowSize.HOUR)
    same_hour = [NOW - timedelta(days=day, minutes=30) for day in range(1, 11)]
    other_hour = [NOW - timedelta(days=day, hours=6) for day in range(1, 12)]
    assert usual(history(*same_hour, *other_hour), window) == pytest.approx(1, abs=0.1)


def test_what_is_usual_is_unknown_without_an_earlier_time() -> None:
    window = Window.ending(NOW, WindowSize.DAY)
    assert usual(history(), window) is None
    assert usual(history(NOW - timedelta(hours=2)), window) is None
    assert usual(history(NOW - timedelta(days=20)), Window.ending(NOW, WindowSize.MONTH)) is None


def test_people_keep_their_hours_when_the_clocks_change() -> None:
    # In London the clocks went back on 25 October 2026: seven in the evening was 18:00 UTC before and 19:00 after.
    end = datetime(2026, 10, 27, 19, 30, tzinfo=UTC)
    window = Window.ending(end, WindowSize.HOUR)
    evenings = [datetime(2026, 10, day, 18, 0, tzinfo=UTC) for day in range(10, 25)]
    assert usual(history(*evenings), window, LONDON) == pytest.approx(14 / 16, abs=0.08)
    assert usual(history(*evenings), window, UTC) == 0


# Timeline ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", WindowSize)
def test_every_bucket_is_there_and_every_event_is_in_one(size: WindowSize) -> None:
    window = Window.ending(NOW, size)
    inside = [window.start, window.start + size.length / 2, window.end - timedelta(microseconds=1)]
    outside = [window.start - timedelta(microseconds=1), window.end]
    counts = per_bucket(history(*inside, *outside), window)
    assert len(counts) == size.length / size.bucket
    assert counts.sum() == len(inside)
    assert counts.iloc[0] == counts.iloc[-1] == 1


def test_a_window_over_a_clock_change_has_as_many_buckets_as_any_other() -> None:
    window = Window.ending(datetime(2026, 10, 25, 12, 0, tzinfo=UTC), WindowSize.DAY)
    counts = per_bucket(
        history(datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 1, 30, tzinfo=UTC)), window
    )
    assert len(counts) == 24
    assert sorted(counts)[-2:] == [1, 1]


def test_a_line_that_could_not_be_read_is_unknown_and_not_zero() -> None:
    window = Window.ending(NOW, WindowSize.DAY)
    lines = timeline(
        window, None, reconciled(table(frames.TEXTS, [text(1, NOW - timedelta(hours=2))]), None, None, NOW)
    )
    assert lines[Series.INITIATED] is None
    assert lines[Series.ACCEPTED] is not None and lines[Series.ACCEPTED].sum() == 1
    assert timeline(window, table(frames.PENDING_BOOKINGS), None)[Series.ACCEPTED] is None
    nobody = timeline(window, table(frames.PENDING_BOOKINGS), None)[Series.INITIATED]
    assert nobody is not None and nobody.sum() == 0


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        ("npm error code ETIMEDOUT: network request to the package registry failed", True),
        ("npm error 503 Service Unavailable - GET https://registry.npmjs.org/next", True),
        ("Error: ENOSPC: no space left on device, write", True),
        ("getaddrinfo EAI_AGAIN registry.npmjs.org", True),
        ("./src/lib/sms/send.ts:41:18 Type error: Cannot find module '@/lib/phone'", False),
        ('Error: Command "npm run build" exited with 1', False),
        ("", False),
    ],
)
def test_an_error_outside_the_code_may_pass_the_next_time(error: str, transient: bool) -> None:
    assert is_transient(error) is transient
