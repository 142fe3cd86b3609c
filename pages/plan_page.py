"""Action plan: what to look at and do next, step by step, with evidence."""

from lib.ui.guard import guard

guard()

from functools import partial

import streamlit as st

from lib.journal.entry import StepState
from lib.journal.incident import Incident
from lib.journal.journal_state import JournalState
from lib.model.verdict import HeadlineState
from lib.plan import StepEvidence
from lib.plan_state import PlanState, StepStatus, plan_state, step_status, tiles_since
from lib.reports.diagnosis_record import diagnosis_record
from lib.ui import (
    action_buttons,
    action_dialog,
    checks_view,
    deployments_view,
    incidents_view,
    plan_view,
    request_progress,
    support_bundle,
)
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.page_frame import View, current_journal_state, diagnosis_service, draw_page, expander
from lib.ui.styles import draw


def body(view: View) -> None:
    action_service = diagnosis_service().action_service()
    found = current_journal_state()
    journal_state = found or JournalState()
    plan = plan_state(view.diagnosis, view.settings, journal_state.requests, journal_state.incident)
    if journal_state.incident is not None:
        draw(plan_view.incident_clock(view, journal_state.incident))
    do_next(view, plan, journal_state.incident)
    incident_line(view, found)
    st.subheader("Steps", anchor=False)
    statuses = {evidence.step.id: step_status(evidence, plan, journal_state.incident) for evidence in plan.steps}
    unneeded = [one for one in plan.steps if statuses[one.step.id] is StepStatus.NOT_NEEDED]
    # Nothing may stand between two steps, or the line that connects them breaks.
    with st.container(gap="xsmall"):
        for evidence in plan.steps:
            if evidence not in unneeded:
                step(view, evidence, statuses[evidence.step.id], action_service, journal_state, plan)
        if unneeded:
            label, icon = plan_view.folded_label(len(unneeded)), ":material/remove:"
            with expander(label, key="steps_not_needed", icon=icon, step=True) as is_open:
                # Also while closed: a step with nothing in it cannot be opened.
                draw(html.nothing("Nothing that they fix was seen."))
                for evidence in unneeded if is_open else ():
                    step(view, evidence, StepStatus.NOT_NEEDED, action_service, journal_state, plan)
        escalation(view, journal_state)
        with expander("**7** After-care", step=True, icon=":material/shield:", key="step_after_care"):
            draw(plan_view.after_care(view))


def incident_line(view: View, journal_state: JournalState | None) -> None:
    if journal_state is None:
        draw(html.nothing("Whether an incident is open is not known: the journal cannot be read."))
        return
    incident = journal_state.incident
    if incident is None:
        no_incident(view)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        about, icon = {"incident": str(incident.id)}, ":material/history_edu:"
        st.page_link("pages/incidents_page.py", label="Its log", icon=icon, query_params=about)
        if action_dialog.may_act():
            with st.popover("Close the incident", type="tertiary"):
                st.text_input("How it ended", key="incident_words")
                action_dialog.operator_button("Close it", "incident_close", incidents_view.close_incident)


def no_incident(view: View) -> None:
    st.subheader("No incident is open", anchor=False)
    if not action_dialog.may_act():
        draw(html.nothing("Once an operator opens an incident, the plan keeps a record of it."))
        return
    well = view.diagnosis.headline.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC)
    suggest_title("" if well else incidents_view.suggested_title(view.diagnosis))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("What is happening, in a few words", key="incident_title")
        open_incident = incidents_view.open_incident
        if action_dialog.operator_button("Open an incident", "incident_open", open_incident):
            st.rerun()


def suggest_title(title: str) -> None:
    """Keep the suggestion up to date, unless somebody has written a title of their own."""
    if st.session_state.get("incident_title") in (None, "", st.session_state.get("incident_suggested")):
        st.session_state["incident_title"] = title
    st.session_state["incident_suggested"] = title


def do_next(view: View, plan: PlanState, incident: Incident | None) -> None:
    st.subheader("Do next", anchor=False)
    if plan.running:
        request_progress.draw_running(plan.running, view)
        return
    if plan.waits_for_bookings and plan.fix is not None:
        draw(plan_view.waiting_for_bookings(view, plan.fix))
    elif not plan.tasks:
        draw(plan_view.nothing_to_do(view, plan))
    for task in plan.tasks:
        action_buttons.draw_task(view, task, incident)
    if not action_dialog.may_act():
        return
    with st.container(horizontal=True):
        if plan.waits_for_bookings:
            label = "Make a test booking for our own phone …"
            action_dialog.action_button("test_booking", {}, label, key="next_test", step_id="verify_fix", primary=True)
        st.button(
            "Check again",
            key="look_again",
            icon=":material/refresh:",
            type="tertiary",
            on_click=action_dialog.recheck_everything,
            help="Asks every system again, instead of when it is due, and opens the newest link once more.",
        )


def step(
    view: View,
    evidence: StepEvidence,
    status: StepStatus,
    action_service: ActionService | None,
    journal_state: JournalState,
    plan: PlanState,
) -> None:
    incident, step_id = journal_state.incident, evidence.step.id
    label, icon = plan_view.step_label(evidence, status), plan_view.step_icon(status)
    with expander(label, key=f"step_{step_id}", icon=icon, step=True) as is_open:
        # Also while closed: a step with nothing in it cannot be opened.
        draw(plan_view.step_facts(view, evidence, incident))
        if not is_open:
            return
        checks_view.draw_checks(view, evidence.checks, within=f"{step_id}_")
        if step_id == "monitor":
            monitor(view, action_service, incident, plan)
        buttons(view, step_id)
        if action_service is not None and incident is not None:
            about = (incident.id, step_id)
            requests = [r for r in journal_state.requests if (r.about.incident_id, r.about.step_id) == about]
            if requests:
                draw(request_progress.request_cards(requests, view, action_service))
        if incident is not None and action_dialog.may_act():
            progress(step_id)


def buttons(view: View, step_id: str) -> None:
    match step_id:
        case "redeploy":
            action_buttons.draw_deployment_buttons(view, key="plan", step_id=step_id)
        case "force_deployment":
            action_buttons.draw_force_button(key="plan", step_id=step_id)
        case "migration":
            action_buttons.draw_migrations(view, key="plan", step_id=step_id)
        case "verify_fix":
            action_buttons.draw_test_buttons(key="plan", step_id=step_id)


def progress(step_id: str) -> None:
    def button(label: str, key: str, state: StepState, **more: str) -> None:
        record = partial(incidents_view.record_step, step_id, state)
        action_dialog.operator_button(label, f"{key}_{step_id}", record, **more)

    with st.container(horizontal=True, vertical_alignment="center", key=f"progress_{step_id}"):
        for state, label in ((StepState.DOING, "Doing"), (StepState.DONE, "Done"), (StepState.FAILED, "Failed")):
            button(label, state, state, type="tertiary")
        with st.popover("Skip", type="tertiary"):
            st.text_input("Why", key=f"skip_reason_{step_id}")
            button("Skip it", "skip", StepState.SKIPPED)


def monitor(view: View, action_service: ActionService | None, incident: Incident | None, plan: PlanState) -> None:
    if plan.fix is None:
        draw(html.nothing("Nothing was changed yet, so there is no evidence from after a fix."))
    else:
        draw(plan_view.since_fix(view, plan.fix))
        draw(html.tiles(tiles_since(plan.judged, plan.fix.at)))
    before = incidents_view.first_diagnosis(action_service, incident) if action_service and incident else None
    if before is not None:
        draw(incidents_view.differences(before, diagnosis_record(view.diagnosis)))


def escalation(view: View, journal_state: JournalState) -> None:
    icon = ":material/support_agent:"
    with expander("**6** Escalation", key="step_escalation", icon=icon, step=True) as is_open:
        draw(support_bundle.questions_card(view))
        if not is_open:
            return
        if (names := deployments_view.environment_table(view)) is not None:
            draw(names)
        st.download_button(
            "Support bundle",
            lambda: support_bundle.bundle(view, journal_state.requests),
            file_name="support-bundle.txt",
            mime="text/plain",
            on_click="ignore",
            icon=":material/download:",
            key="support_bundle",
            help="Ids, times and request ids to paste to Vercel or Twilio. Nothing of a customer, no secret.",
        )


draw_page(body)
