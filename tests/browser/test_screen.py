"""What the screen shows at first sight: heights, headings, the tab's title, the phone, and a shared screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from lib import settings as settings_
from lib.journal.journal import Journal
from lib.model.people import Actor, Role, Via
from lib.sandbox.scenarios import SCENARIOS
from lib.sandbox.serve import Running
from lib.snapshot import utc_now
from tests.browser.conftest import open_sheet, settled, until
from tests.browser.test_journey import PAGES, dashboard

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
ONE_SCREEN = 900  # pixels of height on a desktop
QUICK = 20_000
STATES = "FLOWING|DEGRADED|BROKEN|NO TRAFFIC|CANNOT TELL"
# How long a switch of the scenario may take to show: a snapshot of the old one may just have begun.
SWITCH = 60_000
HEADLINES = {
    "healthy": "FLOWING",
    "misfit-elsewhere": "FLOWING",
    "quiet-day": "NO TRAFFIC",
    "rls-blind": "CANNOT TELL",
    **dict.fromkeys(
        (
            "provider-rejecting",
            "undelivered",
            "twilio-unconfigured",
            "env-missing",
            "link-to-login",
            "api-500",
            "literal-not-allowed",
            "api-key-revoked",
        ),
        "BROKEN",
    ),
}


@pytest.fixture(scope="module")
def journal_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('screen') / 'journal.sqlite3'}"


@pytest.fixture(scope="module")
def address(play: Callable[[str], dict[str, str]], journal_url: str) -> Iterator[str]:
    with dashboard(play("missing-column") | {"JOURNAL_URL": journal_url}) as found:
        yield found


def opened(chromium: Browser, url: str, size: dict[str, int], state: str = STATES) -> Page:
    page = chromium.new_page(viewport=size)
    page.goto(url)
    expect(page.locator(".sb-state")).to_have_text(re.compile(state), timeout=SWITCH)
    settled(page)
    return page


def height(page: Page) -> int:
    return int(page.get_by_test_id("stMain").evaluate("it => it.scrollHeight"))


def height_at_rest(page: Page, at_most: int) -> int:
    """Return the height once it is small enough: while a page is drawn anew, old and new stand side by side."""
    for _ in range(30):
        if (pixels := height(page)) <= at_most:
            break
        page.wait_for_timeout(500)
    return pixels


@pytest.mark.parametrize("path", [*PAGES, "handbook"])
def test_each_page_has_one_first_heading_and_names_itself_and_the_state_in_the_tab(
    chromium: Browser, address: str, path: str
) -> None:
    page = opened(chromium, f"{address}/{path}", DESKTOP)
    title = PAGES.get(path, "Handbook")
    expect(page.get_by_role("heading", level=1)).to_have_text([title])
    until(page, lambda: page.title() == f"DEGRADED · {title} · Switchboard")
    levels = page.evaluate("() => [...document.querySelectorAll('h1,h2,h3,h4,h5,h6')].map((it) => +it.tagName[1])")
    skipped = [(a, b) for a, b in pairwise(levels) if b > a + 1]
    assert (levels[:2], skipped) == ([1, 2], [])
    page.close()


def test_a_shared_screen_has_no_controls_no_names_and_a_way_out(
    chromium: Browser, address: str, journal_url: str
) -> None:
    journal = Journal.open(settings_.load({"JOURNAL_URL": journal_url}), utc_now)
    journal.open_incident("A title that names Sam Miller", Actor("ana.jones@example.com", Role.OPERATOR, Via.PAGE))
    journal.close()
    page = opened(chromium, f"{address}/status?share=true", DESKTOP)
    expect(page.get_by_text("incident open")).to_be_visible(timeout=QUICK)
    assert height(page) <= ONE_SCREEN
    for gone in ("Scenario", "Pace"):
        expect(page.get_by_role("combobox", name=gone)).to_have_count(0)
    main = page.get_by_test_id("stMain")
    labels = [button.inner_text() for button in main.get_by_role("button").all()]
    assert [label for label in labels if label and "View" not in label] == []
    said = main.inner_text()
    assert [name for name in ("Sam Miller", "ana", "jones", "@") if name in said.split()] == []
    page.get_by_text("Share screen").click()
    expect(page.get_by_role("heading", name="Key figures")).to_be_visible(timeout=QUICK)
    open_sheet(page)
    expect(page.get_by_role("combobox", name="Scenario")).to_be_visible()
    page.close()


def test_on_a_phone_the_header_is_one_row_and_the_headline_stands_in_the_first_screen(
    chromium: Browser, address: str
) -> None:
    page = opened(chromium, f"{address}/status", PHONE)
    row = page.locator(".st-key-header").bounding_box()
    assert row is not None
    assert row["height"] <= 60
    for one in page.locator(".st-key-header button, .st-key-header h1").all():
        box = one.bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"], one.inner_text()
    answer = page.locator(".sb-answer").bounding_box()
    assert answer is not None
    assert answer["y"] + answer["height"] < PHONE["height"] / 2
    expect(page.locator(".st-key-next_step").get_by_role("button")).to_be_in_viewport()
    page.close()


def test_on_a_phone_nothing_in_the_header_covers_something_else(chromium: Browser, address: str) -> None:
    page = opened(chromium, f"{address}/deployments", PHONE)  # the longest of the titles
    header = page.locator(".st-key-header")
    expect(header.get_by_role("button", name="Freeze")).to_be_visible(timeout=QUICK)
    places = sorted(
        (box["x"], box["x"] + box["width"])
        for one in header.locator("h1, .sb-place, button").all()
        if one.is_visible() and (box := one.bounding_box()) is not None
    )
    assert len(places) == 4
    assert [(left, right) for left, right in pairwise(places) if right[0] < left[1]] == []
    page.close()


def test_the_next_step_is_one_click_from_the_headline(chromium: Browser, address: str) -> None:
    page = opened(chromium, f"{address}/status", DESKTOP)
    page.locator(".st-key-next_step").get_by_role("button").click()
    expect(page.get_by_role("dialog")).to_contain_text("pending_bookings", timeout=QUICK)
    page.close()


# Last, because they leave another scenario behind.

# One per state and kind of cause; the `long` run measures the others as well.
REPRESENTATIVE = ("missing-column", "provider-rejecting", "two-causes", "healthy", "rls-blind")
BUDGETS = {"status": 1800, "action-plan": 1800, "systems": 1800, "status?share=true": ONE_SCREEN}
HOPS = 7  # of the history: what Switchboard may read has none


def page_state(name: str) -> str:
    """Return the word of the headline that a scenario comes to."""
    return HEADLINES.get(name, "DEGRADED")


def followed(page: Page, state: str) -> bool:
    """Whether the page shows `state`. If not, load it again: only a new page asks which keys the scenario has."""
    try:
        expect(page.locator(".sb-state")).to_have_text(state, timeout=QUICK / 2)
    except AssertionError:
        page.reload()
        return False
    return True


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "name", [name if name in REPRESENTATIVE else pytest.param(name, marks=pytest.mark.long) for name in SCENARIOS]
)
def test_each_page_keeps_to_its_screens_and_a_shared_screen_names_every_hop(
    chromium: Browser, sandbox: Running, address: str, name: str
) -> None:
    endpoint = f"{sandbox.world.base_url}/sandbox/scenario"
    httpx.post(endpoint, json={"name": name}, timeout=60).raise_for_status()
    page, state = chromium.new_page(viewport=DESKTOP), page_state(name)
    heights = {}
    for path, budget in BUDGETS.items():
        page.goto(f"{address}/{path}")
        until(page, lambda: followed(page, state), SWITCH / 1000)
        settled(page)
        heights[path] = height_at_rest(page, budget)
    assert {path: pixels for path, pixels in heights.items() if pixels > BUDGETS[path]} == {}
    labels = page.locator(".st-key-hop_history .ytick text")
    expect(labels).to_have_count(1 + HOPS, timeout=QUICK)
    expect(page.locator(".sb-hop")).to_have_count(1 + HOPS)
    shown = page.locator(".st-key-hop_history").bounding_box()
    assert shown is not None and shown["y"] + shown["height"] <= ONE_SCREEN
    page.close()
