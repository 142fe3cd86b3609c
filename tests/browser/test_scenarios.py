"""Each scenario of the sandbox is cured from the screen by following the plan, and the journal records it.

The tests read from the screen what to do next; the table only says what that should have come to.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, TimeoutError, expect

from lib import settings as settings_
from lib.journal.entry import Kind
from lib.journal.journal import Journal
from lib.journal.request import RequestState
from lib.sandbox.scenarios import SCENARIOS
from lib.sandbox.serve import Running
from lib.snapshot import utc_now
from tests.browser.conftest import close_sheet, open_sheet, settled, until
from tests.browser.test_journey import Wire, dashboard, open_page

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

QUICK = 20_000
CURED_WITHIN_SECONDS = 90
BOOKINGS_PER_MINUTE = 120
# What people do in other systems, in whose stead the sandbox's button is pressed.
SOMEBODY = "somebody"

# What following the plan comes to, in order.
CURES = {
    "code-not-deployed": ("deploy_commit",),
    "two-causes": ("run_migration", "promote"),
    "git-disconnected": (SOMEBODY, "deploy_commit"),
    "receipts-stale": (SOMEBODY, "redeploy"),
    "api-key-revoked": (SOMEBODY,),
    "rls-blind": (SOMEBODY,),
    "missing-column": ("run_migration",),
    "migration-not-applied": ("run_repository_migration",),
    "code-unreadable": ("run_migration",),
    "literal-not-allowed": ("run_repository_migration",),
    "sent-not-recorded": ("run_migration",),
    "api-500": ("run_migration",),
    "not-promoted": ("promote",),
    "older-build-took-domain": ("promote",),
    "build-failing": (SOMEBODY,),
    "wrong-branch": (SOMEBODY, "deploy_commit"),
    "env-missing": ("redeploy",),
    "twilio-unconfigured": (SOMEBODY, "redeploy"),
    "provider-rejecting": (SOMEBODY,),
    "undelivered": (SOMEBODY,),
    "link-to-login": (SOMEBODY,),
    "jobs-stuck": (SOMEBODY,),
}
# Cured by a person elsewhere and by a button; tests/browser/test_cure.py follows the plan through a migration.
REPRESENTATIVE = ("git-disconnected",)
NOTHING_TO_CURE = {"healthy": "FLOWING", "misfit-elsewhere": "FLOWING", "quiet-day": "NO TRAFFIC"}


@dataclass(frozen=True)
class Screen:
    """A page of the one dashboard on the sandbox, and what that writes and plays."""

    page: Page
    wire: Wire
    journal: Journal
    sandbox: Running
    plan: str

    def play(self, name: str) -> None:
        """Open the plan, and choose the scenario from the header. A build takes a second."""
        self.page.goto(self.plan)
        expect(self.page.get_by_role("heading", name="Do next")).to_be_visible(timeout=QUICK)
        menu, title = self.page.get_by_role("combobox", name="Scenario"), SCENARIOS[name].title
        while self.sandbox.scenario.name != name:
            # A menu that is open closes when the page scrolls or is drawn anew; then it is opened again.
            with suppress(TimeoutError, AssertionError):
                open_sheet(self.page)
                menu.fill(title)
                self.page.get_by_role("option", name=title, exact=True).wait_for(timeout=2_000)
                menu.press("Enter")
                until(self.page, lambda: self.sandbox.scenario.name == name, seconds=3)
        expect(menu).to_have_value(title, timeout=QUICK)
        close_sheet(self.page)
        settled(self.page)
        with self.sandbox.world.connection() as connection:
            connection.execute("update twin.project set queue_time = '0.2 s', build_time = '1 s'")

    def pace(self, bookings_per_minute: float) -> None:
        endpoint = f"{self.sandbox.world.base_url}/sandbox/pace"
        httpx.post(endpoint, json={"bookings_per_minute": bookings_per_minute}, timeout=30).raise_for_status()

    @property
    def tasks(self) -> Locator:
        """What the plan says to do now, the first first; not a stopgap."""
        return self.page.locator("[class*='st-key-task_']").filter(has_text="Do now")

    def _still_asked_for(self, task: str) -> bool:
        return self.page.locator(f".{task}").filter(has_text="Do now").count() > 0

    @property
    def state(self) -> str:
        return self.page.locator(".sb-state").inner_text()

    def follow(self) -> list[str]:
        """Do what the plan says next until it says that there is nothing more; return what that was."""
        done: list[str] = []
        deadline = time.monotonic() + CURED_WITHIN_SECONDS
        while time.monotonic() < deadline:
            settled(self.page)
            if self.tasks.count():
                done += self._do(self.tasks.first)
            elif self.state == "FLOWING" and not self.page.locator("[class*='st-key-task_']").count():
                return done
            else:
                self.recheck()
        pytest.fail(f"After {done}: {self.state}, {self.page.locator('.sb-sentence').inner_text()}")

    def recheck(self) -> None:
        """Press the button, and wait until the server's answer is drawn."""
        before = len(self.wire.frames)
        self.page.get_by_role("button", name="Check again", exact=True).click()
        until(self.page, lambda: len(self.wire.frames) > before)
        settled(self.page)

    def _do(self, task: Locator) -> list[str]:
        """Do one task; return what was done, or nothing if the desk refused it because it was too soon."""
        expect(task.get_by_role("button").first).to_be_visible(timeout=QUICK)
        name = next(word for word in str(task.get_attribute("class")).split() if word.startswith("st-key-task_"))
        done_elsewhere = task.get_by_role("button", name="It is done: check again")
        if done_elsewhere.count():
            stand_in = self.page.get_by_role("button", name=re.compile("Somebody fixed it in"))
            open_sheet(self.page)
            stand_in.click()
            expect(stand_in).to_be_disabled(timeout=QUICK)
            close_sheet(self.page)
            with suppress(TimeoutError):  # the desk may see it by itself before anybody says so
                done_elsewhere.click(timeout=3_000)
            until(self.page, lambda: not self._still_asked_for(name))
            return [SOMEBODY]
        before = len(self.journal.requests())
        task.get_by_role("button").click()
        self.confirm()
        until(self.page, lambda: len(self.journal.requests()) > before and bool(self.journal.requests()[0].ended_at))
        request = self.journal.requests()[0]
        left = re.search(r"a moment ago: wait (\d+) s more", request.message)
        if request.state is RequestState.REFUSED and left:
            self.page.wait_for_timeout(1000 * int(left[1]))  # the cool-down, as the refusal states it
            return []
        assert request.state is RequestState.SUCCEEDED, request.message
        until(self.page, lambda: not self._still_asked_for(name))
        return [request.action]

    def confirm(self) -> None:
        """Confirm the open dialog, with the phrase that it asks for and a reason."""
        dialog = self.page.get_by_role("dialog")
        confirm = dialog.locator(".st-key-ask_confirm button")
        expect(confirm).to_be_visible(timeout=QUICK)
        phrase = dialog.get_by_text("To confirm, type").locator("code")
        if phrase.count():
            dialog.get_by_label("The phrase").fill(phrase.inner_text())
            dialog.get_by_label("The phrase").press("Enter")
            dialog.get_by_label("The reason").fill("the plan says so")
            dialog.get_by_label("The reason").press("Enter")
        expect(confirm).to_be_enabled(timeout=QUICK)
        confirm.click()
        expect(dialog).to_be_hidden(timeout=QUICK)


@pytest.fixture(scope="module")
def screen(chromium: Browser, sandbox: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screen]:
    """One dashboard on the sandbox for all of these tests; each switches the scenario from the screen."""
    folder = tmp_path_factory.mktemp("desk")
    settings = sandbox.settings | {"JOURNAL_URL": f"sqlite:///{folder / 'journal.sqlite3'}"}
    journal = Journal.open(settings_.load(settings, secrets_file=Path("/nonexistent")), utc_now)
    with dashboard(settings) as address:
        page, wire = open_page(chromium, address)
        yield Screen(page, wire, journal, sandbox, f"{address}/action-plan?step_monitor=true")
        page.close()
    journal.close()


@pytest.fixture(autouse=True)
def quiet_again(screen: Screen) -> Iterator[None]:
    yield
    screen.pace(0)
    for incident in screen.journal.incidents():
        if incident.open:
            screen.journal.close_incident(incident.id, incident.opened_by)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "name", [name if name in REPRESENTATIVE else pytest.param(name, marks=pytest.mark.long) for name in CURES]
)
def test_following_the_plan_cures_it(screen: Screen, name: str) -> None:
    page = screen.page
    screen.play(name)
    expect(page.locator(".sb-state")).to_have_text(re.compile("DEGRADED|BROKEN|CANNOT TELL"), timeout=QUICK)
    page.get_by_role("button", name="Open an incident").click()
    expect(page.get_by_text("of the 15 to 30 minutes planned")).to_be_visible(timeout=QUICK)
    screen.pace(BOOKINGS_PER_MINUTE)

    assert tuple(screen.follow()) == CURES[name]

    expect(page.locator(".sb-sentence")).to_contain_text("Texts are flowing", timeout=QUICK)
    screen.recheck()
    expect(page.locator(".sb-tile.sb-good")).to_have_count(4, timeout=1000 * CURED_WITHIN_SECONDS)
    assert screen.wire.complaints == []
    _journal_has_it_in_order(screen, name)


def _journal_has_it_in_order(screen: Screen, name: str) -> None:
    """The journal has the opening, what was seen, and each deed from its request to its receipt, in this order."""
    incident = screen.journal.incidents()[0]
    entries = screen.journal.entries(incident_id=incident.id)
    kinds = [entry.kind for entry in entries]
    assert kinds[:2] == [Kind.INCIDENT_OPENED, Kind.DIAGNOSIS]
    by_desk = [deed for deed in CURES[name] if deed != SOMEBODY]
    # Too soon after the scenario before: refused, shown, and asked for again.
    refused = {entry.about.request_id for entry in entries if entry.kind is Kind.REFUSED}
    done = [entry.kind for entry in entries if entry.about.request_id not in refused]
    steps = [kind for kind in done if kind in (Kind.REQUEST, Kind.STARTED, Kind.RECEIPT)]
    assert steps == [Kind.REQUEST, Kind.STARTED, Kind.RECEIPT] * len(by_desk)
    assert [entry.seq for entry in entries] == sorted(entry.seq for entry in entries)
    assert screen.journal.verify().ok


@pytest.mark.long
@pytest.mark.parametrize("name", NOTHING_TO_CURE)
def test_where_nothing_is_wrong_the_plan_asks_for_nothing(screen: Screen, name: str) -> None:
    screen.play(name)
    expect(screen.page.locator(".sb-state")).to_have_text(NOTHING_TO_CURE[name], timeout=QUICK)
    expect(screen.page.get_by_text("Nothing needs to be fixed.")).to_be_visible(timeout=QUICK)
    expect(screen.page.locator("[class*='st-key-task_']")).to_have_count(0)


def test_every_scenario_is_drilled() -> None:
    assert CURES.keys() | NOTHING_TO_CURE.keys() == SCENARIOS.keys()
