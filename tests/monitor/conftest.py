"""A monitor on a hand-made world, a journal on each database, and an address that takes messages over real HTTP."""

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
class Ear:
    """An Apprise target and a heartbeat's watcher. While `status` is an error nothing counts as heard."""

    url: str
    status: int = 200
    heard: list[dict[str, str]] = field(default_factory=list)
    heartbeats: int = 0
    asked: int = 0

    @property
    def titles(self) -> list[str]:
        return [message["title"] for message in self.heard]

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.heard]


@pytest.fixture
def ear() -> Iterator[Ear]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            ear.asked += 1
            if ear.status == 200:
                ear.heard.append(body)
            self._answer()

        def do_GET(self) -> None:
            ear.heartbeats += 1
            self._answer()

        def _answer(self) -> None:
            self.send_response(ear.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        ear = Ear(f"127.0.0.1:{server.server_address[1]}")
        Thread(target=server.serve_forever, daemon=True).start()
        yield ear
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
        """The booking app's front door answers 503."""
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
def monitor(world: World, clock: Clock, ear: Ear, environ: dict[str, str], journal: Journal) -> StartMonitor:
    """A function that starts a monitor on the journal; its rounds follow each other as fast as they are asked for."""

    def start(name: str = "here 1 first", on: Journal = journal, **settings: str) -> Monitor:
        given = {"NOTIFY_URLS": f"json://{ear.url}/", "HEARTBEAT_URL": f"http://{ear.url}/beat", **settings}
        view = MonitorInputs(settings_of(environ | given), on, world.take_snapshot, "prj")
        return Monitor(lambda: view, clock, timedelta(milliseconds=4), name=name)

    return start
