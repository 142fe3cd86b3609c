"""The monitor as a background task of the dashboard, on the readings that the viewers share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from lib.monitor.monitor_status import MonitorStatus, read_status
from lib.snapshot import utc_now
from lib.ui.monitor_thread import MonitorThread
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
