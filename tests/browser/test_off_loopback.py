"""A desk that others can reach and that has no login: an anonymous stranger gets no data by any way in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, expect

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
        for door in ("metrics", "api/status"):
            for headers in ({}, {"Authorization": "Bearer guess"}, {"Host": f"localhost:{port}"}):
                answer = httpx.get(f"{address}/{door}", headers=headers)
                assert (answer.status_code, set(answer.json())) == (403, {"error"})
        assert "sentence" not in httpx.get(f"{address}/healthz").text
        page = chromium.new_page()
        wire = Wire(page)
        for path in (*PAGES, "handbook"):
            page.goto(f"{address}/{path}?window=24h&share=true")
            expect(page.get_by_text("A login is needed")).to_be_visible(timeout=30_000)
            assert page.locator("[class*=sb-], button[kind], [data-testid=stDownloadButton]").count() == 0
        page.close()
    secrets = planted(sandbox)
    assert wire.frames and secrets
    assert wire.carries([*secrets, "missing_column", "pending_bookings", "Runbook"]) == []
