"""Every page can be read and worked by everybody: contrast, names and roles, the keyboard, a phone's width."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import at_rest, settled, until
from tests.browser.test_journey import PAGES, dashboard

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

READ = [*PAGES, "status?share=true", "deployments?view=Code+and+database", "handbook"]
DESKTOP, PHONE = {"width": 1440, "height": 2400}, {"width": 390, "height": 844}

# In the dark only the colours are others.
ASKED = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
BACKGROUNDS = {"light": "rgb(251, 251, 250)", "dark": "rgb(16, 22, 29)"}


@pytest.fixture(scope="module")
def address(play: Callable[[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    journal = f"sqlite:///{tmp_path_factory.mktemp('look') / 'journal.sqlite3'}"
    with dashboard(play("missing-column") | {"JOURNAL_URL": journal}) as found:
        yield found


def opened(chromium: Browser, url: str, size: dict[str, int]) -> Page:
    page = chromium.new_page(viewport=size)
    page.goto(url)
    expect(page.locator(".sb-headline")).to_be_visible(timeout=60_000)
    settled(page)
    return page


def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until `target` has the focus, and shows it. It may have it already, as the first field of a dialog."""
    expect(target).to_be_visible(timeout=20_000)
    for _ in range(120):
        if target.evaluate("it => it === document.activeElement"):
            break
        page.keyboard.press("Tab")
    assert target.evaluate("it => it === document.activeElement && it.matches(':focus-visible')")


@pytest.mark.parametrize("path", READ)
def test_every_page_passes_an_audit_in_light_and_dark_and_fits_a_phone(
    chromium: Browser, address: str, path: str
) -> None:
    page = opened(chromium, f"{address}/{path}", DESKTOP)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", BACKGROUNDS[scheme], timeout=20_000)
        at_rest(page)
        found = Axe().run(page, options=ASKED[scheme]).response["violations"]
        faults = [(fault["id"], node["html"][:120]) for fault in found for node in fault["nodes"]]
        assert (scheme, faults) == (scheme, [])
    page.set_viewport_size(PHONE)
    until(page, lambda: page.get_by_test_id("stMain").evaluate("it => it.scrollWidth") <= PHONE["width"])
    page.close()


def test_the_plan_is_reached_and_an_action_opened_and_left_with_the_keyboard_alone(
    chromium: Browser, address: str
) -> None:
    page = opened(chromium, f"{address}/deployments", DESKTOP)
    tab_to(page, page.get_by_role("button", name="Redeploy the same commit"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible(timeout=20_000)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden(timeout=20_000)
    page.close()


# Last, because it cures what the other tests look at.
def test_from_the_headline_to_a_confirmed_action_no_mouse_is_needed(chromium: Browser, address: str) -> None:
    page = opened(chromium, f"{address}/status", DESKTOP)
    tab_to(page, page.locator(".st-key-next_step").get_by_role("button"))
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    for field, words in (("The phrase", "pending_bookings"), ("The reason", "the column is gone")):
        tab_to(page, dialog.get_by_label(field))
        page.keyboard.type(words)
        page.keyboard.press("Enter")
    confirm = dialog.locator(".st-key-ask_confirm button")
    expect(confirm).to_be_enabled(timeout=20_000)
    tab_to(page, confirm)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden(timeout=20_000)
    expect(page.locator(".sb-card").filter(has_text="succeeded").first).to_be_visible(timeout=60_000)
    page.close()
