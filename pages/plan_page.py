"""Action plan: what to look at and do next, step by step, with evidence in place of belief."""

from lib.ui.guard import guard

guard()

import streamlit as st  # noqa: E402

from lib.fix import Course, course, tiles_since  # noqa: E402
from lib.journal.doings import Doings  # noqa: E402
from lib.journal.entry import StepState  # noqa: E402
from lib.journal.incident import Incident  # noqa: E402
from lib.plan import StepEvidence  # noqa: E402
from lib.ui import actions, checks, deployments, incidents, offers, pieces, plan, support  # noqa: E402
from lib.ui.hands import Hands  # noqa: E402
from lib.ui.look import draw  # noqa: E402
from lib.ui.shell import View, doings_now, opened_desk, show  # noqa: E402


def body(view: View) -> None:
    hands = opened_desk().hands()
    read = doings_now()
    incident_line(view, read)
    doings = read or Doings()
    now = course(view.diagnosis, view.settings, doings.requests, doings.incident)
    do_next(view, now, doings.incident)
    st.subheader("Steps", anchor=False)
    # Nothing may stand between two steps, or the line that connects them breaks.
    with st.container(gap="xsmall"):
        for one in now.steps:
            step(view, one, hands, doings, now)
        escalation(view, doings)
        after_care(view)


def incident_line(view: View, doings: Doings | None) -> None:
    if doings is None:
        draw(pieces.nothing("Whether an incident is open is not known: the journal cannot be read."))
        return
    incident = doings.incident
    if incident is None:
        st.subheader("No incident is open", anchor=False)
        if not actions.may_act():
            draw(
                pieces.nothing("The plan shows the evidence. Once an operator opens an incident, it keeps the record.")
            )
            return
        suggest_title(incidents.suggested_title(view.diagnosis))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("What happens, in a few words", key="incident_title")
            if st.button("Open an incident", key="incident_open", type="primary", on_click=incidents.open_new):
                st.rerun()
        return
    draw(plan.clock(view, incident))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.page_link(
            "pages/incidents_page.py", label="Its log", icon=":material/history_edu:",
            query_params={"incident": str(incident.id)},
        )  # fmt: skip
        if actions.may_act():
            with st.popover("Close the incident", type="tertiary"):
                st.text_input("How it ended", key="incident_words")
                st.button("Close it", key="incident_close", on_click=incidents.close)


def suggest_title(title: str) -> None:
    """Keep the suggestion up to date, unless somebody has written a title of their own."""
    if st.session_state.get("incident_title") in (None, "", st.session_state.get("incident_suggested")):
        st.session_state["incident_title"] = title
    st.session_state["incident_suggested"] = title


def do_next(view: View, now: Course, incident: Incident | None) -> None:
    st.subheader("Do next", anchor=False)
    if not now.tasks:
        draw(plan.nothing_to_do(view, now))
    for task in now.tasks:
        offers.doing(view, task, incident)
    if actions.may_act():
        st.button(
            "Look again", key="look_again", icon=":material/refresh:", on_click=actions.look_at_everything,
            help="Asks every system anew, instead of when it is due, and opens the newest link once more.",
        )  # fmt: skip


def step(view: View, found: StepEvidence, hands: Hands | None, doings: Doings, now: Course) -> None:
    incident, step_id = doings.incident, found.step.id
    label = plan.label(found, incident)
    box = st.expander(
        label, type="step", icon=plan.icon(found, incident), key=f"step_{step_id}", expanded=bool(found.tasks),
        on_change="rerun", bind="query-params",
    )  # fmt: skip
    with box:
        draw(plan.said(view, found, incident))  # also while closed: a step with nothing in it cannot be opened
        if not box.open:
            return
        checks.listed(view, found.checks, within=f"{step_id}_")
        if step_id == "monitor":
            monitor(view, hands, incident, now)
        offered(view, step_id)
        if hands is not None and incident is not None:
            about = (incident.id, step_id)
            done = [r for r in doings.requests if (r.about.incident_id, r.about.step_id) == about]
            if done:
                draw(actions.history(done, hands, view))
        if incident is not None and actions.may_act():
            progress(step_id)


def offered(view: View, step_id: str) -> None:
    match step_id:
        case "redeploy":
            offers.deploying(view, key="plan", step_id=step_id)
        case "force_deployment":
            offers.forcing(key="plan", step_id=step_id)
        case "migration":
            offers.migrating(view, key="plan", step_id=step_id)
        case "verify_fix":
            offers.testing(key="plan", step_id=step_id)


def progress(step_id: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center", key=f"progress_{step_id}"):
        for state, label in ((StepState.DOING, "Doing"), (StepState.DONE, "Done"), (StepState.FAILED, "Failed")):
            st.button(
                label, key=f"{state}_{step_id}", on_click=incidents.move_step, args=(step_id, state), type="tertiary"
            )
        with st.popover("Skip", type="tertiary"):
            st.text_input("Why", key=f"skip_reason_{step_id}")
            st.button("Skip it", key=f"skip_{step_id}", on_click=incidents.move_step, args=(step_id, StepState.SKIPPED))


def monitor(view: View, hands: Hands | None, incident: Incident | None, now: Course) -> None:
    fix = now.fix
    if fix is None:
        draw(pieces.nothing("Nothing was changed yet, so there is no evidence from after a fix."))
    else:
        draw(plan.since_words(view, fix))
        draw(pieces.tiles(tiles_since(now.judged, fix.at)))
    before = incidents.first_seen(hands, incident) if hands and incident else None
    if before is not None:
        draw(incidents.differences(before, incidents.seen_of(view.diagnosis)))


def escalation(view: View, doings: Doings) -> None:
    box = st.expander(
        "**6** Escalation", type="step", icon=":material/support_agent:", key="step_escalation", on_change="rerun",
        bind="query-params",
    )  # fmt: skip
    with box:
        draw(support.card(view))
        if box.open:
            if (names := deployments.environment(view)) is not None:
                draw(names)
            st.download_button(
                "Support bundle", lambda: support.bundle(view, doings.requests), file_name="support-bundle.txt",
                mime="text/plain", on_click="ignore", icon=":material/download:", key="support_bundle",
                help="Ids, times and request ids to paste to Vercel or Twilio. Nothing of a customer, no secret.",
            )  # fmt: skip


def after_care(view: View) -> None:
    box = st.expander(
        "**7** After-care", type="step", icon=":material/shield:", key="step_after_care", on_change="rerun",
        bind="query-params",
    )  # fmt: skip
    with box:
        draw(plan.after_care(view))


show(body)
