"""One client for each twin, with the credentials that the dashboard would have."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from lib.sandbox.serve import Running


@pytest.fixture
def vercel(sandbox: Running) -> Iterator[httpx.Client]:
    keys = sandbox.world.credentials
    with httpx.Client(
        base_url=f"{sandbox.world.base_url}/vercel",
        headers={"Authorization": f"Bearer {keys.vercel_token}"},
        params={"teamId": keys.vercel_team_id},
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def github(sandbox: Running) -> Iterator[httpx.Client]:
    keys = sandbox.world.credentials
    with httpx.Client(
        base_url=f"{sandbox.world.base_url}/github",
        headers={"Authorization": f"Bearer {keys.github_token}"},
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def repository(sandbox: Running) -> str:
    return f"/repos/{sandbox.world.credentials.github_repository}"


@pytest.fixture
def twilio(sandbox: Running) -> Iterator[httpx.Client]:
    keys = sandbox.world.credentials
    with httpx.Client(
        base_url=f"{sandbox.world.base_url}/twilio",
        auth=(keys.twilio_account_sid, keys.twilio_auth_token),
        trust_env=False,
    ) as client:
        yield client


@pytest.fixture
def account(sandbox: Running) -> str:
    return f"/2010-04-01/Accounts/{sandbox.world.credentials.twilio_account_sid}"
