"""Takes the pictures in docs/images from the sandbox: each page on a desktop and a phone, light and dark."""

from __future__ import annotations

import argparse
import sys
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402

from scripts.dashboard import CHROMIUM_FLAGS, dashboard  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
# Which scenario a page is shown in: where people are affected, their page has more to show.
SCENARIOS = {
    "missing-column": (
        "status",
        "deployments",
        "code-and-database",
        "systems",
        "action-plan",
        "handbook",
        "incident-log",
        "status-shared",
    ),
    "provider-rejecting": ("bookings", "texts"),
}
# Views of a page that have an address of their own.
VIEWS = {"code-and-database": "deployments?view=Code+and+database", "status-shared": "status?share=true"}
SHARED = "status-shared"
# Before this page, and for those after it, an incident is opened.
FIRST_WITH_INCIDENT = "incident-log"
DESKTOP, PHONE = 1440, 390
HEIGHTS = {DESKTOP: 900, PHONE: 844}
# The pictures of a page: what its file's name ends in, the width, and the colour scheme.
FORMS = (("", DESKTOP, "light"), ("-dark", DESKTOP, "dark"), ("-phone", PHONE, "light"))
TALLEST = 4000
MOST_BYTES = 150_000
WEBP_QUALITIES = (90, 80, 70, 60, 50, 40)
DRAWN = "[data-test-script-state='notRunning']"
QUIET_MS, PATIENCE = 700, 60


def picture(browser: Browser, address: str, page: str, width: int, scheme: str, file: Path) -> None:
    """Take the picture of a page into `file`: as tall as the page is, and a shared screen as one screen."""
    context = browser.new_context(viewport={"width": width, "height": HEIGHTS[width]}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{address}/{VIEWS.get(page, page)}")
    tab.wait_for_selector(".sb-headline .sb-state", timeout=60_000)
    height = _height_at_rest(tab)
    if page != SHARED:
        tab.set_viewport_size({"width": width, "height": min(max(height, HEIGHTS[width]), TALLEST)})
        _height_at_rest(tab)
    _write(tab.screenshot(), file)
    context.close()


def open_incident(browser: Browser, address: str) -> None:
    """Open an incident as somebody does who follows the plan, so that there is something to log."""
    tab = browser.new_page(viewport={"width": DESKTOP, "height": HEIGHTS[DESKTOP]})
    tab.goto(f"{address}/action-plan")
    tab.get_by_role("button", name="Open an incident").click(timeout=60_000)
    tab.get_by_text("minutes planned").first.wait_for(timeout=60_000)
    tab.close()


def _height_at_rest(tab: Page) -> int:
    """Return the page's height as soon as it is drawn and stays the same, or has had long enough."""
    before = -1
    for _ in range(PATIENCE):
        tab.wait_for_timeout(QUIET_MS)
        drawn = tab.locator(DRAWN).count() == 1 and not tab.get_by_test_id("stSkeleton").count()
        height = int(tab.get_by_test_id("stMain").evaluate("it => it.scrollHeight"))
        if drawn and height == before:
            break
        before = height
    return height


def _write(png: bytes, file: Path) -> None:
    """Write a picture as WebP, as well as it fits into what one file of a repository may weigh."""
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.open(BytesIO(png)).convert("RGB")
    for quality in WEBP_QUALITIES:
        image.save(file, "WEBP", quality=quality, method=6)
        if file.stat().st_size <= MOST_BYTES:
            return
    raise SystemExit(f"{file.name} has more than {MOST_BYTES:,} bytes even at the lowest quality.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, metavar="FOLDER", default=IMAGES, help="docs/images, unless given")
    parser.add_argument("--page", action="append", metavar="NAME", help="this page alone; can be repeated")
    arguments = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        for scenario, pages in SCENARIOS.items():
            wanted = [page for page in pages if not arguments.page or page in arguments.page]
            if wanted:
                with dashboard("--scenario", scenario) as server:
                    server.wait()
                    for page in wanted:
                        if page == FIRST_WITH_INCIDENT:
                            open_incident(browser, server.address)
                        for ending, width, scheme in FORMS[:1] if page == SHARED else FORMS:
                            file = arguments.into / f"{page}{ending}.webp"
                            picture(browser, server.address, page, width, scheme, file)
        browser.close()


if __name__ == "__main__":
    main()
