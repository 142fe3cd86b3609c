"""A click anywhere on a row opens its story beside the table, the address keeps which, and a phone's width holds it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import settled, until
from tests.browser.test_journey import dashboard, open_page

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

ROW, HEADER = 35, 35  # pixels of Streamlit's tables
INSIDE = 200  # from the left: on a cell, beside the boxes at the left end


@pytest.fixture(scope="module")
def address(play: Callable[[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    journal = f"sqlite:///{tmp_path_factory.mktemp('rows') / 'journal.sqlite3'}"
    with dashboard(play("provider-rejecting") | {"JOURNAL_URL": journal}) as found:
        yield found


def click_row(page: Page, row: int) -> None:
    """Click a row of the first table. It is drawn on a canvas, so that there is no element to click."""
    table = page.get_by_test_id("stDataFrame").first
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + INSIDE, box["y"] + HEADER + ROW * row + ROW / 2)


def test_a_click_on_a_text_opens_its_story_and_the_next_click_the_next(chromium: Browser, address: str) -> None:
    page, _ = open_page(chromium, f"{address}/texts")
    settled(page)
    expect(page.get_by_text("Click a row to see the whole story")).to_be_visible()
    click_row(page, 0)
    story = page.locator(".sb-card", has_text="The text")
    expect(story).to_contain_text("The sender cannot be used on this account (21606)", timeout=20_000)
    expect(story).to_contain_text("What to do")
    expect(page).to_have_url(re.compile("text="))
    first = page.url
    click_row(page, 1)
    until(page, lambda: page.url != first)
    page.get_by_test_id("stMain").get_by_role("link", name="Its booking").click()
    expect(page).to_have_url(re.compile(r"/bookings\?.*booking="), timeout=20_000)
    expect(page.locator(".sb-card", has_text="Booking ")).to_be_visible(timeout=20_000)
    page.close()


def test_a_click_on_a_person_opens_them_with_what_can_be_done_also_on_a_phone(chromium: Browser, address: str) -> None:
    page, _ = open_page(chromium, f"{address}/bookings", width=390)
    settled(page)
    chosen = page.locator(".sb-card", has_text="· asked")
    expect(chosen).to_be_visible()  # whom to help first
    before = chosen.inner_text()
    click_row(page, 1)
    expect(page).to_have_url(re.compile("booking="), timeout=20_000)
    until(page, lambda: chosen.inner_text() != before)
    expect(page.get_by_role("button", name="Send a new link", exact=False).first).to_be_visible()
    assert page.get_by_test_id("stMain").evaluate("it => it.scrollWidth") <= 390
    link = page.url
    page.close()
    again, _ = open_page(chromium, link, width=390)
    settled(again)
    expect(again.locator(".sb-card", has_text="· asked")).not_to_contain_text(before)
    again.close()


def test_a_link_is_sent_to_nobody_while_texts_are_refused_and_the_dialog_says_why(
    chromium: Browser, address: str
) -> None:
    page, _ = open_page(chromium, f"{address}/bookings")
    settled(page)
    page.get_by_role("button", name=re.compile(r"Send a new link to all \d")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("A new link would not help now.", timeout=20_000)
    expect(dialog).to_contain_text("Twilio refuses our texts")
    expect(dialog.get_by_label("The phrase")).to_have_count(0)
    page.close()
