"""A desk that was restarted says at once what was last known, with its age, while it looks again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import until
from tests.browser.test_journey import STATES, dashboard, open_page

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

Fault = Callable[..., None]
SLOW_MS = 5_000
SYSTEMS = ("supabase", "vercel", "github", "twilio")


@pytest.fixture
def settings(play: Callable[[str], dict[str, str]], tmp_path: Path) -> Iterator[dict[str, str]]:
    """A broken sandbox, and a journal that outlives the desk."""
    yield play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}


def test_a_restarted_desk_shows_the_last_known_headline_with_its_age_in_the_first_frame(
    chromium: Browser, settings: dict[str, str], fault: Fault
) -> None:
    with dashboard(settings) as address:
        page, _ = open_page(chromium, address)
        sentence = page.locator(".sb-headline .sb-sentence").inner_text()
        state = page.locator(".sb-headline .sb-state").inner_text()
        page.close()
    for system in SYSTEMS:
        fault(system, delay_ms=SLOW_MS)
    with dashboard(settings) as address:
        page = chromium.new_page(viewport={"width": 1440, "height": 900})
        page.goto(address)
        known = page.locator(".sb-last-known")
        expect(known).to_be_visible(timeout=20_000)
        assert state in known.locator(".sb-known-state").inner_text()
        # The clock of the twin's rows goes on: the same headline may count another booking by now.
        assert "Are customers getting their texts? Yes" in known.locator(".sb-known").inner_text()
        assert sentence[:30] in known.inner_text()
        expect(known).to_contain_text(re.compile(r"\d+ (s|min) old"))
        expect(known).to_contain_text("Looking now")
        expect(page.locator(".sb-headline")).to_have_count(0)
        expect(page.get_by_role("button", name="Run it")).to_have_count(0)
        expect(page.locator(".sb-headline .sb-state")).to_have_text(STATES, timeout=60_000)
        expect(known).to_have_count(0)
        until(page, lambda: page.locator(".js-plotly-plot").count() > 0)
        page.close()
