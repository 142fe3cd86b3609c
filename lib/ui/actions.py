"""Buttons that act: the dialog that shows what would be done, the cards of what is being done, the freeze.

The dialog is driven by session state, so that it survives every rerun. A callback submits and nothing else
(`lib.ui.hands` carries it out), and who may act is asked anew in each: nothing that a browser sends is believed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID, uuid4

import streamlit as st
from markupsafe import Markup

from lib.actions.action import Args, Preview, RefusedError, Tier
from lib.actions.executor import Order, only_operators
from lib.journal.doings import Doings
from lib.journal.entry import Outcome, StepState
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.request import Request, RequestState
from lib.journal.store import Frozen
from lib.journal.text import same_person
from lib.model.people import Actor, Role
from lib.model.reading import SourceError
from lib.sources.redact import redact
from lib.ui import deployments, pieces, times, words
from lib.ui.guard import Viewer, who_looks
from lib.ui.hands import Hands
from lib.ui.look import draw, sharing
from lib.ui.redact import outside, plain, shared
from lib.ui.shell import PROBLEM, View, doings_now, opened_desk, view

FAST_SECONDS, SLOW_SECONDS = 2.0, 10.0
# How long what is over still stands above the page.
SHOWN_AFTERWARDS = timedelta(minutes=3)
MOST_SHOWN = 5
BUILDS = ("redeploy", "redeploy_newest", "deploy_commit", "force_deploy")
LAST_LOG_LINES = 12

_ACTIVE = (
    RequestState.WAITING, RequestState.REQUESTED, RequestState.CLAIMED, RequestState.STARTED, RequestState.UNKNOWN,
)  # fmt: skip
# What a submission may say instead of yes; each is a sentence that is safe to show.
Said = (RefusedError, SourceError, JournalError)


@dataclass
class Ask:
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

    def look(self, hands: Hands) -> None:
        """Take a preview of the world as it is now."""
        self.key, self.problem = uuid4(), ""
        try:
            self.preview = hands.preview(self.action, self.args)
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
    return operator() is not None and opened_desk().hands() is not None


def do(work: Callable[[Hands, Actor], object]) -> None:
    """Do what a button asks for, for whoever looks now; what speaks against it is shown above the page."""
    who = who_looks()
    desk = opened_desk()
    hands = desk.hands()
    try:
        if not isinstance(who, Viewer):
            raise RefusedError(who.sentence)
        only_operators(who.actor)
        if hands is None:
            raise RefusedError(desk.tied)
        work(hands, who.actor)
        hands.changed()
    except Said as error:
        st.session_state[PROBLEM] = sentence(error)


# Asking.


def offer(
    action_id: str, args: Args, label: str, *, key: str, step_id: str | None = None, primary: bool = False,
    disabled: bool = False,
) -> None:  # fmt: skip
    """Draw a button that opens the dialog of an action, or runs it where one click is enough. Nothing for viewers."""
    hands = opened_desk().hands()
    if operator() is None or hands is None:
        return
    action = hands.executor.actions[action_id]
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
    st.session_state["ask"] = Ask(action_id, dict(args), step_id)
    for name in ("ask_phrase", "ask_reason"):
        st.session_state.pop(name, None)


def _click(action_id: str, args: Args, step_id: str | None) -> None:
    def work(hands: Hands, actor: Actor) -> None:
        incident = hands.doings().incident
        hands.click(Order(action_id, args, "", incident_id=incident.id if incident else None, step_id=step_id), actor)
        _asked_for(hands, action_id)

    do(work)


def _asked_for(hands: Hands, action_id: str) -> None:
    """Say so after the rerun that closes the dialog: whoever pressed may have scrolled far down."""
    st.session_state["asked_for"] = hands.executor.actions[action_id].title


def _forget() -> None:
    st.session_state.pop("ask", None)


def dialog() -> None:
    """Draw the dialog that is open, if one is. Once per run of the app, outside of fragments."""
    ask = st.session_state.get("ask")
    hands = opened_desk().hands()
    if not isinstance(ask, Ask) or operator() is None or hands is None:
        return
    title = hands.executor.actions[ask.action].title
    st.dialog(plain(title), width="large", on_dismiss=_forget, icon=":material/front_hand:")(_dialog_body)()


def _dialog_body() -> None:
    ask = st.session_state.get("ask")
    hands = opened_desk().hands()
    if not isinstance(ask, Ask) or hands is None:
        st.rerun()  # it was confirmed or given up: draw the page without it
    if ask.preview is None and not ask.problem:
        with st.spinner("Looking at the world as it is now …"):
            ask.look(hands)
    draw(pieces.place(sandbox=opened_desk().settings.sandbox_url is not None))
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
        st.button("Look again", key="ask_look", on_click=_look_anew, icon=":material/refresh:")
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
        pieces.facts(
            (
                ("Target", pieces.code(preview.target.name)),
                *preview.target.facts,
                ("What will differ", pieces.bullets(preview.will_differ)),
                ("Undo", preview.undo),
            )
        )
    )
    st.markdown("**Looked at before**")
    draw(pieces.signed((words.FINDING[check.status], check.words) for check in preview.preflight))
    if preview.blocked:
        st.error("It cannot be done now: see what blocks.", icon=":material/block:")


def _confirmation(preview: Preview) -> None:
    if preview.blocked or preview.phrase is None:
        return
    draw(Markup("<p>To confirm, type {}</p>").format(pieces.code(preview.phrase)))
    st.text_input("The phrase", key="ask_phrase", live=True, autocomplete="off")
    st.text_input("The reason, for the journal", key="ask_reason", live=True, autocomplete="off")
    if opened_desk().settings.require_second_person:
        st.caption("It then waits for a second person.")


def _ready(preview: Preview) -> bool:
    """Whether the button may be pressed. A courtesy: the executor asks the same again."""
    if preview.tier < Tier.TYPED_PHRASE:
        return True
    typed = str(st.session_state.get("ask_phrase") or "").strip()
    return typed == preview.phrase and bool(str(st.session_state.get("ask_reason") or "").strip())


def _look_anew() -> None:
    ask = st.session_state.get("ask")
    if isinstance(ask, Ask):
        ask.preview, ask.problem = None, ""


def _confirm() -> None:
    ask = st.session_state.get("ask")
    if not isinstance(ask, Ask) or ask.preview is None:
        return  # a second click on what was confirmed already
    phrase = str(st.session_state.get("ask_phrase") or "")
    reason = str(st.session_state.get("ask_reason") or "")

    def work(hands: Hands, actor: Actor) -> None:
        incident = hands.doings().incident
        request = hands.submit(order(ask, phrase, reason, incident), actor)
        if request.state is RequestState.REFUSED:
            ask.preview, ask.problem = None, request.words
            return
        _forget()
        _asked_for(hands, ask.action)
        if incident and ask.step_id and incident.step(ask.step_id) is None:
            hands.journal.step(incident.id, ask.step_id, StepState.DOING, actor)

    do(work)
    if operator() is None:
        _forget()  # the dialog is drawn for operators alone: why nothing was done stands above the page
    elif problem := st.session_state.pop(PROBLEM, None):
        ask.problem = problem


def order(ask: Ask, phrase: str, reason: str, incident: Incident | None) -> Order:
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


def strip() -> None:
    """Draw what is being done and what lately was, by anybody, and keep it up to date."""
    desk = opened_desk()
    hands = desk.hands()
    if title := st.session_state.pop("asked_for", None):
        st.toast(plain(f"{title}: asked for. What becomes of it stands above the page."), icon=":material/front_hand:")
    if problem := st.session_state.pop(PROBLEM, None):
        st.warning(shared(plain(problem), sharing=sharing()), icon=":material/block:", title="Not done")
    if hands is None:
        st.warning(plain(desk.tied), icon=":material/visibility:", title="This desk can only look now")
        return
    before = doings_now()
    busy = before is not None and before.busy

    @st.fragment(run_every=FAST_SECONDS if busy else SLOW_SECONDS)
    def live() -> None:
        try:
            doings = hands.doings()
        except JournalError as error:
            st.warning(plain(sentence(error)), icon=":material/visibility:", title="The journal cannot be read")
            return
        if doings.busy is not busy:
            st.rerun()  # to look more often, or less
        if PROBLEM in st.session_state:
            st.rerun()  # a button in here was refused, and why is said above, outside of this part of the page
        if doings.frozen is not None:
            draw(frozen(doings.frozen, view()))
        for request in to_watch(doings, hands):
            card(request, hands)

    live()


def to_watch(doings: Doings, hands: Hands) -> tuple[Request, ...]:
    """Return the requests that stand above every page: those not over, and those that ended a moment ago."""
    since = hands.clock() - SHOWN_AFTERWARDS
    shown = (r for r in doings.requests if r.state in _ACTIVE or (r.ended_at is not None and r.ended_at >= since))
    return tuple(shown)[:MOST_SHOWN]


def frozen(state: Frozen, seen: View) -> Markup:
    """The line that says that nothing may be done, and why."""
    return Markup('<div class="sb-card sb-warn"><b>❄ FROZEN</b> No action starts. {}, {}: {}</div>').format(
        pieces.person(state.by.name), times.when(state.at, seen.zone, seen.now), outside(state.reason)
    )


def card(request: Request, hands: Hands, *, key: str = "strip") -> None:
    """Draw one request: who asked for what, how far it is, what was said, and what can be done about it."""
    seen = view()
    if request.state not in _ACTIVE:
        draw(
            pieces.card(_title(request, hands), Markup("<p>{}</p>").format(outside(request.words)), sign=_sign(request))
        )
        return
    draw(pieces.card(_title(request, hands), told(request, seen, hands), sign=_sign(request)))
    if request.state is RequestState.STARTED and request.action in BUILDS:
        _build_log(request, seen)
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
                "Look again", key=f"{key}_look_{request.id}", on_click=_look, args=(request.id,),
                icon=":material/refresh:",
            )  # fmt: skip
            _looked_myself(request, key)


def _looked_myself(request: Request, key: str) -> None:
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


def _sign(request: Request) -> words.Sign:
    return words.REQUEST[request.state]


def _title(request: Request, hands: Hands) -> str:
    action = hands.executor.actions.get(request.action)
    title = action.title if action else request.action
    given = ", ".join(argument.value for argument in request.asked.arguments)
    return f"{title}: {given or request.asked.target}"


def told(request: Request, seen: View, hands: Hands) -> Markup:
    """Return what is known of a request, as facts."""
    when = times.when(request.requested_at, seen.zone, hands.clock())
    by = Markup("{}, {}").format(pieces.person(request.requested_by.name), when)
    rows: list[tuple[str, str | Markup]] = [("Asked by", by)]
    if request.asked.reason:
        rows.append(("Reason", request.asked.reason))
    if request.approved_by is not None:
        rows.append(("Approved by", pieces.person(request.approved_by.name)))
    if request.state in _ACTIVE:
        began = request.started_at or request.requested_at
        rows.append(("Since", Markup("{} {}").format(pieces.age(began), outside(_who_runs(request, seen, hands)))))
    if request.progress and request.state is not RequestState.SUCCEEDED:
        rows.append(("So far", pieces.bullets(line.words for line in request.progress[-6:])))
    if request.words:
        rows.append(("Says", request.words))
    if request.resolved_by is not None:
        rows.append(("Seen by", pieces.person(request.resolved_by.name)))
    if request.receipt is not None and request.receipt.after:
        rows.append(("After", "; ".join(fact.value for fact in request.receipt.after)))
    if looked := hands.said(request.id):
        rows.append(("Look", looked))
    return pieces.facts(rows)


def _who_runs(request: Request, seen: View, hands: Hands) -> str:
    match request.state:
        case RequestState.UNKNOWN:
            return "It may have taken effect or not. It is never run again by itself: look again, or say what you saw."
        case RequestState.WAITING:
            return "Somebody else has to approve it."
        case RequestState.STARTED if not hands.runs_here(request.id):
            until = times.local(request.deadline, seen.zone, seen.now)
            return f"It is not this server that runs it. Without news its outcome counts as unknown from {until}."
        case RequestState.REQUESTED if not hands.runs_here(request.id):
            until = times.local(request.deadline, seen.zone, seen.now)
            return f"Nobody here carries it out. It expires at {until}; take it back and ask anew."
        case _:
            return ""


def _build_log(request: Request, seen: View) -> None:
    """Draw the end of the build's log, once the desk has read that of this very build."""
    log = seen.snapshot.build_log.value
    if log is not None and log.lines and any(log.deployment_id in line.words for line in request.progress):
        draw(deployments.log_tail(log, LAST_LOG_LINES))


def _ask_to_approve(request: Request) -> None:
    args = {argument.name: argument.value for argument in request.asked.arguments}
    st.session_state["ask"] = Ask(request.action, args, request.about.step_id, approves=request)


def _approve() -> None:
    ask = st.session_state.get("ask")
    if isinstance(ask, Ask) and ask.approves is not None and ask.preview is not None:
        request_id = ask.approves.id
        do(lambda hands, actor: hands.approve(request_id, actor))
        _forget()


def _cancel(request_id: UUID) -> None:
    do(lambda hands, actor: hands.journal.cancel(request_id, actor, "taken back on the page"))


def _look(request_id: UUID) -> None:
    do(lambda hands, actor: hands.look_again(request_id, actor))


def look_at_everything() -> None:
    """Have every system asked anew. For operators: it opens a customer's link, which counts as an opening."""
    if operator() is not None:
        opened_desk().look_again()


def _say(request_id: UUID, outcome: Outcome, field: str) -> None:
    seen = str(st.session_state.get(field) or "")
    do(lambda hands, actor: hands.say_what_was_seen(request_id, outcome, seen, actor))


def history(requests: Iterable[Request], hands: Hands, seen: View) -> Markup:
    """Return requests with their receipts, newest first, as cards."""
    return pieces.join(
        pieces.card(_title(request, hands), told(request, seen, hands), sign=_sign(request)) for request in requests
    )


# The freeze.


def freeze_switch() -> None:
    """Draw the switch that stops every action. The state itself stands above the page for everybody."""
    doings = doings_now()
    if doings is None or operator() is None:
        return
    state = doings.frozen
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
    do(lambda hands, actor: hands.journal.freeze(reason, actor))


def _unfreeze() -> None:
    do(lambda hands, actor: hands.journal.unfreeze(actor))
