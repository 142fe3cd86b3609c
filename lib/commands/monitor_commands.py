"""The command `monitor`: the monitor without a dashboard, and the decisions of people about its alerts."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from pydantic import TypeAdapter
from rich.markup import escape

from lib.commands.terminal import (
    MOMENTS,
    AsJson,
    Exit,
    configured,
    exit_code,
    local_instant,
    opened_journal,
    out,
    print_json,
    progress,
)
from lib.diagnosis import json_report
from lib.diagnosis.diagnose import Diagnosis
from lib.monitor import silences
from lib.monitor.inputs import StandaloneInputs
from lib.monitor.loop import Monitor, Round
from lib.monitor.monitor_status import MonitorStatus, read_status
from lib.settings import duration, load, pace
from lib.snapshot import utc_now

app = typer.Typer()

# The length of a round for --once where MONITOR_EVERY is off.
_USUAL_ROUND = timedelta(seconds=60)
# A synthetic booking follows its text to the end.
_JOBS_END_WITHIN = timedelta(minutes=4)

Reason = Annotated[str, typer.Option(help="Why: others will wonder.")]
SubjectArgument = Annotated[str, typer.Argument(help=f"One of: {', '.join(silences.SUBJECTS)}.")]


def _length(text: str) -> timedelta:
    return _as_option(duration, text)


def _pace(text: str) -> timedelta:
    return _as_option(pace, text)


def _as_option(read: Callable[[str], timedelta], text: str) -> timedelta:
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


@app.callback(invoke_without_command=True)
def monitor(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="One round, then end.")] = False,
    every: Annotated[
        timedelta | None, typer.Option(parser=_pace, metavar="LENGTH", help="How often: 60s, 2m. Else MONITOR_EVERY.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Watch: look, confirm what changed, and tell the addresses of NOTIFY_URLS. Runs until it is stopped.

    Exit code with --once: 0 flowing or no traffic, 1 degraded, 2 broken, 3 cannot tell, 64 wrong usage. With --json
    there is one line of JSON per round.
    """
    if context.invoked_subcommand is not None:
        return
    settings = configured()
    length = every or settings.monitor_every or (_USUAL_ROUND if once else None)
    if length is None:
        raise typer.BadParameter("MONITOR_EVERY is off: use --every, or --once.")
    _log_to_stderr()
    if not settings.anything_configured:
        raise typer.BadParameter("Nothing is configured, so there is nothing to monitor: see python -m lib doctor.")
    with opened_journal(or_else=Exit.CANNOT_TELL) as (journal, _):
        view = StandaloneInputs(settings, os.environ, journal, utc_now)
        running = Monitor(view, utc_now, length)
        try:
            if once:
                raise typer.Exit(_one_round(running, view, as_json))
            _until_stopped(running, as_json)
        finally:
            view.close()


def _one_round(running: Monitor, view: StandaloneInputs, as_json: bool) -> int:
    finished = running.round() or Round(None)
    running.finish(_JOBS_END_WITHIN)
    if finished.holder:
        progress.print(f"Another monitor is running ({escape(finished.holder)}): nothing was written or sent.")
    diagnosis = finished.diagnosis or running.judge(view())
    running.leave()
    if as_json:
        print_json({**json_report.as_json(diagnosis), "monitor": _round_json(finished)})
    else:
        _print_round(diagnosis, finished)
    return exit_code(diagnosis)


def _until_stopped(running: Monitor, as_json: bool) -> None:
    def end(*_: object) -> None:
        running.stop.set()

    def on_round(finished: Round) -> None:
        if as_json:
            sys.stdout.write(json.dumps(_round_json(finished), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        elif finished.diagnosis:
            _print_round(finished.diagnosis, finished)

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, end)
    # In a thread, so that a signal takes effect at once and not after a diagnosis.
    worker = threading.Thread(target=running.run, args=(on_round,), name="monitor")
    worker.start()
    worker.join()


def _print_round(diagnosis: Diagnosis, finished: Round) -> None:
    headline = diagnosis.headline
    message = f"{headline.state.value.replace('_', ' ').upper()}  {escape(headline.sentence)}"
    out.print(f"{diagnosis.facts.now:%Y-%m-%dT%H:%M:%SZ}  {message}", soft_wrap=True)
    for rule, event in finished.events:
        out.print(f"  {event.kind.value} {rule}: {escape(event.story.title)}", soft_wrap=True)


def _round_json(finished: Round) -> dict[str, Any]:
    diagnosis = finished.diagnosis
    return {
        "at": diagnosis.facts.now.isoformat() if diagnosis else None,
        "headline": diagnosis.headline.state.value if diagnosis else None,
        "events": [
            {"rule": rule, "event": event.kind.value, "title": event.story.title, "cause": event.story.cause}
            for rule, event in finished.events
        ],
        "watched_by_another": finished.holder,
    }


def _log_to_stderr() -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("lib.monitor").setLevel(logging.INFO)


# Decisions of people --------------------------------------------------------------------------------------


@app.command("status")
def status_command(as_json: AsJson = False) -> None:
    """Say who watches, what fires, and what could not be sent."""
    with opened_journal() as (journal, _):
        found = read_status(journal, utc_now())
    if as_json:
        print_json(status_json(found))
        return
    at = f"{found.last_round_at:%Y-%m-%d %H:%M:%SZ}" if found.last_round_at else "never"
    out.print(f"last round: {at}; monitor: {escape(found.holder or 'none')}", soft_wrap=True)
    for alert in found.firing:
        said = f"acknowledged by {alert.acknowledged.by}" if alert.acknowledged else ""
        muted = f"muted until {alert.silence.until:%H:%M}Z by {alert.silence.by}" if alert.silence else ""
        note = "; ".join(filter(None, (said, muted)))
        out.print(escape(f"fires: {alert.rule}  {alert.story.title}{f'  ({note})' if note else ''}"), soft_wrap=True)
    for message in found.unsent:
        how = "given up" if message.given_up else "failed, and is tried again"
        out.print(escape(f"{how}: {message.title} to {message.service}: {message.error}"), soft_wrap=True)


@app.command("mute")
def mute_command(
    subject: SubjectArgument,
    reason: Reason,
    length: Annotated[
        timedelta, typer.Option("--for", parser=_length, metavar="LENGTH", help="For how long: 20m, 2h.")
    ],
) -> None:
    """Keep quiet about an alert, or about all, for a while. Measuring goes on."""
    with opened_journal() as (journal, who):
        silences.mute(journal, who, subject, length, reason, utc_now())
    out.print(f"{subject} is muted.")


@app.command("unmute")
def unmute_command(subject: SubjectArgument, reason: Reason = "") -> None:
    """Let alerts be sent again; `unmute maintenance` calls planned maintenance off."""
    with opened_journal() as (journal, who):
        silences.unmute(journal, who, subject, reason)
    out.print(f"{subject} is no longer muted.")


@app.command("acknowledge")
def acknowledge_command(
    rule: Annotated[str, typer.Argument(help="The alert: see `monitor status`.")], reason: Reason
) -> None:
    """Say that you are on it: no reminders until it is over."""
    with opened_journal() as (journal, who):
        silences.acknowledge(journal, who, rule, reason)
    out.print(f"{rule} is acknowledged.")


@app.command("maintenance")
def maintenance_command(
    reason: Reason,
    length: Annotated[
        timedelta, typer.Option("--for", parser=_length, metavar="LENGTH", help="For how long: 20m, 2h.")
    ],
    begins: Annotated[
        datetime | None,
        typer.Option("--from", formats=MOMENTS, help="When, in the business's time zone; now if not given."),
    ] = None,
) -> None:
    """Plan a time in which nobody is alerted and everything is measured."""
    now = utc_now()
    start = local_instant(begins, load().zone) if begins else now
    with opened_journal() as (journal, who):
        silences.maintenance(journal, who, start, start + length, reason, now)
    out.print("The maintenance is planned.")


def status_json(found: MonitorStatus) -> dict[str, Any]:
    """Return the status of the monitor as a JSON document."""
    fields: dict[str, Any] = _STATUS.dump_python(found, by_alias=True)
    return fields


_STATUS: TypeAdapter[MonitorStatus] = TypeAdapter(MonitorStatus)
