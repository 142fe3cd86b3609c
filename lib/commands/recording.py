"""`incident` and `export`: keeping the record of an incident, and taking it along."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.markup import escape

from lib.actions.action import RefusedError
from lib.commands.acting import actor
from lib.journal.entry import StepState
from lib.journal.errors import JournalError
from lib.journal.export import Form, export, story_of
from lib.journal.store import Journal
from lib.model.people import Actor, Role
from lib.plan import STEPS
from lib.settings import load
from lib.snapshot import utc_now

out = Console(highlight=False)
progress = Console(stderr=True, highlight=False)

app = typer.Typer(help="Open, note, step, close and verify incidents.", no_args_is_help=True)

REFUSED = 2
BROKEN_CHAIN = 1
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Incident = Annotated[UUID, typer.Option("--incident", help="Its id.")]


@contextmanager
def _journal(*, writes: bool = True) -> Iterator[tuple[Journal, Actor]]:
    """Open the journal; a refusal becomes one sentence and exit code 2."""
    settings = load()
    try:
        who = actor(settings)
        if writes and who.role is not Role.OPERATOR:
            raise RefusedError("Viewers may look and not write: ask an operator.")
        journal = Journal.open(settings, utc_now)
        try:
            yield journal, who
        finally:
            journal.close()
    except (JournalError, RefusedError) as error:
        progress.print(f"refused: {escape(str(error))}")
        raise typer.Exit(REFUSED) from None


@app.command("open")
def open_(title: Annotated[str, typer.Argument(help="What happens, in a few words.")], as_json: AsJson = False) -> None:
    """Open an incident; its id is printed."""
    with _journal() as (journal, who):
        _show({"incident_id": str(journal.open_incident(title, who).id)}, as_json)


@app.command()
def note(
    text: Annotated[str, typer.Argument(help="What you saw or did.")], incident: Incident, as_json: AsJson = False
) -> None:
    """Add a note. Notes are never edited: a later one can correct."""
    with _journal() as (journal, who):
        _show({"entry_id": str(journal.note(text, who, incident_id=incident).id)}, as_json)


@app.command()
def step(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(step.id for step in STEPS)}.")],
    state: Annotated[StepState, typer.Argument(help="How far it is.")],
    incident: Incident,
    reason: Annotated[str, typer.Option(help="Why; needed to skip it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say how far a step of the plan is."""
    if name not in {step.id for step in STEPS}:
        raise typer.BadParameter(f"There is no step {name!r}.")
    with _journal() as (journal, who):
        journal.step(incident, name, state, who, reason)
        _show({"step": name, "state": state.value}, as_json)


@app.command()
def close(
    incident: Incident, words: Annotated[str, typer.Option(help="How it ended.")] = "", as_json: AsJson = False
) -> None:
    """Close an incident."""
    with _journal() as (journal, who):
        journal.close_incident(incident, who, words)
        _show({"incident_id": str(incident), "state": "closed"}, as_json)


@app.command()
def verify(
    noted: Annotated[str | None, typer.Option(help="A hash noted earlier that must be part of the chain.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove the journal's chain from its first entry to its last. Exit code 1 if it is broken."""
    with _journal(writes=False) as (journal, _):
        report = journal.verify(noted)
        head = journal.position().hash
    _show({"ok": report.ok, "entries": report.entries, "head": head, "words": report.words}, as_json)
    if not report.ok:
        raise typer.Exit(BROKEN_CHAIN)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the incidents, the newest first."""
    with _journal(writes=False) as (journal, _):
        found = journal.incidents()
    rows = [{"id": str(i.id), "title": i.title, "opened_at": i.opened_at.isoformat(), "open": i.open} for i in found]
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        out.print(escape(f"{row['id']}  {row['opened_at']}  {'open' if row['open'] else 'closed'}  {row['title']}"))


def export_(
    incident: Incident,
    form: Annotated[Form, typer.Option("--format", help="Markdown, CSV or JSON.")] = Form.MARKDOWN,
    to: Annotated[Path | None, typer.Option(help="A file; else it is printed.")] = None,
) -> None:
    """Write out an incident: its timeline, requests with receipts, and notes."""
    with _journal(writes=False) as (journal, _):
        text = export(story_of(journal, incident), form, load().zone)
    if to is None:
        sys.stdout.write(text)
    else:
        to.write_text(text, encoding="utf-8")


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        _print_json(document)
    else:
        out.print(escape("  ".join(f"{name}: {value}" for name, value in document.items())), soft_wrap=True)


def _print_json(document: Any) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
