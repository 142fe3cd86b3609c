"""Hypotheses: the possible causes, each with its next step, and the evidence on both sides behind a click."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from lib.model.verdict import Hypothesis, Verdict
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.page_frame import View, expander
from lib.ui.styles import draw

_TO_ACT_ON = (Verdict.CONFIRMED, Verdict.LIKELY, Verdict.POSSIBLE)


def draw_hypotheses(view: View) -> None:
    """Draw the causes that the evidence leaves open, likeliest first, and the others folded away."""
    hypotheses = view.diagnosis.hypotheses
    if not hypotheses:
        return
    st.subheader("Why", anchor=False)
    to_act_on = [item for item in hypotheses if item.verdict in _TO_ACT_ON]
    others = [item for item in hypotheses if item.verdict not in _TO_ACT_ON]
    if not to_act_on:
        ruled_out = sum(item.verdict is Verdict.RULED_OUT for item in others)
        unknown = len(others) - ruled_out
        draw(html.nothing(f"No cause stands out: {ruled_out} are ruled out, {unknown} cannot be told."))
    with st.grid(2, min_column_width=420):
        for item in to_act_on:
            with st.container(gap="xsmall"):
                draw(html.hypothesis(item))
                _draw_evidence(view, item)
                st.page_link(
                    "pages/handbook_page.py",
                    label="What to do: the runbook",
                    icon=":material/menu_book:",
                    query_params={"cause": item.id},
                )
    if others:
        label = f"Ruled out or cannot tell ({len(others)})"
        with expander(label, key="other_causes", icon=":material/rule:") as is_open:
            if is_open:
                draw(html.join(_other(view, item) for item in others))


def _draw_evidence(view: View, item: Hypothesis) -> None:
    label = "For the engineer: evidence for and against"
    with expander(label, key=f"cause_{item.id}", icon=":material/search:") as is_open:
        if is_open:
            rows: html.Rows = [
                ("In short", item.for_engineer),
                ("For it", _checks(view, item.supports)),
                ("Against it", _checks(view, item.refutes)),
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
