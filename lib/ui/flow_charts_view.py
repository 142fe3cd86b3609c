"""How many bookings and texts there were, per bin of time and per stage: the numbers behind the bars."""

from __future__ import annotations

import streamlit as st

from lib.ui import charts, incidents_view, labels
from lib.ui import html_components as html
from lib.ui.first_frame import draw_chart
from lib.ui.page_frame import View, expander, panel
from lib.ui.styles import draw


def draw_flow_charts(view: View) -> None:
    """Draw both charts behind a click: what is closed is not sent."""
    with expander("Bookings and texts, counted", key="counted", icon=":material/bar_chart:") as is_open:
        if not is_open:
            return
        left, right = st.columns([3, 2], gap="large")
        with left:
            _draw_timeline(view)
        with right:
            _draw_funnel(view)


def _draw_timeline(view: View) -> None:
    lines, snapshot = view.facts.timeline, view.snapshot
    known = [series for series, counts in lines.items() if counts is not None]
    needs = (snapshot.counts,) if snapshot.cut else (snapshot.pending_bookings, snapshot.texts)
    if not panel(view, "What happened when", *(() if known else needs)):
        return
    marks, until = incidents_view.timeline_marks(view), snapshot.window.end
    figure = view.diagnosis.cached(("timeline", marks), lambda: charts.timeline(lines, marks, view.zone, until))
    alt = f"Bookings and texts over {view.window}, with deployments, migrations and incidents as vertical marks."
    draw_chart(figure, key="timeline", alt=alt)
    if len(known) < len(lines) and not snapshot.cut:
        draw(view.cannot_tell(snapshot.pending_bookings, snapshot.texts) or html.nothing(""))
    counted = ", counted in the database: texts as it knows them" if snapshot.cut else ""
    st.caption(f"Over {view.window}, in the time of {view.settings.time_zone}{counted}.")


def _draw_funnel(view: View) -> None:
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
    draw_chart(figure, key="funnel", alt=f"Bookings: {reached}.")
    if any(count is None for count in stages.values()):
        draw(view.cannot_tell(snapshot.texts, snapshot.short_links) or html.nothing(""))
