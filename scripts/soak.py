"""Fifty viewers on one dashboard, for minutes: does a rerun stay quick, do upstream calls or memory grow?

    scripts/soak.py                         50 viewers for 5 minutes
    scripts/soak.py --minutes 30 --faults   … while the other systems are slow, fail and answer nonsense in turns

A viewer is a websocket, as a browser's: it runs the page once and then each fragment as often as the server asks for.
Prints JSON, and ends with 1 if a budget was exceeded.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
import psutil  # noqa: E402
from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from websockets.asyncio.client import ClientConnection, connect  # noqa: E402

from lib.launch import start_sandbox  # noqa: E402
from scripts.dashboard import dashboard  # noqa: E402
from scripts.loads import data_api_calls  # noqa: E402

PAGES = ("", "/action-plan", "/bookings", "/texts", "/deployments", "/incident-log", "/systems")
FAULTS: tuple[dict[str, object], ...] = (
    {"delay_ms": 3000},
    {"status": 500},
    {"status": 429, "retry_after": 5},
    {"body": "<html>nonsense</html>"},
    {"refuse": True},
    {"status": 503, "rate": 0.5},
)
SYSTEMS = ("supabase", "vercel", "github", "twilio", "booking_app", "management")
FAULT_SECONDS = 45
P95_BUDGET_SECONDS = 2.0
# The first minutes fill caches: growth is measured after them, and this much of it is noise.
WARM_UP_SECONDS = 60
MEMORY_BUDGET = 1.15
POINTS = 30  # of the memory's course that are printed


@dataclass
class Observations:
    """What the viewers of one run observed: seconds per rerun, and what went wrong."""

    reruns: list[float] = field(default_factory=list)
    first_runs: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def view_page(address: str, page: str, seen: Observations, until: float) -> None:
    """Be one viewer of `page` until then (monotonic seconds)."""
    url = f"ws://{address}/_stcore/stream"
    try:
        async with connect(url, subprotocols=["streamlit"], origin=f"http://{address}", max_size=None) as wire:
            timers: dict[str, float] = {}
            seen.first_runs.append(await run(wire, BackMsg(), page, timers, seen))
            while (now := time.monotonic()) < until:
                due = min(timers, key=timers.__getitem__, default=None)
                if due is None:
                    seen.errors.append(f"{page or '/'}: no part of the page asks to be drawn again")
                    return
                await asyncio.sleep(max(0.0, timers[due] - now))
                again = BackMsg()
                again.rerun_script.fragment_id = due
                again.rerun_script.is_auto_rerun = True
                timers[due] = time.monotonic() + INTERVALS.get(due, 10.0)
                seen.reruns.append(await run(wire, again, page, timers, seen))
    except Exception as error:  # noqa: BLE001 - a viewer that is cut off is a finding
        seen.errors.append(f"{page or '/'}: {type(error).__name__}: {error}"[:200])


INTERVALS: dict[str, float] = {}


async def run(wire: ClientConnection, ask: BackMsg, page: str, timers: dict[str, float], seen: Observations) -> float:
    """Ask for a run and wait until it has finished; return the seconds it took."""
    ask.rerun_script.page_name = page.strip("/")
    started = time.monotonic()
    await wire.send(ask.SerializeToString())
    while True:
        message = ForwardMsg.FromString(await asyncio.wait_for(wire.recv(decode=False), 60))
        kind = message.WhichOneof("type")
        if kind == "new_session" and not message.new_session.fragment_ids_this_run:
            timers.clear()  # a run of the whole page says anew what is drawn again, as in a browser
        elif kind == "auto_rerun":
            INTERVALS[message.auto_rerun.fragment_id] = message.auto_rerun.interval
            timers[message.auto_rerun.fragment_id] = time.monotonic() + message.auto_rerun.interval
        elif kind == "delta" and message.delta.new_element.WhichOneof("type") == "exception":
            seen.errors.append(f"{page or '/'}: {message.delta.new_element.exception.message}"[:200])
        elif kind == "script_finished" and message.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
            return time.monotonic() - started


def journal_in(folder: str) -> dict[str, str]:
    return {"JOURNAL_URL": f"sqlite:///{folder}/journal.sqlite3"}


async def inject(endpoint: str, until: float, seed: int) -> list[str]:
    """Let the other systems misbehave, one after the other, until then. Returns what was done."""
    chance, done = random.Random(seed), []  # noqa: S311 - no secret
    async with httpx.AsyncClient(timeout=60) as client:
        while time.monotonic() < until:
            fault = {"system": chance.choice(SYSTEMS), **chance.choice(FAULTS)}
            answer = await client.post(f"{endpoint}/sandbox/faults", json=fault)
            done.append(f"{fault} → {answer.status_code}")
            await asyncio.sleep(min(FAULT_SECONDS, max(0.0, until - time.monotonic())))
            await client.delete(f"{endpoint}/sandbox/faults")
    return done


async def record_memory(process: psutil.Process, until: float) -> list[float]:
    """Return the server's resident memory in MB, every five seconds."""
    sizes = []
    while time.monotonic() < until:
        sizes.append(process.memory_info().rss / 1e6)
        await asyncio.sleep(5)
    return sizes


async def calls_per_minute(dsn: str, seconds: float) -> float:
    """Return how many calls upstream got per minute in the second half: in the first, everything is read once."""
    await asyncio.sleep(seconds / 2)
    before, since = data_api_calls(dsn), time.monotonic()
    await asyncio.sleep(seconds / 2)
    return (data_api_calls(dsn) - before) * 60 / (time.monotonic() - since)


async def measure(viewers: int, seconds: float, settings: dict[str, str], faults: int | None) -> dict[str, object]:
    seen = Observations()
    with tempfile.TemporaryDirectory() as folder, dashboard(settings=settings | journal_in(folder)) as server:
        server.wait()
        address, process = server.address.removeprefix("http://"), psutil.Process(server.process.pid)
        until = time.monotonic() + seconds
        pages = [PAGES[number % len(PAGES)] for number in range(viewers)]
        watching = asyncio.create_task(record_memory(process, until))
        counting = asyncio.create_task(calls_per_minute(settings["DATABASE_URL"], seconds))
        injecting = asyncio.create_task(inject(settings["SANDBOX_URL"], until, faults)) if faults is not None else None
        await asyncio.gather(*(view_page(address, page, seen, until) for page in pages))
        sizes = await watching
        calls = await counting
        done = await injecting if injecting else []
    warm = sizes[min(WARM_UP_SECONDS // 5, len(sizes) // 2) :]
    quarter = max(1, len(warm) // 4)
    return {
        "viewers": viewers,
        "seconds": round(seconds),
        "reruns": len(seen.reruns),
        "first_run_p95_s": percentile(seen.first_runs, 95),
        "rerun_p50_s": percentile(seen.reruns, 50),
        "rerun_p95_s": percentile(seen.reruns, 95),
        "upstream_calls_per_minute": round(calls, 1),
        "memory_mb": {
            "warm": round(statistics.median(warm[:quarter])),
            "end": round(statistics.median(warm[-quarter:])),
            "series": [round(size) for size in sizes[:: max(1, len(sizes) // POINTS)]],
        },
        "errors": sorted(set(seen.errors)),
        "faults": len(done),
    }


def percentile(values: list[float], percent: int) -> float | None:
    return round(sorted(values)[min(len(values) - 1, len(values) * percent // 100)], 3) if values else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--faults", action="store_true", help="let the other systems misbehave meanwhile")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--alone-minutes", type=float, default=4.0, help="how long to measure one viewer first")
    options = parser.parse_args()
    sandbox = start_sandbox("healthy")
    try:
        one = asyncio.run(measure(1, options.alone_minutes * 60, sandbox.settings, None))
        faults = options.seed if options.faults else None
        many = asyncio.run(measure(options.viewers, options.minutes * 60, sandbox.settings, faults))
    finally:
        sandbox.stop()
    growth = many["memory_mb"]["end"] / many["memory_mb"]["warm"]  # type: ignore[index]
    kept = {
        "rerun_p95_under_2_s": (many["rerun_p95_s"] or 99) < P95_BUDGET_SECONDS,
        "no_error": not many["errors"],
        "memory_flat": growth <= MEMORY_BUDGET,
    }
    if not options.faults:  # a system that fails is asked again, so then the number means nothing
        ratio = many["upstream_calls_per_minute"] / max(1.0, one["upstream_calls_per_minute"])  # type: ignore[operator]
        kept["upstream_as_with_one"] = ratio <= 1.1
    print(
        json.dumps(
            {"seed": options.seed, "one": one, "many": many, "memory_growth": round(growth, 3), "kept": kept}, indent=2
        )
    )
    sys.exit(0 if all(kept.values()) else 1)


if __name__ == "__main__":
    main()
