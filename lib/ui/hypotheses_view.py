"""Hypotheses: one card for each cause with what follows from it, and the evidence on both sides behind a click."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from lib.diagnosis.causes import OPEN, Cause
from lib.model.task import Task
from lib.model.verdict import Hypothesis, Verdict
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.next_step import next_step_button
from lib.ui.page_frame import View, expander
from lib.ui.styles import draw


def draw_causes(view: View, causes: tuple[Cause, ...], tasks: tuple[Task, ...]) -> None:
    """Draw the causes that the evidence leaves open, the likeliest first."""
    hypotheses = view.diagnosis.hypotheses
    st.subheader("Why", anchor=False)
    if not causes:
        ruled_out = sum(item.verdict is Verdict.RULED_OUT for item in hypotheses)
        unknown = len(hypotheses) - ruled_out
        draw(html.nothing(f"No cause stands out: {ruled_out} are ruled out, {unknown} cannot be told."))
    for cause in causes:
        with st.container(gap="xsmall"):
            _draw_cause(view, cause, tasks)


def draw_others(view: View) -> None:
    """Draw the causes that are ruled out or cannot be told, folded away."""
    others = [item for item in view.diagnosis.hypotheses if item.verdict not in OPEN]
    if others:
        label = f"Ruled out or cannot tell ({len(others)})"
        with expander(label, key="other_causes", icon=":material/rule:") as is_open:
            if is_open:
                draw(html.join(_other(view, item) for item in others))


def _draw_cause(view: View, cause: Cause, tasks: tuple[Task, ...]) -> None:
    item = cause.hypothesis
    ids = {item.id, *(one.id for one in cause.consequences)}
    step = next((task for task in tasks if task.cause in ids and not task.meanwhile), None)
    draw(html.cause(item, cause.consequences, "" if step else item.remedy.message))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        next_step_button(step, key=f"cure_{item.id}")
        _draw_evidence(view, cause)
        about = {"cause": item.id}
        st.page_link("pages/handbook_page.py", label="Runbook", icon=":material/menu_book:", query_params=about)


def _draw_evidence(view: View, cause: Cause) -> None:
    item = cause.hypothesis
    icon = ":material/search:"
    box = st.popover("Evidence", key=f"cause_{item.id}", icon=icon, type="tertiary", on_change="rerun")
    if box.open:
        with box:
            told = {*item.supports, *item.refutes}
            rows: html.Rows = [
                ("In short", item.for_engineer),
                ("For it", _checks(view, item.supports)),
                ("Against it", _checks(view, item.refutes)),
                ("Explained by it", _checks(view, tuple(one.id for one in cause.explains if one.id not in told))),
                ("Id", html.code(item.id)),
            ]
            draw(html.facts(rows))


def _other(view: View, item: Hypothesis) -> Markup:
    decisive = item.refutes if item.verdict is Verdict.RULED_OUT else (*item.supports, *item.refutes)
    body = html.facts((("In short", item.for_engineer), ("Because", _checks(view, decisive))))
    return html.card(item.title, body, sign=labels.VERDICT[item.verdict])


def _checks(view: View, ids: tuple[str, ...]) -> Markup:
    known = {check.id: check for check in view.diagnosis.checks}
    found = [known[check_id] for check_id in ids if check_id in known]
    lines = (html.check_line(labels.CHECK[check.status], check.summary, check.id) for check in found)
    return html.join(lines) if found else html.text("nothing")
