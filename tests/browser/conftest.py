"""A real browser on the real dashboard. Skipped, aloud, where Debian's Chromium is not installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from scripts.dashboard import CHROMIUM_FLAGS
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 90


# Per file, because Playwright's event loop is in the way of tests that run one of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("NOT TESTED: the browser tests need Debian's chromium (apt-get install chromium).")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        yield browser
        browser.close()


def settled(page: Page) -> None:
    """Wait until the page shows one run: while it is drawn anew, old and new elements stand side by side."""
    expect(page.locator("[data-test-script-state='notRunning']")).to_have_count(1, timeout=20_000)
    expect(page.locator("[data-testid=stSkeleton]")).to_have_count(0, timeout=20_000)


def until(page: Page, condition: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for what Playwright has no expectation for. Its `wait_for_function` is kept out by our security policy."""
    wait_until(condition, seconds, pause=lambda pause: page.wait_for_timeout(1000 * pause))


def open_sheet(page: Page) -> None:
    """Open the sheet of the header, which holds the window, the share switch and the sandbox; once is enough."""
    inside = page.get_by_role("radiogroup", name="Window")
    if not inside.is_visible():
        page.locator(".st-key-view_sheet").get_by_role("button").click()
        expect(inside).to_be_visible(timeout=20_000)


def close_sheet(page: Page) -> None:
    """Close it, so that what it covers can be clicked."""
    page.keyboard.press("Escape")
    expect(page.get_by_role("radiogroup", name="Window")).to_be_hidden(timeout=20_000)


def at_rest(page: Page) -> None:
    """Wait until every transition has ended: a colour in between has another contrast."""
    page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
            .filter((one) => one.effect.getComputedTiming().endTime !== Infinity).map((one) => one.finished))"""
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str | Path], port: int, settings: dict[str, str] | None = None) -> Iterator[str]:
    """Run a server until the context ends; yield its address once it answers."""
    with started(command, port, settings) as (address, _):
        yield address


@contextmanager
def started(
    command: list[str | Path], port: int, settings: dict[str, str] | None = None
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """As `running`, with the process as well, for tests that end it themselves."""
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/tmp"), **(settings or {})}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(process, address)
        yield address, process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_for(process: subprocess.Popen[bytes], address: str) -> None:
    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"The server ended: {process.communicate()[0].decode()[-2000:]}")
        try:
            return httpx.get(f"{address}/_stcore/health", timeout=2).text == "ok"
        except httpx.TransportError:
            return False

    wait_until(answers, START_SECONDS)
