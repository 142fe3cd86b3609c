"""What is under way and what has just ended: as stages, with what can be done about it.

On every page it lies over the lower corner, so that it pushes nothing down and can be dismissed; on the action plan
what is under way stands under *Do next* instead (`draw_running`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from uuid import UUID

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.journal.entry import Outcome
from lib.journal.errors import JournalError
from lib.journal.journal_state import JournalState
from lib.journal.request import Request, RequestState
from lib.journal.request_stages import stages
from lib.journal.text_rules import same_person
from lib.ui import deployments_view, labels
from lib.ui import html_components as html
from lib.ui.action_dialog import (
    Work,
    error_message,
    open_approval,
    operator,
    operator_button,
    typed,
)
from lib.ui.action_service import ActionService
from lib.ui.masking import outside, plain, shared
from lib.ui.page_frame import PROBLEM, View, current_journal_state, current_view, diagnosis_service
from lib.ui.styles import draw, sharing

FAST_SECONDS, SLOW_SECONDS = 1.0, 10.0
# How long a request that is over is shown on every page, and how many requests are.
SHOWN_AFTERWARDS = timedelta(minutes=3)
MAX_SHOWN = 5
BUILDS = ("redeploy", "redeploy_newest", "deploy_commit", "force_deploy")
LAST_LOG_LINES = 12
# Where session state keeps the requests that this viewer has dismissed.
_DISMISSED = "requests_dismissed"


def draw_requests(*, on_plan: bool) -> None:
    """Draw what every page shows of requests, whoever asked for them, and keep it up to date.

    `on_plan`: the page is the action plan, which draws what is under way itself.
    """
    service = diagnosis_service()
    action_service = service.action_service()
    if title := st.session_state.pop("asked_for", None):
        st.toast(plain(f"Asked for: {title}."), icon=":material/front_hand:")
    if problem := st.session_state.pop(PROBLEM, None):
        st.warning(shared(plain(problem), sharing=sharing()), icon=":material/block:", title="Not done")
    if action_service is None:
        st.warning(plain(service.why_read_only), icon=":material/visibility:", title="Switchboard can only read now")
        return
    before = current_journal_state()
    busy = before is not None and before.busy

    @st.fragment(run_every=FAST_SECONDS if busy else SLOW_SECONDS)
    def live() -> None:
        try:
            journal_state = action_service.journal_state()
        except JournalError as error:
            st.warning(plain(error_message(error)), icon=":material/visibility:", title="The journal cannot be read")
            return
        if journal_state.busy is not busy:
            st.rerun()  # to refresh more often, or less
        if PROBLEM in st.session_state:
            st.rerun()  # a button in here was refused, and why is said above, outside of this fragment
        view = current_view()
        if (frozen := journal_state.frozen) is not None:
            draw(html.frozen(frozen.by.name, view.time_and_age(frozen.at), frozen.reason))
        shown = [
            request for request in _current_requests(journal_state, action_service) if request.state.over or not on_plan
        ]
        if shown:
            with st.container(key="requests", gap="small"):
                for request in shown:
                    _draw_request(request, view, action_service, dismissible=True)

    live()


def draw_running(requests: Sequence[Request], view: View) -> None:
    """Draw requests that are not over, in the page, and keep them up to date until they are."""
    action_service = diagnosis_service().action_service()
    if action_service is None:
        return
    ids = [request.id for request in requests]

    @st.fragment(run_every=FAST_SECONDS)
    def live() -> None:
        try:
            now = {request.id: request for request in action_service.journal_state().requests}
        except JournalError:
            return  # which every page says at its top
        for request in (now[id_] for id_ in ids if id_ in now):
            if request.state.over:
                st.rerun()  # what comes next is drawn by the page
            _draw_request(request, view, action_service)

    live()


def _current_requests(journal_state: JournalState, action_service: ActionService) -> tuple[Request, ...]:
    """Return the requests that every page shows: those not over, and those that ended a moment ago."""
    since = action_service.clock() - SHOWN_AFTERWARDS
    dismissed = st.session_state.get(_DISMISSED, frozenset())
    current = (
        request
        for request in journal_state.requests
        if (request.id, request.state) not in dismissed
        and (not request.state.over or (request.ended_at is not None and request.ended_at >= since))
    )
    return tuple(current)[:MAX_SHOWN]


def _dismiss(request_id: UUID, state: RequestState) -> None:
    """Show a request no more to this viewer, until its state is another."""
    st.session_state[_DISMISSED] = st.session_state.get(_DISMISSED, frozenset()) | {(request_id, state)}


def _draw_request(request: Request, view: View, action_service: ActionService, *, dismissible: bool = False) -> None:
    """Draw one request: how far it is, what was reported last, and what can be done about it."""
    key = f"strip_{{}}_{request.id}"
    with st.container(key=f"strip_{request.id}", gap="xsmall"):
        draw(_request_card(request, _progress(request, view, action_service), action_service))
        if request.state is RequestState.STARTED and request.action in BUILDS:
            _draw_build_log(request, view)
        with st.container(horizontal=True, vertical_alignment="center"):
            _draw_buttons(request, key)
            with st.popover("Details", type="tertiary", key=key.format("details")):
                draw(_request_facts(request, view, action_service))
            if dismissible:
                st.button(
                    "Dismiss",
                    key=key.format("dismiss"),
                    type="tertiary",
                    on_click=_dismiss,
                    args=(request.id, request.state),
                )


def _progress(request: Request, view: View, action_service: ActionService) -> Markup:
    steps = html.stepper((labels.STAGE_OF_REQUEST[stage.id], stage.state) for stage in stages(request))
    if request.state.over:
        return steps + html.paragraph(request.message)
    waits_for = _what_it_waits_for(request, view, action_service)
    last = request.message or (request.progress[-1].message if request.progress else "")
    since = html.text("{} {}", html.age(request.started_at or request.requested_at), outside(last))
    looked = action_service.said(request.id)
    return html.join((steps, html.paragraph(since), *(html.paragraph(line) for line in (waits_for, looked) if line)))


def _draw_buttons(request: Request, key: str) -> None:
    actor = operator()
    if actor is None or request.state.over:
        return
    if request.state is RequestState.WAITING and not same_person(request.requested_by, actor):
        label, name = "Look at it, and approve", key.format("approve")
        if st.button(label, key=name, on_click=open_approval, args=(request,)):
            st.rerun()  # the dialog stands outside of this fragment
    if request.state in (RequestState.WAITING, RequestState.REQUESTED):
        why = "taken back on the page"
        cancel = key.format("cancel")
        operator_button("Cancel the request", cancel, lambda service, who: service.journal.cancel(request.id, who, why))
    if request.state is RequestState.UNKNOWN:
        look, icon = key.format("look"), ":material/refresh:"
        operator_button("Look again", look, lambda service, who: service.recheck(request.id, who), icon=icon)
        _draw_observation_form(request, key)


def _draw_observation_form(request: Request, key: str) -> None:
    """Let somebody record what they saw where the desk cannot look; until then the target stays locked."""
    field = key.format("seen")

    def record(outcome: Outcome) -> Work:
        return lambda service, actor: service.record_observation(request.id, outcome, typed(field), actor)

    with st.popover("Record what you saw", icon=":material/visibility:"):
        st.text("Say what you saw where it should have taken effect. It stands in the journal with your name.")
        st.text_input("What you found", key=field, autocomplete="off")
        operator_button("It happened", key.format("happened"), record(Outcome.SUCCEEDED))
        operator_button("It did not happen", key.format("did_not"), record(Outcome.FAILED))


def _request_card(request: Request, body: Markup, action_service: ActionService) -> Markup:
    given = ", ".join(argument.value for argument in request.asked.arguments)
    title = f"{action_service.title_of(request.action)}: {given or request.asked.target}"
    return html.card(title, body, sign=labels.REQUEST[request.state])


def request_cards(requests: Iterable[Request], view: View, action_service: ActionService) -> Markup:
    """Return requests with their receipts, newest first, as cards."""
    return html.join(
        _request_card(request, _request_facts(request, view, action_service), action_service) for request in requests
    )


def _request_facts(request: Request, view: View, action_service: ActionService) -> Markup:
    when = formatting.time_and_age(request.requested_at, view.zone, action_service.clock())
    rows: html.Rows = [("Asked by", html.text("{}, {}", html.person(request.requested_by.name), when))]
    if request.asked.reason:
        rows.append(("Reason", request.asked.reason))
    if request.approved_by is not None:
        rows.append(("Approved by", html.person(request.approved_by.name)))
    if not request.state.over:
        began = html.age(request.started_at or request.requested_at)
        rows.append(("Since", html.text("{} {}", began, outside(_what_it_waits_for(request, view, action_service)))))
    if request.progress and request.state is not RequestState.SUCCEEDED:
        rows.append(("So far", html.bullets(line.message for line in request.progress[-6:])))
    if request.message:
        rows.append(("Result", request.message))
    if request.resolved_by is not None:
        rows.append(("Seen by", html.person(request.resolved_by.name)))
    if request.receipt is not None and request.receipt.after:
        rows.append(("After", "; ".join(fact.value for fact in request.receipt.after)))
    if looked := action_service.said(request.id):
        rows.append(("Look", looked))
    return html.facts(rows)


def _what_it_waits_for(request: Request, view: View, action_service: ActionService) -> str:
    until, runs_here = view.local_time(request.deadline), action_service.runs_here(request.id)
    match request.state:
        case RequestState.UNKNOWN:
            return "It may have taken effect or not. It is never run again by itself: look again, or say what you saw."
        case RequestState.WAITING:
            return "Somebody else has to approve it."
        case RequestState.STARTED if not runs_here:
            return f"It is not this server that runs it. Without news its outcome counts as unknown from {until}."
        case RequestState.REQUESTED if not runs_here:
            return f"Nobody here carries it out. It expires at {until}; cancel it and ask again."
        case _:
            return ""


def _draw_build_log(request: Request, view: View) -> None:
    """Draw the end of the build's log, once the log that was read is that of this very build."""
    log = view.snapshot.build_log.value
    if log is not None and log.lines and any(log.deployment_id in line.message for line in request.progress):
        draw(deployments_view.log_end(log, LAST_LOG_LINES))
