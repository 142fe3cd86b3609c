"""The commands `incident` and `export`: the record of an incident and of the people affected, and its documents."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.markup import escape

from lib.affected import (
    NO_EVENT,
    REASON_LABELS,
    STATE_LABELS,
    Affected,
    affected,
    follow_up,
    follow_ups_of,
    time_range_of,
)
from lib.commands.terminal import (
    MOMENTS,
    AsJson,
    Exit,
    InWindow,
    diagnose_now,
    local_instant,
    opened_journal,
    out,
    print_json,
    progress,
)
from lib.diagnosis.facts import CannotTellError
from lib.journal.entry import DiagnosisRecord, FollowUp, Kind, StepState
from lib.journal.errors import JournalError
from lib.journal.incident_export import incident_record
from lib.journal.journal import Journal
from lib.model.people import Actor, Role, Via
from lib.model.phone import masked
from lib.model.window import WindowSize
from lib.plan import STEPS
from lib.redaction import redact
from lib.reports.diagnosis_record import keep_diagnosis, keep_if_changed
from lib.reports.documents import ExportFormat, export
from lib.reports.weekly import weekly, weekly_json, weekly_markdown, weekly_page
from lib.settings import load
from lib.snapshot import utc_now

app = typer.Typer(help="Open, note, step, close and verify incidents.", no_args_is_help=True)

BROKEN_CHAIN = 1
_EXPORT = Actor("export", Role.DESK, Via.COMMAND_LINE)
IncidentOption = Annotated[UUID, typer.Option("--incident", help="Its id.")]


@app.command("open")
def open_(title: Annotated[str, typer.Argument(help="What happens, in a few words.")], as_json: AsJson = False) -> None:
    """Open an incident, and keep what the diagnosis says now; its id is printed."""
    with opened_journal(writes=True) as (journal, who):
        incident = journal.open_incident(title, who)
        _keep(journal, incident.id, who)
        _show({"incident_id": str(incident.id)}, as_json)


@app.command()
def see(incident: IncidentOption, as_json: AsJson = False) -> None:
    """Keep what the diagnosis says now, to compare with later."""
    with opened_journal(writes=True) as (journal, who):
        if not journal.incident(incident).open:
            raise JournalError("This incident is closed.")
        _show({"incident_id": str(incident), "state": _keep(journal, incident, who).state.value}, as_json)


@app.command()
def note(
    text: Annotated[str, typer.Argument(help="What you saw or did.")],
    incident: IncidentOption,
    at: Annotated[
        datetime | None,
        typer.Option(formats=MOMENTS, help="When it was, in the business's time zone, if it was not now."),
    ] = None,
    corrects: Annotated[UUID | None, typer.Option(help="The id of the entry that it corrects.")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a note. Notes are never edited: a later one can correct."""
    happened_at = local_instant(at, load().zone) if at else None
    with opened_journal(writes=True) as (journal, who):
        entry = journal.note(text, who, incident_id=incident, happened_at=happened_at, corrects=corrects)
        _show({"entry_id": str(entry.id)}, as_json)


@app.command()
def step(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(step.id for step in STEPS)}.")],
    state: Annotated[StepState, typer.Argument(help="How far it is.")],
    incident: IncidentOption,
    reason: Annotated[str, typer.Option(help="Why; needed to skip it.")] = "",
    as_json: AsJson = False,
) -> None:
    """Say how far a step of the plan is."""
    if name not in {step.id for step in STEPS}:
        raise typer.BadParameter(f"There is no step {name!r}.")
    with opened_journal(writes=True) as (journal, who):
        journal.step(incident, name, state, who, reason)
        _show({"step": name, "state": state.value}, as_json)


@app.command("close")
def close_command(
    incident: IncidentOption,
    message: Annotated[str, typer.Option("--words", help="How it ended.")] = "",
    as_json: AsJson = False,
) -> None:
    """Close an incident, and keep what the diagnosis says at its end."""
    with opened_journal(writes=True) as (journal, who):
        if journal.incident(incident).open:
            _keep(journal, incident, who)
        journal.close_incident(incident, who, message)
        _show({"incident_id": str(incident), "state": "closed"}, as_json)


@app.command("affected")
def affected_(
    incident: Annotated[UUID | None, typer.Option(help="Over its time range; else over the window.")] = None,
    window: InWindow = WindowSize.DAY,
    as_json: AsJson = False,
) -> None:
    """List the people who asked to book and got no working link: whom to help first stands first. Numbers are masked.

    Exit code: 0, or 3 where it cannot be told.
    """
    with opened_journal() as (journal, _):
        time_range = None
        if incident is not None:
            entries = journal.entries(incident_id=incident, kinds=[Kind.DIAGNOSIS])
            diagnoses = [entry.payload for entry in entries if isinstance(entry.payload, DiagnosisRecord)]
            time_range = time_range_of(journal.incident(incident), diagnoses, utc_now())
            window = WindowSize.reaching(time_range.since, utc_now())
        facts = diagnose_now(load(), window).facts
        since = time_range.since if time_range else facts.snapshot.window.start
        try:
            found = affected(facts, follow_ups_of(journal, since), time_range)
        except CannotTellError as error:
            progress.print(f"cannot tell: {escape(str(error))}")
            raise typer.Exit(Exit.CANNOT_TELL) from None
    _show_affected(found, as_json)


@app.command("follow-up")
def follow_up_(
    booking: Annotated[str, typer.Argument(help="The id of their pending booking, as `affected` lists it.")],
    state: Annotated[FollowUp, typer.Argument(help="What became of them; earlier entries stay.")],
    incident: Annotated[UUID | None, typer.Option(help="The incident that it belongs to.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write down that somebody without a working link was called, or gave up."""
    with opened_journal(writes=True) as (journal, who):
        entry = follow_up(journal, booking, state, who, incident)
        _show({"booking": booking, "state": state.value, "entry_id": str(entry.id)}, as_json)


@app.command("verify")
def verify_command(
    noted: Annotated[str | None, typer.Option(help="A hash noted earlier that must be part of the chain.")] = None,
    as_json: AsJson = False,
) -> None:
    """Prove the journal's chain from its first entry to its last. Exit code 1 if it is broken."""
    with opened_journal() as (journal, _):
        report = journal.verify(noted)
        head = journal.position().hash
    _show({"ok": report.ok, "entries": report.entries, "head": head, "words": report.message}, as_json)
    if not report.ok:
        raise typer.Exit(BROKEN_CHAIN)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the incidents, the newest first."""
    with opened_journal() as (journal, _):
        found = journal.incidents()
    rows = [{"id": str(i.id), "title": i.title, "opened_at": i.opened_at.isoformat(), "open": i.open} for i in found]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        out.print(escape(f"{row['id']}  {row['opened_at']}  {'open' if row['open'] else 'closed'}  {row['title']}"))


def export_(
    incident: Annotated[UUID | None, typer.Option("--incident", help="The incident to write out.")] = None,
    of_the_week: Annotated[
        bool, typer.Option("--weekly", help="The owner's summary of the last 7 days instead.")
    ] = False,
    form: Annotated[
        ExportFormat, typer.Option("--format", help="Markdown, a page to print, CSV or JSON.")
    ] = ExportFormat.MARKDOWN,
    to: Annotated[Path | None, typer.Option(help="A file; else it is printed.")] = None,
) -> None:
    """Write out an incident (diagnoses, actions, notes, causes, times, who was affected), or the owner's week."""
    if of_the_week is (incident is not None):
        raise typer.BadParameter("Give either --incident ID or --weekly.")
    text = _week(form) if incident is None else _incident(incident, form)
    if to is None:
        sys.stdout.write(text)
    else:
        to.write_text(text, encoding="utf-8")


def _incident(incident: UUID, form: ExportFormat) -> str:
    with opened_journal() as (journal, _):
        if journal.incident(incident).open:
            _keep_if_changed(journal, incident)
        return export(incident_record(journal, incident), form, load().zone, utc_now())


def _keep_if_changed(journal: Journal, incident_id: UUID) -> None:
    """Record the present diagnosis of an open incident, so that its document is up to date; as the page does."""
    settings = load()
    if not settings.anything_configured:
        return
    try:
        keep_if_changed(journal, diagnose_now(settings, WindowSize.DAY), _EXPORT, incident_id)
    except JournalError as error:  # the document is still worth having
        progress.print(f"The diagnosis of now is not in it: {escape(str(error))}")


def _week(form: ExportFormat) -> str:
    writers = {ExportFormat.MARKDOWN: weekly_markdown, ExportFormat.HTML: weekly_page, ExportFormat.JSON: weekly_json}
    if form not in writers:
        raise typer.BadParameter(f"The week comes as {', '.join(writers)}.")
    with opened_journal() as (journal, _):
        return writers[form](weekly(diagnose_now(load(), WindowSize.WEEK), journal))


def _keep(journal: Journal, incident_id: UUID, who: Actor) -> DiagnosisRecord:
    """Record the present diagnosis in an incident, as the page does."""
    entry = keep_diagnosis(journal, diagnose_now(load(), WindowSize.DAY), who, incident_id)
    assert isinstance(entry.payload, DiagnosisRecord)  # noqa: S101 - one kind, one payload
    return entry.payload


def _show_affected(found: Affected, as_json: bool) -> None:
    rows = [
        {
            "booking": person.booking_id,
            "event": redact(person.event_name) if person.event_name else None,
            "event_at": person.event_at,
            "asked_at": person.asked_at.isoformat(),
            "times_asked": len(person.booking_ids),
            "seats": person.seats,
            "number": masked(person.mobile_number),
            "why": person.why.value,
            "error_code": person.error_code,
            "state": person.state.value,
            "state_at": person.state_at.isoformat() if person.state_at else None,
        }
        for person in found.people
    ]
    if as_json:
        print_json(
            {
                "since": found.time_range.since.isoformat(),
                "until": found.time_range.until.isoformat(),
                "people": found.count,
                "at_least": found.at_least,
                "seats": {"estimate": found.seats.estimate, "how": found.seats.how},
                "unknown": list(found.unknown),
                "rows": rows,
            }
        )
        return
    out.print(escape(found.message), soft_wrap=True)
    for sentence in (found.seats.how, *found.unknown):
        out.print(escape(f"  {sentence}"), soft_wrap=True)
    for person in found.people:
        event = f"{redact(person.event_name or NO_EVENT)} {person.event_at or ''}".strip()
        message = (
            f"{STATE_LABELS[person.state]:<17} {event}  {masked(person.mobile_number)}  {REASON_LABELS[person.why]}"
        )
        out.print(escape(f"{message}  {person.booking_id}"), soft_wrap=True)


def _show(document: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(document)
    else:
        out.print(escape("  ".join(f"{name}: {value}" for name, value in document.items())), soft_wrap=True)
