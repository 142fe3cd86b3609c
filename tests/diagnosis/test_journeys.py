"""What became of each booking's text: matching, recording, and how far people came."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pandas as pd
import pytest

from lib.diagnosis.journeys import (
    Delivery,
    JourneyInputs,
    Recording,
    Sending,
    Stage,
    journeys,
    stage_counts,
)
from lib.model import frames
from tests.diagnosis.builders import NOW, OTHER_PHONE, PHONE, ago, booking, link, sid, table, text

AT = ago(hours=3)
UNSTORED = {"sms_sid": None, "metadata_state": frames.MetadataState.NULL}


def judged(
    bookings: list[dict[str, Any]],
    texts: list[dict[str, Any]] | None = None,
    links: list[dict[str, Any]] | None = None,
    messages: list[dict[str, Any]] | None = None,
    **more: Any,
) -> pd.DataFrame:
    def optional(schema: Any, rows: list[dict[str, Any]] | None) -> pd.DataFrame | None:
        return None if rows is None else table(schema, rows)

    inputs = JourneyInputs(
        table(frames.PENDING_BOOKINGS, bookings),
        optional(frames.TEXTS, texts),
        optional(frames.SHORT_LINKS, links),
        optional(frames.MESSAGES, messages),
        **more,
    )
    return journeys(inputs, NOW)


def matched(frame: pd.DataFrame) -> dict[str, str | None]:
    return {row.id: None if pd.isna(row.text_sid) else row.text_sid for row in frame.itertuples()}


def message(number: int) -> dict[str, Any]:
    return {"id": f"m{number}", "direction": "outbound", "message_sid": sid(number), "created_at": AT}


# Matching ----------------------------------------------------------------------------------------------------


def test_the_sid_that_the_app_stored_decides() -> None:
    frame = judged(
        [booking(1, AT, mobile_number=PHONE)],
        [text(1, AT, to_number=OTHER_PHONE, link_code=None), text(2, AT, to_number=PHONE)],
    )
    assert matched(frame) == {"booking-1": sid(1)}


def test_without_a_stored_sid_the_short_link_in_the_text_decides() -> None:
    frame = judged([booking(1, AT, **UNSTORED)], [text(7, AT, link_code="code-1")], [link(1, AT)])
    assert matched(frame) == {"booking-1": sid(7)}


def test_a_link_that_ends_in_the_token_needs_no_short_link() -> None:
    frame = judged([booking(1, AT, **UNSTORED)], [text(7, AT, link_code="token-1", to_number=OTHER_PHONE)])
    assert matched(frame) == {"booking-1": sid(7)}


def test_the_first_of_two_texts_with_the_same_link_is_the_bookings_text() -> None:
    later, first = text(8, AT + timedelta(minutes=4), link_code="code-1"), text(7, AT, link_code="code-1")
    assert matched(judged([booking(1, AT, **UNSTORED)], [later, first], [link(1, AT)])) == {"booking-1": sid(7)}


REDACTED = {"link_code": None, "body_digest": None, "to_number": PHONE}


def test_where_twilio_keeps_no_bodies_number_and_time_decide() -> None:
    unread = booking(1, AT, mobile_number=PHONE, **UNSTORED)
    assert matched(judged([unread], [text(7, AT, **REDACTED)])) == {"booking-1": sid(7)}


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (timedelta(minutes=4, seconds=50), True),
        (timedelta(minutes=59), True),  # late, and not absent
        (timedelta(minutes=61), False),
        (timedelta(seconds=-50), True),  # the clocks differ
        (timedelta(seconds=-70), False),
    ],
)
def test_by_number_a_text_must_follow_within_the_hour(after: timedelta, found: bool) -> None:
    at = AT + after
    frame = judged([booking(1, AT, mobile_number=PHONE, **UNSTORED)], [text(7, AT, **REDACTED, created_at=at)])
    assert matched(frame) == {"booking-1": sid(7) if found else None}


def test_two_bookings_by_one_phone_get_a_text_each() -> None:
    second = AT + timedelta(seconds=50)  # less than the clocks may differ
    both = [booking(n, at, mobile_number=PHONE, **UNSTORED) for n, at in ((1, AT), (2, second))]
    texts = [text(7, AT, **REDACTED), text(8, second, **REDACTED)]
    assert matched(judged(both, texts)) == {"booking-1": sid(7), "booking-2": sid(8)}


def test_one_text_after_two_bookings_by_one_phone_is_the_later_ones() -> None:
    second = AT + timedelta(minutes=2)
    both = [booking(n, at, mobile_number=PHONE, **UNSTORED) for n, at in ((1, AT), (2, second))]
    frame = judged(both, [text(7, second, **REDACTED)])
    assert matched(frame) == {"booking-1": None, "booking-2": sid(7)}
    assert list(frame["sending"]) == [Sending.MISSING, Sending.ACCEPTED]


def test_late_texts_to_one_phone_are_each_given_to_a_booking_of_its_own() -> None:
    both = [booking(n, AT + timedelta(seconds=n), mobile_number=PHONE, **UNSTORED) for n in (1, 2)]
    texts = [text(n, AT + timedelta(minutes=1, seconds=n), **REDACTED) for n in (7, 8)]
    assert set(matched(judged(both, texts)).values()) == {sid(7), sid(8)}


@pytest.mark.parametrize(
    ("other", "links"),
    [
        ({"link_code": "code-9"}, [link(9, AT, link_type="event_checkin", token=None)]),  # a reminder's own link
        ({"link_code": "code-9"}, [link(9, AT)]),  # the text of another booking, sent again
        ({"direction": "inbound", "link_code": "code-1"}, []),  # a customer's answer
    ],
)
def test_another_text_to_the_same_phone_is_not_taken_for_the_bookings_text(
    other: dict[str, Any], links: list[dict[str, Any]]
) -> None:
    frame = judged(
        [booking(1, AT, mobile_number=PHONE, **UNSTORED)],
        [text(7, AT, to_number=PHONE, **other)],
        [link(1, AT), *links],
    )
    assert matched(frame) == {"booking-1": None}
    assert list(frame["sending"]) == [Sending.MISSING]


def test_a_text_before_its_booking_took_no_time() -> None:
    frame = judged([booking(1, AT)], [text(1, AT, created_at=AT - timedelta(seconds=30))])
    assert frame["text_after"].iloc[0] == pd.Timedelta(0)


# Sending -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "texts", "more", "sending"),
    [
        (AT, [], {}, Sending.MISSING),
        (ago(minutes=9), [], {}, Sending.TOO_SOON),
        (ago(minutes=-5), [], {}, Sending.TOO_SOON),  # a clock that is ahead
        (AT, None, {}, Sending.UNKNOWN),
        (AT, [], {"texts_complete": False}, Sending.UNKNOWN),
        (AT, [], {"begins": AT - timedelta(seconds=20)}, Sending.TOO_SOON),  # its text may lie before the window
        (AT, [], {"begins": AT - timedelta(seconds=70)}, Sending.MISSING),
    ],
)
def test_no_text_is_a_miss_only_where_there_had_to_be_one(at: Any, texts: Any, more: Any, sending: Sending) -> None:
    assert list(judged([booking(1, at, **UNSTORED)], texts, **more)["sending"]) == [sending]


@pytest.mark.parametrize(
    ("status", "at", "delivery"),
    [
        ("delivered", AT, Delivery.DELIVERED),
        ("read", AT, Delivery.DELIVERED),
        ("undelivered", AT, Delivery.FAILED),
        ("failed", AT, Delivery.FAILED),
        ("sent", AT, Delivery.NO_RECEIPT),
        ("sent", ago(minutes=20), Delivery.ON_ITS_WAY),
        ("something new", ago(minutes=20), Delivery.ON_ITS_WAY),
    ],
)
def test_a_text_has_arrived_only_if_twilio_says_so(status: str, at: Any, delivery: Delivery) -> None:
    assert list(judged([booking(1, at)], [text(1, at, status=status)])["delivery"]) == [delivery]


# Recording ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "messages", "more", "recording"),
    [
        ({}, [message(1)], {}, Recording.RECORDED),
        ({}, [], {}, Recording.DEFERRED),
        (UNSTORED, [message(1)], {}, Recording.RECORDED),
        (UNSTORED, [], {}, Recording.LOST),
        (UNSTORED, None, {}, Recording.UNKNOWN),
        ({}, None, {}, Recording.DEFERRED),
        (UNSTORED, [], {"messages_complete": False}, Recording.UNKNOWN),
    ],
)
def test_a_text_is_lost_only_if_the_database_was_read_and_knows_nothing_of_it(
    fields: Any, messages: Any, more: Any, recording: Recording
) -> None:
    frame = judged([booking(1, AT, **fields)], [text(1, AT)], [link(1, AT)], messages, **more)
    assert list(frame["recording"]) == [recording]


def test_a_text_that_is_minutes_old_is_not_lost_yet() -> None:
    at = ago(minutes=2)
    frame = judged([booking(1, at, **UNSTORED)], [text(1, at)], [link(1, at)], [])
    assert list(frame["recording"]) == [Recording.TOO_SOON]


# Stages ------------------------------------------------------------------------------------------------------


def test_a_later_stage_implies_the_earlier_ones_so_counts_never_rise() -> None:
    frame = judged(
        [
            booking(1, AT, confirmed_at=AT, booking_id="made", **UNSTORED),  # no text found, and booked all the same
            booking(2, AT, confirmed_at=AT),
            booking(3, AT),
            booking(4, AT, **UNSTORED),
        ],
        [text(2, AT, status="sent"), text(3, AT)],
        [link(3, AT)],
    )
    counts = stage_counts(frame)
    assert counts == {
        Stage.INITIATED: 4,
        Stage.ACCEPTED: 3,
        Stage.DELIVERED: 3,
        Stage.OPENED: 3,
        Stage.CONFIRMED: 2,
        Stage.BOOKED: 1,
    }


def test_a_stage_that_cannot_be_told_has_no_number() -> None:
    counts = stage_counts(judged([booking(1, AT)]))
    assert counts[Stage.ACCEPTED] is None and counts[Stage.OPENED] is None
    assert counts[Stage.INITIATED] == 1


def test_nothing_at_all_makes_empty_journeys() -> None:
    for texts in (None, []):
        frame = judged([], texts, [], [])
        assert frame.empty
        assert stage_counts(frame)[Stage.INITIATED] == 0
