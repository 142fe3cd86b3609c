"""Texts: Twilio's log against the database, by status and error, with what to do about it and what it costs."""

from lib.ui.guard import guard

guard()

import pandas as pd
import streamlit as st

from lib.diagnosis import text_log
from lib.ui import action_buttons, charts, counts_view, tables, texts_view
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw


def body(view: View) -> None:
    outbound = view.facts.outbound
    counts_view.draw_cut_note(view)
    if panel(view, "Did they arrive?", view.snapshot.texts) and outbound is not None:
        if outbound.empty:
            draw(html.nothing(f"Twilio's log has no text to a customer in {view.rows}."))
        else:
            arrived(view, outbound)
            counted(view)
            recorded(view, outbound)
            over_sent(view)
    action_buttons.draw_test_buttons(key="texts")
    money(view)
    alerts(view)


def arrived(view: View, outbound: pd.DataFrame) -> None:
    draw(html.numbers(texts_view.delivery_numbers(outbound)))
    statuses = view.diagnosis.cached("by_status", lambda: text_log.by_status(outbound))
    left, right = st.columns([2, 3], gap="large")
    with left:
        figure = charts.delivery(statuses)
        st.plotly_chart(figure, key="statuses", config=charts.CONFIG, alt="Texts by Twilio's status.")
    with right:
        alt = "Texts by status and error, with what to do."
        tables.draw_table(view, statuses, tables.STATUSES, key="by_status", alt=alt)


def counted(view: View) -> None:
    counts = view.facts.counts
    if view.snapshot.cut and counts is not None:
        st.subheader(f"In the database, over {view.window}", anchor=False)
        st.caption("Every text that messages has a row of, with the status that stands there.")
        statuses, alt = text_log.counted_by_status(counts.texts), "Texts in the database by status and error."
        tables.draw_table(view, statuses, tables.STATUSES, key="counted", alt=alt)


def recorded(view: View, outbound: pd.DataFrame) -> None:
    snapshot, unknown = view.snapshot, view.facts.unknown_to_twilio
    st.subheader("Does the database know them?", anchor=False)
    unread = view.cannot_tell(snapshot.messages, snapshot.pending_bookings)
    if unread is not None:
        draw(unread)
    draw(html.numbers(texts_view.recording_numbers(outbound, unknown)))
    for key, title, meaning, rows in texts_view.suspicious(view, outbound):
        if not rows.empty:
            st.subheader(f"{title} ({len(rows):,})", anchor=False)
            st.caption(meaning)
            tables.draw_table(view, rows, tables.TEXTS, key=key, alt=f"{title} texts.")
    if unknown is not None and len(unknown):
        st.subheader(f"Phantom ({len(unknown):,})", anchor=False)
        st.caption("The database claims that they were sent, and Twilio does not know them.")
        rows = pd.DataFrame({"sid": unknown})
        tables.draw_table(view, rows, tables.UNKNOWN_TEXTS, key="phantom", alt="Phantom texts.")


def over_sent(view: View) -> None:
    st.subheader("Too many to one number", anchor=False)
    found, nobody = view.facts.over_sent, f"Nobody, in {view.rows}."
    alt = "Numbers with too many texts."
    tables.draw_table(view, found, tables.TOO_MANY, key="over_sent", alt=alt, empty=nobody)


def money(view: View) -> None:
    st.subheader("Cost and balance", anchor=False)
    draw(html.numbers(texts_view.money(view)))
    if (unread := view.cannot_tell(view.snapshot.balance)) is not None:
        draw(unread)


def alerts(view: View) -> None:
    found = view.snapshot.alerts.value
    if panel(view, "Twilio's alerts", view.snapshot.alerts) and found is not None:
        rows, none, alt = texts_view.newest_first(found), f"None in {view.window}.", "Twilio's alerts, newest first."
        tables.draw_table(view, rows, tables.ALERTS, key="alerts", alt=alt, empty=none)


draw_page(body)
