"""The header of every page: which systems these are, what can be read of them, and the headline."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import streamlit as st
from markupsafe import Markup

from lib.model.people import NO_LOGIN, Role
from lib.model.reading import Freshness, SourceError, SourceName, source_health
from lib.model.window import WindowSize
from lib.sources.sandbox_control import SandboxState
from lib.ui import action_dialog, labels, runtime
from lib.ui import html_components as html
from lib.ui.guard import Viewer
from lib.ui.masking import outside, plain, plain_person
from lib.ui.page_frame import View, current_view, diagnosis_service, refresh_seconds
from lib.ui.runtime import AppRuntime
from lib.ui.styles import draw

HEAD_START_SECONDS = 0.3
_PACES = (0.0, 1.0, 4.0, 30.0, 120.0)


def draw_header(viewer: Viewer, *, large: bool) -> None:
    """Draw the header. `large` on the page that is about the headline."""
    # The controls stand below the headline and are drawn before it: the headline is about the chosen window.
    top = st.container()
    _draw_controls(viewer)
    with top:
        _draw_headline(large=large)


def head_start() -> None:
    """Let a browser that has just come paint the headline before it gets the rest.

    If it gets both at once it shows nothing until it has loaded the code of the charts, which takes a second.
    """
    if "came" not in st.session_state:
        st.session_state["came"] = True
        time.sleep(HEAD_START_SECONDS)


def _draw_controls(viewer: Viewer) -> None:
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
            _draw_sandbox_controls(runtime.app_runtime().sandbox(), viewer)
        st.space("stretch")
        action_dialog.draw_freeze_switch()
        name = plain(NO_LOGIN) if viewer.email is None else f"{plain_person(viewer.email)} ({viewer.role})"
        st.badge(name, icon=":material/person:", color="gray")
    if problem := st.session_state.pop("sandbox_problem", None):
        st.warning(plain(problem), icon=":material/warning:")


def _draw_sandbox_controls(sandbox: SandboxState | None, viewer: Viewer) -> None:
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
        format_func=lambda pace: f"{pace:g} bookings/min" if pace else "no new bookings",
        key="pace",
        label_visibility="collapsed",
        width=180,
        on_change=_set_pace,
    )
    if (fix := sandbox.manual_fix) is not None:
        st.button(
            f"Somebody fixed it in {fix.where}",
            key="sandbox_manual_fix",
            icon=":material/person_check:" if fix.done else ":material/engineering:",
            disabled=fix.done,
            on_click=_apply_manual_fix,
            help=outside(f"For drills, in the stead of a person: {fix.message}."),
        )
    with st.popover("Story", icon=":material/menu_book:", type="tertiary"):
        st.text(outside(sandbox.story))


def _change_sandbox(change: Callable[[AppRuntime], None]) -> None:
    """Change what the sandbox plays, for operators alone: a browser can send clicks on buttons it was not shown."""
    if action_dialog.operator() is None:
        return
    try:
        change(runtime.app_runtime())
    except SourceError as error:
        st.session_state["sandbox_problem"] = str(error)


def _apply_manual_fix() -> None:
    _change_sandbox(lambda app: app.manual_fix())


def _play() -> None:
    _change_sandbox(lambda app: app.play(st.session_state["scenario"]))


def _set_pace() -> None:
    _change_sandbox(lambda app: app.set_pace(float(st.session_state["pace"])))


def _draw_headline(*, large: bool) -> None:
    """Draw sources and headline, and keep them up to date."""

    @st.fragment(run_every=refresh_seconds())
    def live() -> None:
        view = current_view()
        draw(_source_bar(view))
        draw(
            html.headline(
                view.diagnosis.headline,
                rests_on=_oldest_evidence(view),
                zone=view.zone,
                now=view.now,
                large=large,
                cause=view.diagnosis.likeliest,
            )
        )

    live()


def _source_bar(view: View) -> Markup:
    return html.source_bar(
        html.place(sandbox=view.settings.sandbox_url is not None), (_source(view, name) for name in SourceName)
    )


def _source(view: View, name: SourceName) -> tuple[str, labels.Sign, str]:
    readings = view.snapshot.of(name)
    failed = (r.failure.sentence for r in readings if r.failure and r.freshness(view.now) is Freshness.FAILED)
    return labels.SOURCE[name], labels.of_source(source_health(readings, view.now)), next(failed, "")


def _oldest_evidence(view: View) -> datetime:
    """Return when the oldest data behind the headline was observed."""
    because = set(view.diagnosis.headline.because)
    observed = [check.observed_at for check in view.diagnosis.checks if check.id in because and check.observed_at]
    return min(observed, default=min(reading.observed_at for reading in view.snapshot.readings))
