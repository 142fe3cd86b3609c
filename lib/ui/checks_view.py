"""Checks: each with its evidence behind a click."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import streamlit as st
from markupsafe import Markup

from lib import formatting
from lib.model.verdict import Check, CheckStatus, Hop
from lib.ui import html_components as html
from lib.ui import labels
from lib.ui.masking import plain
from lib.ui.page_frame import View, expander
from lib.ui.styles import draw

# What needs somebody's attention stands first.
WORST_FIRST = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.CANNOT_TELL, CheckStatus.OK, CheckStatus.NOT_APPLICABLE)
# The icon of a check, and the colour of its badge.
_LOOK = {
    CheckStatus.OK: ("check_circle", "green"),
    CheckStatus.WARN: ("warning", "orange"),
    CheckStatus.FAIL: ("cancel", "red"),
    CheckStatus.CANNOT_TELL: ("help", "gray"),
    CheckStatus.NOT_APPLICABLE: ("remove", "gray"),
}


def draw_by_hop(view: View, checks: Iterable[Check]) -> None:
    """Draw `checks` under their hops, in the order of the flow."""
    checks = tuple(checks)
    for hop in Hop:
        if group := [check for check in checks if check.hop is hop]:
            st.markdown(f"**{plain(labels.HOP[hop])}**")
            draw_checks(view, group)


def counts(checks: Iterable[Check]) -> Counter[CheckStatus]:
    """Return how many of `checks` have each status; none counts as zero."""
    return Counter(check.status for check in checks)


def counted(found: Counter[CheckStatus], status: CheckStatus) -> str:
    """Say how many checks have this status: "5 failed"."""
    word = {CheckStatus.OK: "fine", CheckStatus.FAIL: "failed"}.get(status, labels.CHECK[status].word)
    return formatting.counted(found[status], "warning") if status is CheckStatus.WARN else f"{found[status]:,} {word}"


def draw_folded(view: View, checks: Iterable[Check]) -> None:
    """Draw one line per hop with how many of its checks have which answer; the checks open under it."""
    checks = tuple(checks)
    with st.container(gap="xsmall"):
        for hop in Hop:
            group = [check for check in checks if check.hop is hop]
            if not group:
                continue
            found = counts(group)
            worst = next(status for status in WORST_FIRST if found[status])
            said = " ".join(f":{_LOOK[one][1]}-badge[{counted(found, one)}]" for one in WORST_FIRST if found[one])
            icon = f":material/{_LOOK[worst][0]}:"
            linked = any(f"check_{check.id}" in st.query_params for check in group)
            label = f"**{plain(labels.HOP[hop])}** {said}"
            with expander(label, key=f"hop_{hop}", icon=icon, expanded=linked) as is_open:
                if is_open:
                    draw_checks(view, with_status(group, *WORST_FIRST))


def draw_checks(view: View, checks: Iterable[Check], *, within: str = "") -> None:
    """Draw `checks` one under the other. `within` names the place where a page shows the same check twice."""
    with st.container(gap="xsmall"):
        for check in checks:
            icon, colour = _LOOK[check.status]
            badge = f":{colour}-badge[{labels.CHECK[check.status].word}]"
            label = f"{badge} **{plain(check.question)}** {plain(check.summary)}"
            with expander(label, key=f"check_{within}{check.id}", icon=f":material/{icon}:") as is_open:
                if is_open:
                    draw(_evidence(view, check))


def draw_lines(checks: Iterable[Check]) -> None:
    """Draw `checks` one line each, with what they found; the evidence is on Systems."""
    lines = ((labels.CHECK[check.status], f"{check.question} {check.summary}") for check in checks)
    draw(html.signed(lines))


def draw_summary(view: View, checks: Iterable[Check]) -> None:
    """Draw how many of `checks` are fine, with what they say behind a click; the evidence of each is on Systems."""
    checks = tuple(checks)
    counts = {status: sum(check.status is status for check in checks) for status in CheckStatus}
    fine = formatting.counted(counts[CheckStatus.OK], "check is fine", "checks are fine")
    unknown, apart = counts[CheckStatus.CANNOT_TELL], counts[CheckStatus.NOT_APPLICABLE]
    others = (
        f"{unknown:,} cannot be told" if unknown else "",
        formatting.counted(apart, "does not apply", "do not apply") if apart else "",
    )
    label = " · ".join(filter(None, (fine, *others)))
    with expander(label, key="fine_checks", icon=":material/done_all:") as is_open:
        if is_open:
            shown = with_status(checks, CheckStatus.CANNOT_TELL, CheckStatus.OK, CheckStatus.NOT_APPLICABLE)
            draw(html.join(html.check_line(labels.CHECK[one.status], one.summary, one.id) for one in shown))
            st.page_link("pages/systems_page.py", label="All with their evidence", icon=":material/fact_check:")


def _evidence(view: View, check: Check) -> Markup:
    observed = (
        labels.SOURCE[check.source] if check.source else "",
        view.time_and_age(check.observed_at) if check.observed_at else "",
    )
    rows: html.Rows = [
        ("Evidence", html.bullets(check.evidence) if check.evidence else "none"),
        ("Would change it", check.would_change),
        ("Observed", ", ".join(filter(None, observed))),
        ("Id", html.code(check.id)),
    ]
    return html.facts((name, value) for name, value in rows if value)


def with_status(checks: Iterable[Check], *statuses: CheckStatus) -> tuple[Check, ...]:
    """Return the checks with one of `statuses`, in the order of `statuses`."""
    checks = tuple(checks)
    return tuple(check for status in statuses for check in checks if check.status is status)
