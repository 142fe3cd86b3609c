"""The header of every page: where we are, what can be seen, and the one line that everybody reads."""

from __future__ import annotations

import time
from datetime import datetime

import streamlit as st
from markupsafe import Markup

from lib.model.people import NO_LOGIN, Role
from lib.model.reading import Freshness, SourceError, SourceName, source_health
from lib.model.window import WindowSize
from lib.sources.sandbox_control import SandboxState
from lib.ui import action_dialog, html_components, labels, runtime
from lib.ui.guard import Viewer
from lib.ui.masking import outside, plain, plain_person
from lib.ui.page_frame import View, diagnosis_service, pace, view
from lib.ui.styles import draw

HEAD_START_SECONDS = 0.3
_PACES = (0.0, 1.0, 4.0, 30.0, 120.0)


def draw_header(viewer: Viewer, *, large: bool) -> None:
    """Draw the header. `large` on the page that is about the headline."""
    # What can be set comes second on the glass and is drawn first: the headline is about the chosen window.
    top = st.container()
    _controls(viewer)
    with top:
        _strip(large=large)


def head_start() -> None:
    """Let a browser that has just come paint the headline before it gets the rest.

    Handed both at once it shows nothing until it has loaded the code of the charts, which takes it a second.
    """
    if "came" not in st.session_state:
        st.session_state["came"] = True
        time.sleep(HEAD_START_SECONDS)


def _controls(viewer: Viewer) -> None:
    """Draw what a viewer can set: window and share-screen switch, and the sandbox's scenario and pace."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.segmented_control(
            "Window",
            list(WindowSize),
            default=WindowSize.DAY,
            required=True,
            key="window",
            bind="query-params",
            label_visibility="collapsed",
        )
        st.toggle(
            "Share screen",
            key="share",
            bind="query-params",
            help="Larger, and without a single digit of a phone number.",
        )
        if diagnosis_service().settings.sandbox_url is not None:
            _sandbox(runtime.app_runtime().sandbox(), viewer)
        st.space("stretch")
        action_dialog.freeze_switch()
        st.badge(_name(viewer), icon=":material/person:", color="gray")
    if problem := st.session_state.pop("sandbox_problem", None):
        st.warning(plain(problem), icon=":material/warning:")


def _name(viewer: Viewer) -> str:
    return plain(NO_LOGIN) if viewer.email is None else f"{plain_person(viewer.email)} ({viewer.role})"


def _sandbox(sandbox: SandboxState | None, viewer: Viewer) -> None:
    if sandbox is None:
        st.text("The sandbox's control door does not answer.")
        return
    if viewer.role is not Role.OPERATOR:
        st.text(outside(sandbox.title))
        return
    # Somebody else may have switched: what is shown is what the sandbox plays.
    st.session_state["scenario"] = sandbox.scenario
    st.selectbox(
        "Scenario",
        list(sandbox.titles),
        format_func=lambda name: outside(sandbox.titles.get(str(name), str(name))),
        key="scenario",
        label_visibility="collapsed",
        width=280,
        on_change=_play,
    )
    st.session_state["pace"] = sandbox.bookings_per_minute
    st.selectbox(
        "Pace",
        sorted({*_PACES, sandbox.bookings_per_minute}),
        format_func=_pace_label,
        key="pace",
        label_visibility="collapsed",
        width=180,
        on_change=_set_pace,
    )
    if sandbox.manual_fix is not None:
        st.button(
            f"Somebody fixed it in {sandbox.manual_fix.where}",
            key="sandbox_manual_fix",
            icon=":material/person_check:" if sandbox.manual_fix.done else ":material/engineering:",
            disabled=sandbox.manual_fix.done,
            on_click=_apply_manual_fix,
            help=outside(f"For drills, in the stead of a person: {sandbox.manual_fix.message}."),
        )
    with st.popover("Story", icon=":material/menu_book:", type="tertiary"):
        st.text(outside(sandbox.story))


def _apply_manual_fix() -> None:
    if action_dialog.operator() is None:
        return  # whatever a browser sends: no more than the buttons that it was shown
    try:
        runtime.app_runtime().manual_fix()
    except SourceError as error:
        st.session_state["sandbox_problem"] = str(error)


def _pace_label(pace: float | None) -> str:
    return f"{pace:g} bookings/min" if pace else "no new bookings"


def _play() -> None:
    if action_dialog.operator() is None:
        return  # whatever a browser sends: no more than the buttons that it was shown
    try:
        runtime.app_runtime().play(st.session_state["scenario"])
    except SourceError as error:
        st.session_state["sandbox_problem"] = str(error)


def _set_pace() -> None:
    if action_dialog.operator() is None:
        return  # whatever a browser sends: no more than the buttons that it was shown
    try:
        runtime.app_runtime().set_pace(float(st.session_state["pace"]))
    except SourceError as error:
        st.session_state["sandbox_problem"] = str(error)


def _strip(*, large: bool) -> None:
    """Draw source dots and headline, and keep them up to date."""

    @st.fragment(run_every=pace())
    def live() -> None:
        page_view = view()
        draw(source_dots(page_view))
        draw(
            html_components.headline(
                page_view.diagnosis.headline,
                rests_on=rests_on(page_view),
                zone=page_view.zone,
                now=page_view.now,
                large=large,
                cause=page_view.diagnosis.likeliest,
            )
        )

    live()


def source_dots(page_view: View) -> Markup:
    """Where we are, and the six sources, each with its state in sign and word."""
    dots = html_components.join(_dot(page_view, source) for source in SourceName)
    return Markup('<div class="sb-bar">{}{}</div>').format(
        html_components.place(sandbox=page_view.settings.sandbox_url is not None), dots
    )


def _dot(page_view: View, source: SourceName) -> Markup:
    readings = page_view.snapshot.of(source)
    sign = labels.of_source(source_health(readings, page_view.now))
    failed = (r.failure.sentence for r in readings if r.failure and r.freshness(page_view.now) is Freshness.FAILED)
    why = next(failed, "")
    word = "" if sign is labels.FRESHNESS[Freshness.FRESH] else sign.word
    return Markup(
        '<span class="sb-source sb-{}" title="{}: {}. {}"><b aria-hidden="true">{}</b>'
        '<span>{} <span class="sb-word">{}</span></span></span>'
    ).format(sign.tone, labels.SOURCE[source], sign.word, outside(why), sign.glyph, labels.SOURCE[source], word)


def rests_on(page_view: View) -> datetime:
    """Return when the oldest data behind the headline was observed."""
    because = set(page_view.diagnosis.headline.because)
    observed = [check.observed_at for check in page_view.diagnosis.checks if check.id in because and check.observed_at]
    return min(observed, default=min(reading.observed_at for reading in page_view.snapshot.readings))
