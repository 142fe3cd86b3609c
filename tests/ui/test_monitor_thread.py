"""The monitor as a background task of the dashboard, on the readings that the viewers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lib.journal.errors import JournalError
from lib.monitor.monitor_status import MonitorStatus, read_status
from lib.monitor.store import RoundFailure
from lib.snapshot import utc_now
from lib.ui import monitor_thread
from lib.ui.monitor_thread import MonitorHealth, MonitorThread, monitor_health
from lib.ui.runtime import app_runtime
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


@pytest.fixture
def desk_on(
    play: Callable[[str], dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Callable[[str], None]]:
    """A function that opens this process's desk on a scenario."""

    def open_(scenario: str) -> None:
        journal = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
        for name, value in {**play(scenario), **journal}.items():
            monkeypatch.setenv(name, value)
        app_runtime.clear()

    yield open_
    app_runtime.clear()


def status() -> MonitorStatus:
    desk = app_runtime().desk
    action_service = desk.action_service() if desk else None
    assert action_service
    return read_status(action_service.journal, utc_now())


def test_the_monitor_follows_the_sandbox_and_gives_its_lease_back(
    desk_on: Callable[[str], None], play: Callable[[str], dict[str, str]]
):
    desk_on("missing-column")
    watch = MonitorThread(timedelta(seconds=1))
    watch.start()
    try:
        wait_until(lambda: status().firing)
        first = app_runtime().desk
        play("healthy")
        wait_until(lambda: not status().firing)
        assert app_runtime().desk is not first
        assert status().holder
    finally:
        watch.stop()
    assert status().holder is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_word_for_the_health_endpoint_says_that_rounds_fail_or_that_the_thread_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(monitor_thread, "_started", None)
    assert monitor_health(None) is MonitorHealth.OFF
    failure = RoundFailure(utc_now(), 1, "The journal cannot be reached.")
    broken = MonitorStatus(None, None, None, (), 0, failure=failure)
    assert monitor_health(broken) is MonitorHealth.FAILING  # another process's monitor
    watch = MonitorThread(timedelta(seconds=1))
    rounds: list[str] = []

    def round_() -> None:
        rounds.append("x")
        if len(rounds) == 2:
            raise JournalError("The journal cannot be reached.")
        if len(rounds) == 4:
            raise SystemExit  # nothing that a round may end with

    monkeypatch.setattr(watch._monitor, "round", round_)
    monkeypatch.setattr(watch._monitor, "every", timedelta(milliseconds=300))
    watch.start()
    try:
        wait_until(lambda: len(rounds) == 1)
        assert monitor_health(None) is MonitorHealth.OK
        wait_until(lambda: monitor_health(None) is MonitorHealth.FAILING)
        wait_until(lambda: monitor_health(None) is MonitorHealth.OK)
        wait_until(lambda: monitor_health(None) is MonitorHealth.ENDED)
    finally:
        watch.stop()
    assert monitor_health(None) is MonitorHealth.OFF
