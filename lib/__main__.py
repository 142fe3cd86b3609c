"""The command line: everything that the pages know, without a screen. Data on stdout, progress on stderr."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from lib.commands import action_commands, code_command, incident_commands, monitor_commands, plan_command
from lib.commands.terminal import (
    AsJson,
    Exit,
    InWindow,
    configured,
    diagnose_now,
    exit_code,
    out,
    print_json,
    progress,
    take_snapshot,
)
from lib.diagnosis import json_report
from lib.doctor import examine, unreachable
from lib.model.window import WindowSize
from lib.redaction import redact_logs

app = typer.Typer(
    name="python -m lib", help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)

_DID_NOT_START = 1
_INTERRUPTED = 130


@app.command()
def diagnose(
    window: InWindow = WindowSize.DAY,
    as_json: AsJson = False,
    compare: Annotated[
        Path | None, typer.Option(help="A diagnosis saved with --json: show what changed since.", exists=True)
    ] = None,
) -> None:
    """Say whether SMS is flowing, which hop is broken, and why.

    Exit code: 0 flowing or no traffic, 1 degraded, 2 broken, 3 cannot tell, 64 wrong usage.
    """
    before = _earlier(compare) if compare else None
    diagnosis = diagnose_now(configured(), window)
    document = json_report.as_json(diagnosis)
    if before is not None:
        document["changes"] = json_report.changes(before, document)
    if as_json:
        print_json(document)
    else:
        _print_diagnosis(document)
    raise typer.Exit(exit_code(diagnosis))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Say for each source whether it is connected, what our credentials may do, and how to fix what is missing.

    Exit code: 0, or 3 if a configured source gives nothing.
    """
    settings = configured()
    reports = examine(take_snapshot(settings, WindowSize.DAY), settings)
    if as_json:
        sources = [
            {
                "name": report.name.value,
                "state": report.state.value,
                "can": list(report.can),
                "missing": list(report.missing),
                "fix": report.fix,
            }
            for report in reports
        ]
        print_json({"sources": sources})
    else:
        for report in reports:
            out.print(f"[bold]{report.name.value}[/]: {report.state.value.replace('_', ' ')}")
            for what, items in (("can", report.can), ("missing", report.missing)):
                if items:
                    out.print(f"  {what}: {escape(', '.join(items))}")
            if report.fix:
                out.print(f"  fix: {escape(report.fix)}")
    raise typer.Exit(Exit.CANNOT_TELL if unreachable(reports) else Exit.FLOWING)


@app.command()
def sandbox(
    scenario: Annotated[str | None, typer.Option(help="The state to start in.")] = None,
    pace: Annotated[float | None, typer.Option(help="Bookings per minute; the scenario's own, if not given.")] = None,
    port: Annotated[int, typer.Option(help="The port of the twins; 0 takes a free one.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Start local twins of all six systems and stay up until stopped.

    With --json one line {"settings": {NAME: value}} is printed once they are ready.
    """
    from lib.sandbox import serve
    from lib.sandbox.ports import SandboxError
    from lib.sandbox.scenarios import DEFAULT, SCENARIOS

    if scenario is not None and scenario not in SCENARIOS:
        raise typer.BadParameter(f"There is no scenario {scenario!r}. There are: {', '.join(SCENARIOS)}.")
    try:
        serve.run(scenario=scenario or DEFAULT, pace=pace, port=port, as_json=as_json, on_progress=progress.print)
    except SandboxError as error:
        progress.print(escape(str(error)))
        raise typer.Exit(_DID_NOT_START) from None


app.command()(plan_command.plan)
app.command()(code_command.code)
app.command()(action_commands.act)
app.command()(action_commands.requests)
app.command("export")(incident_commands.export_)
app.add_typer(incident_commands.app, name="incident")
app.add_typer(monitor_commands.app, name="monitor")


def _earlier(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        document = None
    if not isinstance(document, dict):
        raise typer.BadParameter(f"{path} holds no diagnosis: save one with diagnose --json.")
    return document


def _print_diagnosis(document: dict[str, Any]) -> None:
    headline = document["headline"]
    since = (
        f"{' at least' if headline['since_at_least'] else ''} since {headline['since']}" if headline["since"] else ""
    )
    out.print(f"[bold]{headline['state'].replace('_', ' ').upper()}[/]{since}\n{escape(headline['sentence'])}\n")
    causes = Table("verdict", "cause", "what would fix it", title="Hypotheses", title_justify="left")
    for hypothesis in document["hypotheses"]:
        if hypothesis["verdict"] not in ("ruled_out", "cannot_tell"):
            message = (hypothesis["verdict"].replace("_", " "), hypothesis["summary"], hypothesis["remedy"]["words"])
            causes.add_row(*(escape(word) for word in message))
    if causes.row_count:
        out.print(causes)
    for verdict in ("ruled_out", "cannot_tell"):
        names = [hypothesis["id"] for hypothesis in document["hypotheses"] if hypothesis["verdict"] == verdict]
        if names:
            out.print(f"{verdict.replace('_', ' ')}: {', '.join(names)}")
    checks = Table("hop", "check", "status", "what it found", title="Checks", title_justify="left")
    for check in document["checks"]:
        if check["status"] not in ("ok", "not_applicable"):
            found = "\n".join([check["summary"], *(f"· {line}" for line in check["evidence"])])
            checks.add_row(check["hop"], check["id"], check["status"].replace("_", " "), escape(found))
    if checks.row_count:
        out.print(checks)
    for change in document.get("changes", ()):
        out.print(f"changed: {change['kind']} {change['id']}: {change['before']} → {change['after']}")


def main() -> None:
    """Run the command line; wrong usage ends with 64, as the exit codes 1 to 3 have a meaning of their own."""
    redact_logs()
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        sys.exit(_INTERRUPTED)
    except typer.TyperException as error:
        progress.print(f"Wrong usage: {escape(str(error) or 'name a command.')}\nSee python -m lib --help.")
        sys.exit(Exit.WRONG_USAGE)
    sys.exit(code)


if __name__ == "__main__":
    main()
