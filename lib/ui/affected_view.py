"""Who was affected, on the glass: how many, and the work list with what can be done for each beside them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import streamlit as st
from markupsafe import Markup

from lib import affected as affected_
from lib import formatting
from lib.affected import NO_EVENT, REASON_LABELS, RESEND, STATE_LABELS, Affected, Person, PersonState, TimeRange
from lib.diagnosis.error_codes import explain
from lib.diagnosis.facts import CannotTellError
from lib.formatting import counted
from lib.journal.entry import FollowUp
from lib.model.people import Actor
from lib.model.window import WindowSize
from lib.ui import action_dialog, html_components
from lib.ui.action_service import ActionService
from lib.ui.labels import Sign, Tone
from lib.ui.masking import outside, phone, plain
from lib.ui.page_frame import View, cached_with_journal, current_journal_state, diagnosis_service
from lib.ui.styles import draw

ON_A_PAGE = 10
SIGNS: Final[Mapping[PersonState, Sign]] = {
    PersonState.NOTHING: Sign(STATE_LABELS[PersonState.NOTHING], "○", Tone.WARN),
    # A link on its way is no booking, so neither is green.
    PersonState.RE_SENT: Sign(STATE_LABELS[PersonState.RE_SENT], "→", Tone.QUIET),
    PersonState.CALLED: Sign(STATE_LABELS[PersonState.CALLED], "✆", Tone.QUIET),
    PersonState.GAVE_UP: Sign(STATE_LABELS[PersonState.GAVE_UP], "–", Tone.QUIET),
    PersonState.BOOKED: Sign(STATE_LABELS[PersonState.BOOKED], "✓", Tone.GOOD),
}


def known(view: View) -> Affected | None:
    """Return who was affected over the window; None where that cannot be told."""
    try:
        return _found(view, view.snapshot.window.start)
    except CannotTellError:
        return None


def find_affected(view: View, time_range: TimeRange | None = None) -> Affected | None:
    """Return who was affected over `stretch` or the window; None after saying why that cannot be told."""
    unread = view.cannot_tell(view.snapshot.pending_bookings, view.snapshot.texts)
    if unread is not None:
        draw(unread)
        return None
    since = min(time_range.since, view.snapshot.window.start) if time_range else view.snapshot.window.start
    try:
        return _found(view, since, time_range)
    except CannotTellError as error:
        draw(html_components.nothing(f"Cannot tell: {outside(str(error))}"))
        return None


def _found(view: View, since: datetime, time_range: TimeRange | None = None) -> Affected:
    """Return who was affected, with what the journal says was done for them since. Raises `CannotTellError`."""
    key = ("affected", since, time_range)

    def find(record: affected_.FollowUpRecord) -> Affected:
        return affected_.affected(view.facts, record, time_range)

    found = cached_with_journal(view, key, lambda journal: find(affected_.follow_ups_of(journal, since)))
    return found or view.diagnosis.cached(key, lambda: find(affected_.NO_FOLLOW_UPS))


def covering(view: View, since: datetime) -> View:
    """Return the view of a window that reaches back to `since`, if there is one: the present one where it does."""
    if since >= view.snapshot.window.start:
        return view
    return View(diagnosis_service().diagnosis(WindowSize.reaching(since, view.now)), view.settings, view.sharing)


def line(view: View) -> None:
    """Draw the count in a line, with the way to the list."""
    st.subheader("Who was affected", anchor=False)
    found = find_affected(view)
    if found is None:
        return
    if not found.people:
        draw(html_components.nothing(found.message))
        return
    draw(html_components.card(found.message, Markup("<p>{}</p>").format(found.seats.how), sign=_sign(found)))
    st.page_link("pages/bookings_page.py", label="Who they are, and what to do for each", icon=":material/event_seat:")


def _sign(found: Affected) -> Sign:
    waiting = len(found.to_do)
    return Sign(f"{waiting:,} still to help", "!", Tone.WARN) if waiting else Sign("all seen to", "✓", Tone.QUIET)


def work_list(view: View, found: Affected, *, stories: bool, incident_id: UUID | None = None) -> None:
    """Draw the counts and the people, whom to help first at the top. `stories`: the page shows one booking's story."""
    if not found.people:
        draw(html_components.nothing(found.message))
    else:
        draw(html_components.numbers(_numbers(found)))
    for sentence in found.unknown:
        st.caption(plain(sentence))
    if not found.people:
        return
    chosen = str(st.session_state.get("chosen") or st.query_params.get("booking") or "")
    for person in _page(found, chosen):
        _row(view, person, chosen=chosen in person.booking_ids, stories=stories, incident_id=incident_id)
    if current_journal_state() is None:
        st.caption("Without the journal it is not known who was called or gave up.")


def _numbers(found: Affected) -> list[tuple[str, str, str]]:
    seats = found.seats
    return [
        (
            "Without a working link",
            f"{'≥ ' if found.at_least else ''}{found.count:,}",
            f"{'person' if found.count == 1 else 'people'} who asked to book",
        ),
        ("Still to help", f"{len(found.to_do):,}", "for whom nothing was done yet"),
        ("Seats at stake", "unknown" if seats.estimate is None else f"about {seats.estimate:,}", seats.how),
    ]


def _page(found: Affected, chosen: str) -> tuple[Person, ...]:
    """Return the people of the page that is shown; at first the one with the booking that the address names."""
    pages = -(-len(found.people) // ON_A_PAGE)
    place = next((at for at, person in enumerate(found.people) if chosen in person.booking_ids), 0)
    if pages < 2:
        return found.people
    if not 1 <= int(st.session_state.get("people_page") or 0) <= pages:
        st.session_state.pop("people_page", None)
    first = (st.pagination(pages, default=place // ON_A_PAGE + 1, key="people_page") - 1) * ON_A_PAGE
    last = min(first + ON_A_PAGE, len(found.people))
    st.caption(f"{first + 1:,} to {last:,} of {len(found.people):,}")
    return found.people[first:last]


def _row(view: View, person: Person, *, chosen: bool, stories: bool, incident_id: UUID | None) -> None:
    booking = person.booking_id
    told, help_ = st.columns([3, 2], vertical_alignment="center", gap="small")
    with told:
        draw(_told(view, person, chosen=chosen))
    with help_, st.container(horizontal=True, gap="small", key=f"help_{booking}"):
        if person.state is not PersonState.BOOKED and action_dialog.may_act():
            action_dialog.action_button(RESEND, {"booking": booking}, "Send a new link", key=f"resend_{booking}")
            _marks(person, incident_id)
        if stories:
            st.button("Its story", key=f"story_{booking}", type="tertiary", on_click=choose, args=(booking,))


def _marks(person: Person, incident_id: UUID | None) -> None:
    booking = person.booking_id
    if person.state in (PersonState.CALLED, PersonState.GAVE_UP):
        offered = [("Undo", FollowUp.NOTHING)]
    else:
        offered = [("Called", FollowUp.CALLED), ("Gave up", FollowUp.GAVE_UP)]
    for label, state in offered:
        st.button(label, key=f"{state}_{booking}", type="tertiary", on_click=mark, args=(booking, state, incident_id))


def mark(booking_id: str, state: FollowUp, incident_id: UUID | None) -> None:
    """Write down that somebody was called or gave up, in the incident that is meant, else in the open one."""

    def work(action_service: ActionService, actor: Actor) -> None:
        opened = action_service.journal_state().incident
        affected_.follow_up(
            action_service.journal, booking_id, state, actor, incident_id or (opened.id if opened else None)
        )

    action_dialog.do(work)


def choose(booking_id: str) -> None:
    """Look at one booking; the address keeps which."""
    st.session_state["chosen"] = booking_id
    st.query_params["booking"] = booking_id


def _told(view: View, person: Person, *, chosen: bool) -> Markup:
    event = " ".join(filter(None, (person.event_name or NO_EVENT, person.event_at)))
    seats = "seats not said" if person.seats is None else counted(person.seats, "seat")
    again = f", {len(person.booking_ids)} times" if len(person.booking_ids) > 1 else ""
    asked = f"asked {formatting.time_and_age(person.asked_at, view.zone, view.now)}{again}"
    why = REASON_LABELS[person.why]
    if person.error_code is not None:
        why = f"{why}: {explain(person.error_code).meaning} ({person.error_code})"
    number = phone(person.mobile_number, sharing=view.sharing)
    rows = Markup("<p>{} · {} · {} · {}</p>").format(number, seats, asked, outside(why))
    if person.state_at is not None:
        when = formatting.time_and_age(person.state_at, view.zone, view.now)
        by = html_components.by(when, person.state_by.name) if person.state_by else Markup("{}").format(when)
        rows += Markup('<p class="sb-detail">{}: {}</p>').format(STATE_LABELS[person.state], by)
    if chosen:
        rows += Markup('<p class="sb-detail">Booking {}</p>').format(html_components.code(person.booking_id))
    return html_components.card(event, rows, sign=SIGNS[person.state])
