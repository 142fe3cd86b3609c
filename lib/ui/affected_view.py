"""Who was affected: how many, and the work list with what can be done for each person beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import streamlit as st
from markupsafe import Markup

from lib import affected as affected_
from lib.affected import NO_EVENT, REASON_LABELS, RESEND, STATE_LABELS, Affected, Person, PersonState, TimeRange
from lib.diagnosis.error_codes import explain
from lib.diagnosis.facts import CannotTellError
from lib.formatting import counted
from lib.journal.entry import FollowUp
from lib.model.people import Actor
from lib.model.window import WindowSize
from lib.ui import action_dialog
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, phone, plain
from lib.ui.page_frame import View, cached_with_journal, current_journal_state, diagnosis_service
from lib.ui.styles import draw

PAGE_LENGTH = 10
SIGNS: Final[Mapping[PersonState, Sign]] = {
    state: Sign(STATE_LABELS[state], glyph, tone)
    for state, glyph, tone in (
        (PersonState.NOTHING, "○", Tone.WARN),
        # A link on its way is no booking, so neither is green.
        (PersonState.RE_SENT, "→", Tone.QUIET),
        (PersonState.CALLED, "✆", Tone.QUIET),
        (PersonState.GAVE_UP, "–", Tone.QUIET),
        (PersonState.BOOKED, "✓", Tone.GOOD),
    )
}


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


def draw_affected_count(view: View) -> None:
    """Draw the count in a line, with a link to the list."""
    st.subheader("Who was affected", anchor=False)
    found = affected_or_reason(view)
    if found is None:
        return
    if not found.people:
        draw(html.nothing(found.message))
        return
    waiting = len(found.to_do)
    sign = Sign(f"{waiting:,} still to help", "!", Tone.WARN) if waiting else Sign("all seen to", "✓", Tone.QUIET)
    draw(html.card(found.message, html.paragraph(found.seats.how), sign=sign))
    st.page_link("pages/bookings_page.py", label="Who they are, and what to do for each", icon=":material/event_seat:")


def draw_work_list(view: View, found: Affected, *, stories: bool, incident_id: UUID | None = None) -> None:
    """Draw the counts and the people, whom to help first at the top. `stories`: the page shows one booking's story."""
    draw(html.numbers(_numbers(found)) if found.people else html.nothing(found.message))
    for sentence in found.unknown:
        st.caption(plain(sentence))
    if not found.people:
        return
    chosen = str(st.session_state.get("chosen") or st.query_params.get("booking") or "")
    for person in _people_of_page(found, chosen):
        _draw_person(view, person, chosen=chosen in person.booking_ids, stories=stories, incident_id=incident_id)
    if current_journal_state() is None:
        st.caption("Without the journal it is not known who was called or gave up.")


def _numbers(found: Affected) -> list[tuple[str, str, str]]:
    seats, count = found.seats, f"{'≥ ' if found.at_least else ''}{found.count:,}"
    return [
        ("Without a working link", count, f"{'person' if found.count == 1 else 'people'} who asked to book"),
        ("Still to help", f"{len(found.to_do):,}", "for whom nothing was done yet"),
        ("Seats at stake", "unknown" if seats.estimate is None else f"about {seats.estimate:,}", seats.how),
    ]


def _people_of_page(found: Affected, chosen: str) -> tuple[Person, ...]:
    """Return the people of the page that is shown; at first the one with the booking that the address names."""
    pages = -(-len(found.people) // PAGE_LENGTH)
    if pages < 2:
        return found.people
    place = next((at for at, person in enumerate(found.people) if chosen in person.booking_ids), 0)
    if not 1 <= int(st.session_state.get("people_page") or 0) <= pages:
        st.session_state.pop("people_page", None)
    first = (st.pagination(pages, default=place // PAGE_LENGTH + 1, key="people_page") - 1) * PAGE_LENGTH
    last = min(first + PAGE_LENGTH, len(found.people))
    st.caption(f"{first + 1:,} to {last:,} of {len(found.people):,}")
    return found.people[first:last]


def _draw_person(view: View, person: Person, *, chosen: bool, stories: bool, incident_id: UUID | None) -> None:
    booking = person.booking_id
    left, right = st.columns([3, 2], vertical_alignment="center", gap="small")
    with left:
        draw(_person_card(view, person, chosen=chosen))
    with right, st.container(horizontal=True, gap="small", key=f"help_{booking}"):
        if person.state is not PersonState.BOOKED and action_dialog.may_act():
            action_dialog.action_button(RESEND, {"booking": booking}, "Send a new link", key=f"resend_{booking}")
            marks = [("Called", FollowUp.CALLED), ("Gave up", FollowUp.GAVE_UP)]
            if person.state in (PersonState.CALLED, PersonState.GAVE_UP):
                marks = [("Undo", FollowUp.NOTHING)]
            for label, state in marks:
                given = (booking, state, incident_id)
                st.button(label, key=f"{state}_{booking}", type="tertiary", on_click=record_follow_up, args=given)
        if stories:
            st.button("Its story", key=f"story_{booking}", type="tertiary", on_click=choose_booking, args=(booking,))


def record_follow_up(booking_id: str, state: FollowUp, incident_id: UUID | None) -> None:
    """Record that somebody was called or gave up, in the given incident, else in the open one."""

    def record(action_service: ActionService, actor: Actor) -> None:
        incident = action_service.journal_state().incident
        about = incident_id or (incident.id if incident else None)
        affected_.follow_up(action_service.journal, booking_id, state, actor, about)

    action_dialog.as_operator(record)


def choose_booking(booking_id: str) -> None:
    """Look at one booking; the address keeps which."""
    st.session_state["chosen"] = booking_id
    st.query_params["booking"] = booking_id


def _person_card(view: View, person: Person, *, chosen: bool) -> Markup:
    event = " ".join(filter(None, (person.event_name or NO_EVENT, person.event_at)))
    seats = "seats not said" if person.seats is None else counted(person.seats, "seat")
    again = f", {len(person.booking_ids)} times" if len(person.booking_ids) > 1 else ""
    asked = f"asked {view.time_and_age(person.asked_at)}{again}"
    why = REASON_LABELS[person.why]
    if person.error_code is not None:
        why = f"{why}: {explain(person.error_code).meaning} ({person.error_code})"
    number = phone(person.mobile_number, sharing=view.sharing)
    body = html.paragraph(html.text("{} · {} · {} · {}", number, seats, asked, outside(why)))
    if person.state_at is not None:
        when = view.time_and_age(person.state_at)
        by = html.by(when, person.state_by.name) if person.state_by else when
        body += html.detail(html.text("{}: {}", STATE_LABELS[person.state], by))
    if chosen:
        body += html.detail(html.text("Booking {}", html.code(person.booking_id)))
    return html.card(event, body, sign=SIGNS[person.state])
