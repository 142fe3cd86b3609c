"""Takes the pictures of the README from the sandbox, at desktop width and, with --all, in every form."""

from __future__ import annotations

import argparse
import itertools
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
SCENARIO = "missing-column"
PAGES = (
    "status", "bookings", "texts", "deployments", "systems", "action-plan", "incident-log", "handbook",
)  # fmt: skip
README_PAGES = ("status", "deployments")
WIDTHS = {1440: 900, 390: 844}
TALLEST = 4000
SETTLE_MS = 4000
READY_SECONDS = 60


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_ready(address: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310 - our own address
                if b'"ready"' in answer.read():
                    return
        except OSError:
            pass  # not up yet
        time.sleep(0.2)
    raise SystemExit(f"The dashboard did not become ready at {address}.")


def picture(browser: Browser, address: str, page: str, width: int, scheme: str, file: Path) -> None:
    context = browser.new_context(viewport={"width": width, "height": WIDTHS[width]}, color_scheme=scheme)
    tab = context.new_page()
    tab.goto(f"{address}/{page}")
    tab.wait_for_selector('[data-testid="stHeading"]', timeout=30_000)
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
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "lib.run", "--no-browser", "--port", str(port), "--scenario", SCENARIO]
    dashboard = subprocess.Popen(command, cwd=ROOT)
    try:
        wait_until_ready(address)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
            if arguments.all:
                for page, width, scheme in itertools.product(PAGES, WIDTHS, ("light", "dark")):
                    picture(browser, address, page, width, scheme, arguments.all / f"{page}-{width}-{scheme}.png")
            else:
                for page in README_PAGES:
                    picture(browser, address, page, 1440, "light", IMAGES / f"{page}.png")
            browser.close()
    finally:
        dashboard.terminate()
        dashboard.wait()


if __name__ == "__main__":
    main()
