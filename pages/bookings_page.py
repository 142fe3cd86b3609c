"""Bookings: how far each came, what happened to its text, and who was affected."""

from lib.ui.guard import guard

guard()

import pandas as pd
import streamlit as st

from lib.ui import affected_view, bookings_view, counts_view, tables
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw

# Nobody looks through a longer list; the address takes any booking of the window.
MAX_CHOICES = 500


def body(view: View) -> None:
    named = view.diagnosis.cached("named", lambda: bookings_view.of_window(view.facts))
    counts_view.draw_cut_note(view)
    people(view)
    if not panel(view, "By event", view.snapshot.pending_bookings) or named is None:
        return
    if named.empty:
        draw(html.nothing(f"No booking was initiated in {view.rows}."))
        return
    if view.snapshot.cut:
        counts_view.draw_event_counts(view)
    else:
        events = view.diagnosis.cached("per_event", lambda: bookings_view.per_event(named))
        tables.draw_table(view, events, tables.EVENTS, key="events", alt="How far the bookings of each event came.")
    st.subheader("Each booking", anchor=False)
    alt = "Bookings with what happened to the text of each."
    tables.draw_table(view, named, tables.PENDING, key="pending", alt=alt)
    one_booking(view, named)


def people(view: View) -> None:
    st.subheader("Who was affected", anchor=False)
    st.caption(
        f"People who asked to book in {view.window} and got no link that works. Whom to help first stands first."
    )
    found = affected_view.affected_or_reason(view)
    if found is not None:
        affected_view.draw_work_list(view, found, stories=True)


def one_booking(view: View, named: pd.DataFrame) -> None:
    # The address carries the id, not the label that a bound widget would write there.
    linked = st.session_state.setdefault("chosen", st.query_params.get("booking"))
    labels = view.diagnosis.cached("labels", lambda: bookings_view.booking_labels(named.head(MAX_CHOICES), view))
    chosen = st.selectbox(
        "Look at one booking",
        [None, *labels, *([linked] if linked and linked not in labels else [])],
        format_func=lambda id_: labels.get(id_, f"{id_[:8]} (not in this window)") if id_ else "None",
        placeholder="Choose a booking",
        key="chosen",
        on_change=link_to_chosen,
    )
    if chosen:
        draw(bookings_view.booking_card(named, chosen, view))


def link_to_chosen() -> None:
    if st.session_state["chosen"]:
        st.query_params["booking"] = st.session_state["chosen"]
    else:
        st.query_params.pop("booking", None)


draw_page(body)
