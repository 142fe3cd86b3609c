"""Deployments in a real browser: a click chooses a row, both views have an address, the line of code stands out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import settled
from tests.browser.test_journey import dashboard, open_page

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

QUICK = 30_000
CODE = "deployments?view=Code+and+database"
HEADER, ROW = 36, 36  # pixels of the list


@pytest.fixture(scope="module")
def address(play: Callable[[str], dict[str, str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    journal = f"sqlite:///{tmp_path_factory.mktemp('deployments') / 'journal.sqlite3'}"
    with dashboard(play("migration-not-applied") | {"JOURNAL_URL": journal}) as found:
        yield found


def panel(page: Page) -> Locator:
    return page.locator(".st-key-deployment_panel")


def test_a_click_on_a_row_opens_it_beside_the_list_and_the_address_keeps_it(chromium: Browser, address: str) -> None:
    page, wire = open_page(chromium, f"{address}/deployments")
    expect(page.locator(".sb-livebox")).to_contain_text("Live: 3aee739", timeout=QUICK)
    expect(panel(page)).to_contain_text("3aee739", timeout=QUICK)
    table = page.get_by_test_id("stDataFrame").first
    table.click(position={"x": 18, "y": HEADER + 1.5 * ROW})
    expect(page).to_have_url(re.compile(r"deployment=dpl_"), timeout=QUICK)
    expect(panel(page)).not_to_contain_text("3aee739", timeout=QUICK)
    chosen = panel(page).inner_text()
    message = chosen.split("\n")[0]
    page.reload()
    expect(panel(page)).to_contain_text(message, timeout=QUICK)
    expect(panel(page).get_by_role("button", name="Roll back to it")).to_be_visible(timeout=QUICK)
    expect(panel(page)).to_contain_text("Cancel its build: Its build is over: there is nothing to cancel.")
    assert wire.complaints == []
    page.close()


def test_the_build_log_of_any_row_is_read_when_it_is_opened(chromium: Browser, address: str) -> None:
    page, _ = open_page(chromium, f"{address}/deployments")
    panel(page).get_by_text("Build log").click()
    expect(panel(page).locator(".sb-log")).to_contain_text("npm run build", timeout=QUICK)
    page.close()


def test_the_view_of_the_code_has_an_address_and_shows_the_line_in_its_place(chromium: Browser, address: str) -> None:
    page, wire = open_page(chromium, f"{address}/{CODE}")
    marked = page.locator(".sb-marked").first
    expect(marked).to_contain_text("metadata", timeout=QUICK)
    expect(page.get_by_text("it was not applied").first).to_be_visible()
    expect(page.get_by_role("heading", name="Migrations of the repository")).to_be_visible()
    page.get_by_role("tab", name="Deployments").click()
    expect(panel(page)).to_be_visible(timeout=QUICK)
    expect(page).not_to_have_url(re.compile("view="))
    assert wire.complaints == []
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_in_a_picture_the_line_stands_out_and_nothing_is_cut(
    chromium: Browser, address: str, width: int, scheme: str
) -> None:
    page, _ = open_page(chromium, f"{address}/{CODE}", width)
    page.emulate_media(color_scheme=scheme)
    expect(page.locator(".sb-marked").first).to_be_visible(timeout=QUICK)
    settled(page)
    assert page.get_by_test_id("stMain").evaluate("it => it.scrollWidth") <= width
    colour = "it => getComputedStyle(it).backgroundColor"
    marked, other = (page.locator(one).first.evaluate(colour) for one in (".sb-marked", ".sb-line:not(.sb-marked)"))
    assert marked != other and marked not in ("rgba(0, 0, 0, 0)", page.locator(".sb-code").first.evaluate(colour))
    numbers = page.locator(".sb-code").first.locator(".sb-line-number").all_inner_texts()
    found = [int(re.sub(r"\D", "", number)) for number in numbers]
    assert found == list(range(found[0], found[0] + 7))
    page.close()


def test_the_list_and_its_panel_fit_a_phone(chromium: Browser, address: str) -> None:
    page, _ = open_page(chromium, f"{address}/deployments", 390)
    expect(panel(page)).to_be_visible(timeout=QUICK)
    settled(page)
    assert page.get_by_test_id("stMain").evaluate("it => it.scrollWidth") <= 390
    table, below = page.get_by_test_id("stDataFrame").first.bounding_box(), panel(page).bounding_box()
    assert table is not None and below is not None and below["y"] >= table["y"] + table["height"]
    page.close()
