"""What tests of the twins share: quick builds, and what production serves."""

from __future__ import annotations

import httpx

from lib.sandbox.serve import Running


def build_quickly(sandbox: Running, seconds: float = 0.3) -> None:
    """Let builds take so many seconds, so that tests need not wait for long."""
    with sandbox.world.connection() as connection:
        connection.execute(
            "update twin.project set queue_time = '0 seconds', build_time = make_interval(secs => %s)", [seconds]
        )


def serving(sandbox: Running, vercel: httpx.Client) -> dict[str, str]:
    alias = vercel.get(f"/v4/aliases/{sandbox.world.credentials.production_hostname}").json()
    return dict(vercel.get(f"/v13/deployments/{alias['deploymentId']}").json()["gitSource"])
