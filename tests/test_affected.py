"""Who got no working link, what became of them, and what may never be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from lib.affected import (
    NO_FOLLOW_UPS,
    Affected,
    AffectedReason,
    FollowUpRecord,
    PersonState,
    affected,
    affected_record,
    follow_up,
    follow_ups_of,
    time_range_of,
)
from lib.diagnosis.facts import CannotTellError, Facts
from lib.journal.entry import Argument, DiagnosisRecord, FollowUp, Outcome, Receipt
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model import frames
from lib.model.database import KeyKind, Visibility
from lib.model.people import Actor, Role, Via
from lib.model.provider import Landing, LinkOpening
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import HeadlineState
from lib.settings import Settings
from tests.diagnosis.builders import NOW, PHONE, ago, booking, snapshot, table, text, truncated, without_column

ANA = Actor("ana@example.org", Role.OPERATOR, Via.PAGE)
UNSENT = {"sms_sid": None, "metadata_state": frames.MetadataState.NULL}
AWAY = Failure(FailureKind.UNAVAILABLE, "It is away.")


def one(number: int) -> str:
    """The id of a booking as the database has it."""
    return str(UUID(int=number))


def asked(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    """A booking that nobody was texted for."""
    return booking(number, at, id=one(number), **UNSENT) | fields


def texted(number: int, at: datetime, **fields: Any) -> dict[str, Any]:
    """A booking with a text, but for what `fields` say."""
    return booking(number, at, id=one(number)) | fields


def facts(
    bookings: list[dict[str, Any]],
    texts: list[dict[str, Any]] | None = None,
    events: list[dict[str, Any]] | None = None,
    booked: list[dict[str, Any]] | None = None,
    /,
    **changed: Any,
) -> Facts:
    values = {
        "pending_bookings": table(frames.PENDING_BOOKINGS, bookings),
        "texts": table(frames.TEXTS, texts or []),
        "events": table(frames.EVENTS, events or []),
        "bookings": table(frames.BOOKINGS, booked or []),
    }
    return Facts(snapshot(**(values | changed)), NOW)


def found(*arguments: Any, record: FollowUpRecord = NO_FOLLOW_UPS, **changed: Any) -> Affected:
    return affected(facts(*arguments, **changed), record)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
    opened = Journal.open(settings, lambda: NOW)
    yield opened
    opened.close()


# Who -----------------------------------------------------------------------------------------------------


def test_somebody_whose_text_was_never_sent_or_failed_is_affected_and_nobody_else() -> None:
    at = ago(hours=3)
    who = found(
        [
            asked(1, at),
            texted(2, at),
            texted(3, at),
            texted(4, at, confirmed_at=ago(hours=2)),
            asked(5, ago(minutes=2)),
        ],
        [text(2, at, status="undelivered", error_code="30007"), text(3, at), text(4, at, status="failed")],
    )
    assert {(p.booking_ids, p.why, p.error_code) for p in who.people} == {
        ((one(1),), AffectedReason.NO_TEXT, None),
        ((one(2),), AffectedReason.NOT_DELIVERED, "30007"),
    }
    assert (who.count, len(who.to_do), who.at_least) == (2, 2, False)


def test_asking_twice_for_one_event_is_one_row_and_for_two_events_two_rows_of_one_person() -> None:
    times = [ago(hours=5), ago(hours=4), ago(hours=3)]
    who = found([asked(n, at, mobile_number=PHONE, seats=n) for n, at in enumerate(times, 1)])
    assert [(p.booking_id, p.booking_ids, p.asked_at, p.seats) for p in who.people] == [
        (one(3), (one(1), one(2), one(3)), times[0], 3)
    ]
    two = found([asked(1, times[0], mobile_number=PHONE), asked(2, times[1], mobile_number=PHONE, event_id="other")])
    assert (len(two.people), two.count) == (2, 1)


def test_a_text_that_arrived_helped_nobody_while_the_link_does_not_open() -> None:
    """Those who asked after the last confirmation: until then, a link is known to have worked."""
    login = LinkOpening("b", ago(minutes=2), Landing.LOGIN, 200, ())
    times = {1: ago(hours=5), 2: ago(hours=4), 3: ago(hours=2)}
    bookings = [texted(n, at) for n, at in times.items()]
    bookings[1] |= {"confirmed_at": ago(hours=3)}
    who = found(bookings, [text(n, at) for n, at in times.items()], link_opening=login)
    assert [(p.booking_id, p.why) for p in who.people] == [(one(3), AffectedReason.LINK_BROKEN)]
    unread = found(bookings, [text(n, at) for n, at in times.items()], link_opening=AWAY)
    assert unread.people == () and any("links that arrived" in sentence for sentence in unread.unknown)


def test_unread_bookings_or_texts_and_a_blind_key_are_cannot_tell_and_never_nobody() -> None:
    blind = Visibility(KeyKind.PUBLISHABLE, False, "ref", None)
    for unread in ({"texts": AWAY}, {"pending_bookings": AWAY}, {"visibility": blind}):
        with pytest.raises(CannotTellError):
            found([], **unread)
        kept = affected_record(facts([], **unread))
        assert kept.count is None and kept.message.startswith("Who was affected cannot be told.")


def test_of_a_cut_off_table_it_says_that_there_may_be_more() -> None:
    cut = truncated("pending_bookings", table(frames.PENDING_BOOKINGS, [asked(1, ago(hours=3))]))
    who = found([], pending_bookings=cut)
    assert who.at_least and who.message.startswith("At least 1 person got no working link")
    assert "Only a part of pending_bookings was read." in who.unknown


def test_a_column_that_is_missing_hides_nobody_and_says_nothing_of_who_was_affected() -> None:
    """A booking whose text cannot be joined for want of its SID is counted, if there is one."""
    rows = [asked(1, ago(hours=3))]
    who = found([], pending_bookings=without_column(table(frames.PENDING_BOOKINGS, rows)))
    assert (who.count, who.unknown) == (1, found(rows).unknown)


def test_a_number_stands_in_no_repr_and_in_nothing_that_the_journal_keeps() -> None:
    asking = facts([asked(1, ago(hours=3), mobile_number=PHONE)])
    assert PHONE[3:] not in repr(affected(asking)) + repr(affected_record(asking))


# What became of them -------------------------------------------------------------------------------------


def state_of(*arguments: Any, **more: Any) -> PersonState:
    (person,) = found(*arguments, **more).people
    return person.state


MINE = {"mobile_number": PHONE}


def test_who_confirmed_a_later_request_or_is_in_the_bookings_booked_anyway() -> None:
    first, later = asked(1, ago(hours=3), **MINE), texted(2, ago(hours=2), **MINE)
    sent = [text(2, ago(hours=2), to_number=PHONE)]
    assert state_of([first, later | {"confirmed_at": ago(hours=1)}], sent) is PersonState.BOOKED
    row = {"id": "b", "customer_id": "c", "event_id": "event", "created_at": ago(hours=1)}
    known = first | {"customer_id": "c"}
    assert state_of([known], [], [], [row]) is PersonState.BOOKED
    assert state_of([known], [], [], [row | {"event_id": "other"}]) is PersonState.NOTHING
    assert state_of([known], [], [], [row | {"created_at": ago(hours=9)}]) is PersonState.NOTHING


def test_a_later_request_that_was_texted_is_a_new_link_and_one_that_failed_too_is_none() -> None:
    both = [asked(1, ago(hours=3), **MINE), texted(2, ago(hours=2), **MINE)]
    assert state_of(both, [text(2, ago(hours=2), to_number=PHONE)]) is PersonState.RE_SENT
    assert state_of(both, [text(2, ago(hours=2), to_number=PHONE, status="failed")]) is PersonState.NOTHING


def resent(journal: Journal, number: int, outcome: Outcome) -> None:
    new = NewRequest("resend_link", 3, "Quiz", "ab" * 32, arguments=(Argument("booking", one(number)),))
    request = journal.submit_request(new, ANA)
    journal.lock(request.id, f"resend_link:{number}", ANA)
    journal.start(request.id, ANA, timedelta(minutes=1))
    journal.finish(request.id, Receipt(outcome, "done"), ANA)


def test_a_receipt_of_a_re_send_counts_where_it_succeeded(journal: Journal) -> None:
    resent(journal, 1, Outcome.SUCCEEDED)
    resent(journal, 2, Outcome.FAILED)
    who = found([asked(1, ago(hours=3)), asked(2, ago(hours=3))], record=follow_ups_of(journal, ago(days=1)))
    states = {person.booking_id: (person.state, person.state_by) for person in who.people}
    assert states == {one(1): (PersonState.RE_SENT, ANA), one(2): (PersonState.NOTHING, None)}


def test_people_are_counted_by_number_and_the_summary_says_what_was_done_and_what_is_left(journal: Journal) -> None:
    resent(journal, 1, Outcome.SUCCEEDED)
    follow_up(journal, one(2), FollowUp.CALLED, ANA)
    mine = [asked(n, ago(hours=3), mobile_number=PHONE, event_id=f"event-{n}") for n in (3, 4)]
    others = [asked(n, ago(hours=3)) for n in (1, 2, 5)]
    who = found([*others, *mine], record=follow_ups_of(journal, ago(days=1)))
    assert who.summary == "4 people, 1 called, 1 texted again, 2 to go"
    assert (len(who.people), len(who.contacts), len(who.to_do)) == (5, 4, 2)
    both = next(contact for contact in who.contacts if len(contact.requests) == 2)
    assert set(both.booking_ids) == {one(3), one(4)} and both.state is PersonState.NOTHING
    assert "(1 called, 1 texted again, 2 to go;" in who.message


def test_who_was_called_for_one_of_two_events_is_still_to_be_helped(journal: Journal) -> None:
    follow_up(journal, one(3), FollowUp.CALLED, ANA)
    mine = [asked(n, ago(hours=3), mobile_number=PHONE, event_id=f"event-{n}") for n in (3, 4)]
    (contact,) = found(mine, record=follow_ups_of(journal, ago(days=1))).contacts
    assert contact.state is PersonState.NOTHING and contact.first.booking_id == one(4)


def test_called_and_given_up_are_kept_by_booking_taken_back_by_a_later_entry_and_outranked_by_a_booking(
    journal: Journal,
) -> None:
    who = [asked(1, ago(hours=3), **MINE)]
    for said, becomes in (
        (FollowUp.CALLED, PersonState.CALLED),
        (FollowUp.GAVE_UP, PersonState.GAVE_UP),
        (FollowUp.NOTHING, PersonState.NOTHING),
        (FollowUp.CALLED, PersonState.CALLED),
    ):
        follow_up(journal, one(1), said, ANA)
        assert state_of(who, record=follow_ups_of(journal, ago(days=1))) is becomes
    assert len(journal.entries()) == 4 and journal.verify().ok
    done = [*who, texted(2, ago(hours=2), confirmed_at=ago(hours=1), **MINE)]
    assert state_of(done, [text(2, ago(hours=2))], record=follow_ups_of(journal, ago(days=1))) is PersonState.BOOKED


def test_who_was_called_and_then_asked_again_in_vain_is_to_be_helped_again(tmp_path: Path) -> None:
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'earlier.sqlite3'}"})
    with closing(Journal.open(settings, lambda: ago(hours=2))) as journal:
        follow_up(journal, one(1), FollowUp.CALLED, ANA)
        record = follow_ups_of(journal, ago(days=1))
    once, again = asked(1, ago(hours=3), **MINE), asked(2, ago(hours=1), **MINE)
    assert state_of([once], record=record) is PersonState.CALLED
    assert state_of([once, again], record=record) is PersonState.NOTHING


def test_only_a_bookings_id_names_somebody_in_the_journal(journal: Journal) -> None:
    for name in (PHONE, "Jo Bloggs", "jo@example.org"):
        with pytest.raises(JournalError) as raised:
            follow_up(journal, name, FollowUp.CALLED, ANA)
        assert name not in raised.value.sentence
    assert journal.entries() == ()


# Whom first, and what is at stake ------------------------------------------------------------------------


def test_the_soonest_event_comes_first_then_the_largest_party_and_what_is_done_or_past_last(journal: Journal) -> None:
    events = [
        {"id": "past", "name": "Yesterday", "date": "2026-11-17", "time": "19:00"},
        {"id": "soon", "name": "Tonight", "date": "2026-11-18", "time": "19:00"},
        {"id": "later", "name": "Later", "date": "2026-11-30", "time": "12:00"},
    ]
    at = ago(hours=3)
    who = [
        asked(1, at, event_id="later", seats=9),
        asked(2, at, event_id="past", seats=9),
        asked(3, at, event_id="soon", seats=2),
        asked(4, at, event_id="soon", seats=6),
        asked(5, at, event_id="soon", seats=8),
        asked(6, at, event_id="nobody-knows", seats=9),
    ]
    follow_up(journal, one(5), FollowUp.CALLED, ANA)
    order = [p.booking_id for p in found(who, [], events, record=follow_ups_of(journal, ago(days=1))).people]
    assert order == [one(4), one(3), one(1), one(6), one(2), one(5)]


def test_seats_are_as_asked_for_else_by_the_usual_party_and_unknown_where_too_few_booked() -> None:
    at = ago(hours=3)
    made = [{"id": f"b{n}", "seats": seats, "created_at": at} for n, seats in enumerate((2, 2, 3, 4, 4))]
    said = found([asked(1, at, seats=2), asked(2, at, seats=3)])
    assert (said.seats.estimate, said.seats.how) == (5, "As they asked for.")
    some = found([asked(1, at, seats=2), asked(2, at), asked(3, at)], [], [], made)
    assert (
        some.seats.estimate == 2 + 6
        and "2 of 3 requests did not say how many seats: counted with 3.0" in some.seats.how
    )
    few = found([asked(1, at)], [], [], made[:4])
    assert few.seats.estimate is None and "too few bookings" in few.seats.how and "seats unknown" in few.message
    unread = found([asked(1, at)], bookings=AWAY)
    assert unread.seats.estimate is None and any("booked in another way" in message for message in unread.unknown)


# Over which time -----------------------------------------------------------------------------------------


def test_an_incident_reaches_back_to_when_most_people_were_left_behind(journal: Journal) -> None:
    """One wrong number long before, an outage of four out of five since: the one is not of it, its gaps are."""
    failed = {1: 20, 3: 10, 4: 9, 6: 7, 7: 6}
    arrived = {2: 15, 5: 8}
    asking = facts(
        [texted(n, ago(hours=hours)) for n, hours in (failed | arrived).items()],
        [text(n, ago(hours=hours), status="undelivered") for n, hours in failed.items()]
        + [text(n, ago(hours=hours)) for n, hours in arrived.items()],
    )
    assert affected_record(asking).since == ago(hours=20)  # five of seven: a longer outage cannot be ruled out
    quiet = [texted(n, ago(hours=19, minutes=n)) for n in range(20, 26)]
    more = facts(
        [texted(n, ago(hours=hours)) for n, hours in (failed | arrived).items()] + quiet,
        [text(n, ago(hours=hours), status="undelivered") for n, hours in failed.items()]
        + [text(n, ago(hours=hours)) for n, hours in arrived.items()]
        + [text(n, ago(hours=19, minutes=n)) for n in range(20, 26)],
    )
    people = affected_record(more)
    assert people.since == ago(hours=10)
    incident = journal.open_incident("No texts", ANA)
    seen = DiagnosisRecord(HeadlineState.BROKEN, "words", ago(hours=7), people=people)
    time_range = time_range_of(incident, [seen], NOW)
    assert (time_range.since, time_range.until) == (ago(hours=10), NOW)
    assert [p.booking_id for p in affected(more, time_range=time_range).people] == [one(n) for n in (3, 4, 6, 7)]
    before = DiagnosisRecord(HeadlineState.FLOWING, "words", datetime(2026, 1, 1, tzinfo=UTC))
    assert time_range_of(incident, [before], NOW).since == incident.opened_at
