"""What an operator's browser sent, sent again by a viewer's: the server asks anew who that is, and nothing happens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value

from lib import settings as settings_
from lib.journal.journal import Journal
from lib.snapshot import utc_now
from tests.browser.conftest import close_sheet, open_sheet, settled, until
from tests.browser.test_journey import dashboard

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

QUICK = 30_000
SECRET = "a-secret-of-this-test-that-signs-its-cookies"
# Keeps what the page sends, the socket that it sends it through, and counts what it receives.
LISTEN = """
    window.sent = [];
    window.received = 0;
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        if (window.socket !== this) this.addEventListener("message", () => { window.received += 1; });
        window.socket = this;
        new Response(data).arrayBuffer().then(
            (buffer) => window.sent.push(btoa(String.fromCharCode(...new Uint8Array(buffer))))
        );
        return send.call(this, data);
    };
"""
REPLAY = "(frame) => window.socket.send(Uint8Array.from(atob(frame), (c) => c.charCodeAt(0)))"


def page_of(chromium: Browser, address: str, email: str) -> Page:
    """A browser in which `email` is logged in: its cookie is signed as the login itself would."""
    user = json.dumps({"origin": address, "is_logged_in": True, "email": email})
    cookie = create_signed_value(SECRET, "_streamlit_user", user).decode()
    context = chromium.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "_streamlit_user", "value": cookie, "url": address}])
    page = context.new_page()
    page.add_init_script(LISTEN)
    page.goto(f"{address}/deployments")
    expect(page.locator(".sb-headline")).to_be_visible(timeout=QUICK)
    expect(page.get_by_role("heading", name="Environment names")).to_be_visible(timeout=QUICK)
    return page


def replay(page: Page, frames: list[str]) -> None:
    """Send the frames, each once the answer to the one before is drawn."""
    for frame in frames:
        before = page.evaluate("window.received")
        page.evaluate(REPLAY, frame)
        until(page, lambda before=before: page.evaluate("window.received") > before)
        settled(page)


def share_screen(page: Page) -> None:
    """Ask the server for something and wait until it is drawn: then it has handled what was sent before."""
    open_sheet(page)
    page.get_by_text("Share screen").click()
    expect(page.locator("html")).to_have_css("font-size", "20px", timeout=QUICK)
    close_sheet(page)  # it is a dialog to the browser as well
    settled(page)


@pytest.mark.timeout(180)
def test_the_frames_of_an_operator_do_nothing_in_a_viewers_session(
    chromium: Browser, play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    home = tmp_path / "home" / ".streamlit"
    home.mkdir(parents=True)
    (home / "secrets.toml").write_text(
        f"""[auth]
            redirect_uri = "http://127.0.0.1/oauth2callback"
            cookie_secret = "{SECRET}"
            client_id = "test"
            client_secret = "test"
            server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"
        """
    )
    settings = play("healthy") | {
        "JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}",
        "OPERATORS": "ana@example.org,ben@example.org",
        "VIEWERS": "eve@example.org",
        "HOME": str(home.parent),
    }
    journal = Journal.open(settings_.load(settings, secrets_file=Path("/nonexistent")), utc_now)
    with dashboard(settings) as address:
        ana, eve = page_of(chromium, address, "ana@example.org"), page_of(chromium, address, "eve@example.org")
        open_sheet(eve)
        expect(eve.get_by_text("(viewer)")).to_be_visible(timeout=QUICK)
        close_sheet(eve)
        assert not eve.get_by_role("button", name="Redeploy the same commit").count()

        before = len(ana.evaluate("window.sent"))
        ana.get_by_role("button", name="Redeploy the same commit").click()
        dialog = ana.get_by_role("dialog")
        expect(dialog.get_by_role("button", name="Redeploy", exact=True)).to_be_enabled(timeout=QUICK)
        dialog.get_by_role("button", name="Redeploy", exact=True).click()
        expect(dialog).to_be_hidden(timeout=QUICK)
        frames = ana.evaluate("window.sent")[before:]
        assert len(journal.requests()) == 1
        assert any(b"ask_confirm" in base64.b64decode(frame) for frame in frames)

        replay(eve, frames)
        share_screen(eve)
        assert not eve.get_by_role("dialog").count()
        assert [request.requested_by.name for request in journal.requests()] == ["ana@example.org"]

        # The same frames in another operator's session are a request: it is the person that makes the difference.
        ben = page_of(chromium, address, "ben@example.org")
        expect(ben.get_by_role("button", name="Redeploy the same commit")).to_be_enabled(timeout=QUICK)
        for _ in range(3):  # a frame that arrives while the page is being drawn again is lost
            replay(ben, frames)
            if len(journal.requests()) == 2:
                break
        assert {request.requested_by.name for request in journal.requests()} == {"ana@example.org", "ben@example.org"}
    journal.close()
