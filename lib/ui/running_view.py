"""What is under way, for a shared screen: the incident's timer and the running action, without names or buttons."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from lib.journal.request import Request, RequestState
from lib.plan import PLANNED
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.page_frame import PROBLEM, STATUS, View, current_journal_state, from_journal
from lib.ui.styles import draw, sharing

_INCIDENT = Sign("incident open", "●", Tone.WARN)
# A request that is over is shown by the headline that it changed.
_UNDER_WAY = (RequestState.WAITING, RequestState.REQUESTED, RequestState.LOCKED, RequestState.STARTED)


def stands_in(title: str) -> bool:
    """Whether the page draws this instead of the requests with their buttons: Status, while the screen is shared."""
    return sharing() and title == STATUS


def drop_problem() -> None:
    """Forget why a button of before did nothing: there is none here, and a page waits for it to be shown."""
    st.session_state.pop(PROBLEM, None)


def draw_running(view: View) -> None:
    """Draw one line for the incident and one for each action that is under way. Nothing if there is neither."""
    state = current_journal_state()
    if state is None:
        return
    lines = []
    if state.incident is not None:
        age = html.bold(html.age(state.incident.opened_at))
        lines.append(html.paragraph(html.text("{} for {} of the {}", html.chip(_INCIDENT), age, PLANNED)))
    under_way = [request for request in state.requests if request.state in _UNDER_WAY]
    lines += from_journal(lambda service: [_line(request, service) for request in under_way]) or []
    if lines:
        draw(html.running(lines))


def _line(request: Request, service: ActionService) -> Markup:
    title = html.bold(service.title_of(request.action))
    return html.paragraph(html.text("{} {}", html.chip(labels.REQUEST[request.state]), title))
