"""The sandbox breaks, the monitor sends why, is killed, starts again and sends that it is resolved: each once."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import pytest

from lib.diagnosis.hypotheses import HYPOTHESES
from lib.monitor.monitor_status import MonitorStatus, read_status
from lib.snapshot import utc_now
from tests.diagnosis.test_scenarios import EXPECTED
from tests.journal.workers import open_journal
from tests.monitor.conftest import FakeTarget

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).resolve().parents[2]
# Give a seed that was printed to see the same scenario again.
SEED = int(os.environ.get("DRILL_SEED") or random.SystemRandom().randrange(10_000))
BREAKS = sorted(name for name, expected in EXPECTED.items() if expected.causes and expected.causes != ("no_demand",))
PATIENCE_SECONDS = 60


@dataclass
class Process:
    """A running `python -m lib monitor`. `rounds` are the finished ones."""

    popen: subprocess.Popen[str]
    rounds: list[dict] = field(default_factory=list)

    def listen(self) -> None:
        for line in self.popen.stdout or ():
            self.rounds.append(json.loads(line))

    def wait_for_rounds(self, more: int) -> None:
        wanted = len(self.rounds) + more
        wait_until(lambda: len(self.rounds) >= wanted)


@contextmanager
def watching(environ: dict[str, str]) -> Iterator[Process]:
    """Run a monitor in its own process; stop it at the end, if it still runs."""
    command = [sys.executable, "-m", "lib", "monitor", "--every", "1s", "--json"]
    popen = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True)
    process = Process(popen)
    Thread(target=process.listen, daemon=True).start()
    try:
        yield process
    finally:
        popen.terminate()
        popen.wait()


def wait_until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_a_random_break_is_sent_once_with_its_cause_and_its_end_once_across_a_kill(
    play: Callable[[str], dict[str, str]], target: FakeTarget, tmp_path: Path
):
    scenario = random.Random(SEED).choice(BREAKS)
    print(f"DRILL_SEED={SEED}: {scenario}")  # noqa: T201 - to repeat what failed
    environ = {
        "PATH": os.environ["PATH"],
        **play("healthy"),
        "JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}",
        "NOTIFY_URLS": f"json://{target.url}/",
    }

    def status() -> MonitorStatus:
        with closing(open_journal(environ)) as journal:
            return read_status(journal, utc_now())

    with watching(environ) as first:
        first.wait_for_rounds(1)
        assert target.received == []
        play(scenario)
        before = len(first.rounds)
        wait_until(lambda: target.received)
        assert len(first.rounds) - before <= 2
        cause = next(cause.title for cause in HYPOTHESES if cause.id == EXPECTED[scenario].causes[0])
        assert f"Cause: {cause}" in target.received[0]["message"]
        wait_until(lambda: not status().undelivered)
        first.popen.kill()
    assert len(status().firing) == 1
    with watching(environ) as second:
        second.wait_for_rounds(2)
        assert len(target.received) == 1
        play("healthy")
        wait_until(lambda: len(target.received) > 1)
        second.wait_for_rounds(2)
    what = target.titles[0].removeprefix("SANDBOX: ").partition(": ")[2]
    assert what and target.titles[1] == f"SANDBOX: RESOLVED: {what}"
    assert len(target.received) == 2
    left = status()
    assert (left.firing, left.undelivered, left.holder) == ((), 0, None)
