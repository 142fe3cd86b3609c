"""The first frame: what was last known, at once, while the desk looks; and the charts, after what stands above them.

A browser that has just come gets the last known headline with its age, and then the page. Charts wait for the run after
the first paint: a browser that gets both at once shows nothing until it has loaded the code of the charts, which takes
a second. Nothing sleeps here: what waits, waits for the sources, and lets a click end the run.
"""

from __future__ import annotations

from concurrent.futures import Future, wait
from itertools import count
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from lib.diagnosis.diagnose import Diagnosis
from lib.model.window import WindowSize
from lib.snapshot import utc_now
from lib.ui import charts, runtime
from lib.ui import html_components as html
from lib.ui.page_frame import chosen_window, diagnosis_service, show_in_run
from lib.ui.runtime import DiagnosisService
from lib.ui.styles import draw

# Session state: the browser has painted a first frame.
PAINTED = "painted"
# A diagnosis that is there within this time needs no words before it.
AT_ONCE_SECONDS = 0.1
# How long a click waits at most while the sources are waited for.
CLICK_SECONDS = 0.1
# After this time the browser asks for the rest: it has painted by then.
REST_SECONDS = 0.2


def draw_until_diagnosed() -> None:
    """Draw what was last known until there is a diagnosis, and let the rest of this run show that one."""
    show_in_run(None)
    runtime.app_runtime().sandbox()  # if somebody switched it, the desk follows: nothing of before is shown
    service, size = diagnosis_service(), chosen_window()
    slot = st.empty()
    if (recent := service.recent(size)) is not None:
        show_in_run(recent)
        return
    service.last_known(size)  # has it read from the journal
    coming = service.diagnosing(size)
    wait([coming], AT_ONCE_SECONDS)
    if not coming.done():
        _draw_while_looking(slot, service, size, coming)
        slot.empty()
    if not coming.cancelled() and coming.exception() is None:
        show_in_run(coming.result())


def _draw_while_looking(slot: Any, service: DiagnosisService, size: WindowSize, coming: Future[Diagnosis]) -> None:
    if _has_painted():
        with slot.container(), st.spinner(f"Looking at {size.message} now"):
            while not coming.done():
                _wait(coming)
        return
    known = service.last_known(size)
    while True:
        with slot.container():
            draw(html.last_known(known, now=utc_now()))
            st.skeleton(height=400)
        while not coming.done() and (newly := service.last_known(size)) is known:
            _wait(coming)
        if coming.done():
            return
        known = newly


def _wait(coming: Future[Diagnosis]) -> None:
    wait([coming], CLICK_SECONDS)
    # Streamlit ends a run for a click where the run touches it: here.
    st.session_state.get(PAINTED)


def _has_painted() -> bool:
    return PAINTED in st.session_state


def draw_chart(figure: go.Figure, *, key: str, alt: str, height: int | None = None) -> None:
    """Draw a figure; in the first run of a session its place, so that the browser paints what stands above it."""
    if not _has_painted():
        st.skeleton(height=int(height or figure.layout.height or 300))
        return
    st.plotly_chart(figure, key=key, config=charts.CONFIG, alt=alt, height=height or "content")


def draw_rest() -> None:
    """End the run. After the first one the browser asks for the charts as soon as it has painted the rest."""
    show_in_run(None)
    if _has_painted():
        return
    runs = count()

    @st.fragment(run_every=REST_SECONDS)
    def after_the_paint() -> None:
        if next(runs):  # not the run that draws the first frame
            st.session_state[PAINTED] = True
            st.rerun()

    after_the_paint()
