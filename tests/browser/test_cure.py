"""The sandbox is cured from the screen by following the plan, and the journal tells the story in order."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from lib import settings as settings_
from lib.journal.entry import Kind
from lib.journal.journal import Journal
from lib.journal.request import RequestState
from lib.sandbox.serve import Running
from lib.snapshot import utc_now
from tests.browser.conftest import close_sheet, free_port, open_sheet, started
from tests.browser.test_journey import dashboard, open_page
from tests.waiting import wait_until

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

A_MINUTE = 90_000
QUICK = 20_000


@pytest.fixture
def dashboard_page(
    play: Callable[[str], dict[str, str]], sandbox: Running, tmp_path: Path
) -> Iterator[tuple[str, Journal]]:
    """A dashboard on `missing-column` with a journal of its own, while bookings come in quickly."""
    settings = play("missing-column") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    journal = Journal.open(settings_.load(settings), utc_now)
    with dashboard(settings) as address:
        yield address, journal
    journal.close()
    pace(sandbox, 0)


def pace(sandbox: Running, bookings_per_minute: float) -> None:
    endpoint = f"{sandbox.world.base_url}/sandbox/pace"
    httpx.post(endpoint, json={"bookings_per_minute": bookings_per_minute}, timeout=30).raise_for_status()


def choose_pace(page: Page, message: str) -> None:
    open_sheet(page)
    page.get_by_role("combobox", name="Pace").click()
    page.get_by_role("option", name=message).click()
    close_sheet(page)


def open_step(page: Page, title: str) -> None:
    page.get_by_test_id("stExpander").filter(has_text=title).first.get_by_text(title).first.click()


def run_the_recommended_migration(page: Page, *, clicks: int = 1) -> None:
    """Do what the plan says next: type the phrase and a reason, and confirm."""
    page.get_by_role("button", name="Add the column").first.click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_text("The exact SQL").click(timeout=QUICK)
    expect(dialog.get_by_text("add column if not exists metadata jsonb")).to_be_visible(timeout=QUICK)
    confirm = dialog.get_by_role("button", name="Add the column")
    expect(confirm).to_be_disabled()
    dialog.get_by_label("The phrase").press_sequentially("pending_bookings")
    dialog.get_by_label("The phrase").press("Enter")
    dialog.get_by_label("The reason").press_sequentially("the column is gone")
    expect(confirm).to_be_enabled(timeout=QUICK)
    confirm.click(click_count=clicks)
    expect(dialog).to_be_hidden(timeout=QUICK)


@pytest.mark.timeout(600)
def test_a_missing_column_is_cured_by_following_the_plan(
    chromium: Browser, dashboard_page: tuple[str, Journal]
) -> None:
    address, journal = dashboard_page
    page, wire = open_page(chromium, f"{address}/action-plan")
    expect(page.locator(".sb-state")).to_have_text("DEGRADED", timeout=QUICK)
    choose_pace(page, "120 bookings/min")
    page.get_by_role("button", name="Open an incident").click()
    expect(page.get_by_text("of the 15 to 30 minutes planned")).to_be_visible(timeout=QUICK)

    # A redeploy is not what cures it, and the plan says so.
    open_step(page, "steps are not needed")
    open_step(page, "Redeploy or promote")
    expect(page.get_by_role("button", name="Redeploy the same commit")).to_be_visible(timeout=QUICK)
    expect(
        page.get_by_text("Nothing to do: the evidence already shows it.").locator("visible=true").first
    ).to_be_visible(timeout=QUICK)
    # The advised step says which migration helps now; those that would not stand behind one line.
    open_step(page, "Emergency migration")
    cured = page.locator(".sb-card").filter(has_text="Helps now")
    expect(cured).to_have_count(1, timeout=QUICK)
    expect(cured).to_contain_text("Add the column pending_bookings.metadata")
    tempting = page.locator(".sb-card").filter(has_text="Let messages.customer_id be null")
    expect(tempting).to_have_count(0)
    open_step(page, "Would not help now")
    expect(tempting.first).to_contain_text("Would not help", timeout=QUICK)

    run_the_recommended_migration(page, clicks=3)
    expect(page.locator(".sb-card").filter(has_text="succeeded").first).to_be_visible(timeout=QUICK)

    open_step(page, "Monitor")
    tiles = page.locator(".sb-tile")
    expect(tiles).to_have_count(4, timeout=QUICK)
    page.get_by_role("button", name="Check again", exact=True).click()
    expect(page.locator(".sb-tile.sb-good")).to_have_count(4, timeout=A_MINUTE)
    expect(page.locator(".sb-sentence")).to_contain_text("Texts are flowing", timeout=A_MINUTE)
    assert wire.complaints == []

    page.get_by_role("link", name="Its log").click()
    expect(page.locator(".sb-story").first).to_contain_text("Run a migration: succeeded", timeout=QUICK)
    page.close()
    assert len(journal.requests()) == 1, "three clicks are one request"
    assert journal.requests()[0].state is RequestState.SUCCEEDED
    kinds = [entry.kind for entry in journal.entries()]
    story = [Kind.INCIDENT_OPENED, Kind.DIAGNOSIS, Kind.REQUEST, Kind.STARTED, Kind.RECEIPT]
    assert [kind for kind in kinds if kind in story] == story
    assert journal.verify().ok


@pytest.mark.timeout(300)
def test_what_one_person_confirms_another_sees_and_a_reload_loses_nothing(
    chromium: Browser, dashboard_page: tuple[str, Journal]
) -> None:
    address, journal = dashboard_page
    watching, _ = open_page(chromium, f"{address}/deployments")
    page, _ = open_page(chromium, f"{address}/deployments")
    page.get_by_role("button", name="Redeploy the same commit").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("The same commit is built again")).to_be_visible(timeout=QUICK)
    dialog.get_by_role("button", name="Redeploy", exact=True).click()
    running = "Redeploy the same commit"
    expect(page.locator(".sb-card").filter(has_text=running).first).to_be_visible(timeout=QUICK)
    page.reload()
    expect(page.locator(".sb-card").filter(has_text=running).first).to_be_visible(timeout=QUICK)
    expect(watching.locator(".sb-card").filter(has_text=running).first).to_contain_text(
        re.compile("requested|last checks|running|succeeded"), timeout=QUICK
    )
    expect(page.locator(".sb-card").filter(has_text="succeeded").first).to_be_visible(timeout=A_MINUTE)
    page.close()
    watching.close()
    assert [request.state for request in journal.requests()] == [RequestState.SUCCEEDED]


def builds_made(sandbox: Running) -> int:
    """How many builds the twin was asked for, beyond those of the scenario's past."""
    with sandbox.world.connection() as connection:
        row = connection.execute("select count(*) as n from twin.deployments where source = 'redeploy'").fetchone()
    assert row is not None
    return int(row["n"])


def confirm_redeploy(page: Page) -> None:
    page.get_by_role("button", name="Redeploy the same commit").click()
    expect(page.get_by_role("dialog").get_by_role("button", name="Redeploy", exact=True)).to_be_enabled(timeout=QUICK)


@pytest.mark.timeout(180)
def test_two_browsers_that_confirm_the_same_at_once_make_one_effect(
    chromium: Browser, dashboard_page: tuple[str, Journal], sandbox: Running
) -> None:
    address, journal = dashboard_page
    pages = [open_page(chromium, f"{address}/deployments")[0] for _ in range(2)]
    for page in pages:
        confirm_redeploy(page)
    for page in pages:
        page.get_by_role("dialog").get_by_role("button", name="Redeploy", exact=True).dispatch_event("click")
    for page in pages:
        expect(page.locator(".sb-card").filter(has_text="succeeded").first).to_be_visible(timeout=A_MINUTE)
        page.close()
    assert builds_made(sandbox) == 1
    assert sorted(request.state for request in journal.requests()) == [RequestState.REFUSED, RequestState.SUCCEEDED]


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_server_that_is_killed_in_the_middle_loses_nothing_and_does_nothing_twice(
    chromium: Browser, play: Callable[[str], dict[str, str]], sandbox: Running, tmp_path: Path
) -> None:
    settings = play("healthy") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}
    with sandbox.world.connection() as connection:
        connection.execute("update twin.project set build_time = '15 s'")
    journal = Journal.open(settings_.load(settings), utc_now)
    port = free_port()
    command: list[str | Path] = [sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port)]
    with started(command, port, settings) as (address, server):
        page, _ = open_page(chromium, f"{address}/deployments")
        confirm_redeploy(page)
        page.get_by_role("dialog").get_by_role("button", name="Redeploy", exact=True).click()
        wait_until(lambda: builds_made(sandbox))
        server.kill()
        server.wait()
        page.close()
    assert journal.requests()[0].state is RequestState.STARTED

    with dashboard(settings) as address:
        page, _ = open_page(chromium, f"{address}/deployments")
        card = page.locator(".sb-card").filter(has_text="Redeploy the same commit")
        expect(card.first).to_contain_text("outcome unknown", timeout=A_MINUTE)  # no heartbeat since
        page.get_by_role("button", name="Look again").first.click()
        expect(card.first).to_contain_text("succeeded", timeout=A_MINUTE)
        page.close()
    assert [request.state for request in journal.requests()] == [RequestState.SUCCEEDED]
    assert builds_made(sandbox) == 1
    kinds = [entry.kind for entry in journal.entries()]
    assert kinds[-1] is Kind.RESOLUTION and kinds.count(Kind.STARTED) == 1
    assert journal.verify().ok
    journal.close()
