"""Starts a sandbox as a child process. The child ends with us: it watches the pipe that we hold open."""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from lib.model.child_environment import child_environment

ROOT = Path(__file__).resolve().parent.parent
# A first start may have to download Node and its packages.
START_SECONDS = 300.0
STOP_SECONDS = 15.0

OnProgress = Callable[[str], None]


class LaunchError(Exception):
    """The sandbox did not start. `str()` of it is a sentence for the person."""


@dataclass(frozen=True)
class LaunchedSandbox:
    """A running sandbox: the settings that point the dashboard at it, and its process."""

    settings: dict[str, str]
    process: subprocess.Popen[str]

    def stop(self) -> None:
        """Stop it and wait until everything that it started is gone."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def start_sandbox(scenario: str | None = None, on_progress: OnProgress = lambda _: None) -> LaunchedSandbox:
    """Start a sandbox in `scenario` (its default, if None) and wait until it is ready.

    `on_progress` gets a line of plain words per step. Raises `LaunchError`.
    """
    chosen = ["--scenario", scenario] if scenario else []
    process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "lib.sandbox.serve", "--json", *chosen],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        # Nothing in it is real, so it needs no key of the business.
        env=child_environment(os.environ),
        # Its own session: Ctrl-C in our terminal reaches us, and we stop it in order.
        start_new_session=True,
    )
    last_lines: deque[str] = deque(maxlen=1)
    listener = threading.Thread(
        target=_forward, args=(process.stderr, on_progress, last_lines), name="sandbox progress", daemon=True
    )
    listener.start()
    impatience = threading.Timer(START_SECONDS, process.kill)
    impatience.start()
    try:
        line = process.stdout.readline() if process.stdout else ""
    finally:
        impatience.cancel()
    try:
        launched = LaunchedSandbox(dict(json.loads(line)["settings"]), process)
    except (ValueError, KeyError, TypeError):
        process.kill()
        process.wait()
        listener.join(timeout=1)
        reason = last_lines[-1] if last_lines else f"it ended with exit code {process.returncode}."
        raise LaunchError(f"The sandbox did not start: {reason}") from None
    # The pipe alone would do; this waits until it is gone, so that nothing lingers after our exit.
    atexit.register(launched.stop)
    return launched


def _forward(message: IO[str] | None, on_progress: OnProgress, last_lines: deque[str]) -> None:
    """Pass on what the sandbox says. Reads to the end: a full pipe would stop it."""
    for line in message or ():
        if line.strip():
            last_lines.append(line.strip())
            on_progress(line.strip())
