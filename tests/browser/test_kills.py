"""The server is killed at random moments of an action: no effect is made twice, and nothing is said that is not so."""

from __future__ import annotations

import logging
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from lib import settings as settings_
from lib.journal.entry import Kind
from lib.journal.journal import Journal
from lib.journal.request import Request, RequestState
from lib.sandbox.serve import Running
from lib.snapshot import utc_now
from tests import command_line
from tests.browser.conftest import free_port, started
from tests.browser.test_cure import builds_made, confirm_redeploy
from tests.browser.test_journey import open_page
from tests.waiting import wait_until

log = logging.getLogger(__name__)

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

KILLS = 50
LATEST_SECONDS = 5.0  # an action with the build below takes about so long
BUILD_TIME = "2 s"
LOOKED_AGAIN_AFTER = (0.0, 5.0, 10.0)
ANSWER_SECONDS = 1.0  # what was on its way when the server died has arrived by then
# Before the start nothing may have happened; what was never started expires by itself.
NOT_STARTED = (RequestState.REQUESTED, RequestState.LOCKED, RequestState.EXPIRED)


@dataclass(frozen=True)
class Killed:
    """One round: the settings of its server, and how many builds the twin was asked for."""

    settings: dict[str, str]
    effects: int

    def open_journal(self) -> Journal:
        return Journal.open(settings_.load(self.settings), utc_now)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_server_that_is_killed_at_fifty_random_moments_says_what_happened_or_that_it_is_unknown(
    chromium: Browser, play: Callable[[str], dict[str, str]], sandbox: Running, tmp_path: Path
) -> None:
    settings = play("healthy") | {"MONITOR_EVERY": "off"}
    with sandbox.world.connection() as connection:
        connection.execute("update twin.project set build_time = %s", [BUILD_TIME])
    moments = random.Random(20261128)
    # The action takes its time to the start and waits for the build afterwards: half of the kills come early.
    delays = [moments.uniform(0, LATEST_SECONDS if number % 2 else LATEST_SECONDS / 4) for number in range(KILLS)]
    rounds = [
        killed_after(
            delay, chromium, sandbox, settings | {"JOURNAL_URL": f"sqlite:///{tmp_path / f'{number}.sqlite3'}"}
        )
        for number, delay in enumerate(delays)
    ]
    seen = Counter(judged(one) for one in rounds)
    log.info("Requests by how they ended, with how many effects: %s", dict(seen))
    assert sum(seen.values()) == KILLS
    assert {RequestState.SUCCEEDED.value} < {state for state, _ in seen}, "the kills came at different moments"


def killed_after(delay: float, chromium: Browser, sandbox: Running, settings: dict[str, str]) -> Killed:
    """Confirm a redeploy on a server of its own, and kill that `delay` seconds later."""
    before, port = builds_made(sandbox), free_port()
    command: list[str | Path] = [sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port)]
    with started(command, port, settings) as (address, server):
        page, _ = open_page(chromium, f"{address}/deployments")
        confirm_redeploy(page)
        page.get_by_role("dialog").get_by_role("button", name="Redeploy", exact=True).click()
        time.sleep(delay)
        server.kill()
        server.wait()
        page.close()
    time.sleep(ANSWER_SECONDS)
    killed = Killed(settings, builds_made(sandbox) - before)
    assert killed.effects in (0, 1), "a build was asked for twice"
    return killed


def judged(killed: Killed) -> tuple[str, int]:
    """Hold what the journal says of a round, before and after somebody looks, against the effects that there were."""
    journal = killed.open_journal()
    try:
        assert journal.verify().ok
        requests = journal.requests()
        if not requests:
            assert killed.effects == 0
            return "not asked for", 0
        (request,) = requests
        if request.state in NOT_STARTED:
            assert killed.effects == 0
            assert Kind.STARTED not in {entry.kind for entry in journal.entries()}
            return request.state.value, 0
        request = looked_at(journal, request, killed.settings)
        assert request.state in (RequestState.SUCCEEDED, RequestState.UNKNOWN)
        # None is made up. One that later builds have covered cannot be confirmed any more, and stays unknown.
        assert killed.effects == 1 or request.state is RequestState.UNKNOWN
        assert [entry.kind for entry in journal.entries()].count(Kind.STARTED) == 1
        assert journal.verify().ok
        return request.state.value, killed.effects
    finally:
        journal.close()


def looked_at(journal: Journal, request: Request, settings: dict[str, str]) -> Request:
    """Return the request once its holder counts as dead and somebody has looked what became of it, a few times.

    A build that is found and not over yet is still unknown.
    """
    wait_until(lambda: journal.request(request.id).state is not RequestState.STARTED, 120)
    for pause in LOOKED_AGAIN_AFTER:
        if journal.request(request.id).state is not RequestState.UNKNOWN:
            break
        time.sleep(pause)
        command_line.run("requests", "--look", str(request.id), settings=settings)
    return journal.request(request.id)
