"""The snapshot: everything asked at once, by many, kept, refreshed, and never lost to one source's failure."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lib.diagnosis.facts import Facts
from lib.model.deployments import Hostname
from lib.model.provider import Landing
from lib.model.reading import CaveatKind, FailureKind, Freshness, Observed, Reading, SourceName, source_health
from lib.model.window import WindowSize
from lib.sandbox.serve import Running
from lib.settings import load
from lib.snapshot import READING_SPECS, Snapshot, SnapshotCache, take
from lib.sources import follow_up, source_registry
from lib.sources.booking_app import BookingApp
from lib.sources.http import Deadline
from lib.sources.source_registry import Sources, connect
from lib.sources.vercel import Vercel
from tests.clocks import Clock
from tests.diagnosis.builders import deployment
from tests.sources import bodies
from tests.sources.fake_server import Asked, FakeServer, Scripted, as_json
from tests.sources.test_github_archive import packed

DAY = WindowSize.DAY
PROJECT = "/v9/projects/prj_1"
Play = Callable[[str], dict[str, str]]


class Holding(FakeServer):
    """A server that lets questions for the paths in `held` wait until they are `released`."""

    def __init__(self) -> None:
        super().__init__()
        self.held: set[str] = set()
        self.released = threading.Event()

    def answer(self, asked: Asked) -> Scripted:
        if asked.path in self.held:
            self.released.wait(20)
        return super().answer(asked)


@pytest.fixture
def server() -> Iterator[Holding]:
    server = Holding()
    yield server
    server.released.set()
    server.close()


@pytest.fixture
def clock() -> Clock:
    return Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))


@pytest.fixture
def vercel_and_github(server: Holding, clock: Clock) -> Sources:
    """Two sources on one server; the others are not configured."""
    server.tell_all({**bodies.VERCEL, **bodies.GITHUB})
    settings = load(
        {
            "VERCEL_TOKEN": "vcp_x",
            "VERCEL_PROJECT_ID": "prj_1",
            "VERCEL_API_URL": server.url,
            "GITHUB_TOKEN": "ghp_x",
            "GITHUB_REPOSITORY": "lantern-arms/booking",
            "GITHUB_API_URL": server.url,
        }
    )
    return connect(settings, clock)


@pytest.fixture
def cache(vercel_and_github: Sources, clock: Clock) -> Iterator[SnapshotCache]:
    cache = SnapshotCache(vercel_and_github, clock)
    yield cache
    cache.close()


def settle(cache: SnapshotCache) -> None:
    """Wait until nothing is being asked any more."""
    for future in list(cache._asked.values()):
        future.result(timeout=20)


def failed(snapshot: Snapshot, source: SourceName) -> set[FailureKind]:
    return {reading.failure.kind for reading in snapshot.of(source) if reading.failure}


# On the sandbox ------------------------------------------------------------------------------------------


def test_every_reading_of_the_sandbox_is_answered_within_the_window(play: Play):
    snapshot = take(connect(load(play("healthy")), lambda: datetime.now(UTC)), DAY)
    assert {reading.name: reading.failure for reading in snapshot.readings if reading.failure} == {}
    assert len(snapshot.readings) == len(READING_SPECS)
    now = datetime.now(UTC)
    assert {reading.freshness(now) for reading in snapshot.readings} == {Freshness.FRESH}
    created = snapshot.pending_bookings.value["created_at"]
    assert created.between(snapshot.window.start, snapshot.window.end).all()


def test_one_system_that_is_down_fails_its_own_readings_and_no_others(
    play: Play, fault: Callable[..., None], sandbox: Running
):
    sources = connect(load(play("healthy")), lambda: datetime.now(UTC))
    fault("twilio", refuse=True)
    snapshot = take(sources, DAY)
    assert failed(snapshot, SourceName.TWILIO) == {FailureKind.UNAVAILABLE}
    others = [source for source in SourceName if source not in (SourceName.TWILIO, SourceName.BOOKING_APP)]
    assert not any(failed(snapshot, source) for source in others)
    assert snapshot.link_opening.failure is None, "the link can be opened without Twilio's log"


@pytest.mark.parametrize(
    ("from_known", "asked"), [(Landing.CONFIRMATION, 1), (Landing.NOT_FOUND, 2), (Landing.LOGIN, 2)]
)
def test_a_link_that_is_known_is_opened_at_once_and_only_a_good_opening_of_it_counts(
    play: Play, monkeypatch: pytest.MonkeyPatch, from_known: Landing, asked: int
):
    """Who has another window read waits for no bookings; a link that fails may be old, and the newest is tried."""
    cache = SnapshotCache(connect(load(play("healthy")), lambda: datetime.now(UTC)))
    first = cache.snapshot(DAY)
    tried: list[Reading[Any]] = []
    real = follow_up.link_opening

    def open_and_note(app: BookingApp, readings: Mapping[str, Reading[Any]], deadline: Deadline) -> Observed[Any]:
        tried.append(readings["pending_bookings"])
        opened = real(app, readings, deadline)
        known = readings["pending_bookings"] is first.pending_bookings
        return Observed(replace(opened.value, landing=from_known)) if known and opened.value else opened

    monkeypatch.setattr(follow_up, "link_opening", open_and_note)
    week = cache.snapshot(WindowSize.WEEK)
    cache.close()
    assert len(tried) == asked and tried[0] is first.pending_bookings
    assert asked == 1 or tried[1] is week.pending_bookings
    assert week.link_opening.value and week.link_opening.value.landing is Landing.CONFIRMATION


def test_a_source_that_is_not_configured_says_what_to_set(cache: SnapshotCache, clock: Clock):
    twilio = cache.snapshot(DAY).texts
    assert twilio.freshness(clock.now) is Freshness.NOT_CONFIGURED
    assert twilio.failure and "TWILIO_ACCOUNT_SID" in twilio.failure.sentence


# Failing and coming back -----------------------------------------------------------------------------------


def test_how_long_a_reading_has_failed_is_kept_over_refreshes_of_every_kind(
    cache: SnapshotCache, server: Holding, clock: Clock
):
    assert cache.fresh(DAY).repository.failure is None
    clock.advance(minutes=10)
    server.everything = as_json({"message": "Bad credentials"}, 401)
    since = clock.now
    for refresh in (cache.snapshot, cache.fresh, cache.snapshot, cache.fresh):
        snapshot = refresh(DAY)
        assert (snapshot.repository.failing_since, snapshot.project.failing_since) == (since, since)
        clock.advance(minutes=10)
    server.everything = None
    assert cache.fresh(DAY).repository.failing_since is None


def test_what_follows_from_a_failed_reading_fails_for_the_same_reason(cache: SnapshotCache, server: Holding):
    server.tell("/v7/deployments", as_json({"error": {"code": "forbidden"}}, 403))
    snapshot = cache.fresh(DAY)
    assert snapshot.deployments.failure and snapshot.build_log.failure
    assert snapshot.build_log.failure.kind is snapshot.deployments.failure.kind
    assert "Not asked" in snapshot.build_log.failure.sentence


def test_a_fault_of_our_own_is_a_failed_reading_and_no_crash(vercel_and_github: Sources, clock: Clock):
    settings = vercel_and_github.settings.model_copy(update={"github_repository": 4242})  # no text: a bug
    snapshot = take(connect(settings, clock), DAY, clock)
    failure = snapshot.repository.failure
    assert failure and failure.kind is FailureKind.BAD_DATA
    assert "Error)" in failure.sentence and "4242" not in failure.sentence
    assert snapshot.project.failure is None


# Late ----------------------------------------------------------------------------------------------------


def test_a_late_answer_is_a_timeout_now_and_is_kept_when_it_comes(
    vercel_and_github: Sources, server: Holding, clock: Clock
):
    server.held.add("/v10/projects/prj_1/env")
    cache = SnapshotCache(vercel_and_github, clock, patience_seconds=2)
    first = cache.snapshot(DAY)
    assert first.env_names.failure and first.env_names.failure.kind is FailureKind.TIMEOUT
    assert first.branch.failure is None and first.project.failure is None
    server.released.set()
    settle(cache)
    asked = len(server.asked)
    second = cache.snapshot(DAY)
    assert second.env_names.value is not None and second.env_names.failing_since is None
    assert len(server.asked) == asked
    cache.close()


# Who waits for what ----------------------------------------------------------------------------------------


def test_fifty_viewers_at_once_cost_as_much_as_one(cache: SnapshotCache, server: Holding):
    together = threading.Barrier(50)
    snapshots: list[Snapshot] = []

    def no_older_than() -> None:
        together.wait()
        snapshots.append(cache.snapshot(DAY))

    threads = [threading.Thread(target=no_older_than) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    settle(cache)
    for_fifty = Counter(asked.path for asked in server.asked)
    assert len(snapshots) == 50 and all(snapshot.project.value for snapshot in snapshots)

    server.asked.clear()
    alone = SnapshotCache(connect(cache.sources.settings, cache.clock), cache.clock)
    alone.snapshot(DAY)
    settle(alone)
    alone.close()
    assert for_fifty == Counter(asked.path for asked in server.asked)


def test_a_recent_reading_is_not_asked_for_again(cache: SnapshotCache, server: Holding, clock: Clock):
    cache.snapshot(DAY)
    settle(cache)
    asked = len(server.asked)
    clock.advance(seconds=5)
    cache.snapshot(DAY)
    settle(cache)
    assert len(server.asked) == asked


def project_is_now(server: Holding, name: str) -> None:
    server.tell(PROJECT, as_json(bodies.VERCEL[PROJECT] | {"name": name}))


def test_a_reading_that_is_merely_due_is_refreshed_behind_the_last_one(
    cache: SnapshotCache, server: Holding, clock: Clock
):
    before = cache.snapshot(DAY).project
    project_is_now(server, "renamed")
    clock.advance(seconds=40)  # asked every 30 s, good for 90
    shown = cache.snapshot(DAY).project
    assert (shown.value, shown.observed_at) == (before.value, before.observed_at)
    settle(cache)
    refreshed = cache.snapshot(DAY).project
    assert refreshed.value and refreshed.value.name == "renamed"


def test_a_reading_past_its_budget_is_waited_for(cache: SnapshotCache, server: Holding, clock: Clock):
    cache.snapshot(DAY)
    project_is_now(server, "renamed")
    clock.advance(seconds=91)
    waited = cache.snapshot(DAY).project
    assert waited.value and waited.value.name == "renamed"
    assert waited.freshness(clock.now) is Freshness.FRESH


def test_a_source_that_hangs_shows_its_last_value_with_its_age(
    vercel_and_github: Sources, server: Holding, clock: Clock
):
    cache = SnapshotCache(vercel_and_github, clock, patience_seconds=0.5)
    before = cache.fresh(DAY).project
    server.held.add(PROJECT)
    clock.advance(minutes=20)
    shown = cache.snapshot(DAY).project
    assert (shown.value, shown.observed_at) == (before.value, before.observed_at)
    assert shown.freshness(clock.now) is Freshness.STALE
    cache.close()


def test_each_window_has_readings_of_its_own_and_shares_the_rest(cache: SnapshotCache, server: Holding):
    cache.snapshot(DAY)
    settle(cache)
    server.asked.clear()
    week = cache.snapshot(WindowSize.WEEK)
    settle(cache)
    assert week.window.size is WindowSize.WEEK
    paths = {asked.path for asked in server.asked}
    assert any("/events" in path for path in paths), "the activity is of a window"
    assert not any(path.startswith("/repos/") for path in paths), "the repository is of none"


def test_a_refresh_asks_also_for_what_is_recent(cache: SnapshotCache, server: Holding):
    cache.fresh(DAY)
    once = len(server.asked)
    server.asked.clear()
    cache.fresh(DAY)
    assert len(server.asked) == once


def test_what_is_older_than_it_may_be_is_asked_for_and_what_is_asked_rarely_keeps_its_pace(
    cache: SnapshotCache, server: Holding, clock: Clock
):
    cache.fresh(WindowSize.DAY)
    server.asked.clear()
    clock.advance(seconds=8)
    cache.no_older_than(WindowSize.DAY, timedelta(seconds=20))
    assert server.asked == []
    seen = cache.no_older_than(WindowSize.DAY, timedelta(seconds=5))
    assert {seen.deployments.observed_at, seen.project.observed_at} == {clock()}
    assert seen.env_names.observed_at < clock()


def test_every_reading_comes_after_those_it_needs():
    seen: set[str] = set()
    for question in READING_SPECS:
        assert seen >= set(question.needs), question.name
        seen.add(question.name)


# In the background -----------------------------------------------------------------------------------------

SHA = "c" * 40
TARBALL = f"/repos/lantern-arms/booking/tarball/{SHA}"
ROUTE = "app/api/bookings/initiate/route.ts"


@pytest.fixture
def with_code(
    vercel_and_github: Sources, server: Holding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[SnapshotCache]:
    """Two sources, whose served commit is one small file of code."""
    monkeypatch.setattr(source_registry, "CODE_FOLDER", tmp_path / "code")
    host = Hostname("booking.example", deployment=deployment("dpl", SHA, datetime(2026, 11, 20, tzinfo=UTC)))
    monkeypatch.setattr(Vercel, "hostnames", lambda self, deadline: Observed((host,)))
    archive = packed(app__api__bookings__initiate__route=b"supabase.from('events').select('id')")
    server.tell(TARBALL, Scripted(status=302, headers={"Location": "/signed"}))
    server.tell("/signed", Scripted(archive))
    cache = SnapshotCache(vercel_and_github, vercel_and_github.clock)
    yield cache
    cache.close()


def test_a_look_at_the_screen_does_not_wait_for_code_and_says_how_far_it_has_come(
    with_code: SnapshotCache, server: Holding, clock: Clock
):
    server.held.add("/signed")
    first = with_code.snapshot(DAY)
    assert first.project.value is not None
    assert first.served_code.freshness(clock.now) is Freshness.COMING
    assert first.served_code.failure and "Being done now" in first.served_code.failure.sentence
    assert not first.served_code.usable(clock.now)
    server.released.set()
    settle(with_code)
    second = with_code.snapshot(DAY).served_code
    assert second.value and [(code.commit, code.uses[0].file) for code in second.value] == [(SHA, ROUTE)]


def test_code_that_is_on_its_way_is_no_failure_of_its_source(with_code: SnapshotCache, server: Holding, clock: Clock):
    server.held.add("/signed")
    first = with_code.snapshot(DAY)
    github = first.of(SourceName.GITHUB)
    without = [reading for reading in github if reading.name != "served_code"]
    assert source_health(github, clock.now) == source_health(without, clock.now)
    assert first.served_code not in Facts(first, clock.now).unreadable()


def test_who_asks_for_everything_waits_for_code(with_code: SnapshotCache):
    code = with_code.fresh(DAY).served_code
    assert code.value and code.value[0].commit == SHA


def test_a_commit_that_was_read_is_not_asked_for_again(with_code: SnapshotCache, server: Holding, clock: Clock):
    with_code.fresh(DAY)
    clock.advance(minutes=10)
    assert with_code.fresh(DAY).served_code.value
    again = SnapshotCache(connect(with_code.sources.settings, clock), clock)
    assert again.fresh(DAY).served_code.value
    again.close()
    assert len(server.asked_for(TARBALL)) == len(server.asked_for("/signed")) == 1


def test_a_head_that_cannot_be_read_costs_itself(with_code: SnapshotCache):
    code = with_code.fresh(DAY).served_code
    (caveat,) = code.caveats
    assert caveat.kind is CaveatKind.PARTIAL and caveat.subject == bodies.FIX


def test_an_archive_that_is_broken_is_a_failure_and_is_not_asked_for_again(
    with_code: SnapshotCache, server: Holding, clock: Clock
):
    server.tell("/signed", Scripted(b"no archive"))
    for _ in range(2):
        failure = with_code.fresh(DAY).served_code.failure
        assert failure and failure.kind is FailureKind.BAD_DATA and "archive" in failure.sentence
        clock.advance(minutes=10)
    assert len(server.asked_for("/signed")) == 1


def test_without_credentials_code_is_not_configured_at_once(clock: Clock):
    cache = SnapshotCache(connect(load({}), clock), clock)
    seen = cache.snapshot(DAY)
    cache.close()
    for reading in (seen.served_code, seen.live_schema):
        assert reading.freshness(clock.now) is Freshness.NOT_CONFIGURED
