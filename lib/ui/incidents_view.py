"""Incidents on the glass: their story, two diagnoses side by side, notes, and what the chain says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
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
from lib.reports.diagnosis_record import diagnosis_record as diagnosis_record
from lib.reports.diagnosis_record import keep_diagnosis, record_changes
from lib.reports.marks import with_journal
from lib.ui import action_dialog, html_components, labels
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside
from lib.ui.page_frame import View, cached_with_journal, diagnosis_service

STEP_TITLES: Mapping[str, str] = {step.id: f"{step.number} {step.title}" for step in STEPS}
# What is said behind the scenes of a request, and makes a story longer but not clearer.
_BEHIND_THE_SCENES = (Kind.LOCKED, Kind.EXPIRED)
_ICON: Mapping[Kind, str] = {
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


def differences(before: DiagnosisRecord, after: DiagnosisRecord) -> Markup:
    """What is another in `after`: the headline first, then the checks and the causes."""
    changed = record_changes(before, after)
    heads = html_components.cards((_headline("Before", before), _headline("After", after)))
    if not changed:
        return html_components.join((heads, html_components.nothing("Every check and every cause is as it was.")))
    rows = (
        (html_components.code(str(row["id"])), _state(row["kind"], row["before"]), _state(row["kind"], row["after"]))
        for row in changed
        if row["kind"] != "headline"
    )
    return html_components.join((heads, html_components.table(("Check or cause", "Before", "After"), rows)))


def _headline(when: str, page_view: DiagnosisRecord) -> Markup:
    return html_components.card(
        when, Markup("<p>{}</p>").format(outside(page_view.sentence)), sign=labels.HEADLINE[page_view.state]
    )


def _state(kind: str, value: str | None) -> Markup:
    if value is None:
        return Markup("not asked")
    return html_components.chip(
        labels.CHECK[CheckStatus(value)] if kind == "checks" else labels.VERDICT[Verdict(value)]
    )


def story(view: View, entries: Sequence[Entry]) -> Markup:
    """Everything that happened, by day, in the business's time; UTC stands beside it."""
    shown = [entry for entry in entries if entry.kind not in _BEHIND_THE_SCENES]
    days = groupby(shown, key=lambda entry: entry.at.astimezone(view.zone).date())
    return html_components.join(
        Markup('<h4 class="sb-day">{}</h4><ol class="sb-story">{}</ol>').format(
            f"{day:%A} {day.day} {day:%B %Y}", html_components.join(_line(view, entry) for entry in of_day)
        )
        for day, of_day in days
    )


def _line(view: View, entry: Entry) -> Markup:
    said = render(entry)
    local, utc = entry.at.astimezone(view.zone), entry.at.astimezone(UTC)
    details = html_components.bullets(line for detail in said.details for line in detail.split("\n") if line.strip())
    return Markup(
        '<li class="sb-{}"><time datetime="{}" title="{}">{} <small>{} UTC</small></time>'
        '<div><b aria-hidden="true">{}</b> {} <small class="sb-detail">{} · entry {}</small>{}</div></li>'
    ).format(
        _tone(entry),
        utc.isoformat(),
        f"{utc:%Y-%m-%d %H:%M:%S} UTC",
        f"{local:%H:%M:%S}",
        f"{utc:%H:%M:%S}",
        _ICON.get(entry.kind, "·"),
        outside(said.line),
        html_components.person(entry.actor.name),
        entry.seq,
        details if said.details else "",
    )


def _tone(entry: Entry) -> Tone:
    if isinstance(entry.payload, DiagnosisRecord):
        return labels.HEADLINE[entry.payload.state].tone
    return Tone.WARN if entry.kind in (Kind.REFUSED, Kind.FREEZE) else Tone.QUIET


def steps(view: View, incident: Incident) -> Markup:
    """The steps that somebody touched, with who and when."""
    if not incident.steps:
        return html_components.nothing("No step was touched yet.")
    return html_components.table(
        ("Step", "State", "Who", "When", "Reason"),
        (
            (
                Markup("{}").format(outside(STEP_TITLES.get(step.id, step.id))),
                html_components.chip(labels.STEP[step.state]),
                html_components.person(step.actor.name),
                Markup("{}").format(formatting.local_time(step.at, view.zone, view.now)),
                Markup("{}").format(outside(step.reason)),
            )
            for step in incident.steps
        ),
    )


def opened(page_view: View, incident: Incident) -> Markup:
    """Who opened it when, and who closed it how."""
    rows: list[tuple[str, str | Markup]] = [
        (
            "Opened",
            html_components.by(
                formatting.time_and_age(incident.opened_at, page_view.zone, page_view.now), incident.opened_by.name
            ),
        ),
    ]
    if incident.closed_at is not None and incident.closed_by is not None:
        when = formatting.time_and_age(incident.closed_at, page_view.zone, page_view.now)
        rows.append(("Closed", html_components.by(when, incident.closed_by.name)))
        rows.append(("After", formatting.duration(incident.closed_at - incident.opened_at)))
    if incident.closing_message:
        rows.append(("How it ended", incident.closing_message))
    rows.append(("Id", html_components.code(str(incident.id))))
    sign = Sign("open", "●", Tone.WARN) if incident.open else Sign("closed", "■", Tone.QUIET)
    return html_components.card(incident.title, html_components.facts(rows), sign=sign)


def called(incident: Incident, view: View) -> str:
    """Return how an incident is called in a list."""
    state = "open" if incident.open else "closed"
    return f"{formatting.local_time(incident.opened_at, view.zone, view.now)} · {state} · {outside(incident.title)}"


def suggested_title(diagnosis: Diagnosis) -> str:
    """Return a title from the headline."""
    head = diagnosis.headline
    return outside(f"{labels.HEADLINE[head.state].word}: {head.sentence}")


def proof(chain: ChainReport) -> Markup:
    """What the chain of hashes says."""
    sign = Sign("whole", "✓", Tone.GOOD) if chain.ok else Sign("broken", "✕", Tone.BAD)
    where = html_components.facts((("Says", chain.message), ("Ends with", html_components.code(chain.head.hash))))
    return html_components.card("The journal's chain", where, sign=sign)


def diagnoses(entries: Iterable[Entry]) -> dict[int, Entry]:
    """Return the recorded diagnoses by entry number, oldest first."""
    return {entry.seq: entry for entry in entries if isinstance(entry.payload, DiagnosisRecord)}


def time_range(page_view: View, incident: Incident, entries: Iterable[Entry]) -> TimeRange:
    """Return over which time the incident affected people."""
    looks = [entry.payload for entry in entries if isinstance(entry.payload, DiagnosisRecord)]
    return time_range_of(incident, looks, page_view.now)


def over(page_view: View, time_range: TimeRange) -> str:
    """Say over which time people count."""
    since, until = (
        formatting.local_time(at, page_view.zone, page_view.now) for at in (time_range.since, time_range.until)
    )
    return f"People who asked to book from {since} to {until} and got no link that works."


def last_count(entries: Iterable[Entry]) -> Markup | None:
    """Return what the last diagnosis of the incident kept of whom it affected; None if none did."""
    kept = [
        entry.payload.people for entry in entries if isinstance(entry.payload, DiagnosisRecord) and entry.payload.people
    ]
    return html_components.nothing(f"As the last diagnosis kept it: {kept[-1].message}") if kept else None


def diagnosis_called(entry: Entry, view: View) -> str:
    """Return how a recorded diagnosis is called in a list."""
    state = entry.payload.state if isinstance(entry.payload, DiagnosisRecord) else HeadlineState.CANNOT_TELL
    return f"{entry.at.astimezone(view.zone):%d %b %H:%M:%S} · {labels.HEADLINE[state].word} · entry {entry.seq}"


# What operators write. Each is asked of `actions.do`, which looks anew at who may.


def to_keep(incident: Incident, now: datetime) -> Diagnosis:
    """Return what an incident keeps: of a window that holds it, whatever window its writer looks at.

    Never of less than a day: what was recorded at its beginning and at its end is to be compared.
    """
    a_day_ago = now - WindowSize.DAY.length
    return diagnosis_service().diagnosis(WindowSize.reaching(min(incident.opened_at, a_day_ago), now))


def open_new() -> None:
    """Open an incident, and keep what the diagnosis says now, for a comparison later."""
    title = str(st.session_state.get("incident_title") or "")

    def work(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal.open_incident(title, actor)
        keep_diagnosis(action_service.journal, to_keep(incident, action_service.clock()), actor, incident.id)
        st.session_state.pop("incident_title", None)

    action_dialog.do(work)


def close() -> None:
    """Close the open incident; what the diagnosis says at its end is kept as well."""
    how = str(st.session_state.get("incident_words") or "")

    def work(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        if incident is not None:
            keep_diagnosis(action_service.journal, to_keep(incident, action_service.clock()), actor, incident.id)
            action_service.journal.close_incident(incident.id, actor, how)

    action_dialog.do(work)


def move_step(step_id: str, state: StepState) -> None:
    """Say how far a step of the open incident is. Skipping one needs a reason."""
    reason = str(st.session_state.get(f"skip_reason_{step_id}") or "") if state is StepState.SKIPPED else ""

    def work(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        if incident is not None:
            action_service.journal.step(incident.id, step_id, state, actor, reason)

    action_dialog.do(work)


def done_elsewhere(step_id: str, message_: str) -> None:
    """Record somebody's word that a task was done in another system, and look whether the evidence says so, too."""

    def work(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        if incident is not None:
            action_service.journal.step(incident.id, step_id, StepState.DONE, actor, message_)
            diagnosis_service().recheck()

    action_dialog.do(work)


def record_diagnosis(incident_id: UUID) -> None:
    """Keep what the diagnosis says now."""

    def work(action_service: ActionService, actor: Actor) -> None:
        keep_diagnosis(
            action_service.journal,
            to_keep(action_service.journal.incident(incident_id), action_service.clock()),
            actor,
            incident_id,
        )

    action_dialog.do(work)


def notes(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the notes, newest first."""
    return tuple(reversed([entry for entry in entries if isinstance(entry.payload, Note)]))


def note_called(entry: Entry, page_view: View) -> str:
    """Return how a note is called in a list."""
    text = entry.payload.text if isinstance(entry.payload, Note) else ""
    return f"{formatting.local_time(entry.at, page_view.zone, page_view.now)} · {outside(text)[:60]}"


def add_note() -> None:
    """Add the note that was written, with when it was and what it corrects, where that was said."""
    text = str(st.session_state.get("note_text") or "")
    incident_id = UUID(str(st.session_state["incident"]))
    at, corrects = st.session_state.get("note_at"), st.session_state.get("note_corrects")

    def work(action_service: ActionService, actor: Actor) -> None:
        action_service.journal.note(
            text,
            actor,
            incident_id=incident_id,
            happened_at=at.replace(tzinfo=diagnosis_service().settings.zone) if isinstance(at, datetime) else None,
            corrects=UUID(str(corrects)) if corrects else None,
        )
        st.session_state.update(note_text="", note_at=None, note_corrects=None)

    action_dialog.do(work)


def marks(page_view: View) -> tuple[Mark, ...]:
    """Return what changed the system in the window, as the sources say it and as this desk's journal does."""
    found, window = page_view.facts.marks, page_view.snapshot.window

    def with_ours(journal: Journal) -> tuple[Mark, ...]:
        return with_journal(found, journal.incidents(), journal.requests(since=window.start), window)

    return cached_with_journal(page_view, "marks", with_ours) or found


def first_seen(action_service: ActionService, incident: Incident) -> DiagnosisRecord | None:
    """Return what the diagnosis said when the incident was opened."""
    found = action_service.journal.entries(incident_id=incident.id, kinds=[Kind.DIAGNOSIS], limit=1)
    return found[0].payload if found and isinstance(found[0].payload, DiagnosisRecord) else None
