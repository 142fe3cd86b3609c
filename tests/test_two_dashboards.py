"""Two dashboards side by side on one journal: they say the same, one of them watches, and the other takes over."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import httpx
import psycopg
import pytest

from lib import settings as settings_
from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model.people import Actor, Role, Via
from lib.monitor.monitor_status import MonitorStatus, read_status
from lib.sandbox.serve import Running
from lib.snapshot import utc_now
from tests.browser.conftest import free_port, running
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


def process_of(holder: str | None) -> int:
    assert holder is not None
    return int(holder.split(" ")[1])


@pytest.mark.timeout(180)
def test_two_dashboards_on_one_journal_share_requests_and_one_monitor(
    play: Callable[[str], dict[str, str]], sandbox: Running, tmp_path: Path
) -> None:
    with psycopg.connect(sandbox.world.dsn) as connection:
        connection.execute("drop schema if exists switchboard cascade")
    environ = play("healthy") | {"JOURNAL_URL": sandbox.world.dsn, "MONITOR_EVERY": "2s"}
    journal = Journal.open(settings_.load(environ, tmp_path / "none"), utc_now)

    def status() -> MonitorStatus:
        return read_status(journal, utc_now())

    def metrics(address: str) -> str:
        return httpx.get(f"{address}/metrics", timeout=30).text

    with ExitStack() as stack:
        addresses = []
        for _ in range(2):
            port = free_port()
            command = [sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port)]
            addresses.append(stack.enter_context(running(command, port, environ)))
        ana = Actor("ana@example.org", Role.OPERATOR, Via.PAGE)
        request = journal.submit_request(NewRequest("redeploy", 2, "dpl_1", "0" * 64), ana)
        journal.cancel(request.id, ana)
        counted = 'switchboard_actions_total{action="redeploy",outcome="cancelled"} 1.0'
        for address in addresses:
            assert counted in metrics(address)

        wait_until(lambda: status().rounds >= 3)
        first = status().holder
        assert all(httpx.get(f"{a}/healthz").json()["monitor_round_age_seconds"] < 30 for a in addresses)
        assert status().holder == first, "the monitor stays with its holder while that lives"

        os.kill(process_of(first), signal.SIGKILL)
        os.waitpid(process_of(first), 0)  # our own child: else its number stays taken
        wait_until(lambda: status().holder not in (None, first))
        rounds = status().rounds
        wait_until(lambda: status().rounds > rounds)
    journal.close()
