"""What the scripts share that use a running dashboard: starting it, waiting for it, and Chromium's flags."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from lib.sandbox.ports import free_port

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
READY_SECONDS = 90


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that was started: where it will answer, and its process."""

    address: str
    process: subprocess.Popen[bytes]

    def wait(self) -> None:
        """Return once it has its first diagnosis service."""
        end = time.monotonic() + READY_SECONDS
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if httpx.get(f"{self.address}/healthz", timeout=5).json()["desk"] == "ready":
                    return
            except (httpx.HTTPError, ValueError):
                pass  # not up yet
            time.sleep(0.2)
        raise SystemExit(f"The dashboard did not become ready at {self.address}.")


@contextmanager
def dashboard(*arguments: str, settings: Mapping[str, str] | None = None) -> Iterator[Dashboard]:
    """Run what scripts/run runs until the context ends, without a browser of its own. Yields at once."""
    port = free_port()
    command = [sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port), *arguments]
    environ = {**os.environ, **(settings or {})}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Dashboard(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.wait(30)
