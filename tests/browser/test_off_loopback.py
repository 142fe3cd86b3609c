"""A desk that others can reach and that has no login: an anonymous stranger gets no data by any way in."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from lib.sandbox.serve import Running
from tests.browser.conftest import free_port, running
from tests.browser.test_journey import PAGES, Wire
from tests.pages.test_on_the_sandbox import planted

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]


def test_no_route_page_or_export_answers_an_anonymous_stranger_with_data(
    chromium: Browser, play: Callable[[str], dict[str, str]], sandbox: Running, tmp_path: Path
) -> None:
    settings = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "lib/server.py", "--server.address=0.0.0.0"]
    with running([*command, f"--server.port={port}"], port, settings) as address:
        for endpoint in ("metrics", "api/status"):
            for headers in ({}, {"Authorization": "Bearer guess"}, {"Host": f"localhost:{port}"}):
                answer = httpx.get(f"{address}/{endpoint}", headers=headers)
                assert (answer.status_code, set(answer.json())) == (403, {"error"})
        assert "sentence" not in httpx.get(f"{address}/healthz").text
        page = chromium.new_page()
        wire, drawn = Wire(page), list[str]()
        for path in (*PAGES, "handbook"):
            page.goto(f"{address}/{path}?window=24h&share=true")
            expect(page.get_by_text("A login is needed")).to_be_visible(timeout=30_000)
            assert page.locator("[class*=sb-], button[kind], [data-testid=stDownloadButton]").count() == 0
            drawn.append(page.content())
        page.close()
    secrets = planted(sandbox)
    assert secrets and wire.frames == [], "no session is opened for a stranger"
    assert [
        word for word in (*secrets, "missing_column", "pending_bookings", "Runbook") if word in "".join(drawn)
    ] == []


def own_address() -> str:
    """An address of this machine by which others reach it."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family is socket.AF_INET and not one.address.startswith("127."):
                return one.address
    pytest.skip("this machine has no address but loopback")


def test_a_server_that_was_started_on_every_address_believes_no_name_that_a_stranger_says(
    play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    settings = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    port, here = free_port(), own_address()
    command = [sys.executable, "-m", "uvicorn", "lib.server:app", "--host=0.0.0.0", f"--port={port}"]
    with running(command, port, settings):
        for endpoint in ("metrics", "api/status"):
            answer = httpx.get(f"http://{here}:{port}/{endpoint}", headers={"Host": f"localhost:{port}"})
            assert (answer.status_code, set(answer.json())) == (403, {"error"})
            assert httpx.get(f"http://{here}:{port}/", headers={"Host": f"localhost:{port}"}).status_code == 403
        assert refused_on_the_wire(here, port)


def refused_on_the_wire(here: str, port: int) -> bool:
    """Return whether no websocket opens for who connects to `here` and says that they asked for localhost."""
    way = socket.create_connection((here, port))
    try:
        with connect(f"ws://localhost:{port}/_stcore/stream", sock=way, subprotocols=["streamlit"], origin=None):
            return False
    except InvalidStatus as refusal:
        return refusal.response.status_code == 403
