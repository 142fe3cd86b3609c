"""Where rows are too many to read: what is read row by row, what is counted, and how to have more counted."""

from __future__ import annotations

import streamlit as st

from lib.affected import NO_EVENT
from lib.diagnosis.journeys import Stage
from lib.sources.booking_data import MAX_ROWS
from lib.ui import html_components as html
from lib.ui import tables
from lib.ui.action_dialog import action_button, may_act
from lib.ui.masking import plain
from lib.ui.page_frame import View, panel
from lib.ui.styles import draw


def draw_cut_note(view: View) -> None:
    """Draw the line that says which part of the window is rows, and which the database counted. Mostly none."""
    snapshot = view.snapshot
    if snapshot.cut:
        since = view.time_and_age(snapshot.rows_since)
        note = (
            f"There is too much in {view.window} to read row by row. Verdicts, lists and Twilio's log are of the "
            f"newest rows, since {since}; what stands for the whole window was counted in the database."
        )
        st.caption(plain(note))


def draw_event_counts(view: View) -> None:
    """Draw how far the bookings of each event came, as the database counted them."""
    counts = view.facts.counts
    if counts is None:
        draw(view.cannot_tell(view.snapshot.counts) or html.nothing("The database was not asked to count."))
        return
    known = view.facts.rows(view.snapshot.events)
    names = {} if known is None else dict(zip(known["id"], known["name"], strict=True))
    frame = counts.events.assign(
        event_name=counts.events["event_id"].map(lambda event: names.get(event, NO_EVENT)),
        **{Stage.ACCEPTED: counts.events[["stored", "confirmed"]].max(axis=1)},
    )
    alt = "How far the bookings of each event came, as the database counted them."
    tables.draw_table(view, frame, tables.EVENTS, key="counted_events", alt=alt)
    st.caption(
        "Accepted: at least so many, for their texts are stored. Delivered and opened were not counted by event."
    )


def draw_counting(view: View) -> None:
    """Draw whether the database counts for Switchboard, how to let it, and which indexes would make it quicker."""
    if not panel(view, "Counting in the database", view.snapshot.counts):
        return
    counts = view.snapshot.counts.value
    if counts is None:
        sentence = (
            "The reporting functions are not installed: every window is read row by row, and at most "
            f"{MAX_ROWS:,} rows of a table. That is plenty for a few bookings a day."
        )
        draw(html.nothing(sentence))
        if may_act():
            action_button("install_reporting", {}, "Install the reporting functions", key="install_reporting")
        return
    draw(html.nothing("The reporting functions are installed: of very many rows only the newest are read."))
    if counts.index_proposals:
        st.caption(
            "Proposed, and never done by Switchboard: these columns are searched by and no index begins with them. "
            "Run the statements when the database is quiet."
        )
        st.code("\n".join(counts.index_proposals), language="sql")
