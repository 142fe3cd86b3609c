"""The loopback server, a session and deadlines for the tests of sources."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from lib.sources.http import Deadline, Http
from tests.sources.fake_server import FakeServer


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def shared_server() -> Iterator[FakeServer]:
    """One server for all examples of a property test."""
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture
def http() -> Iterator[Http]:
    http = Http(first_backoff=0.01)
    yield http
    http.close()


@pytest.fixture
def soon() -> Deadline:
    """A deadline that no answer on loopback needs."""
    return Deadline(10)


@pytest.fixture
def nobody() -> str:
    """An address on loopback where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
