"""Bookings: who got no working link, how far each booking came, and what to do for whoever is chosen."""

from lib.ui.guard import guard

guard()

import pandas as pd
import streamlit as st

from lib.affected import Affected
from lib.ui import affected_view, bookings_view, counts_view, tables
from lib.ui import html_components as html
from lib.ui.page_frame import View, draw_page, panel
from lib.ui.styles import draw

PEOPLE, BOOKINGS, EVENTS = "People without a link", "All bookings", "By event"


def body(view: View) -> None:
    counts_view.draw_cut_note(view)
    st.subheader("Who was affected", anchor=False, help=f"Who asked to book in {view.window} and got no working link.")
    found = affected_view.affected_or_reason(view)
    if found is not None:
        affected_view.draw_summary(view, found)
    match bookings_view.chosen_list((PEOPLE, BOOKINGS, EVENTS), starts_with(found)):
        case "People without a link":
            people(view, found)
        case "By event":
            events(view)
        case _:
            each_booking(view)


def starts_with(found: Affected | None) -> str:
    """Return the list that is shown at first: the people, unless there are none or the address names a booking."""
    if found is None or not found.people:
        return BOOKINGS
    chosen = affected_view.chosen_booking()
    theirs = any(chosen in contact.booking_ids for contact in found.contacts)
    return PEOPLE if theirs or not chosen else BOOKINGS


def people(view: View, found: Affected | None) -> None:
    if found is None or not found.people:
        return
    named = view.diagnosis.cached("named", lambda: bookings_view.of_window(view.facts))

    def story(booking_id: str) -> None:
        if named is not None:
            draw(bookings_view.booking_card(named, booking_id, view))

    affected_view.draw_work_list(view, found, story=story)


def events(view: View) -> None:
    named = readable(view)
    if named is None:
        return
    if view.snapshot.cut:
        counts_view.draw_event_counts(view)
        return
    per_event = view.diagnosis.cached("per_event", lambda: bookings_view.per_event(named))
    tables.draw_table(view, per_event, tables.EVENTS, key="events", alt="How far the bookings of each event came.")


def each_booking(view: View) -> None:
    named = readable(view)
    if named is None:
        return
    chosen = affected_view.chosen_booking()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        tables.draw_choice(
            view,
            named,
            tables.PENDING,
            key="pending",
            alt="Bookings with how far each came, the newest first.",
            ids=list(named["id"]),
            chosen=chosen,
            on_choose=affected_view.choose_booking,
        )
    with right:
        if chosen:
            draw(bookings_view.booking_card(named, chosen, view))
        else:
            draw(html.nothing("Click a row to see what became of that booking."))


def readable(view: View) -> pd.DataFrame | None:
    """Return the bookings with the names of their events; None after saying why there are none to show."""
    named = view.diagnosis.cached("named", lambda: bookings_view.of_window(view.facts))
    if not panel(view, "Bookings", view.snapshot.pending_bookings) or named is None:
        return None
    if named.empty:
        draw(html.nothing(f"No booking was initiated in {view.rows}."))
        return None
    return named


draw_page(body)
