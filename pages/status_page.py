"""Status: is SMS flowing, and if not, whose problem is it?"""

from lib.ui.guard import guard

guard()

import streamlit as st

from lib.model.verdict import CheckStatus
from lib.ui import (
    affected_view,
    alerts_view,
    charts,
    checks_view,
    counts_view,
    hypotheses_view,
    incidents_view,
    labels,
)
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw


def body(view: View) -> None:
    diagnosis = view.diagnosis
    counts_view.draw_cut_note(view)
    st.subheader("The flow, hop by hop", anchor=False)
    draw(html.hops(diagnosis.hops, diagnosis.headline.hop))
    alerts_view.draw_firing(view)
    if diagnosis.tiles:
        st.subheader("What success looks like", anchor=False)
        draw(html.tiles(diagnosis.tiles))
    left, right = st.columns([3, 2], gap="large")
    with left:
        timeline(view)
    with right:
        funnel(view)
    hypotheses_view.draw_hypotheses(view)
    affected_view.draw_affected_count(view)
    st.page_link("pages/plan_page.py", label="Work through the action plan", icon=":material/checklist:")
    troubled = checks_view.with_status(diagnosis.checks, CheckStatus.FAIL, CheckStatus.WARN)
    if troubled:
        st.subheader("Checks that are not fine", anchor=False)
        checks_view.draw_checks(view, troubled)
    st.page_link("pages/systems_page.py", label="All checks with their evidence", icon=":material/fact_check:")


def timeline(view: View) -> None:
    lines, snapshot = view.facts.timeline, view.snapshot
    known = [series for series, counts in lines.items() if counts is not None]
    needs = (snapshot.counts,) if snapshot.cut else (snapshot.pending_bookings, snapshot.texts)
    if not panel(view, "What happened when", *(() if known else needs)):
        return
    marks, until = incidents_view.timeline_marks(view), snapshot.window.end
    figure = view.diagnosis.cached(("timeline", marks), lambda: charts.timeline(lines, marks, view.zone, until))
    alt = f"Bookings and texts over {view.window}, with deployments, migrations and incidents as vertical marks."
    st.plotly_chart(figure, key="timeline", config=charts.CONFIG, alt=alt)
    if len(known) < len(lines) and not snapshot.cut:
        draw(view.cannot_tell(snapshot.pending_bookings, snapshot.texts) or html.nothing(""))
    counted = ", counted in the database: texts as it knows them" if snapshot.cut else ""
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
