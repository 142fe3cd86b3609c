"""A person opens the dashboard and reads the headline; the wire carries nothing that must not be seen."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Page, expect

from lib.sandbox.serve import Running
from tests.browser.conftest import ROOT, free_port, open_sheet, running, settled
from tests.pages.test_on_the_sandbox import planted

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

STATES = re.compile("FLOWING|DEGRADED|BROKEN|NO TRAFFIC|CANNOT TELL")
PAGES = {
    "": "Status",
    "action-plan": "Action plan",
    "bookings": "Bookings",
    "texts": "Texts",
    "deployments": "Deployments",
    "incident-log": "Incident log",
    "systems": "Systems",
}


class Wire:
    """Everything that a page was sent: responses, websocket frames, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.frames: list[bytes] = []
        self.complaints: list[str] = []
        page.on("websocket", lambda socket: socket.on("framereceived", self._keep))
        page.on("console", lambda message: self._complain(message.type, message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _keep(self, frame: bytes | str) -> None:
        self.frames.append(frame if isinstance(frame, bytes) else frame.encode())

    def _complain(self, kind: str, text: str) -> None:
        # Streamlit looks for its server one folder up from a deep link first, and gets a 404.
        if kind == "error" and "404" not in text:
            self.complaints.append(text)

    def carries(self, secrets: list[str]) -> list[str]:
        everything = b"\n".join(self.frames)
        return [secret for secret in secrets if secret.encode() in everything]


@contextmanager
def dashboard(settings: dict[str, str]) -> Iterator[str]:
    port = free_port()
    with running([sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port)], port, settings) as address:
        yield address


def open_page(chromium: Browser, address: str, width: int = 1440) -> tuple[Page, Wire]:
    page = chromium.new_page(viewport={"width": width, "height": 900})
    wire = Wire(page)
    page.goto(address)
    expect(page.locator(".sb-headline")).to_be_visible(timeout=60_000)
    return page, wire


def test_a_newcomer_starts_it_with_one_command_and_reads_what_is_wrong(chromium: Browser) -> None:
    port = free_port()
    command = [ROOT / "scripts/run", "--no-browser", "--port", str(port), "--scenario", "code-not-deployed"]
    with running(command, port) as address:
        page, wire = open_page(chromium, address)
        expect(page.locator(".sb-state")).to_have_text(re.compile("DEGRADED|BROKEN"))
        expect(page.locator(".sb-sandbox")).to_contain_text("SANDBOX")
        expect(page.locator(".sb-is-broken")).to_have_count(1)
        expect(page.locator(".sb-clock .sb-age")).to_have_text(re.compile(r"\d+ (s|min)"))
        assert wire.complaints == []
        page.close()


def test_the_wire_carries_no_name_number_token_or_key(
    chromium: Browser, sandbox: Running, play: Callable[[str], dict[str, str]]
) -> None:
    settings = play("code-not-deployed")
    secrets = planted(sandbox)
    with dashboard(settings) as address:
        for path in PAGES:
            page, wire = open_page(chromium, f"{address}/{path}?window=7d")
            settled(page)
            drawn = page.content()
            assert wire.carries(secrets) == [] and [secret for secret in secrets if secret in drawn] == []
            assert wire.carries(["sb-headline"]), "the frames are readable"
            assert wire.complaints == []
            page.close()


def test_deep_links_keep_window_and_share_switch_from_page_to_page_and_status_has_an_address(
    chromium: Browser, play: Callable[[str], dict[str, str]]
) -> None:
    with dashboard(play("healthy")) as address:
        page, _ = open_page(chromium, f"{address}/texts?window=7d&share=true")
        # The first page of this server: Streamlit knows no page's address before.
        expect(page.get_by_text("Page not found")).to_have_count(0)
        expect(page.get_by_role("heading", name="Did they arrive?")).to_be_visible(timeout=20_000)
        expect(page.get_by_text("the last 7 days").first).to_be_visible(timeout=20_000)
        page.get_by_role("link", name="Bookings").click()
        expect(page.get_by_role("heading", name="Who was affected")).to_be_visible(timeout=20_000)
        expect(page).to_have_url(re.compile(r"/bookings\?.*window=7d"), timeout=20_000)
        expect(page).to_have_url(re.compile("share=true"))
        page.goto(f"{address}/status")
        expect(page.get_by_role("heading", name="Key figures")).to_be_visible(timeout=20_000)
        expect(page.get_by_text("Page not found")).to_have_count(0)
        page.close()


def test_when_the_server_ends_the_headline_turns_grey_by_itself(
    chromium: Browser, play: Callable[[str], dict[str, str]]
) -> None:
    settings = play("healthy")
    page = chromium.new_page()
    page.clock.install()
    with dashboard(settings) as address:
        page.goto(address)
        expect(page.locator(".sb-state")).to_have_text(STATES, timeout=60_000)
        expect(page.locator(".sb-stopped")).to_be_hidden()
    page.clock.fast_forward(60_000)
    expect(page.locator(".sb-stopped")).to_be_visible()
    expect(page.locator(".sb-stopped")).to_contain_text("OLD: no news from the desk for")
    page.close()


def test_another_scenario_can_be_chosen_and_the_headline_follows(
    chromium: Browser, play: Callable[[str], dict[str, str]]
) -> None:
    with dashboard(play("code-not-deployed")) as address:
        page, wire = open_page(chromium, address)
        expect(page.locator(".sb-state")).not_to_have_text("FLOWING")
        open_sheet(page)
        page.get_by_role("combobox", name="Scenario").click()
        page.get_by_role("option", name="All is well").click()
        expect(page.locator(".sb-state")).to_have_text("FLOWING", timeout=30_000)
        assert wire.complaints == []
        page.close()
