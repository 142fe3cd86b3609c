"""Status: is SMS flowing, and if not, whose problem is it?"""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.diagnosis.causes import Cause, causes, unexplained
from lib.ui import (
    alerts_view,
    charts,
    checks_view,
    counts_view,
    hypotheses_view,
    incidents_view,
    labels,
    owner_view,
    running_view,
)
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw

SHARED_CHART = 190  # pixels of height, on a shared screen of 900


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
    left, right = st.columns([3, 2], gap="large")
    with left:
        timeline(view)
    with right:
        funnel(view)
    checks(view, found)


def checks(view: View, found: tuple[Cause, ...]) -> None:
    """Draw what no cause explains, and fold the rest."""
    st.subheader("Checks", anchor=False)
    if alone := unexplained(view.diagnosis, found):
        checks_view.draw_lines(alone)
    left, middle, right = st.columns([2, 2, 1], gap="small", vertical_alignment="top")
    with left:
        checks_view.draw_summary(view, view.diagnosis.checks)
    with middle:
        hypotheses_view.draw_others(view)
    with right:
        st.page_link("pages/systems_page.py", label="All with their evidence", icon=":material/fact_check:")


def shared_screen(view: View) -> None:
    """Draw what a call looks at, on one screen: no button, and nothing that identifies a person."""
    running_view.draw_running(view)
    draw(html.hops(view.diagnosis.hops, view.diagnosis.headline.hop, short=True))
    timeline(view)


def timeline(view: View) -> None:
    lines, snapshot = view.facts.timeline, view.snapshot
    known = [series for series, counts in lines.items() if counts is not None]
    needs = (snapshot.counts,) if snapshot.cut else (snapshot.pending_bookings, snapshot.texts)
    if not panel(view, "What happened when", *(() if known else needs)):
        return
    marks, until = incidents_view.timeline_marks(view), snapshot.window.end
    figure = view.diagnosis.cached(("timeline", marks), lambda: charts.timeline(lines, marks, view.zone, until))
    alt = f"Bookings and texts over {view.window}, with deployments, migrations and incidents as vertical marks."
    st.plotly_chart(
        figure, key="timeline", config=charts.CONFIG, alt=alt, height=SHARED_CHART if view.sharing else "content"
    )
    if len(known) < len(lines) and not snapshot.cut:
        draw(view.cannot_tell(snapshot.pending_bookings, snapshot.texts) or html.nothing(""))
    counted = ", counted in the database: texts as it knows them" if snapshot.cut else ""
    if view.sharing:
        return
    st.caption(f"Over {view.window}, in the time of {view.settings.time_zone}{counted}.")


def funnel(view: View) -> None:
    snapshot = view.snapshot
    if not panel(
        view, "How far bookings came", snapshot.pending_bookings, *((snapshot.counts,) if snapshot.cut else ())
    ):
        return
    stages = view.facts.stages or {}
    if not any(stages.values()):
        draw(html.nothing(f"No booking was initiated in {view.window}."))
        return
    reached = ", ".join(f"{label} {stages.get(stage, 'unknown')}" for stage, label in labels.STAGE.items())
    figure = view.diagnosis.cached("funnel", lambda: charts.funnel(stages, view.facts.least_stages))
    st.plotly_chart(figure, key="funnel", config=charts.CONFIG, alt=f"Bookings: {reached}.")
    if any(count is None for count in stages.values()):
        draw(view.cannot_tell(snapshot.texts, snapshot.short_links) or html.nothing(""))


draw_page(body)
