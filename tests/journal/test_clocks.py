"""Whose clock counts: that of the journal's database. An instance whose own clock is far off runs nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import datetime, timedelta

import pytest

from lib.journal.entry import Outcome, Receipt
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.request import HEARTBEAT_EVERY, LockRefusal
from lib.model.people import Actor
from tests.clocks import Clock
from tests.journal.workers import a_request, settings_of, utc_now

LOCK = "vercel:booking-app"
SECOND = timedelta(seconds=1)
ClockOf = Callable[[timedelta], Journal]


@pytest.fixture
def instance(environ: dict[str, str], clock: Clock) -> Iterator[ClockOf]:
    """A function that opens the journal as an instance does whose clock is ahead of the database's by so much."""
    with ExitStack() as stack:

        def open_(ahead: timedelta) -> Journal:
            journal = Journal.open(settings_of(environ), lambda: clock() + ahead, database_time=clock)
            return stack.enter_context(closing(journal))

        yield open_


@pytest.mark.parametrize("ahead", [timedelta(hours=1), -timedelta(hours=1), HEARTBEAT_EVERY + SECOND])
def test_an_instance_whose_clock_is_off_says_so_and_runs_nothing(
    instance: ClockOf, ann: Actor, ahead: timedelta
) -> None:
    journal = instance(ahead)
    request = journal.submit_request(a_request(), ann)
    result = journal.lock(request.id, LOCK, ann)
    how = "ahead of" if ahead > timedelta(0) else "behind"
    assert result.refusal is LockRefusal.CLOCK
    assert f"{abs(ahead).total_seconds():,.0f} s {how} the journal's database" in result.message
    with pytest.raises(JournalError, match="clock of this machine"):
        journal.check_clock()


def test_an_instance_whose_clock_goes_off_before_the_start_does_not_start(instance: ClockOf, ann: Actor) -> None:
    right, wrong = instance(timedelta(0)), instance(timedelta(minutes=5))
    request = right.submit_request(a_request(), ann)
    assert right.lock(request.id, LOCK, ann).granted
    assert wrong.start(request.id, ann, timedelta(minutes=1)).refusal is LockRefusal.CLOCK
    assert right.start(request.id, ann, timedelta(minutes=1)).granted


@pytest.mark.parametrize("ahead", [HEARTBEAT_EVERY, -HEARTBEAT_EVERY])
def test_a_clock_that_is_off_by_no_more_than_a_heartbeat_is_good_enough(
    instance: ClockOf, ann: Actor, clock: Clock, ahead: timedelta
) -> None:
    journal = instance(ahead)
    journal.check_clock()
    request = journal.submit_request(a_request(), ann)
    assert journal.lock(request.id, LOCK, ann).granted
    assert request.requested_at == clock.now  # not the time of the instance


@pytest.mark.parametrize("ahead", [HEARTBEAT_EVERY, timedelta(0), -HEARTBEAT_EVERY])
def test_a_cool_down_is_over_by_the_clock_of_the_database(
    instance: ClockOf, ann: Actor, clock: Clock, ahead: timedelta
) -> None:
    first, second = instance(timedelta(0)), instance(ahead)
    done = first.submit_request(a_request(), ann)
    first.lock(done.id, LOCK, ann)
    first.start(done.id, ann, timedelta(minutes=1))
    first.finish(done.id, Receipt(Outcome.SUCCEEDED, "done"), ann)
    cool_down = timedelta(seconds=60)
    clock.advance(seconds=59)
    again = second.submit_request(a_request(), ann)
    assert second.lock(again.id, LOCK, ann, cool_down=cool_down).refusal is LockRefusal.COOLING_DOWN
    clock.advance(seconds=1)
    assert second.lock(again.id, LOCK, ann, cool_down=cool_down).granted


def test_a_clock_that_is_ahead_takes_no_running_request_for_lost(instance: ClockOf, ann: Actor, clock: Clock) -> None:
    right, wrong = instance(timedelta(0)), instance(timedelta(hours=1))
    request = right.submit_request(a_request(), ann)
    right.lock(request.id, LOCK, ann)
    right.start(request.id, ann, timedelta(minutes=5))
    right.heartbeat(request.id)
    assert wrong.request(request.id).state == right.request(request.id).state == "started"


@pytest.mark.sandbox
def test_on_postgres_the_time_is_the_servers(postgres_environ: dict[str, str], ann: Actor) -> None:
    wrong = timedelta(hours=3)
    with closing(Journal.open(settings_of(postgres_environ), lambda: utc_now() + wrong)) as journal:
        before = utc_now()
        noted = journal.note("x", ann).at
        assert before - 2 * SECOND <= noted <= utc_now() + 2 * SECOND
        assert abs(journal.time() - utc_now()) < 2 * SECOND
        assert journal.lock(journal.submit_request(a_request(), ann).id, LOCK, ann).refusal is LockRefusal.CLOCK


def test_on_sqlite_the_time_is_the_machines(sqlite_environ: dict[str, str], ann: Actor) -> None:
    at = datetime.fromisoformat("2030-01-01T00:00:00+00:00")
    with closing(Journal.open(settings_of(sqlite_environ), lambda: at)) as journal:
        assert journal.note("x", ann).at == journal.time() == at
        journal.check_clock()
