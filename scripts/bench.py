"""Measures the design's budgets against a sandbox on this machine, as ratios in one run."""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import psycopg  # noqa: E402
from playwright.sync_api import Browser, Page, sync_playwright  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from streamlit.proto.AutoRerun_pb2 import AutoRerun  # noqa: E402
from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from supabase import create_client  # noqa: E402
from websockets.sync.client import connect as connect_websocket  # noqa: E402
from websockets.sync.connection import Connection  # noqa: E402

from lib.diagnosis.diagnose import diagnose  # noqa: E402
from lib.launch import LaunchedSandbox, start_sandbox  # noqa: E402
from lib.migrations.catalogue import catalogue  # noqa: E402
from lib.migrations.script import scripts  # noqa: E402
from lib.model.window import WindowSize  # noqa: E402
from lib.sandbox import booking_app_code  # noqa: E402
from lib.sandbox.booking_app_twin import USER_AGENT  # noqa: E402
from lib.sandbox.faults import SYSTEMS  # noqa: E402
from lib.served_code import reader  # noqa: E402
from lib.served_code.archive import CODE, Files  # noqa: E402
from lib.settings import load  # noqa: E402
from lib.snapshot import SnapshotCache, take, utc_now  # noqa: E402
from lib.sources.http import Deadline, Http, HttpResponse  # noqa: E402
from lib.sources.source_registry import Sources, connect  # noqa: E402
from scripts.dashboard import CHROMIUM_FLAGS, READY_SECONDS, dashboard  # noqa: E402
from scripts.loads import data_api_calls, write_rows  # noqa: E402

ROUNDS = 5
CODE_FILES = 500
VIEWERS = 50
FEW, MANY = (10_000, 2_000), (1_000_000, 200_000)  # texts and bookings in 30 days
PAINT_SECONDS, RERUN_SECONDS, START_SECONDS = 1.2, 0.15, 10.0
BUSY_SECONDS, RESULT_RERUNS = 0.2, 4.0  # a click to a page that is busy; its result, in bare reruns
SNAPSHOT_RATIO = 1.2
RESTARTS = 3
HEADLINE = ".sb-headline .sb-sentence"
# The headline, or the one that was last known.
READABLE = f"{HEADLINE}, .sb-last-known .sb-known"
# The second frame after an element is there begins when the first, with it, has been painted.
NOTES_FIRST_PAINT = """
window.firstPaint = new Promise(resolve => new MutationObserver((_, observer) => {
    if (!document.querySelector(%s)) return
    observer.disconnect()
    requestAnimationFrame(() => requestAnimationFrame(() => resolve(performance.now())))
}).observe(document, { subtree: true, childList: true }))
"""


# Clicks, and says after how many milliseconds the page was busy and after how many it was done. The run that answers
# may be over before the browser draws a frame, so every change is looked at. A click that no run answers says so.
TIMES_CLICK = """
(element) => new Promise((resolve, reject) => {
    const state = () => document.querySelector("[data-test-script-state]").dataset.testScriptState
    const begin = performance.now()
    let busy = null
    const look = () => {
        if (state() === "running") busy ??= performance.now() - begin
        else if (busy !== null) {
            observer.disconnect()
            resolve({ busy, done: performance.now() - begin })
        }
    }
    const observer = new MutationObserver(look)
    observer.observe(document, { subtree: true, childList: true, attributes: true })
    setTimeout(() => reject(new Error("the click was not answered")), 20000)
    element.click()
})
"""
_WINDOW = '.st-key-window button:has-text("%s")'
# What is clicked in turn on each page, so that each click changes something: the window, and a box that opens.
CLICKED = {
    "/status": ((_WINDOW % "1h", _WINDOW % "24h"), (".st-key-counted summary",)),
    "/action-plan": ((_WINDOW % "1h", _WINDOW % "24h"),),
}


@dataclass(frozen=True)
class Measurement:
    """One budget: what was measured, the ratio or figure, and whether it is kept."""

    what: str
    value: float
    unit: str
    budget: str
    kept: bool


@contextmanager
def quiet_sandbox() -> Iterator[LaunchedSandbox]:
    """A healthy sandbox to which no bookings come, in a process of its own: its work is not ours to measure."""
    sandbox = start_sandbox("healthy")
    try:
        httpx.post(f"{sandbox.settings['SANDBOX_URL']}/pace", json={"bookings_per_minute": 0}).raise_for_status()
        yield sandbox
    finally:
        sandbox.stop()


def sources_of(sandbox: LaunchedSandbox) -> Sources:
    return connect(load(sandbox.settings, ROOT / "no-such-file"), utc_now)


def delay(sandbox: LaunchedSandbox, milliseconds: float) -> None:
    endpoint = f"{sandbox.settings['SANDBOX_URL']}/faults"
    httpx.delete(endpoint).raise_for_status()
    for system in SYSTEMS if milliseconds else ():
        # The delay is that of our network; that between the booking app and its database is not measured.
        fault = {"system": system, "delay_ms": milliseconds, "spare": USER_AGENT}
        httpx.post(endpoint, json=fault).raise_for_status()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def snapshot_against_slowest(sandbox: LaunchedSandbox) -> list[Measurement]:
    """A snapshot asks everything at once: it takes as long as its slowest reading, and little more.

    The first of a process waits for the bookings before it opens their newest link. The others open the one they know.
    """
    delay(sandbox, 500)
    ratios: dict[str, list[float]] = {"the first of a process": [], "from what is known": []}
    for _ in range(ROUNDS):
        cache = SnapshotCache(sources_of(sandbox))
        for kind in ratios:
            started = time.perf_counter()
            snapshot = cache.fresh(WindowSize.DAY)
            took = time.perf_counter() - started
            failed = [reading.name for reading in snapshot.readings if reading.failure]
            if failed:
                raise SystemExit(f"These readings failed, so nothing was measured: {', '.join(failed)}")
            ratios[kind].append(took / (max(reading.latency_ms for reading in snapshot.readings) / 1000))
        cache.close()
    medians = {kind: statistics.median(of_kind) for kind, of_kind in ratios.items()}
    return [
        Measurement(f"snapshot ÷ slowest reading, {kind}", ratio, "×", f"≤ {SNAPSHOT_RATIO}", ratio <= SNAPSHOT_RATIO)
        for kind, ratio in medians.items()
    ]


def calls_of(sandbox: LaunchedSandbox, viewers: int) -> int:
    """Count the upstream calls that `viewers` cause in a few seconds, at the gateway of the database."""
    cache = SnapshotCache(sources_of(sandbox))
    before = data_api_calls(sandbox.settings["DATABASE_URL"])

    def read_snapshots() -> None:
        for _ in range(8):
            cache.snapshot(WindowSize.DAY)
            time.sleep(0.5)

    threads = [threading.Thread(target=read_snapshots) for _ in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.close()
    return data_api_calls(sandbox.settings["DATABASE_URL"]) - before


def viewers(sandbox: LaunchedSandbox) -> Measurement:
    delay(sandbox, 0)
    one, many = calls_of(sandbox, 1), calls_of(sandbox, VIEWERS)
    ratio = many / max(one, 1)
    return Measurement(f"upstream calls, {VIEWERS} viewers ÷ 1 viewer", ratio, "×", "≤ 1.1", ratio <= 1.1)


def the_old_way(sandbox: LaunchedSandbox) -> None:
    """The script that Switchboard replaces: six queries one after another, and a test insert, cleaned up after."""
    settings = sandbox.settings
    client = create_client(settings["SUPABASE_URL"], settings["SUPABASE_SECRET_KEY"])
    for table, columns in (
        ("pending_bookings", "*"),
        ("messages", "*"),
        ("webhook_logs", "*"),
        ("audit_logs", "*"),
        ("bookings", "*"),
        ("events", "*"),
    ):
        client.table(table).select(columns).order("id").limit(10).execute()
    sid = f"TEST_{uuid.uuid4().hex}"
    row = {"direction": "outbound", "message_sid": sid, "body": "test", "status": "queued"}
    event = client.table("customers").select("id").limit(1).execute().data[0]["id"]
    client.table("messages").insert({**row, "customer_id": event}).execute()
    client.table("messages").delete().eq("message_sid", sid).execute()


def diagnose_now(sources: Sources) -> None:
    diagnose(take(sources, WindowSize.DAY), utc_now())


def diagnose_against_the_old_way(sandbox: LaunchedSandbox) -> Measurement:
    """Every call has 100 ms of network delay; ours asks more, writes nothing, and is done sooner."""
    delay(sandbox, 100)
    ratios = []
    for _ in range(ROUNDS):
        sources = sources_of(sandbox)
        ours = seconds(partial(diagnose_now, sources))
        ratios.append(ours / seconds(partial(the_old_way, sandbox)))
    ratio = statistics.median(ratios)
    return Measurement("diagnose ÷ the old script, 100 ms delay", ratio, "×", "< 1", ratio < 1)


def own_time_of_diagnose(sandbox: LaunchedSandbox) -> Measurement:
    delay(sandbox, 0)
    snapshot = take(sources_of(sandbox), WindowSize.MONTH)
    took = statistics.median(seconds(lambda: diagnose(snapshot, utc_now())) for _ in range(ROUNDS))
    return Measurement("diagnose, its own time, 30 days of the sandbox", took, "s", "< 1.5", took < 1.5)


# A window of a month with very many texts -----------------------------------------------------------------


def install_reporting(sandbox: LaunchedSandbox) -> None:
    with psycopg.connect(sandbox.settings["DATABASE_URL"], autocommit=True) as connection:
        for step in scripts(catalogue()["reporting"]):
            connection.execute(step.sql.encode())
    end = time.monotonic() + READY_SECONDS
    while not sources_of(sandbox).booking_data.can_count(Deadline(READY_SECONDS)):
        if time.monotonic() > end:
            raise SystemExit("The Data API did not see the reporting functions, so the month was not measured.")
        time.sleep(0.1)


@dataclass(frozen=True)
class Month:
    """What a month's snapshot and its diagnosis took in a process of its own."""

    seconds: float
    idle_mb: float
    most_mb: float
    headline: str


def month_of(sandbox: LaunchedSandbox) -> Month:
    """Let a fresh process read and diagnose the month, several times."""
    command = [sys.executable, __file__, "--month"]
    answer = subprocess.run(command, input=json.dumps(sandbox.settings), capture_output=True, text=True, check=True)
    return Month(**json.loads(answer.stdout))


def look_at_the_month() -> None:
    """What the fresh process does: settings on its stdin, figures on its stdout."""
    settings = load(json.loads(sys.stdin.read()), ROOT / "no-such-file")
    idle = resident_mb()
    took = []
    for _ in range(ROUNDS):
        sources = connect(settings, utc_now)
        started = time.perf_counter()
        found = diagnose(take(sources, WindowSize.MONTH), utc_now())
        took.append(time.perf_counter() - started)
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(Month(statistics.median(took), idle, most, found.headline.sentence))))


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def a_month(sandbox: LaunchedSandbox) -> list[Measurement]:
    """Thirty days with a million texts against ten thousand, both with the reporting functions installed."""
    delay(sandbox, 0)
    write_rows(sandbox.settings["DATABASE_URL"], *FEW)
    install_reporting(sandbox)
    few = month_of(sandbox)
    write_rows(sandbox.settings["DATABASE_URL"], *MANY)
    many = month_of(sandbox)
    ratio, above = many.seconds / few.seconds, many.most_mb - many.idle_mb
    print(f"30 days: {few.seconds:.2f} s with {FEW[0]:,} texts, {many.seconds:.2f} s with {MANY[0]:,}: {many.headline}")
    return [
        Measurement("30 days, 1,000,000 texts ÷ 10,000 texts", ratio, "×", "< 2", ratio < 2),
        Measurement("its memory above idle", above, "MB", "< 300", above < 300),
    ]


# The code that is served -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class CodeReading:
    """What reading so many files of code took in a process of its own: its processor time, and memory above idle."""

    files: int
    uses: int
    seconds: float
    megabytes: float


def code_files() -> Files:
    """The sandbox's own booking app, often enough to be as large as a real one: 500 files of code."""
    tree = booking_app_code.tree("on_pending", False, {})
    code = [(path, text.encode()) for path, text in sorted(tree.items()) if path.endswith(CODE)]
    copies = (
        (f"part{number // len(code)}/{path}", text) for number, (path, text) in zip(range(CODE_FILES), cycle(code))
    )
    return Files(dict(copies))


def read_the_code() -> None:
    """What the fresh process does: figures on its stdout."""
    files, idle = code_files(), resident_mb()
    started = time.process_time()
    code = reader.read(files, None)
    took = time.process_time() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps(asdict(CodeReading(len(code.files), len(code.uses), took, most - idle))))


def code_reading() -> list[Measurement]:
    command = [sys.executable, __file__, "--code"]
    found = [
        CodeReading(**json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        for _ in range(ROUNDS)
    ]
    first = found[0]
    if first.files != CODE_FILES or not first.uses:
        raise SystemExit(f"{first.files} files with {first.uses} uses were read, so nothing was measured.")
    took = statistics.median(one.seconds for one in found)
    above = max(one.megabytes for one in found)
    print(
        f"{first.files:,} files of code, {first.uses:,} uses of the database: {took:.2f} s, {above:.0f} MB above idle"
    )
    return [
        Measurement(f"reading {CODE_FILES} files of code, its own time", took, "s", "< 2", took < 2),
        Measurement("its memory above idle, code", above, "MB", "< 150", above < 150),
    ]


class CountingHttp(Http):
    """Counts the calls for a commit's archive."""

    for_code = 0

    def get(self, url: str, **asking: Any) -> HttpResponse:
        self.for_code += "/tarball/" in url
        return super().get(url, **asking)


def diagnose_again(sandbox: LaunchedSandbox) -> Measurement:
    """Diagnose twice, each time as a process that has just started: what the first read of a commit is kept."""
    delay(sandbox, 0)
    calls = []
    for _ in range(2):
        http = CountingHttp()
        snapshot = take(Sources(load(sandbox.settings, ROOT / "no-such-file"), http, utc_now), WindowSize.DAY)
        found = diagnose(snapshot, utc_now()).facts.code
        if not found.serving:
            raise SystemExit(f"No code was read, so its calls were not counted: {found.why_partial}")
        calls.append(http.for_code)
    return Measurement("calls for code, a second diagnose of the commit", calls[1], "", "0", calls[1] == 0)


# In a browser ---------------------------------------------------------------------------------------------


def wait_until_up(address: str) -> None:
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        try:
            httpx.get(f"{address}/_stcore/health", timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise SystemExit(f"The dashboard did not answer at {address}.")


def open_when_up(page: Page, address: str) -> None:
    """Open the dashboard as soon as it answers, and wait until its headline can be read."""
    wait_until_up(address)
    page.goto(address)
    page.wait_for_selector(HEADLINE, timeout=READY_SECONDS * 1000)


def paint_seconds(browser: Browser, address: str, selector: str = HEADLINE) -> float:
    """How long a newcomer waits for the headline, with nothing in the browser's cache: the browser's own clock.

    Looking from outside says up to a second more: it looks twice a second, and not while the browser draws charts.
    """
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script(NOTES_FIRST_PAINT % json.dumps(selector))
    page.goto(address)
    milliseconds = page.evaluate("window.firstPaint")
    context.close()
    return float(milliseconds) / 1000


def rerun_seconds(address: str) -> float:
    """How long the server takes to run the whole of Status again for one viewer, as his websocket sees it."""
    took = []
    origin = address.removeprefix("http://")
    with connect_websocket(
        f"ws://{origin}/_stcore/stream", subprotocols=["streamlit"], origin=address, max_size=None
    ) as wire:
        # The first run has no charts. A browser that has painted it asks for them, by the fragment that comes soonest.
        soonest = min((message.auto_rerun for message in _run(wire) if message.HasField("auto_rerun")), key=_interval)
        _run(wire, soonest.fragment_id)
        for _ in range(2 * ROUNDS):
            started = time.perf_counter()
            _run(wire)
            took.append(time.perf_counter() - started)
    return statistics.median(took)


def _interval(message: AutoRerun) -> float:
    return float(message.interval)


def _run(wire: Connection, fragment_id: str = "") -> list[ForwardMsg]:
    """Have the page run, or one fragment of it, and return all that it sent."""
    ask = BackMsg()
    ask.rerun_script.page_name = ""
    ask.rerun_script.fragment_id = fragment_id
    wire.send(ask.SerializeToString())
    return _until_finished(wire)


def _until_finished(wire: Connection) -> list[ForwardMsg]:
    messages: list[ForwardMsg] = []
    while not messages or not _ends(messages[-1]):
        messages.append(ForwardMsg.FromString(wire.recv(decode=False)))
    return messages


def _ends(message: ForwardMsg) -> bool:
    """Whether a run has finished, and not to be followed by another one at once."""
    finished = message.WhichOneof("type") == "script_finished"
    return finished and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN


@dataclass(frozen=True)
class Click:
    """After how many seconds the page was busy with a click, and after how many it showed the result."""

    busy: float
    done: float


def clicks(browser: Browser, address: str) -> list[Click]:
    """Click each control of `CLICKED` several times, once its page is at rest, and time it by the browser's clock."""
    found = []
    for path, selectors in CLICKED.items():
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{address}{path}")
        page.wait_for_selector(HEADLINE, timeout=READY_SECONDS * 1000)
        page.wait_for_timeout(3000)  # the charts come after the first paint
        for controls in selectors:
            for turn in range(2 * ROUNDS):
                page.wait_for_selector("[data-test-script-state=notRunning]", timeout=READY_SECONDS * 1000)
                control = page.wait_for_selector(controls[turn % len(controls)], timeout=READY_SECONDS * 1000)
                if control is None:
                    raise SystemExit(f"There is nothing to click at {path}: {controls}.")
                milliseconds = control.evaluate(TIMES_CLICK)
                found.append(Click(milliseconds["busy"] / 1000, milliseconds["done"] / 1000))
        context.close()
    return found


def readable_after_restart(browser: Browser) -> float:
    """How long somebody waits for something to read whose desk was restarted: from the address, by the browser's clock.

    The sandbox goes on meanwhile, and so does the journal.
    """
    took = []
    with quiet_sandbox() as sandbox, tempfile.TemporaryDirectory() as folder:
        settings = sandbox.settings | {"JOURNAL_URL": f"sqlite:///{folder}/journal.sqlite3"}
        with dashboard(settings=settings) as first:
            page = browser.new_page()
            open_when_up(page, first.address)
            page.wait_for_timeout(2000)  # the headline is stored beside the page
            page.close()
        for _ in range(RESTARTS):
            with dashboard(settings=settings) as again:
                wait_until_up(again.address)
                took.append(paint_seconds(browser, again.address, READABLE))
    return statistics.median(took)


def in_a_browser() -> list[Measurement]:
    """A second start of scripts/run to its first headline; then a newcomer's first paint, and reruns."""
    path = shutil.which("chromium")
    if path is None:
        print("Not measured without Debian's chromium: start, paint and rerun.")
        return []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(CHROMIUM_FLAGS))
        page = browser.new_page()
        started = time.perf_counter()
        with dashboard() as started_:
            address = started_.address
            open_when_up(page, address)
            start = time.perf_counter() - started
            page.close()
            paint = statistics.median(paint_seconds(browser, address) for _ in range(ROUNDS))
            rerun = rerun_seconds(address)
            clicked = clicks(browser, address)
        readable = readable_after_restart(browser)
        browser.close()
    busy = statistics.median(click.busy for click in clicked)
    result = statistics.median(click.done for click in clicked) / rerun
    worst = max(click.busy for click in clicked)
    print(f"{len(clicked)} clicks: the page was busy after {busy:.3f} s, at worst {worst:.3f} s; load {load_average()}")
    return [
        Measurement("scripts/run to the first headline", start, "s", "< 10", start < START_SECONDS),
        Measurement("first useful paint in Chromium", paint, "s", f"< {PAINT_SECONDS}", paint < PAINT_SECONDS),
        Measurement("address to a headline, after a restart", readable, "s", "< 1.2", readable < PAINT_SECONDS),
        Measurement("a page's rerun from a warm cache", rerun, "s", "< 0.15", rerun < RERUN_SECONDS),
        Measurement("a click to a busy page", busy, "s", f"< {BUSY_SECONDS}", busy < BUSY_SECONDS),
        Measurement("a click to its result ÷ a bare rerun", result, "×", f"≤ {RESULT_RERUNS}", result <= RESULT_RERUNS),
    ]


def load_average() -> str:
    return f"{os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"


def show(console: Console, measurements: list[Measurement], earlier: dict[str, float]) -> None:
    table = Table("what", "measured", "budget", "kept", *(("before", "÷ before") if earlier else ()))
    for item in measurements:
        before = earlier.get(item.what)
        more = () if not earlier else ("", "") if not before else (f"{before:.2f}", f"{item.value / before:.2f}")
        table.add_row(item.what, f"{item.value:.2f} {item.unit}", item.budget, "yes" if item.kept else "NO", *more)
    console.print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures here, to compare with later")
    parser.add_argument("--compare", type=Path, help="an earlier file of --json to show beside")
    parser.add_argument("--browser", action="store_true", help="only what is measured in a browser")
    parser.add_argument("--month", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--code", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.month or arguments.code:
        look_at_the_month() if arguments.month else read_the_code()
        return 0
    console = Console(highlight=False)
    # Read first: --json may write to the same file.
    earlier = (
        {item["what"]: item["value"] for item in json.loads(arguments.compare.read_text())} if arguments.compare else {}
    )
    measurements = []
    with console.status("reading code"):
        measurements += code_reading()
    with console.status("start, paint and rerun in a browser"):
        measurements += in_a_browser()
    if not arguments.browser:
        measurements += without_a_browser(console)
    show(console, measurements, earlier)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(item) for item in measurements], indent=2) + "\n")
    return 0 if all(item.kept for item in measurements) else 1


def without_a_browser(console: Console) -> list[Measurement]:
    measurements: list[Measurement] = []
    with quiet_sandbox() as sandbox:
        with console.status("snapshot against slowest"):
            measurements += snapshot_against_slowest(sandbox)
        for measure in (
            viewers,
            diagnose_against_the_old_way,
            own_time_of_diagnose,
            diagnose_again,
        ):
            with console.status(measure.__name__.replace("_", " ")):
                measurements.append(measure(sandbox))
        with console.status("thirty days with a million texts"):
            measurements += a_month(sandbox)
    return measurements


if __name__ == "__main__":
    raise SystemExit(main())
