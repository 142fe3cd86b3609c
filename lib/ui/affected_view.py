"""Who was affected: how many, and the people as a list with what can be done for whoever is chosen beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

import pandas as pd
import streamlit as st
from markupsafe import Markup

from lib import affected as affected_
from lib.actions.booking_actions import RESENDS_AT_ONCE
from lib.affected import (
    NO_EVENT,
    REASON_LABELS,
    RESEND,
    RESEND_MANY,
    STATE_LABELS,
    Affected,
    Contact,
    Person,
    PersonState,
    TimeRange,
)
from lib.diagnosis.error_codes import explain
from lib.diagnosis.facts import CannotTellError
from lib.formatting import counted
from lib.journal.entry import FollowUp
from lib.model.people import Actor
from lib.model.window import WindowSize
from lib.ui import action_dialog, labels, tables
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.masking import outside, phone, plain
from lib.ui.page_frame import View, cached_with_journal, current_journal_state, diagnosis_service
from lib.ui.styles import draw


def affected_in_window(view: View) -> Affected | None:
    """Return who was affected over the window; None where that cannot be told."""
    try:
        return _affected(view, view.snapshot.window.start)
    except CannotTellError:
        return None


def affected_or_reason(view: View, time_range: TimeRange | None = None) -> Affected | None:
    """Return who was affected over `time_range` or the window; None after drawing why that cannot be told."""
    unread = view.cannot_tell(view.snapshot.pending_bookings, view.snapshot.texts)
    if unread is not None:
        draw(unread)
        return None
    start = view.snapshot.window.start
    try:
        return _affected(view, min(time_range.since, start) if time_range else start, time_range)
    except CannotTellError as error:
        draw(html.nothing(f"Cannot tell: {outside(str(error))}"))
        return None


def _affected(view: View, since: datetime, time_range: TimeRange | None = None) -> Affected:
    """Return who was affected, with what the journal says was done for them since. Raises `CannotTellError`."""
    key = ("affected", since, time_range)

    def find(record: affected_.FollowUpRecord) -> Affected:
        return affected_.affected(view.facts, record, time_range)

    found = cached_with_journal(view, key, lambda journal: find(affected_.follow_ups_of(journal, since)))
    return found or view.diagnosis.cached(key, lambda: find(affected_.NO_FOLLOW_UPS))


def view_since(view: View, since: datetime) -> View:
    """Return the view of a window that reaches back to `since`, if there is one: the present one where it does."""
    if since >= view.snapshot.window.start:
        return view
    return View(diagnosis_service().diagnosis(WindowSize.reaching(since, view.now)), view.settings, view.sharing)


def draw_summary(view: View, found: Affected) -> None:
    """Draw how many people there are, how far helping them is, and the button that helps all of them at once."""
    if not found.people:
        draw(html.nothing(found.message))
    else:
        left, right = st.columns([3, 2], vertical_alignment="center", gap="small")
        with left:
            draw(html.people(found.summary, _seats(found), waiting=bool(found.to_do)))
        with right:
            draw_resend_button(found)
    for sentence in found.unknown:
        st.caption(f"There may be more: {plain(sentence)}")
    if found.people and current_journal_state() is None:
        st.caption("Without the journal it is not known who was called or gave up.")


def _seats(found: Affected) -> str:
    if found.seats.estimate is None:
        return f"Seats at stake: {found.seats.how[:1].lower()}{found.seats.how[1:]}"
    return f"Seats at stake: about {found.seats.estimate:,}. {found.seats.how}"


def draw_resend_button(found: Affected) -> None:
    """Draw the button that sends everybody who still has to be helped a new link, as many as may be sent at once."""
    first = found.to_do[:RESENDS_AT_ONCE]
    if len(first) < 2:
        return  # one person is helped by the button beside them
    more = len(found.to_do) > len(first)
    label = f"Send a new link to the first {len(first)}" if more else f"Send a new link to all {len(first)}"
    bookings = ",".join(contact.first.booking_id for contact in first)
    action_dialog.action_button(RESEND_MANY, {"bookings": bookings}, label, key="resend_all", primary=True)


def draw_work_list(
    view: View, found: Affected, *, incident_id: UUID | None = None, story: Callable[[str], None] | None = None
) -> None:
    """Draw the people as a table, whom to help first at the top, and whoever is chosen beside it.

    `story` draws what became of one booking.
    """
    contacts = found.contacts
    if not contacts:
        return
    current = next((one for one in contacts if chosen_booking() in one.booking_ids), contacts[0])
    left, right = st.columns([3, 2], gap="medium")
    with left:
        tables.draw_choice(
            view,
            _frame(contacts),
            tables.PEOPLE,
            key="people",
            alt="People without a working link, whom to help first at the top.",
            ids=[contact.first.booking_id for contact in contacts],
            chosen=current.first.booking_id,
            on_choose=choose_booking,
        )
    with right:
        _draw_contact(view, current, incident_id)
        if story is not None:
            story(current.first.booking_id)


def _frame(contacts: Sequence[Contact]) -> pd.DataFrame:
    """Return the people as rows for `tables.PEOPLE`."""
    return pd.DataFrame(
        [
            {
                "state": contact.state,
                "number": contact.first.mobile_number,
                "event": _events(contact),
                "asked_at": contact.first.asked_at,
                "seats": contact.seats,
                "why": _why(contact.first),
            }
            for contact in contacts
        ]
    ).astype({"seats": "Int64"})


def _events(contact: Contact) -> str:
    first = contact.first
    more = f" and {len(contact.requests) - 1} more" if len(contact.requests) > 1 else ""
    return f"{' '.join(filter(None, (first.event_name or NO_EVENT, first.event_at)))}{more}"


def _why(person: Person) -> str:
    why = REASON_LABELS[person.why]
    if person.error_code is None:
        return why
    return f"{why}: {explain(person.error_code).meaning} ({person.error_code})"


def _draw_contact(view: View, contact: Contact, incident_id: UUID | None) -> None:
    """Draw one person with everything they asked for, and what can be done for them."""
    number = phone(contact.first.mobile_number, sharing=view.sharing)
    body = html.join([_request(view, person) for person in contact.requests])
    draw(html.card(number, body, sign=labels.PERSON[contact.state]))
    if contact.state is PersonState.BOOKED or not action_dialog.may_act():
        return
    booking = contact.first.booking_id
    with st.container(horizontal=True, gap="small", key=f"help_{booking}"):
        action_dialog.action_button(RESEND, {"booking": booking}, "Send a new link", key=f"resend_{booking}")
        marks = [("Called", FollowUp.CALLED), ("Gave up", FollowUp.GAVE_UP)]
        if contact.state in (PersonState.CALLED, PersonState.GAVE_UP):
            marks = [("Undo", FollowUp.NOTHING)]
        bookings = tuple(person.booking_id for person in contact.requests)
        for label, state in marks:
            given = (bookings, state, incident_id)
            st.button(label, key=f"{state}_{booking}", on_click=record_follow_up, args=given)


def _request(view: View, person: Person) -> Markup:
    event = " ".join(filter(None, (person.event_name or NO_EVENT, person.event_at)))
    seats = "seats not said" if person.seats is None else counted(person.seats, "seat")
    again = f", {len(person.booking_ids)} times" if len(person.booking_ids) > 1 else ""
    asked = f"asked {view.time_and_age(person.asked_at)}{again}"
    body = html.paragraph(html.text("{} · {} · {}", html.bold(event), seats, asked))
    body += html.paragraph(_why(person)[:1].upper() + _why(person)[1:] + ".")
    if person.state_at is not None:
        when = view.time_and_age(person.state_at)
        by = html.by(when, person.state_by.name) if person.state_by else when
        body += html.detail(html.text("{}: {}", STATE_LABELS[person.state], by))
    return body


def record_follow_up(booking_ids: Sequence[str], state: FollowUp, incident_id: UUID | None) -> None:
    """Record that somebody was called or gave up, for each of their requests, in the given incident or the open one."""

    def record(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        about = incident_id or (incident.id if incident else None)
        for booking_id in booking_ids:
            affected_.follow_up(action_service.journal, booking_id, state, actor, about)

    action_dialog.as_operator(record)


def chosen_booking() -> str:
    """Return the id of the booking that is looked at; the address names it at first."""
    return str(st.session_state.setdefault("chosen", st.query_params.get("booking")) or "")


def choose_booking(booking_id: str | None) -> None:
    """Look at one booking, or at none; the address keeps which."""
    st.session_state["chosen"] = booking_id
    if booking_id:
        st.query_params["booking"] = booking_id
    else:
        st.query_params.pop("booking", None)
