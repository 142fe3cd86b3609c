"""Texts: Twilio's log against the database, by status and error, with what to do about it and what it costs."""

from lib.ui.guard import guard

guard()

import pandas as pd
import streamlit as st

from lib.diagnosis import text_log
from lib.ui import action_buttons, charts, counts_view, html_components, tables, texts_view
from lib.ui.page_frame import View, panel, show
from lib.ui.styles import draw


def body(view: View) -> None:
    outbound = view.facts.outbound
    counts_view.reach(view)
    if panel(view, "Did they arrive?", view.snapshot.texts) and outbound is not None:
        if outbound.empty:
            draw(html_components.nothing(f"Twilio's log has no text to a customer in {view.rows}."))
        else:
            arrived(view, outbound)
            counted(view)
            recorded(view, outbound)
            nuisance(view)
    action_buttons.test_buttons(key="texts")
    money(view)
    alerts(view)


def arrived(view: View, outbound: pd.DataFrame) -> None:
    draw(html_components.numbers(texts_view.delivery_numbers(outbound)))
    statuses = view.diagnosis.cached("by_status", lambda: text_log.by_status(outbound))
    left, right = st.columns([2, 3], gap="large")
    with left:
        st.plotly_chart(
            charts.delivery(statuses), key="statuses", config=dict(charts.CONFIG), alt="Texts by Twilio's status."
        )
    with right:
        table(view, statuses, tables.STATUSES, "by_status", "Texts by status and error, with what to do.")


def counted(view: View) -> None:
    counts = view.facts.counts
    if view.snapshot.cut and counts is not None:
        st.subheader(f"In the database, over {view.window}", anchor=False)
        st.caption("Every text that messages has a row of, with the status that stands there.")
        statuses = text_log.counted_by_status(counts.texts)
        table(view, statuses, tables.STATUSES, "counted", "Texts in the database by status and error.")


def recorded(view: View, outbound: pd.DataFrame) -> None:
    snapshot = view.snapshot
    st.subheader("Does the database know them?", anchor=False)
    unread = view.cannot_tell(snapshot.messages, snapshot.pending_bookings)
    if unread is not None:
        draw(unread)
    draw(html_components.numbers(texts_view.recording_numbers(outbound, view.facts.unknown_to_twilio)))
    for key, title, meaning, rows in texts_view.to_look_at(view, outbound):
        if not rows.empty:
            st.subheader(f"{title} ({len(rows):,})", anchor=False)
            st.caption(meaning)
            table(view, rows, tables.TEXTS, key, f"{title} texts.")
    unknown_to_twilio = view.facts.unknown_to_twilio
    if unknown_to_twilio is not None and len(unknown_to_twilio):
        st.subheader(f"Phantom ({len(unknown_to_twilio):,})", anchor=False)
        st.caption("The database claims that they were sent, and Twilio does not know them.")
        table(view, pd.DataFrame({"sid": unknown_to_twilio}), tables.UNKNOWN_TO_TWILIO, "phantom", "Phantom texts.")


def nuisance(view: View) -> None:
    many = view.facts.over_sent
    st.subheader("Too many to one number", anchor=False)
    if many.empty:
        draw(html_components.nothing(f"Nobody, in {view.rows}."))
    else:
        table(view, many, tables.TOO_MANY, "over_sent", "Numbers with too many texts.")


def money(view: View) -> None:
    st.subheader("Cost and balance", anchor=False)
    draw(html_components.numbers(texts_view.money(view)))
    unread = view.cannot_tell(view.snapshot.balance)
    if unread is not None:
        draw(unread)


def alerts(view: View) -> None:
    if not panel(view, "Twilio's alerts", view.snapshot.alerts):
        return
    found = view.snapshot.alerts.value
    if found is None or found.empty:
        draw(html_components.nothing(f"None in {view.window}."))
    else:
        table(view, texts_view.newest_first(found), tables.ALERTS, "alerts", "Twilio's alerts, newest first.")


def table(view: View, frame: pd.DataFrame, form: tables.Table, key: str, alt: str) -> None:
    tables.draw(frame, form, key=key, sharing=view.sharing, zone=view.settings.time_zone, alt=alt)


show(body)
