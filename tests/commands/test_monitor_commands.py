"""`python -m lib monitor` as people and cron call it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lib.commands import monitor_commands
from lib.journal.entry import Kind, Mute
from tests import command_line
from tests.command_line import Answer
from tests.journal.workers import open_journal
from tests.monitor.conftest import FakeTarget

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Answer]:
    """A function that runs the command on a journal of its own."""

    def call(*arguments: str, **settings: str) -> Answer:
        own = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'j.sqlite3'}"}
        return command_line.run("monitor", *arguments, settings=own | settings)

    return call


@pytest.mark.sandbox
def test_one_round_sends_prints_and_exits_as_diagnose_does(
    run: Callable[..., Answer], play: Callable[[str], dict[str, str]], target: FakeTarget
):
    settings = play("provider-rejecting") | {"NOTIFY_URLS": f"json://{target.url}/"}
    first = run("--once", "--json", **settings)
    document = json.loads(first.stdout)
    assert (first.returncode, document["headline"]["state"]) == (2, "broken")
    assert [event["rule"] for event in document["monitor"]["events"]] == ["account"]
    assert target.types == ["failure"]
    again = run("--once", **settings)
    assert (again.returncode, len(target.received)) == (2, 1)
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


@pytest.mark.parametrize(
    ("said", "begins"),
    [
        ("2026-10-25 00:30", datetime(2026, 10, 24, 23, 30, tzinfo=UTC)),  # the clock goes back at two
        ("2026-03-29 00:30:00", datetime(2026, 3, 29, 0, 30, tzinfo=UTC)),  # the clock goes forward at one
        ("2026-06-01T22:00", datetime(2026, 6, 1, 21, 0, tzinfo=UTC)),
    ],
)
def test_maintenance_lasts_what_was_said_also_when_the_clocks_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: str, begins: datetime
):
    environ = {"JOURNAL_URL": f"sqlite:///{tmp_path / 'j.sqlite3'}", "TIME_ZONE": "Europe/London"}
    monkeypatch.setattr(monitor_commands, "utc_now", lambda: begins - timedelta(days=1))
    arguments = ["maintenance", "--from", said, "--for", "2h", "--reason", "New database."]
    answer = CliRunner().invoke(monitor_commands.app, arguments, env=environ)
    assert answer.exit_code == 0, answer.output
    with contextlib.closing(open_journal(environ)) as journal:
        (entry,) = journal.entries(kinds=[Kind.MUTE])
    assert entry.payload == Mute("maintenance", begins + timedelta(hours=2), "New database.", begins)
