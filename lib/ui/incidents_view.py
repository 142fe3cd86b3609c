"""Incidents: their entries, two diagnoses side by side, notes, and whether the journal's chain is whole."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.affected import TimeRange, time_range_of
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.timeline import Mark
from lib.journal.chain import ChainReport
from lib.journal.entry import DiagnosisRecord, Entry, Kind, Note, Outcome, Receipt, StepState
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.incident_export import incident_record
from lib.journal.journal import Journal
from lib.journal.rendering import RenderedEntry, render
from lib.model.people import Actor, Role, Via
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from lib.model.window import WindowSize
from lib.reports.diagnosis_record import keep_diagnosis, keep_if_changed, record_changes
from lib.reports.documents import ExportFormat, export
from lib.reports.marks import with_journal
from lib.reports.titles import TITLES, title_of
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.action_dialog import typed
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside
from lib.ui.page_frame import View, cached_with_journal, diagnosis_service
from lib.ui.runtime import DiagnosisService

log = logging.getLogger(__name__)

# Who records what is recorded because somebody wants a document.
_EXPORT = Actor("export", Role.DESK, Via.PAGE)
# Entries about how a request was carried out, which make the list longer and not clearer.
_BEHIND_THE_SCENES = (Kind.LOCKED, Kind.EXPIRED)
_GLYPHS: Mapping[Kind, str] = {
    Kind.INCIDENT_OPENED: "●",
    Kind.INCIDENT_CLOSED: "■",
    Kind.NOTE: "✎",
    Kind.DIAGNOSIS: "◎",
    Kind.STEP: "☑",
    Kind.REQUEST: "→",
    Kind.STARTED: "▸",
    Kind.PROGRESS: "…",
    Kind.RECEIPT: "⇥",
    Kind.RESOLUTION: "⇥",
    Kind.REFUSED: "✕",
    Kind.CANCELLED: "–",
    Kind.APPROVAL: "✓",
    Kind.FREEZE: "❄",
    Kind.UNFREEZE: "❄",
    Kind.FOLLOW_UP: "✆",
}
_OUTCOME_TONES = {Outcome.SUCCEEDED: Tone.GOOD, Outcome.FAILED: Tone.BAD, Outcome.UNKNOWN: Tone.UNKNOWN}


# What anybody may read.


def differences(before: DiagnosisRecord, after: DiagnosisRecord) -> Markup:
    """What differs in `after`: the headline first, then the checks and the causes."""
    heads = html.cards((_headline_card("Before", before), _headline_card("After", after)))
    changed = record_changes(before, after)
    if not changed:
        return heads + html.nothing("No check and no cause has changed.")
    rows = (
        (title_of(row["kind"], str(row["id"])), _state(row["kind"], row["before"]), _state(row["kind"], row["after"]))
        for row in changed
        if row["kind"] != "headline"
    )
    return heads + html.table(("Check or cause", "Before", "After"), rows)


def _headline_card(title: str, record: DiagnosisRecord) -> Markup:
    return html.card(title, html.paragraph(record.sentence), sign=labels.HEADLINE[record.state])


def _state(kind: str, value: str | None) -> Markup:
    if value is None:
        return html.text("not asked")
    return html.chip(labels.CHECK[CheckStatus(value)] if kind == "checks" else labels.VERDICT[Verdict(value)])


def events_by_day(view: View, entries: Sequence[Entry]) -> Markup:
    """Everything that happened, newest first, one line per event; its details open under it.

    A request is one event, from being asked for to its receipt: its line says what became of it.
    """
    days = groupby(events(entries), key=lambda event: event[-1].at.astimezone(view.zone).date())
    return html.join(
        html.day(f"{day:%A} {day.day} {day:%B %Y}", [_event(view, event) for event in of_day]) for day, of_day in days
    )


def events(entries: Iterable[Entry]) -> list[tuple[Entry, ...]]:
    """Return the entries that belong to one event together, the newest event first: by its last entry."""
    found: dict[object, list[Entry]] = {}
    for entry in entries:
        if entry.kind not in _BEHIND_THE_SCENES:
            found.setdefault(entry.about.request_id or entry.id, []).append(entry)
    return sorted(map(tuple, found.values()), key=lambda event: event[-1].seq, reverse=True)


def _event(view: View, event: tuple[Entry, ...]) -> Markup:
    last = event[-1]
    rendered = render(last, TITLES)
    tone = Tone.WARN if last.kind in (Kind.REFUSED, Kind.FREEZE) else Tone.QUIET
    if isinstance(last.payload, DiagnosisRecord):
        tone = labels.HEADLINE[last.payload.state].tone
    elif isinstance(last.payload, Receipt):
        tone = _OUTCOME_TONES[last.payload.outcome]
    if isinstance(last.payload, Note):  # what somebody wrote is the event itself
        rendered = RenderedEntry(f"{rendered.line}: {last.payload.text}")
    before = [render(entry, TITLES) for entry in event[:-1]]
    details = [*rendered.details, *(line for one in before for line in (one.line, *one.details))]
    return html.event(event[0], last, (rendered.line, details), view.zone, tone=tone, glyph=_GLYPHS.get(last.kind, "·"))


def step_table(view: View, incident: Incident) -> Markup:
    """The steps that somebody worked on, with who and when."""
    if not incident.steps:
        return html.nothing("No step has been started yet.")
    rows = (
        (
            TITLES.step(step.id),
            html.chip(labels.STEP[step.state]),
            html.person(step.actor.name),
            view.local_time(step.at),
            step.reason,
        )
        for step in incident.steps
    )
    return html.table(("Step", "State", "Who", "When", "Reason"), rows)


def incident_card(view: View, incident: Incident) -> Markup:
    """Who opened it when, and who closed it how."""
    rows: html.Rows = [("Opened", html.by(view.time_and_age(incident.opened_at), incident.opened_by.name))]
    if incident.closed_at is not None and incident.closed_by is not None:
        rows.append(("Closed", html.by(view.time_and_age(incident.closed_at), incident.closed_by.name)))
        rows.append(("Lasted", formatting.duration(incident.closed_at - incident.opened_at)))
    if incident.closing_message:
        rows.append(("How it ended", incident.closing_message))
    rows.append(("Id", html.code(str(incident.id))))
    sign = Sign("open", "●", Tone.WARN) if incident.open else Sign("closed", "■", Tone.QUIET)
    return html.card(incident.title, html.facts(rows), sign=sign)


def chain_card(chain: ChainReport) -> Markup:
    """Whether the chain of hashes is intact."""
    sign = Sign("intact", "✓", Tone.GOOD) if chain.ok else Sign("broken", "✕", Tone.BAD)
    rows: html.Rows = [("Result", chain.message), ("Newest hash", html.code(chain.head.hash))]
    return html.card("The journal's chain", html.facts(rows), sign=sign)


def last_count(entries: Iterable[Entry]) -> Markup | None:
    """Whom the incident affected, as its last diagnosis that counted them says; None if none did."""
    counts = [record.people for record in _diagnoses(entries) if record.people]
    return html.nothing(f"As last recorded: {counts[-1].message}") if counts else None


def incident_label(incident: Incident, view: View) -> str:
    """Return the label of an incident in a list."""
    state = "open" if incident.open else "closed"
    return f"{view.local_time(incident.opened_at)} · {state} · {outside(incident.title)}"


def diagnosis_label(entry: Entry, view: View) -> str:
    """Return the label of a recorded diagnosis in a list."""
    state = entry.payload.state if isinstance(entry.payload, DiagnosisRecord) else HeadlineState.CANNOT_TELL
    return f"{entry.at.astimezone(view.zone):%d %b %H:%M:%S} · {labels.HEADLINE[state].word} · entry {entry.seq}"


def note_labels(entries: Iterable[Entry], view: View) -> dict[str, str]:
    """Return the label of each note in a list, by id, newest first."""
    notes = [(entry, entry.payload.text) for entry in entries if isinstance(entry.payload, Note)]
    return {str(entry.id): f"{view.local_time(entry.at)} · {outside(text)[:60]}" for entry, text in reversed(notes)}


def suggested_title(diagnosis: Diagnosis) -> str:
    """Return a title from the headline; empty where nothing is wrong, because then there is no incident."""
    head = diagnosis.headline
    if head.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC):
        return ""
    return outside(f"{labels.HEADLINE[head.state].word}: {head.sentence}")


def recorded_diagnoses(entries: Iterable[Entry]) -> dict[int, Entry]:
    """Return the entries that record a diagnosis by their number, oldest first."""
    return {entry.seq: entry for entry in entries if isinstance(entry.payload, DiagnosisRecord)}


def _diagnoses(entries: Iterable[Entry]) -> list[DiagnosisRecord]:
    return [entry.payload for entry in entries if isinstance(entry.payload, DiagnosisRecord)]


def first_diagnosis(action_service: ActionService, incident: Incident) -> DiagnosisRecord | None:
    """Return the diagnosis that was recorded when the incident was opened."""
    found = action_service.journal.entries(incident_id=incident.id, kinds=[Kind.DIAGNOSIS], limit=1)
    return next(iter(_diagnoses(found)), None)


def affected_range(view: View, incident: Incident, entries: Iterable[Entry]) -> TimeRange:
    """Return over which time the incident affected people."""
    return time_range_of(incident, _diagnoses(entries), view.now)


def range_sentence(view: View, time_range: TimeRange) -> str:
    """Say over which time people count."""
    since, until = view.local_time(time_range.since), view.local_time(time_range.until)
    return f"People who asked to book from {since} to {until} and got no link that works."


def timeline_marks(view: View) -> tuple[Mark, ...]:
    """Return what changed the system in the window, from the sources and from the journal."""
    found, window = view.facts.marks, view.snapshot.window

    def with_ours(journal: Journal) -> tuple[Mark, ...]:
        return with_journal(found, journal.incidents(), journal.requests(since=window.start), window)

    return cached_with_journal(view, "marks", with_ours) or found


# What operators write: work for `operator_button`.


def _keep(action_service: ActionService, incident: Incident, actor: Actor) -> None:
    """Record the diagnosis of a window that holds the incident, whatever window its writer looks at.

    Never of less than a day: what was recorded at its beginning and at its end is to be compared.
    """
    size = _reaching(incident, action_service.clock())
    keep_diagnosis(action_service.journal, diagnosis_service().diagnosis(size), actor, incident.id)


def _reaching(incident: Incident, now: datetime) -> WindowSize:
    return WindowSize.reaching(min(incident.opened_at, now - WindowSize.DAY.length), now)


def open_incident(action_service: ActionService, actor: Actor) -> None:
    """Open an incident, and record what the diagnosis says now, for a comparison later."""
    _keep(action_service, action_service.journal.open_incident(typed("incident_title"), actor), actor)
    st.session_state.pop("incident_title", None)


def close_incident(action_service: ActionService, actor: Actor) -> None:
    """Close the open incident; what the diagnosis says at its end is recorded as well."""
    if incident := action_service.journal_state().incident:
        _keep(action_service, incident, actor)
        action_service.journal.close_incident(incident.id, actor, typed("incident_words"))


def record_step(step_id: str, state: StepState, action_service: ActionService, actor: Actor) -> None:
    """Record how far a step of the open incident is. Skipping one needs a reason."""
    reason = typed(f"skip_reason_{step_id}") if state is StepState.SKIPPED else ""
    if incident := action_service.journal_state().incident:
        action_service.journal.step(incident.id, step_id, state, actor, reason)


def record_done_elsewhere(step_id: str, task: str, action_service: ActionService, actor: Actor) -> None:
    """Record that somebody says a task was done in another system, and look whether the evidence agrees."""
    if incident := action_service.journal_state().incident:
        action_service.journal.step(incident.id, step_id, StepState.DONE, actor, task)
        diagnosis_service().recheck()


def record_diagnosis(incident_id: UUID, action_service: ActionService, actor: Actor) -> None:
    """Record what the diagnosis says now."""
    _keep(action_service, action_service.journal.incident(incident_id), actor)


def document(
    service: DiagnosisService, journal: Journal, incident_id: UUID, form: ExportFormat, zone: ZoneInfo, now: datetime
) -> str:
    """Return the incident as a file. Of an open one the present diagnosis is recorded first, if its state has changed.

    It is made when somebody downloads it, outside of a page's run.
    """
    try:
        incident = journal.incident(incident_id)
        if incident.open:
            keep_if_changed(journal, service.diagnosis(_reaching(incident, now)), _EXPORT, incident_id)
    except JournalError as error:  # the document is still worth having
        log.warning("The diagnosis of now is not in the document: %s", error)
    return export(incident_record(journal, incident_id), form, zone, now)


def record_note(action_service: ActionService, actor: Actor) -> None:
    """Add the note that was typed, with its time and the note that it corrects, where these were given."""
    at, corrects = st.session_state.get("note_at"), st.session_state.get("note_corrects")
    action_service.journal.note(
        typed("note_text"),
        actor,
        incident_id=UUID(typed("incident")),
        happened_at=at.replace(tzinfo=diagnosis_service().settings.zone) if isinstance(at, datetime) else None,
        corrects=UUID(str(corrects)) if corrects else None,
    )
    st.session_state.update(note_text="", note_at=None, note_corrects=None)
