"""Every way in, for everybody: who sees and who acts. docs/security.md shows the same table."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from lib import settings as settings_
from lib.journal.journal import Journal
from lib.snapshot import utc_now
from tests.browser.conftest import ROOT, free_port, settled, started
from tests.browser.test_roles_on_the_wire import LISTEN
from tests.browser.test_start_token_in_the_browser import printed_token
from tests.wire_client import SECTION_AUTH, Who, holder, logged_in, replays, sees

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

QUICK = 30_000
PATHS = ("page", "frame", "dialog", "endpoint", "command line")
NO, SEES, ACTS = "nothing", "sees", "acts"
TOKEN_ASKED, LOGIN_ASKED = "asks for the token", "asks to log in"


@dataclass(frozen=True, eq=False)
class LiveDesk:
    """A desk on systems that it takes for live ones, its journal, and the settings for the command line beside it."""

    address: str
    token: str
    journal: Journal
    settings: dict[str, str]
    process: subprocess.Popen[bytes]

    def output(self) -> bytes:
        """End it, and return what it printed."""
        self.process.terminate()
        return self.process.communicate(timeout=30)[0]


@contextmanager
def live_desk(settings: dict[str, str], folder: Path, *, login: bool = False) -> Iterator[LiveDesk]:
    """Run a desk that is live. With `login`, one is configured in the home directory, where only Streamlit looks."""
    (folder / "home" / ".streamlit").mkdir(parents=True)
    settings = settings | {"JOURNAL_URL": f"sqlite:///{folder / 'journal.sqlite3'}", "MONITOR_EVERY": "off"}
    settings |= {"HOME": str(folder / "home")}
    settings.pop("SANDBOX_URL")
    if login:
        (folder / "home" / ".streamlit" / "secrets.toml").write_text(SECTION_AUTH)
        settings |= {"OPERATORS": "ana@example.org", "VIEWERS": "eve@example.org"}
    journal = Journal.open(settings_.load(settings, secrets_file=Path("/nonexistent")), utc_now)
    port = free_port()
    command = [sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port)]
    with started(command, port, settings) as (address, process):
        yield LiveDesk(address, "" if login else printed_token(process), journal, settings, process)
    journal.close()


def frames_of_a_redeploy(page: Page) -> list[bytes]:
    """Press Redeploy and confirm it in somebody's browser; return all that it has sent."""
    expect(page.get_by_role("heading", name="Environment names")).to_be_visible(timeout=QUICK)
    page.get_by_role("button", name="Redeploy the same commit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Redeploy", exact=True)).to_be_enabled(timeout=QUICK)
    dialog.get_by_role("button", name="Redeploy", exact=True).click()
    expect(dialog).to_be_hidden(timeout=QUICK)
    settled(page)
    return [base64.b64decode(frame) for frame in page.evaluate("window.sent")]


def cookie_of(desk: LiveDesk) -> str:
    """Return the cookie that a browser gets for the right token."""
    return httpx.get(f"{desk.address}/?token={desk.token}").headers["Set-Cookie"].partition(";")[0].partition("=")[2]


def browser_of(chromium: Browser, address: str, who: Who) -> Page:
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": name, "value": value, "url": address} for name, value in who.cookies.items()])
    page = context.new_page()
    page.add_init_script(LISTEN)
    return page


def on_the_page(chromium: Browser, desk: LiveDesk, who: Who) -> str:
    page = browser_of(chromium, desk.address, who)
    page.goto(f"{desk.address}/")
    shown = page.locator(".sb-headline, h2, h3").or_(page.get_by_role("button", name="Log in")).first
    expect(shown).to_be_visible(timeout=QUICK)
    asks = {"The token of this start is needed": TOKEN_ASKED, "Please log in": LOGIN_ASKED}
    answer = next((word for text, word in asks.items() if page.get_by_role("heading", name=text).count()), SEES)
    if answer == SEES:
        expect(page.locator(".sb-headline")).to_be_visible(timeout=QUICK)
    page.context.close()
    return answer


def in_the_dialog(desk: LiveDesk, who: Who, frames: list[bytes]) -> str:
    """Send an operator's frames. One that arrives while the page is drawn anew is lost, so they are sent again."""
    before = len(desk.journal.requests())
    for _ in range(2):
        replays(desk.address, who, frames)
        if len(desk.journal.requests()) > before:
            return ACTS
    return NO


def at_the_endpoints(desk: LiveDesk, who: Who) -> str:
    codes = {
        httpx.get(f"{desk.address}/{path}", headers=who.headers()).status_code
        for path in ("metrics", "api/status", "_stcore/metrics")
    }
    assert codes in ({200}, {403}), codes
    return SEES if codes == {200} else NO


def at_the_command_line(desk: LiveDesk, name: str) -> str:
    """Order something that nobody previewed: who may act is refused for that, everybody else for who they are."""
    answer = subprocess.run(
        [sys.executable, "-m", "lib", "act", "redeploy", "--digest", "0" * 64, "--json"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **desk.settings, "SWITCHBOARD_USER": name},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert answer.returncode == 2, answer.stderr
    return SEES if "Viewers can look" in answer.stdout else ACTS


def documented() -> dict[str, tuple[str, ...]]:
    """Return the table of docs/security.md: who, and what they get on each path."""
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    section = text.partition("## Every path, tried")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert tuple(rows[0][1:]) == PATHS
    return {row[0]: tuple(row[1:]) for row in rows[2:]}


@pytest.mark.timeout(180)
def test_everybody_gets_on_every_path_what_the_table_says(
    chromium: Browser, play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    found: dict[str, tuple[str, ...]] = {}
    shell = cache(at_the_command_line)  # it knows of no token

    def row(who: str, desk: LiveDesk, one: Who, frames: list[bytes], at_the_shell: str) -> None:
        frame = SEES if sees(desk.address, one) else NO
        dialog = in_the_dialog(desk, one, frames)
        found[who] = (
            on_the_page(chromium, desk, one), frame, dialog, at_the_endpoints(desk, one),
            shell(desk, at_the_shell),
        )  # fmt: skip

    with live_desk(play("healthy"), tmp_path / "token") as desk:
        right = holder(desk.address, cookie_of(desk))
        page = browser_of(chromium, desk.address, right)
        page.goto(f"{desk.address}/deployments")
        frames = frames_of_a_redeploy(page)
        assert any(b"ask_confirm" in frame for frame in frames) and len(desk.journal.requests()) == 1
        page.context.close()
        row("no token", desk, Who(), frames, "somebody")
        row("wrong token", desk, holder(desk.address, "guess"), frames, "somebody")
        row("right token", desk, right, frames, "somebody")
    with live_desk(play("healthy"), tmp_path / "login", login=True) as desk:
        for who, email in (("nobody logged in", None), ("viewer", "eve@example.org"), ("operator", "ana@example.org")):
            row(who, desk, logged_in(desk.address, email), frames, email or "somebody")
    assert found == documented()
