"""When did it break? One bar per hop over time, what was changed above them, and the way to each hop's evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from lib.diagnosis.hop_history import BinState, HopHistory, hop_histories, when_it_broke
from lib.diagnosis.hops import DECISIVE
from lib.diagnosis.timeline import MarkKind
from lib.model.verdict import Hop
from lib.ui import charts, incidents_view, labels
from lib.ui.first_frame import draw_chart
from lib.ui.page_frame import View

# The words to the colours, patterns and glyphs of the bars, and to the marks above them.
_LEGEND: Final = (
    ":green-badge[✓ good]",
    ":orange-badge[! some failed, striped]",
    ":red-badge[✕ bad, crossed]",
    ":gray-badge[nothing to judge, pale]",
    ":gray-badge[? unknown, dotted]",
)
_MARKS: Final[Mapping[MarkKind, str]] = {
    MarkKind.DEPLOYMENT: "▼",
    MarkKind.ROLLBACK: "▲",
    MarkKind.MIGRATION: "■",
    MarkKind.INCIDENT: "★",
    MarkKind.ACTION: "●",
}
# So many of the newest bins of a bar are said where it cannot be seen.
_SAID = 4
SHARED_HEIGHT: Final = 228  # pixels, on a shared screen


def draw_hop_history(view: View) -> None:
    """Draw the bars, the answer beside the question, and the links below. Links are no part of a shared screen."""
    histories = view.diagnosis.cached("hop_history", lambda: hop_histories(view.facts, view.diagnosis.answers))
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="when_it_broke"):
        st.subheader("When did it break?", anchor=False, width="content")
        st.markdown(_answer(view, histories), width="content")
    marks = incidents_view.timeline_marks(view)
    figure = view.diagnosis.cached(("hop_history", marks), lambda: charts.hop_history(histories, marks, view.zone))
    alt = " ".join(_said(view, history) for history in histories)
    draw_chart(figure, key="hop_history", alt=alt, height=SHARED_HEIGHT if view.sharing else None)
    kinds = [kind for kind in MarkKind if any(mark.kind is kind for mark in marks)]
    st.markdown(" ".join((*_LEGEND, *(f":blue-badge[{_MARKS[kind]} {kind}]" for kind in kinds))))
    if not view.sharing:
        _draw_links()


def _answer(view: View, histories: Sequence[HopHistory]) -> str:
    """Return the answer in a sentence: no exacter than the bars."""
    broke = when_it_broke(tuple(histories))
    if broke is not None:
        history, first = broke
        name, when = labels.HOP[history.hop], view.local_time(first.start)
        if first.start == history.bins[0].start:
            return f"**{name}** has been bad at least since {when}, the start of {view.window}."
        return f"**{name}** turned bad between {when} and {view.local_time(first.end)}, and is still bad."
    if all(one.state in (BinState.NOTHING, BinState.UNKNOWN) for history in histories for one in history.bins):
        return f"Nothing in {view.window} can be judged."
    return f"No hop that can be judged is bad now. Times are those of {view.settings.time_zone}."


def _said(view: View, history: HopHistory) -> str:
    runs = history.runs
    said = ", ".join(f"{run.state} from {view.local_time(run.start)}" for run in runs[-_SAID:])
    earlier = "… " if len(runs) > _SAID else ""
    return f"{labels.HOP[history.hop]}: {earlier}{said}."


def _draw_links() -> None:
    """Draw a link from each hop to the check that decides about it, opened, with its evidence."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="hop_evidence"):
        st.caption("Evidence", width="content")
        for hop in (hop for hop in Hop if hop is not Hop.VISIBILITY):
            st.page_link(
                "pages/systems_page.py",
                label=labels.HOP[hop],
                query_params={f"hop_{hop.value}": "true", f"check_{DECISIVE[hop].id}": "true"},
            )
