"""Clients that send nothing: how long they are waited for, how many may wait, and how many descriptors there are."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lib.server_limits import HEADER_SECONDS, WAITING_AT_ONCE, WaitingConnections

ROOT = Path(__file__).resolve().parent.parent


class Transport:
    """The transport of a connection: whether it was ended, and whose it is."""

    def __init__(self) -> None:
        self.aborted = False
        self.protocol: Any = None

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def get_protocol(self) -> Any:
        return self.protocol


class Connection:
    """What uvicorn keeps of a connection."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.transport.protocol = self
        self.cycle: SimpleNamespace | None = None


class Clock:
    """Monotonic seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_connection_without_a_whole_request_is_ended_after_some_seconds(clock: Clock) -> None:
    connections, silent = WaitingConnections(clock), Connection()
    connections.add(silent)
    clock.now = HEADER_SECONDS
    assert connections.sweep() == 0
    clock.now += 1
    assert connections.sweep() == 1 and silent.transport.aborted


def test_a_request_that_is_being_answered_is_waited_for_however_long_it_takes(clock: Clock) -> None:
    connections, busy = WaitingConnections(clock), Connection()
    connections.add(busy)
    busy.cycle = SimpleNamespace(response_complete=False)
    for clock.now in (5.0, 100.0, 1000.0):
        assert connections.sweep() == 0
    # The next request is half-sent.
    busy.cycle.response_complete = True
    connections.sweep()
    clock.now += HEADER_SECONDS + 1
    assert connections.sweep() == 1 and busy.transport.aborted


def test_a_websocket_is_left_alone(clock: Clock) -> None:
    connections, upgraded = WaitingConnections(clock), Connection()
    connections.add(upgraded)
    upgraded.transport.protocol = object()
    clock.now = 1000
    assert connections.sweep() == 0 and not upgraded.transport.aborted


def test_one_too_many_ends_the_one_that_has_waited_longest(clock: Clock) -> None:
    connections = WaitingConnections(clock)
    made = [Connection() for _ in range(WAITING_AT_ONCE + 3)]
    for second, connection in enumerate(made):
        clock.now = second / 100
        connections.add(connection)
    assert [connection.transport.aborted for connection in made] == [True] * 3 + [False] * WAITING_AT_ONCE


def test_the_limit_of_descriptors_is_raised_as_far_as_allowed() -> None:
    """In a process of its own: a limit that was lowered cannot be raised again."""
    tries = (
        "import resource; from lib.server_limits import raise_descriptor_limit as up;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 512));"
        "print(up(256), up(128), up(10_000), *resource.getrlimit(resource.RLIMIT_NOFILE))"
    )
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[1] >= 512
    answer = subprocess.run(
        [sys.executable, "-c", tries], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    assert answer.stdout.split() == ["256", "256", "512", "512", "512"]
