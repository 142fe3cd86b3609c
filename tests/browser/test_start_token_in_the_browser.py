"""Live systems without a login: who started the desk is in at once, everybody else is asked for the token."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import ROOT, free_port, started, until
from tests.wire_client import Who, holder, sees

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

QUICK = 30_000
Settings = dict[str, str]


@pytest.fixture
def live(play: Callable[[str], Settings], tmp_path: Path) -> Settings:
    """Settings of a desk that takes the sandbox for live systems: nothing tells it otherwise."""
    settings = play("healthy") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}", "MONITOR_EVERY": "off"}
    del settings["SANDBOX_URL"]
    return settings | {"HOME": str(tmp_path)}


@contextmanager
def started_desk(command: list[str | Path], settings: Settings) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    port = free_port()
    with started([*command, f"--{'server.' if 'streamlit' in command else ''}port={port}"], port, settings) as running:
        yield running


def printed_token(process: subprocess.Popen[bytes]) -> str:
    """Return the token that the process prints when it starts."""
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(rb"[?&]token=([\w-]+)", line):
            return found[1].decode()
    pytest.fail("the process ended without a token")


def asked(page: Page) -> None:
    """Wait until the page asks for the token, and see that it shows nothing else."""
    expect(page.get_by_role("heading", name="The token of this start is needed")).to_be_visible(timeout=QUICK)
    assert page.locator("[class*=sb-], [data-testid=stDownloadButton]").count() == 0


def inside(page: Page) -> None:
    expect(page.locator(".sb-headline")).to_be_visible(timeout=QUICK)


@pytest.mark.timeout(180)
def test_one_command_opens_the_browser_on_the_desk_and_nobody_elses(
    chromium: Browser, live: Settings, tmp_path: Path
) -> None:
    record = tmp_path / "browser"
    record.write_text(f'#!/bin/sh\necho "$1" > {tmp_path / "opened"}\n')
    record.chmod(0o755)
    opened = tmp_path / "opened"
    with started_desk([ROOT / "scripts/run"], live | {"BROWSER": str(record)}) as (address, process):
        token = printed_token(process)
        page = chromium.new_page()
        until(page, lambda: opened.exists() and opened.read_text().endswith("\n"))
        link = opened.read_text().strip()
        # Others on this machine may read the command line of a browser: its token is another one, for one use.
        assert link.startswith(f"{address}/?token=") and token not in link
        page.goto(link)
        inside(page)
        assert page.url == f"{address}/"
        (cookie,) = [one for one in page.context.cookies() if one["name"].startswith("switchboard_")]
        assert cookie["httpOnly"] and cookie["sameSite"] == "Strict" and cookie["expires"] == -1
        assert sees(address, holder(address, cookie["value"]))
        page.reload()
        inside(page)
        page.goto(f"{address}/texts?window=7d")
        expect(page.get_by_role("heading", name="Did they arrive?")).to_be_visible(timeout=QUICK)

        other = chromium.new_context().new_page()
        other.goto(link)
        expect(other.get_by_role("heading", name="That is not the token")).to_be_visible()
        other.goto(f"{address}/texts?window=7d")
        asked(other)
        other.get_by_label("Token of this start").fill("guess")
        other.get_by_role("button", name="Open").click()
        expect(other.get_by_role("heading", name="That is not the token")).to_be_visible()
        other.get_by_label("Token of this start").fill(token)
        other.get_by_role("button", name="Open").click()
        inside(other)
        assert other.url == f"{address}/texts?window=7d"
        assert not sees(address, Who()) and not sees(address, holder(address, token))
        page.context.close()
        other.context.close()


@pytest.mark.timeout(180)
def test_streamlit_run_asks_for_the_token_in_the_page(chromium: Browser, live: Settings) -> None:
    with started_desk([sys.executable, "-m", "streamlit", "run", "app.py"], live) as (address, process):
        page = chromium.new_context().new_page()
        page.goto(address)  # the first one: until then a cold server knows no page by its address
        asked(page)
        token = printed_token(process)
        page.get_by_label("Token of this start").fill("guess")
        page.get_by_role("button", name="Open").click()
        expect(page.get_by_text("That is not the token")).to_be_visible(timeout=QUICK)
        page.get_by_label("Token of this start").fill(token)
        page.get_by_role("button", name="Open").click()
        inside(page)
        # It is kept for this session: another one is asked again, or has it in its address, and loses it there.
        other = page.context.new_page()
        other.goto(f"{address}/texts")
        asked(other)
        other.goto(f"{address}/texts?window=7d&token={token}")
        inside(other)
        expect(other).to_have_url(re.compile(r"/texts\?(?!.*token).*window=7d"))
        assert not sees(address, Who())
        page.context.close()
