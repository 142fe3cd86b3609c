"""Takes the pictures of the README from the sandbox, at desktop width and, with --all, in every form."""

from __future__ import annotations

import argparse
import itertools
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Browser, sync_playwright  # noqa: E402

from scripts.dashboard import CHROMIUM_FLAGS, dashboard  # noqa: E402

IMAGES = ROOT / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
SCENARIO = "missing-column"
PAGES = (
    "status",
    "bookings",
    "texts",
    "deployments",
    "code-and-database",
    "systems",
    "action-plan",
    "incident-log",
    "handbook",
)
# Views of a page that have an address of their own.
VIEWS = {"code-and-database": "deployments?view=Code+and+database"}
README_PAGES = ("status", "deployments")
WIDTHS = {1440: 900, 390: 844}
TALLEST = 4000
SETTLE_MS = 4000


def picture(browser: Browser, address: str, page: str, width: int, scheme: str, file: Path) -> None:
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{address}/{VIEWS.get(page, page)}")
    tab.wait_for_selector(".sb-headline .sb-state", timeout=30_000)
    tab.wait_for_timeout(SETTLE_MS)
    height = tab.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    tab.set_viewport_size({"width": width, "height": min(int(height), TALLEST)})
    tab.wait_for_timeout(SETTLE_MS // 4)
    file.parent.mkdir(parents=True, exist_ok=True)
    tab.screenshot(path=file)
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", type=Path, metavar="FOLDER", help="every page, width and colour scheme, into FOLDER")
    arguments = parser.parse_args()
    with dashboard("--scenario", SCENARIO) as server, sync_playwright() as playwright:
        server.wait()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(CHROMIUM_FLAGS))
        if arguments.all:
            for page, width, scheme in itertools.product(PAGES, WIDTHS, ("light", "dark")):
                picture(browser, server.address, page, width, scheme, arguments.all / f"{page}-{width}-{scheme}.png")
        else:
            for page in README_PAGES:
                picture(browser, server.address, page, 1440, "light", IMAGES / f"{page}.png")
        browser.close()


if __name__ == "__main__":
    main()
