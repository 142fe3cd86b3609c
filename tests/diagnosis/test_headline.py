"""The headline: which rule comes first, what it rests on, and since when."""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from lib.diagnosis.checks import link as link_checks
from lib.diagnosis.checks import recording
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.headline import FOUNDATIONS
from lib.model import frames
from lib.model.database import KeyKind, Visibility
from lib.model.provider import AppHealth, Balance, Landing, LinkOpening, TwilioAccount
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import CheckStatus, HeadlineState, Hop
from lib.snapshot import Snapshot
from tests.diagnosis.builders import (
    FIX_BUILD,
    MOMENTS,
    NOW,
    OLD_BUILD,
    ago,
    booking,
    call,
    catalog,
    hostname,
    link,
    snapshot,
    table,
    text,
    truncated,
    without,
    without_column,
)

AWAY = Failure(FailureKind.TIMEOUT, "It did not answer.")
NUMBERED = list(enumerate(MOMENTS, start=1))
CONFIRMED = {"confirmed_at": ago(minutes=40), "booking_id": "made"}
FLOWING, DEGRADED, BROKEN = HeadlineState.FLOWING, HeadlineState.DEGRADED, HeadlineState.BROKEN
NO_TRAFFIC, CANNOT_TELL = HeadlineState.NO_TRAFFIC, HeadlineState.CANNOT_TELL


def judged(**changed: Any) -> Diagnosis:
    return diagnose(snapshot(**changed), NOW)


def texts(*rows: dict[str, Any]) -> Any:
    return table(frames.TEXTS, reversed(rows))


def bookings(**fields: Any) -> Any:
    return table(frames.PENDING_BOOKINGS, (booking(n, at, **fields) for n, at in NUMBERED))


NOBODY = {
    "pending_bookings": table(frames.PENDING_BOOKINGS),
    "api_usage": table(frames.API_USAGE),
    "texts": table(frames.TEXTS),
    "messages": table(frames.MESSAGES),
    "link_opening": None,
}
FIRST_TWO = [text(n, at) for n, at in NUMBERED[:2]]
UNSENT = {
    "texts": texts(*FIRST_TWO),
    "pending_bookings": table(
        frames.PENDING_BOOKINGS,
        (booking(n, at) if n <= 2 else booking(n, at, sms_sid=None, metadata_state="null") for n, at in NUMBERED),
    ),
}
UNDELIVERED = {
    "texts": texts(*FIRST_TWO, *(text(n, at, status="undelivered", error_code="30007") for n, at in NUMBERED[2:]))
}
UNRECORDED = {
    "messages": table(frames.MESSAGES),
    "pending_bookings": bookings(sms_sid=None, metadata_state="null", **CONFIRMED),
}
FAILING_API = {"api_usage": table(frames.API_USAGE, (call(n, at, 201 if n <= 2 else 500) for n, at in NUMBERED))}
LOGIN = LinkOpening("booking-6", ago(minutes=2), Landing.LOGIN, 200, ())
KEY_OFF = {
    "api_keys": table(
        frames.API_KEYS,
        [{"id": "k", "name": "Website", "can_write_bookings": True, "is_active": False, "last_used_at": MOMENTS[3]}],
    )
}
UNCONFIRMED = {"pending_bookings": bookings()}
JOBS = {
    "background_jobs": table(
        frames.BACKGROUND_JOBS,
        [{"id": "j", "type": "stats", "status": "pending", "scheduled_for": ago(hours=2), "created_at": ago(hours=3)}],
    )
}
REFUSED_RECEIPTS = {
    "webhook_log": table(
        frames.WEBHOOK_LOG,
        (
            {"id": f"{n}{status}", "status": status, "message_sid": f"SM{n:032x}", "processed_at": at}
            for n, at in NUMBERED
            for status in (["received", "success"] if n <= 2 else ["received", "signature_failed"])
        ),
    )
}
UNBOOKED = {"pending_bookings": bookings(confirmed_at=ago(hours=1))}
BLIND = {"visibility": Visibility(KeyKind.PUBLISHABLE, False, "r", None)}
HALF_READ = {"texts": truncated("texts", texts(*FIRST_TWO))}
UNANSWERED = {"texts": texts(*(text(n, at, status="sent") for n, at in NUMBERED))}
ONLY_NEW = NOBODY | {"pending_bookings": table(frames.PENDING_BOOKINGS, [booking(1, ago(minutes=2), sms_sid=None)])}
OLD_CODE = {"hostnames": (hostname(FIX_BUILD),)}

STATES: list[tuple[str, dict[str, Any], HeadlineState, Hop | None, datetime | None]] = [
    ("all is well", {}, FLOWING, None, None),
    ("nobody asked", NOBODY, NO_TRAFFIC, Hop.DEMAND, ago(hours=1)),
    ("texts are not sent", UNSENT, BROKEN, Hop.ACCEPTED, MOMENTS[2]),
    ("texts do not arrive", UNDELIVERED, BROKEN, Hop.DELIVERED, MOMENTS[2] + timedelta(seconds=1)),
    ("texts are not recorded", UNRECORDED, DEGRADED, Hop.RECORDED, MOMENTS[0] + timedelta(seconds=1)),
    ("the API fails", FAILING_API, BROKEN, Hop.DEMAND, MOMENTS[2]),
    ("the front door fails", {"app_health": AppHealth("x", 503, None, None, True)}, BROKEN, Hop.DEMAND, None),
    ("the key is off", KEY_OFF, BROKEN, Hop.DEMAND, MOMENTS[3]),
    ("the account is suspended", {"account": TwilioAccount("AC", "suspended", "Full")}, BROKEN, Hop.ACCEPTED, None),
    ("the account is empty", {"balance": Balance(Decimal(0), "USD")}, BROKEN, Hop.ACCEPTED, None),
    ("the link ends at a login", {"link_opening": LOGIN}, BROKEN, Hop.LINK, None),
    ("and nobody confirms", UNCONFIRMED | {"link_opening": LOGIN}, BROKEN, Hop.LINK, MOMENTS[0]),
    ("nobody confirms", UNCONFIRMED, BROKEN, Hop.LINK, MOMENTS[0]),
    ("confirming books nothing", UNBOOKED, BROKEN, Hop.CONFIRMED, ago(hours=1)),
    ("jobs are stuck", JOBS, DEGRADED, Hop.CONFIRMED, ago(hours=2)),
    ("receipts are refused", REFUSED_RECEIPTS, DEGRADED, Hop.DELIVERED, MOMENTS[1]),
    ("production is behind", OLD_CODE, DEGRADED, Hop.CODE, ago(days=3)),
    ("a column is missing", {"catalog": catalog("pending_bookings.metadata")}, DEGRADED, Hop.RECORDED, None),
    ("our key is blind", BLIND, CANNOT_TELL, Hop.VISIBILITY, None),
    ("the bookings are unread", {"pending_bookings": AWAY}, CANNOT_TELL, Hop.DEMAND, None),
    ("Twilio is silent", {"texts": AWAY}, CANNOT_TELL, Hop.ACCEPTED, None),
    ("Twilio's log is incomplete", HALF_READ, CANNOT_TELL, Hop.ACCEPTED, None),
    ("the only booking is new", ONLY_NEW, CANNOT_TELL, Hop.ACCEPTED, None),
    ("no text has a receipt", UNANSWERED, CANNOT_TELL, Hop.DELIVERED, None),
    ("nobody asked, and the keys are unread", NOBODY | {"api_keys": AWAY}, CANNOT_TELL, Hop.DEMAND, None),
    ("texts went out, and the app is silent", {"app_health": AWAY}, CANNOT_TELL, Hop.DEMAND, None),
    ("the app is silent, and jobs are stuck", JOBS | {"app_health": AWAY}, DEGRADED, Hop.CONFIRMED, ago(hours=2)),
    ("the app is silent, and the API fails", FAILING_API | {"app_health": AWAY}, BROKEN, Hop.DEMAND, MOMENTS[2]),
    ("nobody asked, and the app is silent", NOBODY | {"app_health": AWAY}, CANNOT_TELL, Hop.DEMAND, None),
]


@pytest.mark.parametrize(
    ("changed", "state", "hop", "since"), [row[1:] for row in STATES], ids=[row[0] for row in STATES]
)
def test_the_headline_says_the_state_the_hop_and_since_when(
    changed: dict[str, Any], state: HeadlineState, hop: Hop | None, since: datetime | None
) -> None:
    headline = judged(**changed).headline
    assert (headline.state, headline.hop, headline.since) == (state, hop, since), headline
    assert headline.sentence.endswith(".") and headline.because


def test_an_app_that_is_not_connected_is_not_expected_to_answer() -> None:
    unconnected = Failure(FailureKind.NOT_CONFIGURED, "The booking app is not connected.")
    assert judged(**NOBODY, app_health=unconnected).headline.state is NO_TRAFFIC
    assert judged(app_health=unconnected).headline.state is FLOWING


def test_texts_of_before_say_nothing_of_an_app_that_is_silent_now() -> None:
    silent = judged(app_health=AWAY)
    assert silent.headline.sentence == (
        "Texts went out; whether a booking can start now cannot be told. It did not answer."
    )
    assert silent.headline.because == ("front_door",)


@pytest.mark.parametrize(
    ("first", "second", "check"),
    [
        (FAILING_API, UNSENT, "api_answers"),
        (UNSENT, {"link_opening": LOGIN}, "texts_follow"),
        ({"account": TwilioAccount("AC", "suspended", "Full")}, UNSENT, "account_active"),
        (UNDELIVERED, {"link_opening": LOGIN}, "texts_arrive"),
        ({"link_opening": LOGIN}, UNRECORDED, "link_opens"),
        (UNRECORDED, OLD_CODE, "texts_recorded"),
        (UNRECORDED, JOBS, "texts_recorded"),
        (JOBS, OLD_CODE, "jobs_move"),
    ],
)
def test_of_two_breaks_the_one_earlier_in_the_flow_is_said(first: Any, second: Any, check: str) -> None:
    assert judged(**(second | first)).headline.because == (check,)


def test_a_break_that_is_proven_outranks_what_is_unread() -> None:
    base = snapshot(link_opening=LOGIN)
    headline = diagnose(dataclasses.replace(base, texts=snapshot(texts=AWAY).texts), NOW).headline
    assert (headline.state, headline.because) == (BROKEN, ("link_opens",))


def test_a_missing_column_says_so_before_the_catalog_is_read() -> None:
    unread = without(snapshot(pending_bookings=without_column(bookings(**CONFIRMED))), ["catalog"], FailureKind.TIMEOUT)
    diagnosis = diagnose(unread, NOW)
    assert diagnosis.check(recording.columns_exist).status is CheckStatus.FAIL
    assert diagnosis.check(recording.metadata_stored).status is CheckStatus.FAIL


def test_texts_that_are_recorded_again_leave_an_amber_headline_with_the_time_of_the_first_loss() -> None:
    healed = table(
        frames.PENDING_BOOKINGS,
        (
            booking(n, at, **CONFIRMED, **({"sms_sid": None, "metadata_state": "null"} if n in (2, 3) else {}))
            for n, at in NUMBERED
        ),
    )
    headline = judged(messages=table(frames.MESSAGES), pending_bookings=healed).headline
    assert (headline.state, headline.since) == (DEGRADED, MOMENTS[1] + timedelta(seconds=1))


def test_flowing_since_is_the_first_text_after_the_last_miss() -> None:
    missed = table(
        frames.PENDING_BOOKINGS,
        (booking(n, at, **CONFIRMED, **({"sms_sid": None} if n == 2 else {})) for n, at in NUMBERED),
    )
    rows = texts(*(text(n, at) for n, at in NUMBERED if n != 2))
    diagnosis = judged(pending_bookings=missed, texts=rows)
    assert diagnosis.headline.state is DEGRADED  # one booking got no text, and that is worth saying
    assert "a text for 5 of 6 bookings" in diagnosis.headline.sentence


# Sight of the link -------------------------------------------------------------------------------------------


def test_without_the_booking_app_confirmations_prove_that_the_link_works() -> None:
    assert judged(link_opening=AWAY).headline.state is FLOWING


@pytest.mark.parametrize("click_count", [0, 1])
def test_without_the_booking_app_and_lately_without_confirmations_nothing_is_green(click_count: int) -> None:
    pending = table(
        frames.PENDING_BOOKINGS, (booking(n, at, **(CONFIRMED if n < 3 and click_count else {})) for n, at in NUMBERED)
    )
    links = table(frames.SHORT_LINKS, (link(n, at, click_count=click_count) for n, at in NUMBERED))
    assert judged(link_opening=AWAY, pending_bookings=pending, short_links=links).headline.state is CANNOT_TELL


def test_those_who_opened_a_minute_ago_may_still_confirm() -> None:
    pending = table(frames.PENDING_BOOKINGS, [booking(n, ago(minutes=12 + n)) for n in (3, 2, 1)])
    new = judged(pending_bookings=pending, texts=texts(*(text(n, ago(minutes=12 + n)) for n in (3, 2, 1))))
    assert new.check(link_checks.openers_confirm).status is CheckStatus.NOT_APPLICABLE
    assert new.headline.state is FLOWING


# Staleness ---------------------------------------------------------------------------------------------------

RESTS_ON = {
    "key_sees_all": ["visibility"],
    "bookings_initiated": ["pending_bookings"],
    "texts_follow": ["texts"],
    "texts_arrive": ["texts"],
}


def aged(base: Snapshot, name: str, age: timedelta) -> Snapshot:
    return dataclasses.replace(base, **{name: dataclasses.replace(getattr(base, name), observed_at=NOW - age)})


@pytest.mark.parametrize("name", sorted({"app_health", *(name for names in RESTS_ON.values() for name in names)}))
def test_a_stale_reading_makes_nothing_green(name: str) -> None:
    base = snapshot()
    assert diagnose(aged(base, name, getattr(base, name).budget * 3), NOW).headline.state is FLOWING
    assert diagnose(aged(base, name, getattr(base, name).budget * 5), NOW).headline.state is CANNOT_TELL


def test_staleness_is_tried_for_all_that_flowing_rests_on() -> None:
    assert RESTS_ON.keys() == {spec.id for spec in FOUNDATIONS}


def test_old_code_that_records_nothing_is_told_from_a_missing_column() -> None:
    diagnosis = judged(**UNRECORDED, hostnames=(hostname(OLD_BUILD),))
    assert diagnosis.check(recording.metadata_stored).status is CheckStatus.NOT_APPLICABLE
    assert diagnosis.check(recording.columns_exist).status is CheckStatus.OK
