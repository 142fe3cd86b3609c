"""Incident log: what was seen and done, in order, and as a file."""

from lib.ui.guard import guard

guard()

from uuid import UUID

import streamlit as st

from lib.journal.entry import DiagnosisRecord
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.incident_export import IncidentRecord, incident_record
from lib.model.window import WindowSize
from lib.reports.documents import ExportFormat, export
from lib.ui import action_dialog, affected_view, html_components, incidents_view
from lib.ui.action_service import ActionService
from lib.ui.masking import plain
from lib.ui.page_frame import View, diagnosis_service, show
from lib.ui.styles import draw

# The page to print first: it is the one for people who were not there.
FILES = {
    ExportFormat.HTML: ("Document to print", "text/html", ":material/print:"),
    ExportFormat.MARKDOWN: ("Markdown", "text/markdown", ":material/download:"),
    ExportFormat.CSV: ("CSV", "text/csv", ":material/download:"),
    ExportFormat.JSON: ("JSON", "application/json", ":material/download:"),
}


def body(view: View) -> None:
    action_service = diagnosis_service().action_service()
    if action_service is None:
        draw(html_components.nothing("Without the journal there is no log."))
        return
    try:
        st.caption(plain(action_service.journal.where))
        log(view, action_service)
        st.subheader("Proof", anchor=False)
        draw(incidents_view.proof(action_service.chain()))
    except JournalError as error:
        st.error(plain(action_dialog.sentence(error)), title="The journal cannot be read", icon=":material/error:")


def log(view: View, action_service: ActionService) -> None:
    known = {str(incident.id): incident for incident in action_service.journal.incidents()}
    if not known:
        draw(html_components.nothing("No incident was opened yet. The Action plan opens one."))
        return
    chosen = choose(view, known)
    story = incident_record(action_service.journal, UUID(chosen))
    draw(incidents_view.opened(view, story.incident))
    downloads(view, story)
    st.subheader("Steps", anchor=False)
    draw(incidents_view.steps(view, story.incident))
    people(view, story)
    compared(view, story)
    st.subheader("What happened", anchor=False)
    draw(incidents_view.story(view, story.entries))
    asked = action_service.journal.requests(incident_id=story.incident.id)
    if asked:
        st.subheader("Requests and their receipts", anchor=False)
        draw(action_dialog.history(asked, action_service, view))
    if action_dialog.may_act():
        note(view, story)


def choose(view: View, known: dict[str, Incident]) -> str:
    # The address carries the id, not the label that a bound widget would write there.
    if st.session_state.get("incident") not in known:
        linked = st.query_params.get("incident")
        st.session_state["incident"] = linked if linked in known else next(iter(known))
    return str(
        st.selectbox(
            "Incident",
            list(known),
            key="incident",
            on_change=link_to_chosen,
            format_func=lambda id_: incidents_view.called(known[str(id_)], view),
        )
    )


def link_to_chosen() -> None:
    st.query_params["incident"] = st.session_state["incident"]


def downloads(view: View, story: IncidentRecord) -> None:
    with st.container(horizontal=True):
        for form, (label, mime, icon) in FILES.items():
            st.download_button(
                label,
                lambda form=form: export(story, form, view.zone, view.now),
                mime=mime,
                on_click="ignore",
                file_name=f"incident-{str(story.incident.id)[:8]}.{form.value}",
                key=f"export_{form}",
                icon=icon,
            )


def people(view: View, story: IncidentRecord) -> None:
    st.subheader("Who was affected", anchor=False)
    time_range = incidents_view.time_range(view, story.incident, story.entries)
    st.caption(plain(incidents_view.over(view, time_range)))
    kept = incidents_view.last_count(story.entries)
    if kept is not None:
        draw(kept)
    box = st.expander(
        "Who they are, and what to do for each",
        key="people_list",
        icon=":material/support_agent:",
        expanded=story.incident.open,
        on_change="rerun",
        bind="query-params",
    )
    with box:
        if not box.open:
            return
        if time_range.since < view.now - WindowSize.MONTH.length:
            draw(
                html_components.nothing(
                    "It began more than 30 days ago, and single bookings are not read that far back."
                )
            )
            return
        seen = affected_view.covering(view, time_range.since)
        found = affected_view.find_affected(seen, time_range)
        if found is not None:
            affected_view.work_list(seen, found, stories=False, incident_id=story.incident.id)


def compared(view: View, story: IncidentRecord) -> None:
    st.subheader("Before and after", anchor=False)
    seen = incidents_view.diagnoses(story.entries)
    if not seen:
        draw(html_components.nothing("No diagnosis was recorded in this incident."))
        return
    now = 0
    numbers = list(seen)
    left, right = st.columns(2)
    name = {number: incidents_view.diagnosis_called(entry, view) for number, entry in seen.items()} | {now: "now"}
    with left:
        before = st.selectbox("Before", numbers, format_func=lambda n: name.get(n, str(n)), key="seen_before")
    with right:
        after = st.selectbox(
            "After", [now, *reversed(numbers)], format_func=lambda n: name.get(n, str(n)), key="seen_after"
        )
    earlier, later = (
        seen[before].payload,
        seen[after].payload if after else incidents_view.diagnosis_record(view.diagnosis),
    )
    if isinstance(earlier, DiagnosisRecord) and isinstance(later, DiagnosisRecord):
        draw(incidents_view.differences(earlier, later))
    if story.incident.open and action_dialog.may_act():
        st.button(
            "Record what is seen now",
            key="seen_record",
            on_click=incidents_view.record_diagnosis,
            args=(story.incident.id,),
        )


def note(view: View, story: IncidentRecord) -> None:
    st.subheader("Add a note", anchor=False)
    st.text_area("What was seen or done. It is never edited: a later note can correct it.", key="note_text")
    earlier = {str(entry.id): incidents_view.note_called(entry, view) for entry in incidents_view.notes(story.entries)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.datetime_input(
            f"When it was, if not now ({view.settings.time_zone})", value=None, key="note_at", max_value="now", step=60
        )
        st.selectbox(
            "Corrects, if it does",
            list(earlier),
            index=None,
            key="note_corrects",
            format_func=lambda id_: earlier.get(str(id_), str(id_)),
        )
    st.button("Add the note", key="note_add", on_click=incidents_view.add_note)


show(body)
