"""Action plan: what to look at and do next, step by step, with evidence in place of belief."""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.journal.entry import StepState
from lib.journal.incident import Incident
from lib.journal.journal_state import JournalState
from lib.plan import StepEvidence
from lib.plan_state import PlanState, plan_state, tiles_since
from lib.ui import (
    action_buttons,
    action_dialog,
    checks_view,
    deployments_view,
    html_components,
    incidents_view,
    plan_view,
    support_bundle,
)
from lib.ui.action_service import ActionService
from lib.ui.page_frame import View, current_journal_state, diagnosis_service, show
from lib.ui.styles import draw


def body(view: View) -> None:
    action_service = diagnosis_service().action_service()
    read = current_journal_state()
    incident_line(view, read)
    journal_state = read or JournalState()
    now = plan_state(view.diagnosis, view.settings, journal_state.requests, journal_state.incident)
    do_next(view, now, journal_state.incident)
    st.subheader("Steps", anchor=False)
    # Nothing may stand between two steps, or the line that connects them breaks.
    with st.container(gap="xsmall"):
        for one in now.steps:
            step(view, one, action_service, journal_state, now)
        escalation(view, journal_state)
        after_care(view)


def incident_line(view: View, journal_state: JournalState | None) -> None:
    if journal_state is None:
        draw(html_components.nothing("Whether an incident is open is not known: the journal cannot be read."))
        return
    incident = journal_state.incident
    if incident is None:
        st.subheader("No incident is open", anchor=False)
        if not action_dialog.may_act():
            draw(
                html_components.nothing(
                    "The plan shows the evidence. Once an operator opens an incident, it keeps the record."
                )
            )
            return
        suggest_title(incidents_view.suggested_title(view.diagnosis))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("What happens, in a few words", key="incident_title")
            if st.button("Open an incident", key="incident_open", type="primary", on_click=incidents_view.open_new):
                st.rerun()
        return
    draw(plan_view.clock(view, incident))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "pages/incidents_page.py",
            label="Its log",
            icon=":material/history_edu:",
            query_params={"incident": str(incident.id)},
        )
        if action_dialog.may_act():
            with st.popover("Close the incident", type="tertiary"):
                st.text_input("How it ended", key="incident_words")
                st.button("Close it", key="incident_close", on_click=incidents_view.close)


def suggest_title(title: str) -> None:
    """Keep the suggestion up to date, unless somebody has written a title of their own."""
    if st.session_state.get("incident_title") in (None, "", st.session_state.get("incident_suggested")):
        st.session_state["incident_title"] = title
    st.session_state["incident_suggested"] = title


def do_next(view: View, now: PlanState, incident: Incident | None) -> None:
    st.subheader("Do next", anchor=False)
    if not now.tasks:
        draw(plan_view.nothing_to_do(view, now))
    for task in now.tasks:
        action_buttons.task_button(view, task, incident)
    if action_dialog.may_act():
        st.button(
            "Look again",
            key="look_again",
            icon=":material/refresh:",
            on_click=action_dialog.recheck_everything,
            help="Asks every system anew, instead of when it is due, and opens the newest link once more.",
        )


def step(
    view: View, found: StepEvidence, action_service: ActionService | None, journal_state: JournalState, now: PlanState
) -> None:
    incident, step_id = journal_state.incident, found.step.id
    label = plan_view.label(found, incident)
    box = st.expander(
        label,
        type="step",
        icon=plan_view.icon(found, incident),
        key=f"step_{step_id}",
        expanded=bool(found.tasks),
        on_change="rerun",
        bind="query-params",
    )
    with box:
        draw(plan_view.said(view, found, incident))  # also while closed: a step with nothing in it cannot be opened
        if not box.open:
            return
        checks_view.listed(view, found.checks, within=f"{step_id}_")
        if step_id == "monitor":
            monitor(view, action_service, incident, now)
        offered(view, step_id)
        if action_service is not None and incident is not None:
            about = (incident.id, step_id)
            done = [r for r in journal_state.requests if (r.about.incident_id, r.about.step_id) == about]
            if done:
                draw(action_dialog.history(done, action_service, view))
        if incident is not None and action_dialog.may_act():
            progress(step_id)


def offered(view: View, step_id: str) -> None:
    match step_id:
        case "redeploy":
            action_buttons.deployment_buttons(view, key="plan", step_id=step_id)
        case "force_deployment":
            action_buttons.force_button(key="plan", step_id=step_id)
        case "migration":
            action_buttons.migration_buttons(view, key="plan", step_id=step_id)
        case "verify_fix":
            action_buttons.test_buttons(key="plan", step_id=step_id)


def progress(step_id: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"progress_{step_id}"):
        for state, label in ((StepState.DOING, "Doing"), (StepState.DONE, "Done"), (StepState.FAILED, "Failed")):
            st.button(
                label,
                key=f"{state}_{step_id}",
                on_click=incidents_view.move_step,
                args=(step_id, state),
                type="tertiary",
            )
        with st.popover("Skip", type="tertiary"):
            st.text_input("Why", key=f"skip_reason_{step_id}")
            st.button(
                "Skip it", key=f"skip_{step_id}", on_click=incidents_view.move_step, args=(step_id, StepState.SKIPPED)
            )


def monitor(view: View, action_service: ActionService | None, incident: Incident | None, now: PlanState) -> None:
    fix = now.fix
    if fix is None:
        draw(html_components.nothing("Nothing was changed yet, so there is no evidence from after a fix."))
    else:
        draw(plan_view.since_message(view, fix))
        draw(html_components.tiles(tiles_since(now.judged, fix.at)))
    before = incidents_view.first_seen(action_service, incident) if action_service and incident else None
    if before is not None:
        draw(incidents_view.differences(before, incidents_view.diagnosis_record(view.diagnosis)))


def escalation(view: View, journal_state: JournalState) -> None:
    box = st.expander(
        "**6** Escalation",
        type="step",
        icon=":material/support_agent:",
        key="step_escalation",
        on_change="rerun",
        bind="query-params",
    )
    with box:
        draw(support_bundle.card(view))
        if box.open:
            if (names := deployments_view.environment(view)) is not None:
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


def after_care(view: View) -> None:
    box = st.expander(
        "**7** After-care",
        type="step",
        icon=":material/shield:",
        key="step_after_care",
        on_change="rerun",
        bind="query-params",
    )
    with box:
        draw(plan_view.after_care(view))


show(body)
