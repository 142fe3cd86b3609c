"""The sandbox's control API: scenarios, pace and faults, for programs on this computer and nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from lib.sandbox.control import MOST_BOOKINGS_PER_MINUTE
from lib.sandbox.faults import SYSTEMS
from lib.sandbox.scenarios import SCENARIOS
from lib.sandbox.serve import Running
from tests.processes import runs
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox

PROJECT = Path(__file__).parent.parent.parent


@pytest.fixture
def endpoint(sandbox: Running) -> str:
    return f"{sandbox.world.base_url}/sandbox"


def test_the_door_tells_what_is_played_and_what_could_be(endpoint: str, play: Callable[[str], dict[str, str]]) -> None:
    settings = play("healthy")
    state = httpx.get(f"{endpoint}/").json()
    assert (state["scenario"], state["pace"], state["settings"]) == ("healthy", 0, settings)
    assert {scenario["name"] for scenario in state["scenarios"]} == set(SCENARIOS)


def test_the_pace_can_be_changed_while_it_runs(endpoint: str, play: Callable[[str], dict[str, str]]) -> None:
    assert httpx.post(f"{endpoint}/pace", json={"bookings_per_minute": 2.5}).json()["pace"] == 2.5
    play("healthy")
    assert httpx.get(f"{endpoint}/").json()["pace"] == 0, (
        "this sandbox was started with a pace, which a switch restores"
    )


def test_nonsense_is_refused_with_a_sentence(endpoint: str) -> None:
    for path, body in (
        ("scenario", {"name": "no-such-scenario"}),
        ("scenario", {"name": ["healthy"]}),
        ("pace", {"bookings_per_minute": -1}),
        ("pace", {"bookings_per_minute": MOST_BOOKINGS_PER_MINUTE + 1}),
        ("pace", {"bookings_per_minute": "fast"}),
        ("faults", {"system": "no-such-system"}),
        ("faults", {"system": "vercel", "body": "no-such-body"}),
        ("faults", {"system": "vercel", "delay_ms": "long"}),
        ("faults", {"system": "vercel", "no_such_fault": 1}),
    ):
        answer = httpx.post(f"{endpoint}/{path}", json=body)
        assert answer.status_code == 400
        assert answer.json()["error"].endswith(".")


def test_somebody_fixes_what_the_desk_cannot_and_only_where_there_is_something(
    endpoint: str, play: Callable[[str], dict[str, str]]
) -> None:
    play("jobs-stuck")
    assert httpx.get(f"{endpoint}/").json()["manual_fix"]["done"] is False
    assert httpx.post(f"{endpoint}/manual-fix", json={}).json()["manual_fix"]["done"] is True
    play("missing-column")
    assert httpx.get(f"{endpoint}/").json()["manual_fix"] is None
    refused = httpx.post(f"{endpoint}/manual-fix", json={})
    assert refused.status_code == 400 and refused.json()["error"].endswith(".")


def test_pages_in_a_browser_have_no_say(endpoint: str) -> None:
    stranger = {"Origin": "https://stranger.example"}
    assert httpx.get(f"{endpoint}/", headers=stranger).status_code == 403
    assert httpx.post(f"{endpoint}/pace", json={"bookings_per_minute": 9}, headers=stranger).status_code == 403
    assert httpx.delete(f"{endpoint}/faults", headers=stranger).status_code == 403
    assert httpx.post(f"{endpoint}/pace", content='{"bookings_per_minute": 9}').status_code == 415
    assert httpx.get(f"{endpoint}/", headers={"Host": "stranger.example"}).status_code == 400
    assert httpx.get(f"{endpoint}/").json()["pace"] == 0


@pytest.mark.parametrize("system", SYSTEMS)
def test_each_system_can_fail_alone(sandbox: Running, fault: Callable[..., None], system: str) -> None:
    fault(system, status=429, retry_after=7)
    for other in SYSTEMS:
        answer = httpx.get(f"{sandbox.world.base_url}/{other}/")
        assert (answer.status_code == 429) == (other == system)
        assert answer.headers.get("retry-after") == ("7" if other == system else None)


def test_a_system_can_answer_nonsense(sandbox: Running, fault: Callable[..., None]) -> None:
    healthy = _events(sandbox)
    assert healthy.json()
    fault("supabase", body="html")
    assert _events(sandbox).headers["content-type"].startswith("text/html")
    fault("supabase", body="truncated")
    assert healthy.content.startswith(_events(sandbox).content)
    fault("supabase", body="wrong_types")
    assert {event["name"] == {"unexpected": True} for event in _events(sandbox).json()} == {True}
    fault("supabase", status=502, body="html")
    assert (_events(sandbox).status_code, _events(sandbox).text[:9]) == (502, "<!doctype")


def test_a_system_can_hang_up_and_be_slow(sandbox: Running, fault: Callable[..., None]) -> None:
    fault("supabase", refuse=True)
    with pytest.raises(httpx.RemoteProtocolError):
        _events(sandbox)
    fault("supabase", delay_ms=60_000)
    with pytest.raises(httpx.ReadTimeout):
        _events(sandbox, timeout=0.2)


def test_a_fault_can_hit_a_share_of_the_requests_and_be_lifted(
    sandbox: Running, endpoint: str, fault: Callable[..., None]
) -> None:
    fault("supabase", status=500, rate=0)
    assert _events(sandbox).status_code == 200
    fault("supabase", status=500)
    assert httpx.get(f"{endpoint}/faults").json()["supabase"]["status"] == 500
    httpx.delete(f"{endpoint}/faults")
    assert _events(sandbox).status_code == 200


def test_requests_wait_while_the_scenario_is_switched(sandbox: Running, play: Callable[[str], dict[str, str]]) -> None:
    play("healthy")
    answers: list[httpx.Response] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answers.append(_events(sandbox))

    asking = threading.Thread(target=keep_asking)
    asking.start()
    play("code-not-deployed")
    play("healthy")
    done.set()
    asking.join()
    assert {answer.status_code for answer in answers} == {200}
    assert all(answer.json() for answer in answers)


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_it_ends_no_process_stays(ending: signal.Signals) -> None:
    sandbox, kept = _start(stdin=subprocess.DEVNULL)
    sandbox.send_signal(ending)
    assert sandbox.wait() == (-signal.SIGKILL if ending is signal.SIGKILL else 0)
    _wait_until_gone(kept)


def test_it_ends_with_the_parent_that_holds_its_standard_input() -> None:
    sandbox, kept = _start(stdin=subprocess.PIPE)
    assert sandbox.stdin is not None
    sandbox.stdin.close()
    assert sandbox.wait() == 0
    _wait_until_gone(kept)


def test_a_standard_input_that_was_closed_from_the_start_ends_nothing() -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    sandbox, kept = _start(stdin=read_end)
    os.close(read_end)
    sandbox.terminate()
    assert sandbox.wait() == 0
    _wait_until_gone(kept)


def _start(stdin: int) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a sandbox as a user does; return it with the processes below it."""
    sandbox = subprocess.Popen(
        [sys.executable, "-m", "lib.sandbox.serve", "--scenario", "healthy", "--json"],
        cwd=PROJECT,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert sandbox.stdout is not None
    settings = json.loads(sandbox.stdout.readline())["settings"]
    assert httpx.get(f"{settings['SANDBOX_URL']}/").json()["scenario"] == "healthy"
    kept = [child.pid for child in psutil.Process(sandbox.pid).children(recursive=True)]
    assert kept
    return sandbox, kept


def _wait_until_gone(processes: list[int]) -> None:
    wait_until(lambda: not any(map(runs, processes)), otherwise="a process of the sandbox still runs")


def _events(sandbox: Running, timeout: float = 30) -> httpx.Response:
    secret = sandbox.world.credentials.supabase_secret_key
    return httpx.get(
        f"{sandbox.world.base_url}/supabase/rest/v1/events?select=id,name&order=id",
        headers={"apikey": secret, "Authorization": f"Bearer {secret}"},
        timeout=timeout,
    )
