"""Buttons that act: the dialog that shows what would be done, the cards of what is being done, the freeze switch.

The dialog is driven by session state, so that it survives every rerun. A callback submits and nothing else
(`lib.ui.action_service` carries it out). Each callback checks again who may act: nothing that a browser sends is
believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.actions.action import Args, Preview, RefusedError, Tier
from lib.actions.executor import Order, only_operators
from lib.journal.entry import Outcome, StepState
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.journal_state import JournalState
from lib.journal.request import Request, RequestState
from lib.journal.text_rules import same_person
from lib.model.people import Actor, Role
from lib.model.reading import SourceError
from lib.redaction import redact
from lib.ui import deployments_view, labels
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.guard import Viewer, who_looks
from lib.ui.masking import outside, plain, shared
from lib.ui.page_frame import PROBLEM, View, current_journal_state, current_view, diagnosis_service
from lib.ui.styles import draw, sharing

FAST_SECONDS, SLOW_SECONDS = 2.0, 10.0
# How long a request that is over stays above the page, and how many requests stand there.
SHOWN_AFTERWARDS = timedelta(minutes=3)
MAX_SHOWN = 5
BUILDS = ("redeploy", "redeploy_newest", "deploy_commit", "force_deploy")
LAST_LOG_LINES = 12

_ACTIVE = (
    RequestState.WAITING,
    RequestState.REQUESTED,
    RequestState.LOCKED,
    RequestState.STARTED,
    RequestState.UNKNOWN,
)
# How a submission may fail; the sentence of each is safe to show.
_FAILURES = (RefusedError, SourceError, JournalError)


Work: TypeAlias = Callable[[ActionService, Actor], object]


@dataclass
class OpenDialog:
    """The open dialog. `key` makes every click on its button the same order; a new preview is a new order.

    `approves` is somebody else's request that a second person decides about.
    """

    action: str
    args: Args
    step_id: str | None = None
    approves: Request | None = None
    key: UUID = field(default_factory=uuid4)
    preview: Preview | None = None
    problem: str = ""

    def take_preview(self, action_service: ActionService) -> None:
        """Take a preview of the world as it is now."""
        self.key, self.problem = uuid4(), ""
        try:
            self.preview = action_service.preview(self.action, self.args)
        except _FAILURES as error:
            self.preview, self.problem = None, error_message(error)
            return
        if self.approves is not None and self.approves.asked.digest != self.preview.digest:
            self.preview = None
            self.problem = "The world has moved since this was asked for: it has to be asked for anew."


def error_message(error: Exception) -> str:
    """Return the sentence of an error, with the hint at the fix where it has one."""
    if isinstance(error, SourceError):
        return f"{error.failure.sentence} {error.failure.hint}".strip()
    return f"{error.sentence} {error.hint}".strip() if isinstance(error, JournalError) else str(error)


def typed(key: str) -> str:
    """Return what was typed into the text field `key`."""
    return str(st.session_state.get(key) or "")


def operator() -> Actor | None:
    """Return who looks if they may act."""
    who = who_looks()
    return who.actor if isinstance(who, Viewer) and who.role is Role.OPERATOR else None


def may_act() -> bool:
    """Whether buttons are offered here. It is no guard: every callback asks again."""
    return operator() is not None and diagnosis_service().action_service() is not None


def as_operator(work: Work) -> None:
    """Do what a button is for, if whoever looks now may act. If it fails, the page shows why above its body."""
    viewer = who_looks()
    service = diagnosis_service()
    action_service = service.action_service()
    try:
        if not isinstance(viewer, Viewer):
            raise RefusedError(viewer.sentence)
        only_operators(viewer.actor)
        if action_service is None:
            raise RefusedError(service.why_read_only)
        work(action_service, viewer.actor)
        action_service.changed()
    except _FAILURES as error:
        st.session_state[PROBLEM] = error_message(error)


def operator_button(label: str, key: str, work: Work, **more: Any) -> bool:
    """Draw a button that does `work` as whoever looks when it is pressed, if they may act."""
    return st.button(label, key=key, on_click=as_operator, args=(work,), **more)


# The dialog.


def action_button(
    action_id: str,
    args: Args,
    label: str,
    *,
    key: str,
    step_id: str | None = None,
    primary: bool = False,
    disabled: bool = False,
) -> None:
    """Draw a button that opens the dialog of an action, or runs it where one click is enough. Nothing for viewers."""
    action_service = diagnosis_service().action_service()
    if operator() is None or action_service is None:
        return
    action = action_service.executor.actions[action_id]
    one_click = action.tier <= Tier.ONE_CLICK
    pressed = st.button(
        plain(label),
        key=key,
        on_click=_run_at_once if one_click else _open_dialog,
        args=(action_id, args, step_id),
        type="primary" if primary else "secondary",
        disabled=disabled,
        icon=":material/bolt:" if one_click else ":material/open_in_new:",
        help=plain(action.title),
    )
    if pressed:
        st.rerun()  # the dialog and the cards stand outside of the fragment that this button is in


def _open_dialog(action_id: str, args: Args, step_id: str | None) -> None:
    st.session_state["ask"] = OpenDialog(action_id, dict(args), step_id)
    for name in ("ask_phrase", "ask_reason"):
        st.session_state.pop(name, None)


def _run_at_once(action_id: str, args: Args, step_id: str | None) -> None:
    def click(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        about = incident.id if incident else None
        action_service.click(Order(action_id, args, "", incident_id=about, step_id=step_id), actor)
        _announce(action_service, action_id)

    as_operator(click)


def _announce(action_service: ActionService, action_id: str) -> None:
    """Confirm the request after the rerun that closes the dialog: whoever pressed may have scrolled far down."""
    st.session_state["asked_for"] = action_service.executor.actions[action_id].title


def _current_dialog() -> OpenDialog | None:
    found = st.session_state.get("ask")
    return found if isinstance(found, OpenDialog) else None


def _close_dialog() -> None:
    st.session_state.pop("ask", None)


def draw_dialog() -> None:
    """Draw the dialog that is open, if one is. Once per run of the app, outside of fragments."""
    ask = _current_dialog()
    action_service = diagnosis_service().action_service()
    if ask is None or operator() is None or action_service is None:
        return
    title = action_service.executor.actions[ask.action].title
    st.dialog(plain(title), width="large", on_dismiss=_close_dialog, icon=":material/front_hand:")(_dialog_body)()


def _dialog_body() -> None:
    ask = _current_dialog()
    action_service = diagnosis_service().action_service()
    if ask is None or action_service is None:
        st.rerun()  # it was confirmed or given up: draw the page without it
    if ask.preview is None and not ask.problem:
        with st.spinner("Looking at the world as it is now …"):
            ask.take_preview(action_service)
    draw(html.place(sandbox=diagnosis_service().settings.sandbox_url is not None))
    if ask.problem:
        st.error(shared(plain(ask.problem), sharing=sharing()), icon=":material/block:", title="Not done")
    if ask.preview is not None:
        _draw_preview(ask.preview)
        if ask.approves is None:
            _draw_confirmation(ask.preview)
    with st.container(horizontal=True):
        if ask.preview is not None and not ask.preview.blocked:
            if ask.approves is not None:
                st.button("Approve", key="ask_approve", type="primary", on_click=_approve)
            else:
                disabled = not _is_confirmed(ask.preview)
                st.button("Confirm", key="ask_confirm", type="primary", on_click=_confirm, disabled=disabled)
        st.button("Look again", key="ask_look", on_click=_renew_preview, icon=":material/refresh:")
        st.button("Leave it", key="ask_leave", on_click=_close_dialog)


def _draw_preview(preview: Preview) -> None:
    """Draw exactly what would be done and to what."""
    st.markdown("**This will be done, and nothing else**")
    for call in preview.calls:
        st.code(
            shared(redact(call), sharing=sharing()),
            language="sql" if "\n" in call else None,
            wrap_lines=True,
            height=300 if call.count("\n") > 14 else "content",
        )
    rows: html.Rows = [
        ("Target", html.code(preview.target.name)),
        *preview.target.facts,
        ("What will differ", html.bullets(preview.will_differ)),
        ("Undo", preview.undo),
    ]
    draw(html.facts(rows))
    st.markdown("**Looked at before**")
    draw(html.signed((labels.FINDING[check.status], check.message) for check in preview.preflight))
    if preview.blocked:
        st.error("It cannot be done now: see what blocks.", icon=":material/block:")


def _draw_confirmation(preview: Preview) -> None:
    if preview.blocked or preview.phrase is None:
        return
    draw(html.paragraph(html.text("To confirm, type {}", html.code(preview.phrase))))
    st.text_input("The phrase", key="ask_phrase", live=True, autocomplete="off")
    st.text_input("The reason, for the journal", key="ask_reason", live=True, autocomplete="off")
    if diagnosis_service().settings.require_second_person:
        st.caption("It then waits for a second person.")


def _is_confirmed(preview: Preview) -> bool:
    """Whether the button may be pressed. For convenience: the executor checks the same again."""
    if preview.tier < Tier.TYPED_PHRASE:
        return True
    return typed("ask_phrase").strip() == preview.phrase and bool(typed("ask_reason").strip())


def _renew_preview() -> None:
    if ask := _current_dialog():
        ask.preview, ask.problem = None, ""


def _confirm() -> None:
    ask = _current_dialog()
    if ask is None or ask.preview is None:
        return  # a second click on what was confirmed already
    phrase, reason = typed("ask_phrase"), typed("ask_reason")

    def submit(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        request = action_service.submit(order(ask, phrase, reason, incident), actor)
        if request.state is RequestState.REFUSED:
            ask.preview, ask.problem = None, request.message
            return
        _close_dialog()
        _announce(action_service, ask.action)
        if incident and ask.step_id and incident.step(ask.step_id) is None:
            action_service.journal.step(incident.id, ask.step_id, StepState.DOING, actor)

    as_operator(submit)
    if operator() is None:
        _close_dialog()  # the dialog is drawn for operators alone: why nothing was done stands above the page
    elif problem := st.session_state.pop(PROBLEM, None):
        ask.problem = problem


def order(ask: OpenDialog, phrase: str, reason: str, incident: Incident | None) -> Order:
    """Return the order that confirms an open dialog, bound to the preview that it showed."""
    if ask.preview is None:
        raise RefusedError("There is no preview to confirm.")
    return Order(
        action=ask.action,
        args=ask.args,
        digest=ask.preview.digest,
        phrase=phrase,
        reason=reason,
        idempotency_key=ask.key,
        incident_id=incident.id if incident else None,
        step_id=ask.step_id,
    )


# Requests.


def draw_requests() -> None:
    """Draw what is under way and what has just ended, whoever asked for it, and keep it up to date."""
    service = diagnosis_service()
    action_service = service.action_service()
    if title := st.session_state.pop("asked_for", None):
        st.toast(plain(f"{title}: asked for. What becomes of it stands above the page."), icon=":material/front_hand:")
    if problem := st.session_state.pop(PROBLEM, None):
        st.warning(shared(plain(problem), sharing=sharing()), icon=":material/block:", title="Not done")
    if action_service is None:
        st.warning(plain(service.why_read_only), icon=":material/visibility:", title="This desk can only look now")
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
        for request in _current_requests(journal_state, action_service):
            _draw_request(request, view, action_service)

    live()


def _current_requests(journal_state: JournalState, action_service: ActionService) -> tuple[Request, ...]:
    """Return the requests that stand above every page: those not over, and those that ended a moment ago."""
    since = action_service.clock() - SHOWN_AFTERWARDS
    current = (
        r for r in journal_state.requests if r.state in _ACTIVE or (r.ended_at is not None and r.ended_at >= since)
    )
    return tuple(current)[:MAX_SHOWN]


def _draw_request(request: Request, view: View, action_service: ActionService) -> None:
    """Draw one request: who asked for what, how far it is, what was reported, and what can be done about it."""
    if request.state not in _ACTIVE:
        draw(_request_card(request, html.paragraph(request.message), action_service))
        return
    draw(_request_card(request, _request_facts(request, view, action_service), action_service))
    if request.state is RequestState.STARTED and request.action in BUILDS:
        _draw_build_log(request, view)
    actor = operator()
    if actor is None:
        return
    key = f"strip_{{}}_{request.id}"
    with st.container(horizontal=True, key=f"strip_{request.id}"):
        if request.state is RequestState.WAITING and not same_person(request.requested_by, actor):
            label, name = "Look at it, and approve", key.format("approve")
            if st.button(label, key=name, on_click=_open_approval, args=(request,)):
                st.rerun()  # the dialog stands outside of this fragment
        if request.state in (RequestState.WAITING, RequestState.REQUESTED):
            why = "taken back on the page"
            cancel = key.format("cancel")
            operator_button("Take it back", cancel, lambda service, who: service.journal.cancel(request.id, who, why))
        if request.state is RequestState.UNKNOWN:
            look, icon = key.format("look"), ":material/refresh:"
            operator_button("Look again", look, lambda service, who: service.recheck(request.id, who), icon=icon)
            _draw_observation_form(request, key)


def _draw_observation_form(request: Request, key: str) -> None:
    """Let somebody record what they saw where the desk cannot look; until then the target stays locked."""
    field = key.format("seen")

    def record(outcome: Outcome) -> Work:
        return lambda service, actor: service.record_observation(request.id, outcome, typed(field), actor)

    with st.popover("I looked myself", icon=":material/visibility:"):
        st.text("Say what you saw where it should have taken effect. It stands in the journal with your name.")
        st.text_input("What was seen", key=field, autocomplete="off")
        operator_button("It happened", key.format("happened"), record(Outcome.SUCCEEDED))
        operator_button("It did not happen", key.format("did_not"), record(Outcome.FAILED))


def _request_card(request: Request, body: Markup, action_service: ActionService) -> Markup:
    action = action_service.executor.actions.get(request.action)
    given = ", ".join(argument.value for argument in request.asked.arguments)
    title = f"{action.title if action else request.action}: {given or request.asked.target}"
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
    if request.state in _ACTIVE:
        began = html.age(request.started_at or request.requested_at)
        rows.append(("Since", html.text("{} {}", began, outside(_what_it_waits_for(request, view, action_service)))))
    if request.progress and request.state is not RequestState.SUCCEEDED:
        rows.append(("So far", html.bullets(line.message for line in request.progress[-6:])))
    if request.message:
        rows.append(("Says", request.message))
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
            return f"Nobody here carries it out. It expires at {until}; take it back and ask anew."
        case _:
            return ""


def _draw_build_log(request: Request, view: View) -> None:
    """Draw the end of the build's log, once the log that was read is that of this very build."""
    log = view.snapshot.build_log.value
    if log is not None and log.lines and any(log.deployment_id in line.message for line in request.progress):
        draw(deployments_view.log_end(log, LAST_LOG_LINES))


def _open_approval(request: Request) -> None:
    args = {argument.name: argument.value for argument in request.asked.arguments}
    st.session_state["ask"] = OpenDialog(request.action, args, request.about.step_id, approves=request)


def _approve() -> None:
    ask = _current_dialog()
    if ask is not None and ask.approves is not None and ask.preview is not None:
        request_id = ask.approves.id
        as_operator(lambda action_service, actor: action_service.approve(request_id, actor))
        _close_dialog()


def recheck_everything() -> None:
    """Have every system asked again. For operators: it opens a customer's link, which counts as an opening."""
    if operator() is not None:
        diagnosis_service().recheck()


# The freeze.


def draw_freeze_switch() -> None:
    """Draw the switch that stops every action. The state itself stands above the page for everybody."""
    journal_state = current_journal_state()
    if journal_state is None or operator() is None:
        return
    frozen = journal_state.frozen is not None
    with st.popover("Frozen" if frozen else "Freeze", icon=":material/ac_unit:", type="tertiary"):
        if frozen:
            st.text("No action starts until somebody lets them.")
            operator_button("Let actions start again", "unfreeze", lambda service, who: service.journal.unfreeze(who))
        else:
            st.text("With one switch no action starts any more, for everybody. What runs goes on.")
            st.text_input("Why", key="freeze_reason")
            operator_button("Freeze all actions", "freeze", _freeze)


def _freeze(action_service: ActionService, actor: Actor) -> None:
    action_service.journal.freeze(typed("freeze_reason"), actor)
