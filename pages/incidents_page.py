"""Incident log: what happened and what was done, in order, and as a file."""

from lib.ui.guard import guard

guard()

from functools import partial
from uuid import UUID

import streamlit as st

from lib.journal.entry import DiagnosisRecord
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.incident_export import IncidentRecord, incident_record
from lib.model.window import WindowSize
from lib.reports.diagnosis_record import diagnosis_record
from lib.reports.documents import ExportFormat
from lib.ui import action_dialog, affected_view, incidents_view, request_progress
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.masking import plain
from lib.ui.page_frame import View, diagnosis_service, draw_page, expander
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
        draw(html.nothing("Without the journal there is no log."))
        return
    st.subheader("Incidents", anchor=False)
    try:
        log(view, action_service)
        with st.expander("Proof that nothing was changed", icon=":material/verified:", key="proof"):
            st.caption(plain(action_service.journal.where))
            draw(incidents_view.chain_card(action_service.chain()))
    except JournalError as error:
        message = plain(action_dialog.error_message(error))
        st.error(message, title="The journal cannot be read", icon=":material/error:")


def log(view: View, action_service: ActionService) -> None:
    known = {str(incident.id): incident for incident in action_service.journal.incidents()}
    if not known:
        draw(html.nothing("No incident has been opened yet. The Action plan opens one."))
        return
    record = incident_record(action_service.journal, UUID(choose(view, known)))
    about, written = st.columns([3, 2]) if action_dialog.may_act() else (st.container(), None)
    with about:
        draw(incidents_view.incident_card(view, record.incident))
        downloads(view, action_service, record)
    if written is not None:
        with written:
            note(view, record)
    st.subheader("What happened", anchor=False)
    draw(incidents_view.events_by_day(view, record.entries))
    people(view, record)
    compared(view, record)
    steps_and_requests(view, action_service, record)


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
            format_func=lambda id_: incidents_view.incident_label(known[str(id_)], view),
        )
    )


def link_to_chosen() -> None:
    st.query_params["incident"] = st.session_state["incident"]


def downloads(view: View, action_service: ActionService, record: IncidentRecord) -> None:
    service, journal, zone, id_ = diagnosis_service(), action_service.journal, view.zone, record.incident.id
    with st.container(horizontal=True):
        for form, (label, mime, icon) in FILES.items():
            st.download_button(
                label,
                lambda form=form: incidents_view.document(service, journal, id_, form, zone, action_service.clock()),
                mime=mime,
                on_click="ignore",
                file_name=f"incident-{str(id_)[:8]}.{form.value}",
                key=f"export_{form}",
                icon=icon,
            )


def note(view: View, record: IncidentRecord) -> None:
    st.text_area("Add a note: what you saw or did", key="note_text", height=100)
    earlier = incidents_view.note_labels(record.entries, view)
    with st.container(horizontal=True):
        action_dialog.operator_button("Add the note", "note_add", incidents_view.record_note, type="primary")
        with st.popover("Time and correction", icon=":material/schedule:"):
            st.caption("Notes are never edited: a later note can correct an earlier one.")
            label = f"When it was, if not now ({view.settings.time_zone})"
            st.datetime_input(label, value=None, key="note_at", max_value="now", step=60)
            st.selectbox(
                "Corrects this note",
                list(earlier),
                index=None,
                key="note_corrects",
                format_func=lambda id_: earlier.get(str(id_), str(id_)),
            )


def people(view: View, record: IncidentRecord) -> None:
    st.subheader("Who was affected", anchor=False)
    incident = record.incident
    time_range = incidents_view.affected_range(view, incident, record.entries)
    st.caption(plain(incidents_view.range_sentence(view, time_range)))
    if (count := incidents_view.last_count(record.entries)) is not None:
        draw(count)
    title, icon = "Who they are, and what to do for each", ":material/support_agent:"
    with expander(title, key="people_list", icon=icon) as is_open:
        if not is_open:
            return
        if time_range.since < view.now - WindowSize.MONTH.length:
            too_old = "It began more than 30 days ago, and single bookings are not read that far back."
            draw(html.nothing(too_old))
            return
        wider = affected_view.view_since(view, time_range.since)
        found = affected_view.affected_or_reason(wider, time_range)
        if found is not None:
            affected_view.draw_summary(wider, found)
            affected_view.draw_work_list(wider, found, incident_id=incident.id)


def compared(view: View, record: IncidentRecord) -> None:
    recorded = incidents_view.recorded_diagnoses(record.entries)
    with st.expander("Before and after", icon=":material/compare_arrows:", key="before_and_after"):
        if not recorded:
            draw(html.nothing("No diagnosis was recorded in this incident."))
            return
        now, numbers = 0, list(recorded)
        names = {number: incidents_view.diagnosis_label(entry, view) for number, entry in recorded.items()}
        names |= {now: "now"}

        def name(number: int) -> str:
            return names.get(number, str(number))

        left, right = st.columns(2)
        with left:
            before = st.selectbox("Before", numbers, format_func=name, key="seen_before")
        with right:
            after = st.selectbox("After", [now, *reversed(numbers)], format_func=name, key="seen_after")
        earlier = recorded[before].payload
        later = recorded[after].payload if after else diagnosis_record(view.diagnosis)
        if isinstance(earlier, DiagnosisRecord) and isinstance(later, DiagnosisRecord):
            draw(incidents_view.differences(earlier, later))
        if record.incident.open and action_dialog.may_act():
            keep = partial(incidents_view.record_diagnosis, record.incident.id)
            action_dialog.operator_button("Record the diagnosis of now", "seen_record", keep)


def steps_and_requests(view: View, action_service: ActionService, record: IncidentRecord) -> None:
    requests = action_service.journal.requests(incident_id=record.incident.id)
    title = f"Steps of the plan ({len(record.incident.steps):,}) and requests with their receipts ({len(requests):,})"
    with st.expander(title, icon=":material/checklist:", key="steps_and_requests"):
        draw(incidents_view.step_table(view, record.incident))
        if requests:
            draw(request_progress.request_cards(requests, view, action_service))


draw_page(body)
