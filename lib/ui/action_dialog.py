"""Buttons that act: the dialog that shows what would be done, the cards of what is being done, the freeze.

The dialog is driven by session state, so that it survives every rerun. A callback submits and nothing else
(`lib.ui.action_service` carries it out), and each asks anew who may act: nothing that a browser sends is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.actions.action import Args, Preview, RefusedError, Tier
from lib.actions.executor import Order, only_operators
from lib.journal.entry import Outcome, StepState
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.journal import Frozen
from lib.journal.journal_state import JournalState
from lib.journal.request import Request, RequestState
from lib.journal.text_rules import same_person
from lib.model.people import Actor, Role
from lib.model.reading import SourceError
from lib.redaction import redact
from lib.ui import deployments_view, html_components, labels
from lib.ui.action_service import ActionService
from lib.ui.guard import Viewer, who_looks
from lib.ui.masking import outside, plain, shared
from lib.ui.page_frame import PROBLEM, View, current_journal_state, diagnosis_service, view
from lib.ui.styles import draw, sharing

FAST_SECONDS, SLOW_SECONDS = 2.0, 10.0
# How long what is over still stands above the page.
SHOWN_AFTERWARDS = timedelta(minutes=3)
MOST_SHOWN = 5
BUILDS = ("redeploy", "redeploy_newest", "deploy_commit", "force_deploy")
LAST_LOG_LINES = 12

_ACTIVE = (
    RequestState.WAITING,
    RequestState.REQUESTED,
    RequestState.LOCKED,
    RequestState.STARTED,
    RequestState.UNKNOWN,
)
# What a submission may say instead of yes; each is a sentence that is safe to show.
Said = (RefusedError, SourceError, JournalError)


@dataclass
class OpenDialog:
    """The open dialog. `key` makes every click on its button the same order; a new preview is a new order.

    `approves` is the request of somebody else that a second person looks at here.
    """

    action: str
    args: Args
    step_id: str | None = None
    approves: Request | None = None
    key: UUID = field(default_factory=uuid4)
    preview: Preview | None = None
    problem: str = ""

    def look(self, action_service: ActionService) -> None:
        """Take a preview of the world as it is now."""
        self.key, self.problem = uuid4(), ""
        try:
            self.preview = action_service.preview(self.action, self.args)
        except Said as error:
            self.preview, self.problem = None, sentence(error)
            return
        if self.approves is not None and self.approves.asked.digest != self.preview.digest:
            self.preview = None
            self.problem = "The world has moved since this was asked for: it has to be asked for anew."


def sentence(error: Exception) -> str:
    """Return what an error says, with the hint at the fix where it has one."""
    if isinstance(error, SourceError):
        return f"{error.failure.sentence} {error.failure.hint}".strip()
    return f"{error.sentence} {error.hint}".strip() if isinstance(error, JournalError) else str(error)


def operator() -> Actor | None:
    """Return who looks if they may act."""
    who = who_looks()
    return who.actor if isinstance(who, Viewer) and who.role is Role.OPERATOR else None


def may_act() -> bool:
    """Whether buttons are offered here. It is no guard: every callback asks again."""
    return operator() is not None and diagnosis_service().action_service() is not None


def do(work: Callable[[ActionService, Actor], object]) -> None:
    """Do what a button asks for, for whoever looks now; what speaks against it is shown above the page."""
    who = who_looks()
    desk = diagnosis_service()
    action_service = desk.action_service()
    try:
        if not isinstance(who, Viewer):
            raise RefusedError(who.sentence)
        only_operators(who.actor)
        if action_service is None:
            raise RefusedError(desk.why_read_only)
        work(action_service, who.actor)
        action_service.changed()
    except Said as error:
        st.session_state[PROBLEM] = sentence(error)


# Asking.


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
        on_click=_click if one_click else _ask,
        args=(action_id, args, step_id),
        type="primary" if primary else "secondary",
        disabled=disabled,
        icon=":material/bolt:" if one_click else ":material/open_in_new:",
        help=plain(action.title),
    )
    if pressed:
        st.rerun()  # the dialog and the cards stand outside of the part of the page that this button is in


def _ask(action_id: str, args: Args, step_id: str | None) -> None:
    st.session_state["ask"] = OpenDialog(action_id, dict(args), step_id)
    for name in ("ask_phrase", "ask_reason"):
        st.session_state.pop(name, None)


def _click(action_id: str, args: Args, step_id: str | None) -> None:
    def work(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        action_service.click(
            Order(action_id, args, "", incident_id=incident.id if incident else None, step_id=step_id), actor
        )
        _asked_for(action_service, action_id)

    do(work)


def _asked_for(action_service: ActionService, action_id: str) -> None:
    """Say so after the rerun that closes the dialog: whoever pressed may have scrolled far down."""
    st.session_state["asked_for"] = action_service.executor.actions[action_id].title


def _forget() -> None:
    st.session_state.pop("ask", None)


def dialog() -> None:
    """Draw the dialog that is open, if one is. Once per run of the app, outside of fragments."""
    ask = st.session_state.get("ask")
    action_service = diagnosis_service().action_service()
    if not isinstance(ask, OpenDialog) or operator() is None or action_service is None:
        return
    title = action_service.executor.actions[ask.action].title
    st.dialog(plain(title), width="large", on_dismiss=_forget, icon=":material/front_hand:")(_dialog_body)()


def _dialog_body() -> None:
    ask = st.session_state.get("ask")
    action_service = diagnosis_service().action_service()
    if not isinstance(ask, OpenDialog) or action_service is None:
        st.rerun()  # it was confirmed or given up: draw the page without it
    if ask.preview is None and not ask.problem:
        with st.spinner("Looking at the world as it is now …"):
            ask.look(action_service)
    draw(html_components.place(sandbox=diagnosis_service().settings.sandbox_url is not None))
    if ask.problem:
        st.error(shared(plain(ask.problem), sharing=sharing()), icon=":material/block:", title="Not done")
    if ask.preview is not None:
        _shown(ask.preview)
        if ask.approves is None:
            _confirmation(ask.preview)
    with st.container(horizontal=True):
        if ask.preview is not None and not ask.preview.blocked:
            if ask.approves is not None:
                st.button("Approve", key="ask_approve", type="primary", on_click=_approve)
            else:
                ready = _ready(ask.preview)
                st.button("Confirm", key="ask_confirm", type="primary", on_click=_confirm, disabled=not ready)
        st.button("Look again", key="ask_look", on_click=_renew_preview, icon=":material/refresh:")
        st.button("Leave it", key="ask_leave", on_click=_forget)


def _shown(preview: Preview) -> None:
    """Draw exactly what would be done and to what."""
    st.markdown("**This will be done, and nothing else**")
    for call in preview.calls:
        st.code(
            shared(redact(call), sharing=sharing()),
            language="sql" if "\n" in call else None,
            wrap_lines=True,
            height=300 if call.count("\n") > 14 else "content",
        )
    draw(
        html_components.facts(
            (
                ("Target", html_components.code(preview.target.name)),
                *preview.target.facts,
                ("What will differ", html_components.bullets(preview.will_differ)),
                ("Undo", preview.undo),
            )
        )
    )
    st.markdown("**Looked at before**")
    draw(html_components.signed((labels.FINDING[check.status], check.message) for check in preview.preflight))
    if preview.blocked:
        st.error("It cannot be done now: see what blocks.", icon=":material/block:")


def _confirmation(preview: Preview) -> None:
    if preview.blocked or preview.phrase is None:
        return
    draw(Markup("<p>To confirm, type {}</p>").format(html_components.code(preview.phrase)))
    st.text_input("The phrase", key="ask_phrase", live=True, autocomplete="off")
    st.text_input("The reason, for the journal", key="ask_reason", live=True, autocomplete="off")
    if diagnosis_service().settings.require_second_person:
        st.caption("It then waits for a second person.")


def _ready(preview: Preview) -> bool:
    """Whether the button may be pressed. A courtesy: the executor asks the same again."""
    if preview.tier < Tier.TYPED_PHRASE:
        return True
    typed = str(st.session_state.get("ask_phrase") or "").strip()
    return typed == preview.phrase and bool(str(st.session_state.get("ask_reason") or "").strip())


def _renew_preview() -> None:
    ask = st.session_state.get("ask")
    if isinstance(ask, OpenDialog):
        ask.preview, ask.problem = None, ""


def _confirm() -> None:
    ask = st.session_state.get("ask")
    if not isinstance(ask, OpenDialog) or ask.preview is None:
        return  # a second click on what was confirmed already
    phrase = str(st.session_state.get("ask_phrase") or "")
    reason = str(st.session_state.get("ask_reason") or "")

    def work(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        request = action_service.submit(order(ask, phrase, reason, incident), actor)
        if request.state is RequestState.REFUSED:
            ask.preview, ask.problem = None, request.message
            return
        _forget()
        _asked_for(action_service, ask.action)
        if incident and ask.step_id and incident.step(ask.step_id) is None:
            action_service.journal.step(incident.id, ask.step_id, StepState.DOING, actor)

    do(work)
    if operator() is None:
        _forget()  # the dialog is drawn for operators alone: why nothing was done stands above the page
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


# Watching.


def draw_requests() -> None:
    """Draw what is being done and what lately was, by anybody, and keep it up to date."""
    desk = diagnosis_service()
    action_service = desk.action_service()
    if title := st.session_state.pop("asked_for", None):
        st.toast(plain(f"{title}: asked for. What becomes of it stands above the page."), icon=":material/front_hand:")
    if problem := st.session_state.pop(PROBLEM, None):
        st.warning(shared(plain(problem), sharing=sharing()), icon=":material/block:", title="Not done")
    if action_service is None:
        st.warning(plain(desk.why_read_only), icon=":material/visibility:", title="This desk can only look now")
        return
    before = current_journal_state()
    busy = before is not None and before.busy

    @st.fragment(run_every=FAST_SECONDS if busy else SLOW_SECONDS)
    def live() -> None:
        try:
            journal_state = action_service.journal_state()
        except JournalError as error:
            st.warning(plain(sentence(error)), icon=":material/visibility:", title="The journal cannot be read")
            return
        if journal_state.busy is not busy:
            st.rerun()  # to look more often, or less
        if PROBLEM in st.session_state:
            st.rerun()  # a button in here was refused, and why is said above, outside of this part of the page
        if journal_state.frozen is not None:
            draw(frozen(journal_state.frozen, view()))
        for request in to_watch(journal_state, action_service):
            card(request, action_service)

    live()


def to_watch(journal_state: JournalState, action_service: ActionService) -> tuple[Request, ...]:
    """Return the requests that stand above every page: those not over, and those that ended a moment ago."""
    since = action_service.clock() - SHOWN_AFTERWARDS
    shown = (
        r for r in journal_state.requests if r.state in _ACTIVE or (r.ended_at is not None and r.ended_at >= since)
    )
    return tuple(shown)[:MOST_SHOWN]


def frozen(state: Frozen, page_view: View) -> Markup:
    """The line that says that nothing may be done, and why."""
    return Markup('<div class="sb-card sb-warn"><b>❄ FROZEN</b> No action starts. {}, {}: {}</div>').format(
        html_components.person(state.by.name),
        formatting.time_and_age(state.at, page_view.zone, page_view.now),
        outside(state.reason),
    )


def card(request: Request, action_service: ActionService, *, key: str = "strip") -> None:
    """Draw one request: who asked for what, how far it is, what was said, and what can be done about it."""
    page_view = view()
    if request.state not in _ACTIVE:
        draw(
            html_components.card(
                _title(request, action_service),
                Markup("<p>{}</p>").format(outside(request.message)),
                sign=_sign(request),
            )
        )
        return
    draw(
        html_components.card(
            _title(request, action_service), request_facts(request, page_view, action_service), sign=_sign(request)
        )
    )
    if request.state is RequestState.STARTED and request.action in BUILDS:
        _build_log(request, page_view)
    actor = operator()
    if actor is None:
        return
    with st.container(horizontal=True, key=f"{key}_{request.id}"):
        if request.state is RequestState.WAITING and not same_person(request.requested_by, actor):
            label, name = "Look at it, and approve", f"{key}_approve_{request.id}"
            if st.button(label, key=name, on_click=_ask_to_approve, args=(request,)):
                st.rerun()  # the dialog stands outside of this part of the page
        if request.state in (RequestState.WAITING, RequestState.REQUESTED):
            st.button("Take it back", key=f"{key}_cancel_{request.id}", on_click=_cancel, args=(request.id,))
        if request.state is RequestState.UNKNOWN:
            st.button(
                "Look again",
                key=f"{key}_look_{request.id}",
                on_click=_look,
                args=(request.id,),
                icon=":material/refresh:",
            )
            _observation_form(request, key)


def _observation_form(request: Request, key: str) -> None:
    """Let somebody say what they saw where the desk cannot look; until then nothing else is done to the target."""
    field = f"{key}_seen_{request.id}"
    with st.popover("I looked myself", icon=":material/visibility:"):
        st.text("Say what you saw where it should have taken effect. It stands in the journal with your name.")
        st.text_input("What was seen", key=field, autocomplete="off")
        for label, name, outcome in (
            ("It happened", "happened", Outcome.SUCCEEDED),
            ("It did not happen", "did_not", Outcome.FAILED),
        ):
            st.button(label, key=f"{key}_{name}_{request.id}", on_click=_say, args=(request.id, outcome, field))


def _sign(request: Request) -> labels.Sign:
    return labels.REQUEST[request.state]


def _title(request: Request, action_service: ActionService) -> str:
    action = action_service.executor.actions.get(request.action)
    title = action.title if action else request.action
    given = ", ".join(argument.value for argument in request.asked.arguments)
    return f"{title}: {given or request.asked.target}"


def request_facts(request: Request, page_view: View, action_service: ActionService) -> Markup:
    """Return what is known of a request, as facts."""
    when = formatting.time_and_age(request.requested_at, page_view.zone, action_service.clock())
    by = Markup("{}, {}").format(html_components.person(request.requested_by.name), when)
    rows: list[tuple[str, str | Markup]] = [("Asked by", by)]
    if request.asked.reason:
        rows.append(("Reason", request.asked.reason))
    if request.approved_by is not None:
        rows.append(("Approved by", html_components.person(request.approved_by.name)))
    if request.state in _ACTIVE:
        began = request.started_at or request.requested_at
        rows.append(
            (
                "Since",
                Markup("{} {}").format(
                    html_components.age(began), outside(_who_runs(request, page_view, action_service))
                ),
            )
        )
    if request.progress and request.state is not RequestState.SUCCEEDED:
        rows.append(("So far", html_components.bullets(line.message for line in request.progress[-6:])))
    if request.message:
        rows.append(("Says", request.message))
    if request.resolved_by is not None:
        rows.append(("Seen by", html_components.person(request.resolved_by.name)))
    if request.receipt is not None and request.receipt.after:
        rows.append(("After", "; ".join(fact.value for fact in request.receipt.after)))
    if looked := action_service.said(request.id):
        rows.append(("Look", looked))
    return html_components.facts(rows)


def _who_runs(request: Request, page_view: View, action_service: ActionService) -> str:
    match request.state:
        case RequestState.UNKNOWN:
            return "It may have taken effect or not. It is never run again by itself: look again, or say what you saw."
        case RequestState.WAITING:
            return "Somebody else has to approve it."
        case RequestState.STARTED if not action_service.runs_here(request.id):
            until = formatting.local_time(request.deadline, page_view.zone, page_view.now)
            return f"It is not this server that runs it. Without news its outcome counts as unknown from {until}."
        case RequestState.REQUESTED if not action_service.runs_here(request.id):
            until = formatting.local_time(request.deadline, page_view.zone, page_view.now)
            return f"Nobody here carries it out. It expires at {until}; take it back and ask anew."
        case _:
            return ""


def _build_log(request: Request, page_view: View) -> None:
    """Draw the end of the build's log, once the desk has read that of this very build."""
    log = page_view.snapshot.build_log.value
    if log is not None and log.lines and any(log.deployment_id in line.message for line in request.progress):
        draw(deployments_view.log_tail(log, LAST_LOG_LINES))


def _ask_to_approve(request: Request) -> None:
    args = {argument.name: argument.value for argument in request.asked.arguments}
    st.session_state["ask"] = OpenDialog(request.action, args, request.about.step_id, approves=request)


def _approve() -> None:
    ask = st.session_state.get("ask")
    if isinstance(ask, OpenDialog) and ask.approves is not None and ask.preview is not None:
        request_id = ask.approves.id
        do(lambda action_service, actor: action_service.approve(request_id, actor))
        _forget()


def _cancel(request_id: UUID) -> None:
    do(lambda action_service, actor: action_service.journal.cancel(request_id, actor, "taken back on the page"))


def _look(request_id: UUID) -> None:
    do(lambda action_service, actor: action_service.recheck(request_id, actor))


def recheck_everything() -> None:
    """Have every system asked anew. For operators: it opens a customer's link, which counts as an opening."""
    if operator() is not None:
        diagnosis_service().recheck()


def _say(request_id: UUID, outcome: Outcome, field: str) -> None:
    page_view = str(st.session_state.get(field) or "")
    do(lambda action_service, actor: action_service.record_observation(request_id, outcome, page_view, actor))


def history(requests: Iterable[Request], action_service: ActionService, page_view: View) -> Markup:
    """Return requests with their receipts, newest first, as cards."""
    return html_components.join(
        html_components.card(
            _title(request, action_service), request_facts(request, page_view, action_service), sign=_sign(request)
        )
        for request in requests
    )


# The freeze.


def freeze_switch() -> None:
    """Draw the switch that stops every action. The state itself stands above the page for everybody."""
    journal_state = current_journal_state()
    if journal_state is None or operator() is None:
        return
    state = journal_state.frozen
    with st.popover("Frozen" if state else "Freeze", icon=":material/ac_unit:", type="tertiary"):
        if state is None:
            st.text("With one switch no action starts any more, for everybody. What runs goes on.")
            st.text_input("Why", key="freeze_reason")
            st.button("Freeze all actions", key="freeze", on_click=_freeze)
        else:
            st.text("No action starts until somebody lets them.")
            st.button("Let actions start again", key="unfreeze", on_click=_unfreeze)


def _freeze() -> None:
    reason = str(st.session_state.get("freeze_reason") or "")
    do(lambda action_service, actor: action_service.journal.freeze(reason, actor))


def _unfreeze() -> None:
    do(lambda action_service, actor: action_service.journal.unfreeze(actor))
