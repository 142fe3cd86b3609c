"""Live traffic goes through all hops by itself, and a failing twin does not end it."""

from __future__ import annotations

import random
from collections.abc import Iterator

import phonenumbers
import pytest

from lib.sandbox import traffic as traffic_module
from lib.sandbox.history import mobile_number
from lib.sandbox.serve import Running
from lib.sandbox.traffic import Traffic
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


@pytest.fixture
def traffic(sandbox: Running, play, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traffic]:
    """Traffic of impatient people, all of whom go through with it."""
    for name, value in {
        "OPENS": 1.0,
        "CONFIRMS": 1.0,
        "OPENS_AFTER_SECONDS": (4.5, 5.0),
        "CONFIRMS_AFTER_SECONDS": (0.0, 0.1),
        "JOB_TIME_SECONDS": 0,
    }.items():
        monkeypatch.setattr(traffic_module, name, value)
    play("healthy")
    traffic = Traffic(sandbox.world)
    traffic.pace = 0
    yield traffic
    traffic.stop()


PENDING = "select count(*) as n from public.pending_bookings"
UNFINISHED_JOBS = "select count(*) as n from public.background_jobs where status <> 'completed'"


def count(sandbox: Running, sql: str) -> int:
    with sandbox.world.connection() as connection:
        row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return int(row["n"])


def test_a_booking_goes_from_the_call_to_the_finished_job(sandbox: Running, traffic: Traffic) -> None:
    bookings = count(sandbox, "select count(*) as n from public.bookings")
    traffic.pace = 120
    traffic.start()
    wait_until(lambda: count(sandbox, "select count(*) as n from public.bookings") > bookings)
    traffic.pace = 0
    wait_until(lambda: count(sandbox, UNFINISHED_JOBS) == 0)
    receipts = "select count(*) as n from public.webhook_logs where params->>'MessageStatus' = 'delivered'"
    live = " and status = 'success' and processed_at > now() - interval '1 minute'"
    wait_until(lambda: count(sandbox, receipts + live) > 0)


def test_at_pace_zero_nobody_books_and_what_is_under_way_goes_on(sandbox: Running, traffic: Traffic) -> None:
    pending = count(sandbox, PENDING)
    with sandbox.world.connection() as connection:
        connection.execute("insert into public.background_jobs (type) values ('waiting')")
    traffic.start()
    wait_until(lambda: count(sandbox, UNFINISHED_JOBS) == 0)
    assert count(sandbox, PENDING) == pending


def test_a_twin_that_fails_does_not_end_the_traffic(
    sandbox: Running, traffic: Traffic, fault, caplog: pytest.LogCaptureFixture
) -> None:
    fault("app", refuse=True)
    traffic.pace = 600
    traffic.start()
    wait_until(lambda: "a step failed" in caplog.text)
    before = count(sandbox, PENDING)
    sandbox.faults.clear()
    wait_until(lambda: count(sandbox, PENDING) > before)


def test_jobs_stand_still_while_nobody_calls_the_worker(sandbox: Running, play, traffic: Traffic) -> None:
    play("jobs-stuck")
    before = count(sandbox, UNFINISHED_JOBS)
    pending = count(sandbox, PENDING)
    traffic.pace = 600
    traffic.start()
    wait_until(lambda: count(sandbox, PENDING) > pending + 2)
    assert count(sandbox, UNFINISHED_JOBS) >= before > 0


def test_numbers_look_real_and_are_never_of_the_range_for_drama() -> None:
    random_ = random.Random(1)
    numbers = {mobile_number(random_) for _ in range(500)}
    assert all(phonenumbers.is_valid_number(phonenumbers.parse(number)) for number in numbers)
    assert not any(number.startswith("+447700900") for number in numbers)
    assert len(numbers) > 490
