"""Hypotheses: the possible causes, each with its next step, and the evidence on both sides behind a click."""

from __future__ import annotations

import streamlit as st
from markupsafe import Markup

from lib.model.verdict import Check, Hypothesis, Verdict
from lib.ui import html_components, labels
from lib.ui.masking import outside
from lib.ui.page_frame import View
from lib.ui.styles import draw

_TO_ACT_ON = (Verdict.CONFIRMED, Verdict.LIKELY, Verdict.POSSIBLE)


def listed(view: View) -> None:
    """Draw the causes that the evidence leaves open, likeliest first, and the others folded away."""
    hypotheses = view.diagnosis.hypotheses
    if not hypotheses:
        return
    st.subheader("Why", anchor=False)
    open_ones = [item for item in hypotheses if item.verdict in _TO_ACT_ON]
    if not open_ones:
        ruled_out = sum(item.verdict is Verdict.RULED_OUT for item in hypotheses)
        draw(
            html_components.nothing(
                f"No cause stands out: {ruled_out} are ruled out, {len(hypotheses) - ruled_out} cannot be told."
            )
        )
    with st.grid(2, min_column_width=420):
        for item in open_ones:
            with st.container(gap="xsmall"):
                draw(html_components.hypothesis(item))
                _evidence(view, item)
                st.page_link(
                    "pages/handbook_page.py",
                    label="What to do: the runbook",
                    icon=":material/menu_book:",
                    query_params={"cause": item.id},
                )
    closed = [item for item in hypotheses if item.verdict not in _TO_ACT_ON]
    if closed:
        box = st.expander(
            f"Ruled out or cannot tell ({len(closed)})",
            icon=":material/rule:",
            key="other_causes",
            on_change="rerun",
            bind="query-params",
        )
        if box.open:
            with box:
                draw(html_components.join(_closed(view, item) for item in closed))


def _evidence(view: View, item: Hypothesis) -> None:
    box = st.expander(
        "For the engineer: evidence for and against",
        icon=":material/search:",
        key=f"cause_{item.id}",
        on_change="rerun",
        bind="query-params",
    )
    if box.open:
        with box:
            draw(
                html_components.facts(
                    (
                        ("In short", item.for_engineer),
                        ("For it", _checks(view, item.supports)),
                        ("Against it", _checks(view, item.refutes)),
                        ("Id", html_components.code(item.id)),
                    )
                )
            )


def _closed(view: View, item: Hypothesis) -> Markup:
    decisive = item.refutes if item.verdict is Verdict.RULED_OUT else (*item.supports, *item.refutes)
    body = html_components.facts((("In short", item.for_engineer), ("Because", _checks(view, decisive))))
    return html_components.card(item.title, body, sign=labels.VERDICT[item.verdict])


def _checks(view: View, ids: tuple[str, ...]) -> Markup:
    known = {check.id: check for check in view.diagnosis.checks}
    named = [known[check_id] for check_id in ids if check_id in known]
    return html_components.join(_line(check) for check in named) if named else Markup("nothing")


def _line(check: Check) -> Markup:
    return Markup("<div>{} {} <code>{}</code></div>").format(
        html_components.chip(labels.CHECK[check.status]), outside(check.summary), check.id
    )
