"""A monitor on snapshots made by hand, a journal on each database, and a target that receives messages over HTTP."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from lib.journal.journal import Journal
from lib.model.provider import AppHealth
from lib.monitor.inputs import MonitorInputs
from lib.monitor.loop import Monitor
from lib.snapshot import READING_SPECS, Snapshot
from tests.clocks import Clock
from tests.diagnosis import builders as b
from tests.journal import conftest as of_journal
from tests.journal.workers import settings_of

# A journal on each of the two databases, its clock and its people.
ann, clock, journal, local = of_journal.ann, of_journal.clock, of_journal.journal, of_journal.local
environ = of_journal.environ
sqlite_environ, postgres_environ = of_journal.sqlite_environ, of_journal.postgres_environ


@dataclass
class FakeTarget:
    """A target for Apprise and for heartbeats. While `status` is an error, no message counts as received."""

    url: str
    status: int = 200
    received: list[dict[str, str]] = field(default_factory=list)
    heartbeats: int = 0
    asked: int = 0

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.received]

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.received]


@pytest.fixture
def target() -> Iterator[FakeTarget]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            target.asked += 1
            if target.status == 200:
                target.received.append(body)
            self._answer()

        def do_GET(self) -> None:
            target.heartbeats += 1
            self._answer()

        def _answer(self) -> None:
            self.send_response(target.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        target = FakeTarget(f"127.0.0.1:{server.server_address[1]}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield target
        server.shutdown()


@dataclass
class World:
    """What the sources say, always just now."""

    clock: Clock
    changed: dict[str, object] = field(default_factory=dict)
    looks: int = 0

    def is_well(self) -> None:
        self.changed = {}

    def breaks(self) -> None:
        """The booking app answers 503."""
        self.changed = {"app_health": AppHealth("booking.example", 503, None, None, None)}

    def take_snapshot(self, max_age: timedelta) -> Snapshot:
        self.looks += 1
        taken = b.snapshot(**self.changed)
        fresh = {
            question.name: dataclasses.replace(getattr(taken, question.name), observed_at=self.clock.now)
            for question in READING_SPECS
        }
        return dataclasses.replace(taken, taken_at=self.clock.now, **fresh)


@pytest.fixture
def world(clock: Clock) -> World:
    clock.now = b.NOW
    return World(clock)


StartMonitor = Callable[..., Monitor]


@pytest.fixture
def monitor(world: World, clock: Clock, target: FakeTarget, environ: dict[str, str], journal: Journal) -> StartMonitor:
    """A function that starts a monitor on the journal, with almost no time between its rounds."""

    def start(name: str = "here 1 first", on: Journal = journal, **settings: str) -> Monitor:
        given = {"NOTIFY_URLS": f"json://{target.url}/", "HEARTBEAT_URL": f"http://{target.url}/beat", **settings}
        view = MonitorInputs(settings_of(environ | given), on, world.take_snapshot, "prj")
        return Monitor(lambda: view, clock, timedelta(milliseconds=4), name=name)

    return start
