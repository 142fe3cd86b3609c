"""Buttons that act: the dialog that shows what would be done and has it confirmed, and the freeze switch.

The dialog is driven by session state, so that it survives every rerun. It opens at once, by a rerun of its own
fragment; what it shows is read beside the script (`ActionService`), and so is what it asks for. A callback starts that
and nothing else. Each callback checks again who may act: nothing that a browser sends is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from uuid import UUID, uuid4

import streamlit as st
from streamlit.errors import StreamlitAPIException

from lib.actions.action import Args, PreflightStatus, Preview, RefusedError, Tier
from lib.actions.action_registry import undo_message
from lib.actions.executor import Order, only_operators
from lib.journal.entry import StepState
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.request import Request, RequestState
from lib.model.people import Actor, Role
from lib.model.reading import SourceError
from lib.redaction import redact
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.action_service import ActionService
from lib.ui.guard import Viewer, who_looks
from lib.ui.masking import plain, shared
from lib.ui.page_frame import PROBLEM, current_journal_state, diagnosis_service
from lib.ui.styles import draw, sharing

# How long a run of the dialog waits for what is being read or asked for before it is sent without it, and how often it
# then looks whether it is there.
PATIENCE_SECONDS, LOOK_SECONDS = 1.0, 0.4
# The fragment that the dialog stands in.
_DIALOG = "dialog"

# How a submission may fail; the sentence of each is safe to show.
_FAILURES = (RefusedError, SourceError, JournalError)


Work: TypeAlias = Callable[[ActionService, Actor], object]


@dataclass
class OpenDialog:
    """The open dialog. `key` makes every click on its button the same order; a new preview is a new order.

    `approves` is somebody else's request that a second person decides about. `looking` reads the preview, `asking`
    submits what was confirmed.
    """

    action: str
    args: Args
    step_id: str | None = None
    approves: Request | None = None
    key: UUID = field(default_factory=uuid4)
    preview: Preview | None = None
    problem: str = ""
    looking: Future[Preview] | None = None
    asking: Future[Request] | None = None

    def begin_preview(self, action_service: ActionService) -> None:
        """Begin to read what is there now. It goes on beside the script."""
        self.key, self.preview, self.problem = uuid4(), None, ""
        self.looking = action_service.soon(lambda: action_service.preview(self.action, self.args))

    def use_preview(self) -> None:
        """Take over what was read, or why it could not be; waits for it."""
        looking, self.looking = self.looking, None
        if looking is None:
            return
        try:
            self.preview = looking.result()
        except _FAILURES as error:
            self.problem = error_message(error)
            return
        if self.approves is not None and self.approves.asked.digest != self.preview.digest:
            self.preview = None
            self.problem = "Something has changed since this was asked for: request it again."


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
    label: str = "",
    *,
    key: str,
    step_id: str | None = None,
    primary: bool = False,
    disabled: bool = False,
) -> None:
    """Draw a button that opens the dialog of an action, or runs it where one click is enough. Nothing for viewers.

    Without `label` it is named by the act. While the action runs on this very target the button says so.
    """
    action_service = diagnosis_service().action_service()
    if operator() is None or action_service is None:
        return
    action = action_service.executor.actions[action_id]
    one_click = action.tier <= Tier.ONE_CLICK
    name = label or (action.button_for(args) if one_click else f"{action.button_for(args)} …")
    running = _running(action_id, args)
    if running is not None:
        name, disabled = f"{name.removesuffix(' …')}: {labels.REQUEST[running.state].word}", True
    icon = ":material/hourglass_top:" if running is not None else ":material/bolt:" if one_click else None
    pressed = st.button(
        plain(name),
        key=key,
        on_click=_run_at_once if one_click else _open_dialog,
        args=(action_id, args, step_id),
        type="primary" if primary else "secondary",
        disabled=disabled,
        icon=icon,
        help=plain(action.title),
    )
    if pressed:
        st.rerun()  # the dialog and the progress stand outside of the fragment that this button is in


def _running(action_id: str, args: Args) -> Request | None:
    """Return the request by which this very action is under way."""
    journal_state = current_journal_state()
    given = dict(args)
    return next(
        (
            request
            for request in (journal_state.requests if journal_state else ())
            if request.state in (RequestState.REQUESTED, RequestState.LOCKED, RequestState.STARTED)
            and request.action == action_id
            and {argument.name: argument.value for argument in request.asked.arguments} == given
        ),
        None,
    )


def _open_dialog(action_id: str, args: Args, step_id: str | None) -> None:
    _show(OpenDialog(action_id, dict(args), step_id))


def open_approval(request: Request) -> None:
    """Open the dialog in which a second person decides about somebody else's request."""
    args = {argument.name: argument.value for argument in request.asked.arguments}
    _show(OpenDialog(request.action, args, request.about.step_id, approves=request))


def _show(ask: OpenDialog) -> None:
    st.session_state["ask"] = ask
    for name in ("ask_phrase", "ask_reason"):
        st.session_state.pop(name, None)
    _redraw_dialog()


def _redraw_dialog() -> None:
    """Draw the dialog alone, at once: the page beneath is the same. For callbacks."""
    try:
        st.rerun(_DIALOG)
    except StreamlitAPIException:
        return  # no run of this session has drawn it yet: the rerun that follows a callback will


def _run_at_once(action_id: str, args: Args, step_id: str | None) -> None:
    def click(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        about = incident.id if incident else None
        action_service.click(Order(action_id, args, "", incident_id=about, step_id=step_id), actor)
        _announce(action_service, action_id)

    as_operator(click)


def _announce(action_service: ActionService, action_id: str) -> None:
    """Confirm the request after the rerun that closes the dialog: whoever pressed may have scrolled far down."""
    st.session_state["asked_for"] = action_service.title_of(action_id)


def _current_dialog() -> OpenDialog | None:
    found = st.session_state.get("ask")
    return found if isinstance(found, OpenDialog) else None


def _close_dialog() -> None:
    st.session_state.pop("ask", None)


def draw_dialog() -> None:
    """Draw the dialog that is open, if one is. Once per run of the app, outside of other fragments."""

    @st.fragment(key=_DIALOG)
    def live() -> None:
        ask = _current_dialog()
        action_service = diagnosis_service().action_service()
        if ask is None or operator() is None or action_service is None:
            return
        title = action_service.title_of(ask.action)
        st.dialog(plain(title), width="medium", on_dismiss=_close_dialog)(_dialog_body)()

    live()


def _dialog_body() -> None:
    ask = _current_dialog()
    action_service = diagnosis_service().action_service()
    if ask is None or action_service is None:
        st.rerun()  # it was confirmed or given up: draw the page without it
    if ask.preview is None and not ask.problem and ask.looking is None:
        ask.begin_preview(action_service)
    if ask.looking is not None:
        if not _ready(ask.looking, "Reading what is there now …"):
            return
        ask.use_preview()
    if ask.asking is not None:
        if not _ready(ask.asking, "Asking for it: what was shown is compared with what is there now …"):
            return
        _use_answer(ask, action_service)
    with st.container(key="ask_body", gap="small"):
        draw(html.place(sandbox=diagnosis_service().settings.sandbox_url is not None))
        if ask.problem:
            st.error(shared(plain(ask.problem), sharing=sharing()), icon=":material/block:", title="Not done")
        if ask.preview is not None:
            _draw_preview(ask.preview)
            if ask.approves is None:
                _draw_confirmation(ask.preview)
    _draw_dialog_buttons(ask, action_service)


def _ready(work: Future[Any], words: str) -> bool:
    """Wait a moment for work that goes on beside the script, with words and a way out on the screen meanwhile.

    If it takes longer, the dialog is drawn again as soon as it is done.
    """
    if work.done():
        return True
    place = st.empty()
    with place.container(key="ask_waiting"):
        st.skeleton(height=96)
        st.text(words)
        st.button("Cancel", key="ask_give_up", on_click=_leave_dialog)
    wait([work], PATIENCE_SECONDS)
    if work.done():
        place.empty()
        return True

    @st.fragment(run_every=LOOK_SECONDS)
    def look() -> None:
        if work.done():
            st.rerun()

    look()
    return False


def _draw_dialog_buttons(ask: OpenDialog, action_service: ActionService) -> None:
    """Draw the buttons, which the style keeps in sight however long the dialog is: the act, and the way out."""
    with st.container(horizontal=True, key="ask_buttons"):
        if ask.preview is not None and not ask.preview.blocked:
            if ask.approves is not None:
                st.button("Approve", key="ask_approve", type="primary", on_click=_approve)
            else:
                st.button(
                    plain(action_service.executor.actions[ask.action].button_for(ask.args)),
                    key="ask_confirm",
                    type="primary",
                    on_click=_confirm,
                    disabled=not _is_confirmed(ask.preview),
                )
        st.button("Cancel", key="ask_leave", on_click=_leave_dialog)
        st.space("stretch")
        st.button("Check again", key="ask_look", on_click=_renew_preview, icon=":material/refresh:", type="tertiary")


def _draw_preview(preview: Preview) -> None:
    """Draw what will happen in one sentence, what else changes, the way back, and, folded, the exact calls."""
    will_happen, *more = preview.will_differ
    draw(html.sentence(will_happen))
    changes: html.Rows = [("Also", html.bullets(more) if len(more) > 1 else more[0])] if more else []
    draw(html.facts([*changes, ("Undo", undo_message(preview.undo))]))
    _draw_preflight(preview)
    sql = any("\n" in call for call in preview.calls)
    with st.expander("The exact SQL" if sql else "The exact call", icon=":material/code:"):
        for call in preview.calls:
            st.code(
                shared(redact(call), sharing=sharing()),
                language="sql" if "\n" in call else None,
                wrap_lines=True,
                height=240 if call.count("\n") > 11 else "content",
            )
        draw(html.facts([("Target", html.code(preview.target.name)), *preview.target.facts]))


def _draw_preflight(preview: Preview) -> None:
    """Draw the checks that say something, and fold those that passed."""
    passed = [check for check in preview.preflight if check.status is PreflightStatus.OK]
    said = [check for check in preview.preflight if check.status is not PreflightStatus.OK]
    if said:
        draw(html.signed((labels.FINDING[check.status], check.message) for check in said))
    if passed:
        with st.expander(f"{len(passed)} of {len(preview.preflight)} checks passed", icon=":material/check:"):
            draw(html.signed((labels.FINDING[check.status], check.message) for check in passed))
    if preview.blocked:
        st.error("It cannot be done now: see what blocks.", icon=":material/block:")


def _draw_confirmation(preview: Preview) -> None:
    if preview.blocked or preview.phrase is None:
        return
    draw(html.paragraph(html.text("To confirm, type {}", html.code(preview.phrase))))
    with st.container(horizontal=True, key="ask_fields"):
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
        ask.preview, ask.problem, ask.looking = None, "", None


def _leave_dialog() -> None:
    _close_dialog()


def _confirm() -> None:
    ask = _current_dialog()
    if ask is None or ask.preview is None or ask.asking is not None:
        return  # a second click on what was confirmed already
    phrase, reason = typed("ask_phrase"), typed("ask_reason")

    def submit(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        confirmed = order(ask, phrase, reason, incident)
        ask.asking = action_service.soon(lambda: _submit(action_service, confirmed, incident, actor))

    as_operator(submit)
    if operator() is None:
        _close_dialog()  # the dialog is drawn for operators alone: why nothing was done stands above the page
    elif problem := st.session_state.pop(PROBLEM, None):
        ask.problem = problem


def _submit(action_service: ActionService, confirmed: Order, incident: Incident | None, actor: Actor) -> Request:
    request = action_service.submit(confirmed, actor)
    refused = request.state is RequestState.REFUSED
    if not refused and incident and confirmed.step_id and incident.step(confirmed.step_id) is None:
        action_service.journal.step(incident.id, confirmed.step_id, StepState.DOING, actor)
    return request


def _use_answer(ask: OpenDialog, action_service: ActionService) -> None:
    """Close the dialog whose order was accepted, or show why it was not."""
    asking, ask.asking = ask.asking, None
    if asking is None:
        return
    try:
        request = asking.result()
    except _FAILURES as error:
        ask.problem = error_message(error)
        return
    action_service.changed()
    if request.state is RequestState.REFUSED:
        ask.preview, ask.problem = None, request.message
        return
    _close_dialog()
    _announce(action_service, ask.action)
    st.rerun()


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
    name = "Frozen" if frozen else "Freeze"
    with st.popover(name, icon=":material/ac_unit:", type="tertiary", key="freeze_sheet"):
        if frozen:
            st.text("No action starts until somebody lets them.")
            operator_button("Let actions start again", "unfreeze", lambda service, who: service.journal.unfreeze(who))
        else:
            st.text("With one switch no action starts any more, for everybody. What runs goes on.")
            st.text_input("Why", key="freeze_reason")
            operator_button("Freeze all actions", "freeze", _freeze)


def _freeze(action_service: ActionService, actor: Actor) -> None:
    action_service.journal.freeze(typed("freeze_reason"), actor)
