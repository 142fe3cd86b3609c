"""Starts the sandbox: the infrastructure, then all twins in one server on loopback.

`python -m lib.sandbox.serve --scenario NAME --json` prints its settings in one line once it is ready.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import select
import signal
import socket
import stat
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from lib.sandbox import booking_app_twin, github_twin, twilio_twin, vercel_twin
from lib.sandbox.control import Control
from lib.sandbox.faults import Faults, HangUpProtocol, InjectedFault
from lib.sandbox.gateway import Gateway
from lib.sandbox.infrastructure import Infrastructure
from lib.sandbox.management_twin import Management
from lib.sandbox.manual_fixes import MANUAL_FIXES
from lib.sandbox.ports import SandboxError, listen
from lib.sandbox.scenarios import DEFAULT, SCENARIOS, Scenario
from lib.sandbox.supervisor import wait_until_closed
from lib.sandbox.traffic import Traffic
from lib.sandbox.world import Credentials, World

# How long a switch of scenario waits for requests that are being answered.
DRAIN_SECONDS = 0.5

OnProgress = Callable[[str], None]


class Gate:
    """Lets requests through, or holds them while a switch of scenario replaces the world behind."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open = asyncio.Event()
        self._open.set()
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._open.wait()
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1

    @asynccontextmanager
    async def closed(self) -> AsyncIterator[None]:
        """Hold new requests, and give those inside a moment to finish."""
        self._open.clear()
        try:
            give_up = time.monotonic() + DRAIN_SECONDS
            while self._inside and time.monotonic() < give_up:
                await asyncio.sleep(0.005)
            yield
        finally:
            self._open.set()


class Running:
    """A running sandbox. Tests may use `world` and `infrastructure`; everybody else goes through HTTP."""

    def __init__(self, infrastructure: Infrastructure, world: World, scenario: Scenario, pace: float | None) -> None:
        self.infrastructure = infrastructure
        self.world = world
        self.scenario = scenario
        self.fixed_by_hand = False
        self.traffic = Traffic(world)
        self._fixed_pace = pace
        self._switching = asyncio.Lock()
        gateway = Gateway(world, infrastructure)
        self._gate = Gate(
            Starlette(
                routes=[
                    Mount("/supabase", routes=gateway.routes()),
                    Mount("/management", routes=Management(world, infrastructure).routes()),
                    Mount("/vercel", routes=vercel_twin.routes(world)),
                    Mount("/github", routes=github_twin.routes(world)),
                    Mount("/twilio", routes=twilio_twin.routes(world)),
                    Mount("/app", routes=booking_app_twin.routes(world)),
                ]
            )
        )
        twins = Faults(self._gate)
        self.faults: dict[str, InjectedFault] = twins.by_system

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            async with gateway.open():
                yield

        self.app = Starlette(
            routes=[Mount("/sandbox", routes=Control(self).routes()), Mount("/", app=twins)],
            # Against DNS rebinding: another's hostname may point at 127.0.0.1, and shows in the Host header.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
            lifespan=lifespan,
        )

    @property
    def pace(self) -> float:
        """Bookings per minute, until the next switch of scenario: each has its own, unless `start` fixed one."""
        return self.traffic.pace

    @pace.setter
    def pace(self, bookings_per_minute: float) -> None:
        self.traffic.pace = bookings_per_minute

    @property
    def settings(self) -> dict[str, str]:
        """The settings that point the dashboard at this sandbox."""
        manual_fix = MANUAL_FIXES.get(self.scenario.name)
        usual = self.fixed_by_hand and manual_fix is not None and manual_fix.gives_keys
        return settings(self.world, {} if usual else self.scenario.settings)

    async def manual_fix(self) -> None:
        """Do what a person would do in another system to fix the scenario, if it needs one."""
        async with self._switching:
            if manual_fix := MANUAL_FIXES.get(self.scenario.name):
                await run_in_threadpool(manual_fix.apply, self.world)
                self.fixed_by_hand = True

    async def switch(self, name: str) -> None:
        """Put everything into scenario `name`, as if nothing had happened before."""
        async with self._switching:
            await run_in_threadpool(self.traffic.stop)
            try:
                async with self._gate.closed():
                    await run_in_threadpool(self.play, SCENARIOS[name])
            finally:
                self.traffic.start()

    def play(self, scenario: Scenario) -> None:
        """Reset the world and let `scenario` set it up. Nobody else may be at work in it."""
        with self.infrastructure.changing_the_schema():
            self.infrastructure.reset()
            scenario.apply(self.world)
        self.fixed_by_hand = False
        self.pace = scenario.pace if self._fixed_pace is None else self._fixed_pace
        self.infrastructure.reload_schema_cache()
        self.scenario = scenario  # last, so that the rest is in place for whoever reads it


def settings(world: World, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the dashboard's settings for `world`; an empty override unsets one."""
    keys = world.credentials
    return {
        "SUPABASE_URL": f"{world.base_url}/supabase",
        "SUPABASE_SECRET_KEY": keys.supabase_secret_key,
        "DATABASE_URL": world.dsn,
        "SUPABASE_PROJECT_REF": keys.project_ref,
        "SUPABASE_ACCESS_TOKEN": keys.supabase_access_token,
        "SUPABASE_API_URL": f"{world.base_url}/management",
        "VERCEL_TOKEN": keys.vercel_token,
        "VERCEL_PROJECT_ID": keys.vercel_project_id,
        "VERCEL_TEAM_ID": keys.vercel_team_id,
        "VERCEL_API_URL": f"{world.base_url}/vercel",
        "GITHUB_TOKEN": keys.github_token,
        "GITHUB_REPOSITORY": keys.github_repository,
        "GITHUB_API_URL": f"{world.base_url}/github",
        "TWILIO_ACCOUNT_SID": keys.twilio_account_sid,
        "TWILIO_AUTH_TOKEN": keys.twilio_auth_token,
        "TWILIO_API_URL": f"{world.base_url}/twilio",
        "BOOKING_APP_URL": f"{world.base_url}/app",
        "BOOKING_API_KEY": keys.booking_api_key,
        "TEST_EVENT_ID": keys.test_event_id,
        "TEST_MOBILE_NUMBER": keys.test_mobile_number,
        "REQUIRED_ENV_NAMES": ",".join(keys.required_env_names),
        "SANDBOX_URL": f"{world.base_url}/sandbox",
    } | dict(overrides)


@contextmanager
def start(
    scenario: str = DEFAULT, pace: float | None = None, port: int = 0, on_progress: OnProgress = lambda _: None
) -> Iterator[Running]:
    """Run a sandbox in this process for as long as the context lasts. Raises `SandboxError`.

    `pace` is in bookings per minute; 0 means that nobody books, None is each scenario's own. `port` 0 takes
    a free one.
    """
    if scenario not in SCENARIOS:
        raise SandboxError(f"There is no scenario {scenario!r}. There are: {', '.join(SCENARIOS)}.")
    listener = listen(port)
    with listener:
        base_url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        credentials = Credentials()
        on_progress("Starting PostgreSQL and Supabase Lite")
        infrastructure = Infrastructure(credentials)
        try:
            infrastructure.start()
            world = World(base_url, infrastructure.dsn, infrastructure.reload_schema_cache, credentials)
            running = Running(infrastructure, world, SCENARIOS[scenario], pace)
            on_progress(f"Setting up the scenario {scenario}")
            running.play(SCENARIOS[scenario])
            server = _Server(running.app, listener)
            with server.serving():
                running.traffic.start()
                try:
                    yield running
                finally:
                    running.traffic.stop()
                    running.faults.clear()  # a request that is being delayed must not delay the end
            world.connections.close()
        finally:
            infrastructure.stop()


class _Server:
    """uvicorn in a thread: its own signal handling would end the process before the clean-up."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        self._listener = listener
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                app,
                http=HangUpProtocol,
                ws="none",
                log_level="warning",
                access_log=False,
                lifespan="on",
                timeout_graceful_shutdown=1,
                server_header=False,
            )
        )

    @contextmanager
    def serving(self) -> Iterator[None]:
        thread = threading.Thread(target=self._uvicorn.run, kwargs={"sockets": [self._listener]}, name="sandbox server")
        thread.start()
        try:
            while not self._uvicorn.started:
                if not thread.is_alive():
                    raise SandboxError("The sandbox's server did not start: see the error above.")
                time.sleep(0.01)
            yield
        finally:
            self._uvicorn.should_exit = True
            thread.join()


def run(scenario: str, pace: float | None, port: int, as_json: bool, on_progress: OnProgress) -> None:
    """Run a sandbox until SIGINT, SIGTERM or SIGHUP, or until the parent that started us through a pipe is gone.

    Raises `SandboxError` if it cannot start.

    Once ready it prints its settings on stdout: in one line of JSON with `as_json`, else as NAME=value.
    """
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stop.set())
    _stop_with_parent(stop)
    with start(scenario, pace, port, on_progress) as running:
        # A journal of its own, even where JOURNAL_URL names that of the business.
        given = running.settings | {"JOURNAL_URL": running.world.dsn}
        if as_json:
            print(json.dumps({"settings": given}), flush=True)  # noqa: T201 - the interface
        else:
            print("\n".join(f"{name}={value}" for name, value in given.items()), flush=True)  # noqa: T201
        on_progress("The sandbox is ready" if as_json else f"Ready at {running.world.base_url}. Ctrl-C stops it.")
        stop.wait()
        on_progress("Stopping")


def _stop_with_parent(stop: threading.Event) -> None:
    """Set `stop` once the pipe that is our standard input is closed.

    A pipe that is closed already says nothing about a parent: many shells and containers start programs like that.
    """
    pipe = 0
    try:
        is_pipe = stat.S_ISFIFO(os.fstat(pipe).st_mode)
    except OSError:  # there is no standard input at all
        return
    if not is_pipe or (select.select([pipe], [], [], 0)[0] and not os.read(pipe, 1)):
        return

    def wait_for_parent() -> None:
        wait_until_closed(pipe)
        stop.set()

    threading.Thread(target=wait_for_parent, name="sandbox parent", daemon=True).start()


def main(arguments: list[str] | None = None) -> int:
    """Run a sandbox from the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m lib.sandbox.serve", description=__doc__)
    parser.add_argument("--scenario", default=DEFAULT, choices=list(SCENARIOS))
    parser.add_argument("--pace", type=float, help="bookings per minute; each scenario's own unless given")
    parser.add_argument("--port", type=int, default=0, help="a free one unless given")
    parser.add_argument("--json", action="store_true", help="print the settings as one line of JSON")
    options = parser.parse_args(arguments)
    try:
        run(
            options.scenario,
            options.pace,
            options.port,
            options.json,
            lambda line: print(line, file=sys.stderr, flush=True),  # noqa: T201
        )
    except SandboxError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
