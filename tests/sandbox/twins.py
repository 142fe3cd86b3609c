"""What tests of the twins share: quick builds, what production serves, and patience."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx

from lib.sandbox.serve import Running

PATIENCE_SECONDS = 20


def build_quickly(sandbox: Running, seconds: float = 0.3) -> None:
    """Let a build take as long; nobody wants to wait in a test."""
    with sandbox.world.connection() as connection:
        connection.execute(
            "update twin.project set queue_time = '0 seconds', build_time = make_interval(secs => %s)", [seconds]
        )


def serving(sandbox: Running, vercel: httpx.Client) -> dict[str, str]:
    alias = vercel.get(f"/v4/aliases/{sandbox.world.credentials.production_hostname}").json()
    return dict(vercel.get(f"/v13/deployments/{alias['deploymentId']}").json()["gitSource"])


def wait_until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < give_up, "it never came true"
        time.sleep(0.05)
