"""Checks with their evidence behind one click, grouped by the hop that they are about."""

from __future__ import annotations

from collections.abc import Iterable

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.model.verdict import Check, CheckStatus, Hop
from lib.ui import html_components, labels
from lib.ui.masking import plain
from lib.ui.page_frame import View
from lib.ui.styles import draw

_ICONS = {
    CheckStatus.OK: ":material/check_circle:",
    CheckStatus.WARN: ":material/warning:",
    CheckStatus.FAIL: ":material/cancel:",
    CheckStatus.CANNOT_TELL: ":material/help:",
    CheckStatus.NOT_APPLICABLE: ":material/remove:",
}
_COLOURS = {
    CheckStatus.OK: "green",
    CheckStatus.WARN: "orange",
    CheckStatus.FAIL: "red",
    CheckStatus.CANNOT_TELL: "gray",
    CheckStatus.NOT_APPLICABLE: "gray",
}


def by_hop(view: View, checks: Iterable[Check]) -> None:
    """Draw `checks` under their hops, in the order of the flow. Which ones are open stands in the address."""
    of_hop: dict[Hop, list[Check]] = {hop: [] for hop in Hop}
    for check in checks:
        of_hop[check.hop].append(check)
    for hop, group in of_hop.items():
        if group:
            st.markdown(f"**{plain(labels.HOP[hop])}**")
            listed(view, group)


def listed(view: View, checks: Iterable[Check], *, within: str = "") -> None:
    """Draw `checks` one under the other. `within` names the place where a page shows the same check twice."""
    with st.container(gap="xsmall"):
        for check in checks:
            one(view, check, within=within)


def one(view: View, check: Check, *, within: str = "") -> None:
    """Draw one check: the question and its answer, and on a click what it rests on."""
    sign = labels.CHECK[check.status]
    label = f":{_COLOURS[check.status]}-badge[{sign.word}] **{plain(check.question)}** {plain(check.summary)}"
    # With state tracking a closed one is not drawn at all: what is not open is not sent.
    key = f"check_{within}{check.id}"
    box = st.expander(label, icon=_ICONS[check.status], key=key, on_change="rerun", bind="query-params")
    if box.open:
        with box:
            draw(_inside(view, check))


def _inside(view: View, check: Check) -> Markup:
    page_view = formatting.time_and_age(check.observed_at, view.zone, view.now) if check.observed_at else ""
    source = labels.SOURCE[check.source] if check.source else ""
    rows: list[tuple[str, str | Markup]] = [
        ("Evidence", html_components.bullets(check.evidence) if check.evidence else "none"),
        ("Would change it", check.would_change),
        ("Observed", ", ".join(filter(None, (source, page_view)))),
        ("Id", html_components.code(check.id)),
    ]
    return html_components.facts((name, value) for name, value in rows if value)


def of_status(checks: Iterable[Check], *statuses: CheckStatus) -> tuple[Check, ...]:
    """Return the checks with one of `statuses`, in the order of `statuses`."""
    return tuple(check for status in statuses for check in checks if check.status is status)
