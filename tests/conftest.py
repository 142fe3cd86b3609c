"""Fixtures for all tests: one running sandbox per test process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from lib.sandbox.lite import find_node
from lib.sandbox.ports import SandboxError
from lib.sandbox.serve import Running, start


@pytest.fixture(autouse=True)
def own_main_module() -> Iterator[None]:
    """Restore `__main__`: Streamlit's script runner replaces it by the app, which a spawned process would then run."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Running]:
    """A sandbox without traffic of its own. Use `play` to put it into the scenario that a test needs."""
    try:
        find_node()
    except SandboxError as error:
        pytest.skip(f"NOT TESTED, the sandbox cannot run here: {error}")
    with start(pace=0) as running:
        yield running


@pytest.fixture(scope="session")
def control(sandbox: Running) -> Iterator[httpx.Client]:
    """A client of the sandbox's control API."""
    with httpx.Client(base_url=f"{sandbox.world.base_url}/sandbox", timeout=60) as client:
        yield client


@pytest.fixture(scope="session")
def play(control: httpx.Client) -> Callable[[str], dict[str, str]]:
    """A function that puts the sandbox into a scenario, afresh, and returns the settings for it."""

    def switch(name: str) -> dict[str, str]:
        answer = control.post("/scenario", json={"name": name})
        answer.raise_for_status()
        return dict(answer.json()["settings"])

    return switch


@pytest.fixture
def fault(control: httpx.Client) -> Iterator[Callable[..., None]]:
    """A function that makes a twin misbehave until the end of the test: `fault("vercel", status=500)`."""

    def misbehave(system: str, **fields: Any) -> None:
        control.post("/faults", json={"system": system, **fields}).raise_for_status()

    yield misbehave
    control.delete("/faults").raise_for_status()
