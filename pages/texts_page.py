"""Texts: how many arrived, the log of all with failures first, what they cost, and what Twilio warns of."""

from lib.ui.guard import guard

guard()

import pandas as pd
import streamlit as st

from lib.diagnosis import text_fates, text_log
from lib.diagnosis.facts import CannotTellError
from lib.ui import action_buttons, charts, counts_view, tables, texts_view
from lib.ui import html_components as html
from lib.ui.masking import outside
from lib.ui.page_frame import View, draw_page, expander, panel
from lib.ui.styles import draw


def body(view: View) -> None:
    outbound = view.facts.outbound
    counts_view.draw_cut_note(view)
    if panel(view, "Did they arrive?", view.snapshot.texts) and outbound is not None:
        unread = view.cannot_tell(view.snapshot.messages, view.snapshot.pending_bookings)
        if unread is not None:
            draw(unread)
        try:
            arrived(view)
            over_sent(view)
        except CannotTellError as error:
            draw(html.nothing(f"Cannot tell: {outside(str(error))}"))
        counted(view)
        unknown_to_twilio(view)
        by_status(view, outbound)
    action_buttons.draw_test_buttons(key="texts")
    money(view)
    alerts(view)


def arrived(view: View) -> None:
    totals = view.diagnosis.cached("text_totals", lambda: text_fates.totals(view.facts))
    tile = next((tile for tile in view.diagnosis.tiles if tile.id == "delivered"), None)
    draw(html.tile_and_numbers(tile, texts_view.numbers(view, totals)))
    rows = view.diagnosis.cached("text_log", lambda: texts_view.log(view.facts))
    if rows.empty:
        draw(html.nothing(f"No text was sent, and none was due, in {view.rows}."))
    else:
        log(view, rows)


def log(view: View, rows: pd.DataFrame) -> None:
    chosen_filter = st.segmented_control(
        "Which texts",
        texts_view.FILTERS,
        default=texts_view.ALL,
        key=texts_view.KEY,
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    shown = texts_view.filtered(rows, chosen_filter or texts_view.ALL)
    if shown.empty:
        draw(html.nothing(f"None of the {len(rows):,} texts is among these."))
        return
    chosen = texts_view.chosen_text()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        tables.draw_choice(
            view,
            shown,
            tables.TEXTS,
            key="text_log",
            alt="Texts that were sent or should have been, failures first.",
            ids=list(shown["id"]),
            chosen=chosen,
            on_choose=texts_view.choose_text,
        )
    with right:
        if chosen is None:
            draw(html.nothing("Click a row to see the whole story of that text."))
            return
        draw(texts_view.text_card(shown, chosen, view))
        booking = texts_view.booking_of(shown, chosen)
        if booking is not None:
            icon, query = ":material/event_seat:", {"booking": booking}
            st.page_link("pages/bookings_page.py", label="Its booking", icon=icon, query_params=query)


def counted(view: View) -> None:
    counts = view.facts.counts
    if view.snapshot.cut and counts is not None:
        st.subheader(f"In the database, over {view.window}", anchor=False)
        st.caption("Every text that messages has a row of, with the status that stands there.")
        statuses, alt = text_log.counted_by_status(counts.texts), "Texts in the database by status and error."
        tables.draw_table(view, statuses, tables.STATUSES, key="counted", alt=alt)


def by_status(view: View, outbound: pd.DataFrame) -> None:
    if outbound.empty:
        return
    with expander("By Twilio's status and error", key="by_status", icon=":material/bar_chart:") as is_open:
        if not is_open:
            return
        statuses = view.diagnosis.cached("by_status", lambda: text_log.by_status(outbound))
        left, right = st.columns([2, 3], gap="large")
        with left:
            figure = charts.delivery(statuses)
            st.plotly_chart(figure, key="statuses", config=charts.CONFIG, alt="Texts by Twilio's status.")
        with right:
            alt = "Texts by status and error, with what to do."
            tables.draw_table(view, statuses, tables.STATUSES, key="statuses_table", alt=alt)


def unknown_to_twilio(view: View) -> None:
    unknown = view.facts.unknown_to_twilio
    if unknown is not None and len(unknown):
        st.subheader(f"Unknown to Twilio ({len(unknown):,})", anchor=False)
        st.caption("The database says that they were sent, and Twilio does not know them.")
        rows, alt = pd.DataFrame({"sid": unknown}), "Texts that Twilio does not know."
        tables.draw_table(view, rows, tables.UNKNOWN_TO_TWILIO, key="unknown_texts", alt=alt)


def over_sent(view: View) -> None:
    found = view.facts.over_sent
    if found.empty:
        return
    st.subheader(f"Too many to one number ({len(found):,})", anchor=False)
    alt = "Numbers with too many texts."
    tables.draw_table(view, found, tables.TOO_MANY, key="over_sent", alt=alt)


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
