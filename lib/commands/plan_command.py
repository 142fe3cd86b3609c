"""The command `plan`: what to do now, and the state of each step, as on the page Action plan."""

from __future__ import annotations

import shlex
from typing import Any

from rich.markup import escape
from rich.table import Table
from typer import Exit as Ended

from lib.commands.terminal import AsJson, InWindow, configured, diagnose_now, exit_code, out, print_json, progress
from lib.diagnosis.json_report import headline
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.journal import Journal
from lib.journal.journal_state import JournalState, read_journal_state
from lib.model.task import Task
from lib.model.window import WindowSize
from lib.plan_state import PlanState, plan_state, why_nothing
from lib.redaction import redact
from lib.settings import Settings
from lib.snapshot import utc_now


def plan(window: InWindow = WindowSize.DAY, as_json: AsJson = False) -> None:
    """Say what to do now, who does it where, and how each step of the action plan stands.

    Exit code: as `diagnose`.
    """
    settings = configured()
    diagnosis = diagnose_now(settings, window)
    journal_state = _journal_state(settings)
    now = plan_state(diagnosis, settings, journal_state.requests, journal_state.incident)
    document = {"headline": headline(diagnosis), **_document(now, journal_state.incident)}
    if not now.tasks:
        when = f"{now.fix.at.astimezone(settings.zone):%d %b %H:%M}" if now.fix else ""
        document["why_nothing"] = redact(why_nothing(diagnosis, now, when))
    if as_json:
        print_json(document)
    else:
        _print(document)
    raise Ended(exit_code(diagnosis))


def _journal_state(settings: Settings) -> JournalState:
    """Return the state of the journal; if it cannot be read, the plan uses the evidence alone."""
    try:
        journal = Journal.open(settings, utc_now)
        try:
            return read_journal_state(journal)
        finally:
            journal.close()
    except JournalError as error:
        progress.print(f"What was done before is not known: {escape(str(error))}")
        return JournalState()


def _document(now: PlanState, incident: Incident | None) -> dict[str, Any]:
    said = {step.id: step.state.value for step in incident.steps} if incident else {}
    return {
        "incident_id": str(incident.id) if incident else None,
        "fix": {"at": now.fix.at.isoformat(), "words": redact(now.fix.message)} if now.fix else None,
        "tasks": [_task(task) for task in now.tasks],
        "why_nothing": None,
        "steps": [
            {
                "id": one.step.id,
                "number": one.step.number,
                "title": one.step.title,
                "said": said.get(one.step.id),
                "evidence": one.state.value,
                "advice": redact(one.advice),
                "checks": {check.id: check.status.value for check in one.checks},
            }
            for one in now.steps
        ],
    }


def _task(task: Task) -> dict[str, Any]:
    return {
        "id": task.id,
        "cause": task.cause,
        "step": task.step_id,
        "words": redact(task.message),
        "why": redact(task.why),
        "until_then": task.meanwhile,
        "preview": _preview(task),
        "who": task.who or None,
        "place": task.place or None,
        "link": task.link,
        "exactly": redact(task.exactly) or None,
    }


def _preview(task: Task) -> str | None:
    """Return the command that previews the action of the task's button; None if it has none."""
    if task.action is None:
        return None
    given = [word for name, value in task.args for word in ("--arg", f"{name}={value}")]
    return shlex.join(["python", "-m", "lib", "act", task.action, *given, "--preview"])


def _print(document: dict[str, Any]) -> None:
    state = document["headline"]["state"].replace("_", " ").upper()
    out.print(f"[bold]{state}[/]\n{escape(document['headline']['sentence'])}\n", soft_wrap=True)
    for task in document["tasks"]:
        sign = "until then" if task["until_then"] else "do this now"
        out.print(f"[bold]{sign}:[/] {escape(task['words'])}", soft_wrap=True)
        for name in ("why", "who", "place", "link", "exactly", "preview"):
            if task[name]:
                out.print(escape(f"  {name}: {task[name]}"), soft_wrap=True)
    if document["why_nothing"]:
        out.print(escape(document["why_nothing"]), soft_wrap=True)
    steps = Table("", "step", "people say", "evidence", "id", title="Steps", title_justify="left")
    for step in document["steps"]:
        evidence = step["evidence"].replace("_", " ")
        steps.add_row(step["number"], step["title"], step["said"] or "to do", evidence, step["id"])
    out.print(steps)
