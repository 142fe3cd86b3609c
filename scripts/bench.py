"""Measures the design's budgets against a sandbox on this machine, as ratios in one run."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import httpx  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from supabase import create_client  # noqa: E402

from lib.diagnosis.diagnose import diagnose  # noqa: E402
from lib.model.window import WindowSize  # noqa: E402
from lib.sandbox.booking_app import USER_AGENT  # noqa: E402
from lib.sandbox.faults import SYSTEMS  # noqa: E402
from lib.sandbox.serve import Running, start  # noqa: E402
from lib.settings import load  # noqa: E402
from lib.snapshot import SnapshotKeeper, take, utc_now  # noqa: E402
from lib.sources.connected import Sources, connect  # noqa: E402

ROUNDS = 5
VIEWERS = 50


@dataclass(frozen=True)
class Measurement:
    """One budget: what was measured, the ratio or figure, and whether it is kept."""

    what: str
    value: float
    unit: str
    budget: str
    kept: bool


def sources_of(sandbox: Running) -> Sources:
    return connect(load(sandbox.settings, ROOT / "no-such-file"), utc_now)


def delay(sandbox: Running, milliseconds: float) -> None:
    door = f"{sandbox.world.base_url}/sandbox/faults"
    httpx.delete(door).raise_for_status()
    for system in SYSTEMS if milliseconds else ():
        # The delay is that of our network; the booking app's own way to its database is not measured.
        fault = {"system": system, "delay_ms": milliseconds, "spare": USER_AGENT}
        httpx.post(door, json=fault).raise_for_status()


def seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def snapshot_against_slowest(sandbox: Running) -> Measurement:
    """A snapshot asks everything at once: it takes as long as its slowest reading, and little more."""
    delay(sandbox, 500)
    ratios = []
    for _ in range(ROUNDS):
        sources = sources_of(sandbox)
        started = time.perf_counter()
        snapshot = take(sources, WindowSize.DAY)
        took = time.perf_counter() - started
        failed = [reading.name for reading in snapshot.readings if reading.failure]
        if failed:
            raise SystemExit(f"These readings failed, so nothing was measured: {', '.join(failed)}")
        ratios.append(took / (max(reading.latency_ms for reading in snapshot.readings) / 1000))
    ratio = statistics.median(ratios)
    return Measurement("snapshot ÷ slowest reading, 500 ms delay", ratio, "×", "≤ 1.3", ratio <= 1.3)


def calls_of(sandbox: Running, viewers: int) -> int:
    """Count the upstream calls that `viewers` cause in a few seconds, at the gateway of the database."""
    keeper = SnapshotKeeper(sources_of(sandbox))
    before = gateway_calls(sandbox)

    def look() -> None:
        for _ in range(8):
            keeper.snapshot(WindowSize.DAY)
            time.sleep(0.5)

    threads = [threading.Thread(target=look) for _ in range(viewers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.close()
    return gateway_calls(sandbox) - before


def gateway_calls(sandbox: Running) -> int:
    with sandbox.world.connection() as connection:
        row = connection.execute("select count(*) as n from platform.log where source_name = 'edge_logs'").fetchone()
    return int(row["n"]) if row else 0


def viewers(sandbox: Running) -> Measurement:
    delay(sandbox, 0)
    one, many = calls_of(sandbox, 1), calls_of(sandbox, VIEWERS)
    ratio = many / max(one, 1)
    return Measurement(f"upstream calls, {VIEWERS} viewers ÷ 1 viewer", ratio, "×", "≤ 1.1", ratio <= 1.1)


def the_old_way(sandbox: Running) -> None:
    """The script that this desk replaces: six queries one after another, and a test insert, cleaned up after."""
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


def diagnose_against_the_old_way(sandbox: Running) -> Measurement:
    """Every call has 100 ms of network delay; ours asks more, writes nothing, and is done sooner."""
    delay(sandbox, 100)
    ratios = []
    for _ in range(ROUNDS):
        sources = sources_of(sandbox)
        ours = seconds(partial(diagnose_now, sources))
        ratios.append(ours / seconds(partial(the_old_way, sandbox)))
    ratio = statistics.median(ratios)
    return Measurement("diagnose ÷ the old script, 100 ms delay", ratio, "×", "< 1", ratio < 1)


def own_time_of_diagnose(sandbox: Running) -> Measurement:
    delay(sandbox, 0)
    snapshot = take(sources_of(sandbox), WindowSize.MONTH)
    took = statistics.median(seconds(lambda: diagnose(snapshot, utc_now())) for _ in range(ROUNDS))
    return Measurement("diagnose, its own time, 30 days of the sandbox", took, "s", "< 1.5", took < 1.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the figures here, to compare with later")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    measurements = []
    with start("healthy", pace=0) as sandbox:
        for measure in (
            snapshot_against_slowest,
            viewers,
            diagnose_against_the_old_way,
            own_time_of_diagnose,
        ):
            with console.status(measure.__name__.replace("_", " ")):
                measurements.append(measure(sandbox))
    table = Table("what", "measured", "budget", "kept")
    for item in measurements:
        table.add_row(item.what, f"{item.value:.2f} {item.unit}", item.budget, "yes" if item.kept else "NO")
    console.print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(item) for item in measurements], indent=2) + "\n")
    return 0 if all(item.kept for item in measurements) else 1


if __name__ == "__main__":
    raise SystemExit(main())
