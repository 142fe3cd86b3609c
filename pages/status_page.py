"""Status: is SMS flowing, and if not, whose problem is it?"""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.diagnosis.causes import Cause, causes, unexplained
from lib.ui import (
    alerts_view,
    checks_view,
    counts_view,
    flow_charts_view,
    hop_history_view,
    hypotheses_view,
    owner_view,
    running_view,
)
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page
from lib.ui.styles import draw


def body(view: View) -> None:
    if view.sharing:
        shared_screen(view)
        return
    diagnosis = view.diagnosis
    found = causes(diagnosis)
    counts_view.draw_cut_note(view)
    draw(html.hops(diagnosis.hops, diagnosis.headline.hop))
    alerts_view.draw_firing(view)
    left, right = st.columns([3, 2], gap="large")
    with left:
        hypotheses_view.draw_causes(view, found, owner_view.tasks_of(view))
    with right:
        st.subheader("Key figures", anchor=False)
        draw(html.tiles(diagnosis.tiles))
    hop_history_view.draw_hop_history(view)
    flow_charts_view.draw_flow_charts(view)
    checks(view, found)


def checks(view: View, found: tuple[Cause, ...]) -> None:
    """Draw what no cause explains, and fold the rest."""
    st.subheader("Checks", anchor=False)
    if alone := unexplained(view.diagnosis, found):
        checks_view.draw_lines(alone)
    left, right = st.columns(2, gap="small", vertical_alignment="top")
    with left:
        checks_view.draw_summary(view, view.diagnosis.checks)
    with right:
        hypotheses_view.draw_others(view)


def shared_screen(view: View) -> None:
    """Draw what a call looks at, on one screen: no button, and nothing that identifies a person."""
    running_view.draw_running(view)
    draw(html.hops(view.diagnosis.hops, view.diagnosis.headline.hop, short=True))
    hop_history_view.draw_hop_history(view)


draw_page(body)
