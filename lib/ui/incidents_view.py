"""Incidents: their entries, two diagnoses side by side, notes, and whether the journal's chain is whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from uuid import UUID

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.affected import TimeRange, time_range_of
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.timeline import Mark
from lib.journal.chain import ChainReport
from lib.journal.entry import DiagnosisRecord, Entry, Kind, Note, StepState
from lib.journal.incident import Incident
from lib.journal.journal import Journal
from lib.journal.rendering import render
from lib.model.people import Actor
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from lib.model.window import WindowSize
from lib.plan import STEPS
from lib.reports.diagnosis_record import keep_diagnosis, record_changes
from lib.reports.marks import with_journal
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.action_dialog import typed
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside
from lib.ui.page_frame import View, cached_with_journal, diagnosis_service

STEP_TITLES: Mapping[str, str] = {step.id: f"{step.number} {step.title}" for step in STEPS}
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


# What anybody may read.


def differences(before: DiagnosisRecord, after: DiagnosisRecord) -> Markup:
    """What differs in `after`: the headline first, then the checks and the causes."""
    heads = html.cards((_headline_card("Before", before), _headline_card("After", after)))
    changed = record_changes(before, after)
    if not changed:
        return heads + html.nothing("Every check and every cause is as it was.")
    rows = (
        (html.code(str(row["id"])), _state(row["kind"], row["before"]), _state(row["kind"], row["after"]))
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


def entries_by_day(view: View, entries: Sequence[Entry]) -> Markup:
    """Everything that happened, by day, in the business's time with UTC beside it."""
    shown = [entry for entry in entries if entry.kind not in _BEHIND_THE_SCENES]
    days = groupby(shown, key=lambda entry: entry.at.astimezone(view.zone).date())
    return html.join(
        html.day(f"{day:%A} {day.day} {day:%B %Y}", (_entry(view, entry) for entry in of_day)) for day, of_day in days
    )


def _entry(view: View, entry: Entry) -> Markup:
    rendered = render(entry)
    tone = Tone.WARN if entry.kind in (Kind.REFUSED, Kind.FREEZE) else Tone.QUIET
    if isinstance(entry.payload, DiagnosisRecord):
        tone = labels.HEADLINE[entry.payload.state].tone
    return html.entry(entry, rendered, view.zone, tone=tone, glyph=_GLYPHS.get(entry.kind, "·"))


def step_table(view: View, incident: Incident) -> Markup:
    """The steps that somebody touched, with who and when."""
    if not incident.steps:
        return html.nothing("No step was touched yet.")
    rows = (
        (
            STEP_TITLES.get(step.id, step.id),
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
        rows.append(("After", formatting.duration(incident.closed_at - incident.opened_at)))
    if incident.closing_message:
        rows.append(("How it ended", incident.closing_message))
    rows.append(("Id", html.code(str(incident.id))))
    sign = Sign("open", "●", Tone.WARN) if incident.open else Sign("closed", "■", Tone.QUIET)
    return html.card(incident.title, html.facts(rows), sign=sign)


def chain_card(chain: ChainReport) -> Markup:
    """Whether the chain of hashes is whole."""
    sign = Sign("whole", "✓", Tone.GOOD) if chain.ok else Sign("broken", "✕", Tone.BAD)
    rows: html.Rows = [("Says", chain.message), ("Ends with", html.code(chain.head.hash))]
    return html.card("The journal's chain", html.facts(rows), sign=sign)


def last_count(entries: Iterable[Entry]) -> Markup | None:
    """Whom the incident affected, as its last diagnosis that counted them says; None if none did."""
    counts = [record.people for record in _diagnoses(entries) if record.people]
    return html.nothing(f"As the last diagnosis kept it: {counts[-1].message}") if counts else None


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
    """Return a title from the headline."""
    head = diagnosis.headline
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
    now = action_service.clock()
    size = WindowSize.reaching(min(incident.opened_at, now - WindowSize.DAY.length), now)
    keep_diagnosis(action_service.journal, diagnosis_service().diagnosis(size), actor, incident.id)


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
