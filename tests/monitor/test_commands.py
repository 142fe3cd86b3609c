"""`python -m lib monitor` as people and cron call it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.monitor.conftest import Ear

ROOT = Path(__file__).resolve().parents[2]
Answer = subprocess.CompletedProcess[str]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Answer]:
    """A function that runs the command on a journal of its own."""

    def call(*arguments: str, **settings: str) -> Answer:
        environ = {"PATH": os.environ["PATH"], "JOURNAL_URL": f"sqlite:///{tmp_path / 'j.sqlite3'}", **settings}
        command = [sys.executable, "-m", "lib", "monitor", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=90, check=False)

    return call


@pytest.mark.sandbox
def test_one_round_tells_prints_and_exits_as_diagnose_does(
    run: Callable[..., Answer], play: Callable[[str], dict[str, str]], ear: Ear
):
    settings = play("provider-rejecting") | {"NOTIFY_URLS": f"json://{ear.url}/"}
    first = run("--once", "--json", **settings)
    document = json.loads(first.stdout)
    assert (first.returncode, document["headline"]["state"]) == (2, "broken")
    assert [event["rule"] for event in document["monitor"]["events"]] == ["account"]
    assert ear.types == ["failure"]
    again = run("--once", **settings)
    assert (again.returncode, len(ear.heard)) == (2, 1)
    assert "BROKEN" in again.stdout
    status = json.loads(run("status", "--json", **settings).stdout)
    assert [alert["rule"] for alert in status["firing"]] == ["account"]
    assert (status["rounds"], status["undelivered"], status["holder"]) == (2, 0, None)


def test_muting_is_for_operators_with_a_reason_and_shows_in_the_status(run: Callable[..., Answer]):
    assert run("mute", "flow", "--for", "20m", "--reason", "New menu.").returncode == 0
    viewer = run("mute", "flow", "--for", "20m", "--reason", "New menu.", OPERATORS="ann@lantern.example")
    assert viewer.returncode == 2 and "operator" in viewer.stderr
    assert run("mute", "flow", "--for", "soon", "--reason", "New menu.").returncode == 64
    (silence,) = json.loads(run("status", "--json").stdout)["silences"]
    assert (silence["subject"], silence["reason"]) == ("flow", "New menu.")
