"""The header of every page: which systems these are, what can be read of them, and the headline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import streamlit as st
from markupsafe import Markup

from lib.model.people import NO_LOGIN, Role
from lib.model.reading import Freshness, SourceError, SourceName, source_health
from lib.model.window import WindowSize
from lib.owner_summary import OwnerSummary
from lib.sources.sandbox_control import SandboxState
from lib.ui import action_dialog, labels, owner_view, runtime
from lib.ui import html_components as html
from lib.ui.guard import Viewer
from lib.ui.masking import outside, plain, plain_person
from lib.ui.next_step import next_step_button
from lib.ui.page_frame import (
    STATUS,
    View,
    chosen_window,
    current_journal_state,
    current_view,
    diagnosis_service,
    refresh_seconds,
)
from lib.ui.runtime import AppRuntime
from lib.ui.styles import draw, sharing

_PACES = (0.0, 1.0, 4.0, 30.0, 120.0)


def draw_header(viewer: Viewer, title: str) -> None:
    """Draw the header of the page `title`: one row, and the headline, which Status shows large."""
    played = runtime.app_runtime().sandbox()
    # The controls are drawn before the headline: it is about the window that they set.
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="header"):
        draw(html.page_title(title), narrow=True)
        _draw_sources()
        _draw_controls(viewer, played)
    if problem := st.session_state.pop("sandbox_problem", None):
        st.warning(plain(problem), icon=":material/warning:")
    _draw_headline(title)


def _draw_controls(viewer: Viewer, played: SandboxState | None) -> None:
    """Draw what a viewer can set, in one sheet. On a shared screen only the window, and the way out beside it."""
    if sharing():
        _draw_share_switch()
    else:
        action_dialog.draw_freeze_switch()
    with st.popover(f"View · {chosen_window()}", icon=":material/tune:", key="view_sheet"):
        st.segmented_control(
            "Window", list(WindowSize), default=WindowSize.DAY, required=True, key="window", bind="query-params"
        )
        if sharing():
            return
        _draw_share_switch()
        if diagnosis_service().settings.sandbox_url is not None:
            _draw_sandbox_controls(played, viewer)
        name = plain(NO_LOGIN) if viewer.email is None else f"{plain_person(viewer.email)} ({viewer.role})"
        st.badge(name, icon=":material/person:", color="gray")


def _draw_share_switch() -> None:
    st.toggle(
        "Share screen",
        key="share",
        bind="query-params",
        help="Larger, without controls, and without a single digit of a phone number.",
    )


def _draw_sandbox_controls(sandbox: SandboxState | None, viewer: Viewer) -> None:
    if sandbox is None:
        st.text("The sandbox's controls do not answer.")
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
        on_change=_play,
    )
    st.session_state["pace"] = sandbox.bookings_per_minute
    st.selectbox(
        "Pace",
        sorted({*_PACES, sandbox.bookings_per_minute}),
        format_func=lambda pace: f"{pace:g} bookings/min" if pace else "no new bookings",
        key="pace",
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
    st.caption(plain(sandbox.story))


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


def _draw_sources() -> None:
    """Draw which systems these are and what can be read of them, and keep it up to date."""

    @st.fragment(run_every=refresh_seconds())
    def live() -> None:
        draw(_source_bar(current_view()))

    live()


def _draw_headline(title: str) -> None:
    """Draw the headline and keep it up to date, in the browser's tab as well. On Status it leads to the next step."""
    large = title == STATUS

    @st.fragment(run_every=refresh_seconds())
    def live() -> None:
        view = current_view()
        owner = owner_view.owner_of(view)
        st.set_page_config(page_title=f"{view.diagnosis.headline.state.word} · {title} · Switchboard")
        draw(
            html.headline(
                view.diagnosis.headline,
                rests_on=_oldest_evidence(view),
                zone=view.zone,
                now=view.now,
                large=large,
                owner=owner,
                cause=view.diagnosis.likeliest,
            )
        )
        if large and not view.sharing:
            _draw_next_step(view, owner)

    live()


def _draw_next_step(view: View, owner: OwnerSummary) -> None:
    """Draw the one button, unless an action is under way already, and who was affected beside it."""
    with st.container(horizontal=True, vertical_alignment="center", gap="medium", key="under_headline"):
        state = current_journal_state()
        if not (state and state.busy):
            next_step_button(owner.next_step, key="next_step", primary=True)
        owner_view.draw_affected_line(view)


def _source_bar(view: View) -> Markup:
    return html.source_bar(
        html.place(sandbox=view.settings.sandbox_url is not None), (_source(view, name) for name in SourceName)
    )


def _source(view: View, name: SourceName) -> tuple[str, labels.Sign, str]:
    readings = view.snapshot.of(name)
    failed = (r.failure.sentence for r in readings if r.failure and r.freshness(view.now) is Freshness.FAILED)
    return labels.SOURCE[name], labels.of_source(source_health(readings, view.now)), next(failed, "")


# What is read every few seconds. Other readings are asked for more rarely, because they change more rarely.
_QUICK = timedelta(seconds=15)


def _oldest_evidence(view: View) -> datetime:
    """Return when the oldest data behind the headline was observed.

    Of what it rests on, the readings that follow the flow count: that a key sees every row is asked once a minute, and
    does not make the bookings that were just read a minute old. Only where none of them is among it, the others do.
    """
    because = set(view.diagnosis.headline.because)
    rests_on = {spec.rests_on for spec in view.diagnosis.answers if spec.id in because}
    readings = [reading for reading in view.snapshot.readings if reading.name in rests_on]
    quick = [reading for reading in readings if reading.budget <= 3 * _QUICK]
    return min(reading.observed_at for reading in quick or readings or view.snapshot.readings)
