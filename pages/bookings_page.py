"""Bookings: how far each came, what happened to its text, and who was affected."""

from lib.ui.guard import guard

guard()

import pandas as pd
import streamlit as st

from lib.ui import affected_view, bookings_view, counts_view, html_components, tables
from lib.ui.page_frame import View, panel, show
from lib.ui.styles import draw

# Nobody looks through a longer list; the address takes any booking of the window.
MAX_CHOICES = 500


def body(view: View) -> None:
    named = view.diagnosis.cached("named", lambda: bookings_view.of_window(view.facts))
    counts_view.reach(view)
    people(view)
    if not panel(view, "By event", view.snapshot.pending_bookings) or named is None:
        return
    if named.empty:
        draw(html_components.nothing(f"No booking was initiated in {view.rows}."))
        return
    if view.snapshot.cut:
        counts_view.events(view)
    else:
        per_event = view.diagnosis.cached("per_event", lambda: bookings_view.per_event(named))
        table(view, per_event, tables.EVENTS, "events", "How far the bookings of each event came.")
    st.subheader("Each booking", anchor=False)
    table(view, named, tables.PENDING, "pending", "Bookings with what happened to the text of each.")
    one_booking(view, named)


def people(view: View) -> None:
    st.subheader("Who was affected", anchor=False)
    st.caption(
        f"People who asked to book in {view.window} and got no link that works. Whom to help first stands first."
    )
    found = affected_view.find_affected(view)
    if found is not None:
        affected_view.work_list(view, found, stories=True)


def one_booking(view: View, named: pd.DataFrame) -> None:
    # The address carries the id, not the label that a bound widget would write there.
    if "chosen" not in st.session_state:
        st.session_state["chosen"] = st.query_params.get("booking")
    linked = st.session_state["chosen"]
    titles = view.diagnosis.cached("titles", lambda: bookings_view.titles(named.head(MAX_CHOICES), view.zone))
    chosen = st.selectbox(
        "Look at one booking",
        [None, *titles, *([linked] if linked and linked not in titles else [])],
        format_func=lambda id_: titles.get(id_) or bookings_view.not_here(id_) if id_ else "None",
        placeholder="Choose a booking",
        key="chosen",
        on_change=link_to_chosen,
    )
    if chosen:
        draw(bookings_view.story(named, chosen, view.zone, view.now, sharing=view.sharing))


def link_to_chosen() -> None:
    if st.session_state["chosen"]:
        st.query_params["booking"] = st.session_state["chosen"]
    else:
        st.query_params.pop("booking", None)


def table(view: View, frame: pd.DataFrame, form: tables.Table, key: str, alt: str) -> None:
    tables.draw(frame, form, key=key, sharing=view.sharing, zone=view.settings.time_zone, alt=alt)


show(body)
