"""What could not be joined is never told as absent: of each form of text and number, what the desk says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from lib.affected import affected
from lib.diagnosis.checks import delivery, sending
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.model import frames
from lib.model.verdict import CheckStatus, HeadlineState, Verdict
from tests.diagnosis.builders import NOW, UNSTORED, ago, booking, call, link, receipt, sid, snapshot, table, text
from tests.diagnosis.invariants import contradictions

BOOKINGS = 8
TIMES = [ago(hours=hours) for hours in range(9, 1, -1)]


def world(rows: list[dict[str, Any]], count: int = BOOKINGS, **changed: Any) -> Diagnosis:
    """Return the diagnosis of `count` bookings whose SIDs nobody stored, with these texts in Twilio's log."""
    numbered = list(enumerate(TIMES[:count], start=1))
    given = {
        "pending_bookings": table(frames.PENDING_BOOKINGS, (booking(n, at, **UNSTORED) for n, at in numbered)),
        "short_links": table(frames.SHORT_LINKS, (link(n, at, click_count=0) for n, at in numbered)),
        "messages": table(frames.MESSAGES),
        "texts": table(frames.TEXTS, rows),
    }
    diagnosis = diagnose(snapshot(**(given | changed)), NOW)
    assert list(contradictions(diagnosis)) == []
    return diagnosis


def texts(count: int = BOOKINGS, after: timedelta = timedelta(seconds=3), **fields: Any) -> list[dict[str, Any]]:
    return [text(n, at + after, **fields) for n, at in enumerate(TIMES[:count], start=1)]


WITHOUT_LINK = {"link_code": None}
REDACTED = {"link_code": None, "body_digest": None}


def verdict(diagnosis: Diagnosis, id_: str) -> Verdict:
    return next(one.verdict for one in diagnosis.hypotheses if one.id == id_)


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param(texts(), id="with its link"),
        pytest.param(texts(**WITHOUT_LINK), id="a body without a link"),
        pytest.param(texts(**REDACTED), id="a redacted body"),
        pytest.param(texts(link_code="unknown"), id="a link that nothing knows"),
        pytest.param(texts(after=timedelta(minutes=7)), id="seven minutes late"),
        pytest.param(texts(after=timedelta(minutes=7), **WITHOUT_LINK), id="late and without a link"),
    ],
)
def test_a_text_that_came_is_never_missing_whatever_it_looks_like(rows: list[dict[str, Any]]) -> None:
    diagnosis = world(rows)
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.OK
    assert "Texts are not sent" not in diagnosis.headline.sentence
    assert verdict(diagnosis, "provider_unconfigured") is Verdict.RULED_OUT
    assert affected(diagnosis.facts).people == ()


def test_a_number_in_another_countrys_national_form_is_joined() -> None:
    numbered = list(enumerate(TIMES, start=1))
    irish = [booking(n, at, **UNSTORED, mobile_number=f"085 0123 {n:03}") for n, at in numbered]
    rows = [text(n, at, **REDACTED, to_number=f"+353850123{n:03}") for n, at in numbered]
    diagnosis = world(rows, pending_bookings=table(frames.PENDING_BOOKINGS, irish))
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.OK


def test_a_late_text_is_told_as_late() -> None:
    check = world(texts(after=timedelta(minutes=7))).check(sending.texts_follow)
    assert any("came late" in line for line in check.evidence)


def test_where_other_texts_carry_links_one_without_is_not_joined_and_not_absent() -> None:
    rows = [*texts(6), *texts()[6:]]
    rows[6:] = [row | WITHOUT_LINK for row in rows[6:]]
    diagnosis = world(rows)
    follow = diagnosis.check(sending.texts_follow)
    assert follow.status is CheckStatus.OK and "6 of 6 bookings" in follow.summary
    assert any("2 more bookings" in line for line in follow.evidence)
    found = affected(diagnosis.facts)
    assert found.people == () and any("cannot be told" in line for line in found.unknown)


def test_without_any_text_it_is_missing_and_the_cause_is_named() -> None:
    diagnosis = world([])
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.FAIL
    assert diagnosis.headline.state is HeadlineState.BROKEN
    assert verdict(diagnosis, "provider_unconfigured") in (Verdict.LIKELY, Verdict.CONFIRMED)
    assert affected(diagnosis.facts).count == BOOKINGS


def test_where_the_newest_have_none_it_says_so_and_not_that_none_ever_follows() -> None:
    diagnosis = world(texts(6))
    assert diagnosis.headline.state is HeadlineState.BROKEN
    assert diagnosis.headline.sentence.startswith(
        "Texts are not sent: none for the newest bookings. Twilio accepted a text for 6 of 8 bookings"
    )


def test_a_text_whose_number_cannot_be_read_could_be_anybodys() -> None:
    diagnosis = world(texts(to_number=None, **REDACTED))
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.CANNOT_TELL
    assert "which booking it belongs to cannot be told" in diagnosis.headline.sentence
    assert diagnosis.headline.state is HeadlineState.CANNOT_TELL


def test_a_text_of_something_else_is_no_ones_confirmation() -> None:
    """A link that is known to be another's is not the booking's, however close in time."""
    rows = texts(link_code="other")
    others = table(
        frames.SHORT_LINKS,
        [*(link(n, at, click_count=0) for n, at in enumerate(TIMES, 1)), link(99, NOW, short_code="other", token="x")],
    )
    diagnosis = world(rows, short_links=others)
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.FAIL


# One person's fault -------------------------------------------------------------------------------------------


def alert(number: int, at: Any, code: str) -> dict[str, Any]:
    return {"sid": f"NO{number}", "error_code": code, "level": "error", "text": "refused", "created_at": at}


@pytest.mark.parametrize("code", ["21610", "21614", "21211", "21408"])
def test_two_bookings_of_one_refused_number_break_nothing(code: str) -> None:
    """The opted-out person asks twice, the newest of all: Twilio refuses both, and keeps no row of them."""
    numbered = list(enumerate(TIMES, start=1))
    rows = [booking(n, at, **UNSTORED) for n, at in numbered]
    for row in rows[-2:]:
        row["mobile_number"] = "+447400999888"
    alerts = [alert(n, at + timedelta(seconds=1), code) for n, at in numbered[-2:]]
    diagnosis = world(
        texts(6), pending_bookings=table(frames.PENDING_BOOKINGS, rows), alerts=table(frames.ALERTS, alerts)
    )
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.OK
    assert diagnosis.check(sending.account_errors).status is CheckStatus.OK
    assert diagnosis.headline.state is not HeadlineState.BROKEN
    assert verdict(diagnosis, "provider_failing") is Verdict.RULED_OUT
    assert affected(diagnosis.facts).count == 1


@pytest.mark.parametrize("code", ["21610", "21614", "21408"])
def test_failed_rows_of_one_recipient_are_no_failure_of_the_flow(code: str) -> None:
    rows = texts()
    for row in rows[-2:]:
        row |= {"to_number": rows[-1]["to_number"], "status": "failed", "error_code": code}
    diagnosis = world(rows)
    assert diagnosis.check(delivery.texts_arrive).status is CheckStatus.OK
    assert verdict(diagnosis, "provider_failing") is Verdict.RULED_OUT


@pytest.mark.parametrize("status", ["canceled", "scheduled"])
def test_what_waits_or_ended_on_purpose_is_neither_delivered_nor_failed(status: str) -> None:
    reminders = [
        text(100 + n, ago(hours=3, minutes=n), status=status, to_number=f"+44740055{n:04}", **WITHOUT_LINK)
        for n in range(6)
    ]
    diagnosis = world([*texts(), *reminders])
    assert diagnosis.check(delivery.texts_arrive).status is CheckStatus.OK
    assert diagnosis.check(delivery.texts_stuck).status is CheckStatus.OK
    assert diagnosis.headline.state is not HeadlineState.BROKEN


def test_three_people_refused_in_a_row_are_worth_a_warning() -> None:
    alerts = [alert(n, at + timedelta(seconds=1), "21408") for n, at in enumerate(TIMES, start=1)]
    diagnosis = world([], alerts=table(frames.ALERTS, alerts))
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.WARN
    assert diagnosis.headline.state is HeadlineState.DEGRADED


# Another account ----------------------------------------------------------------------------------------------


def test_the_log_of_another_account_says_nothing() -> None:
    numbered = list(enumerate(TIMES, start=1))
    stored = table(frames.PENDING_BOOKINGS, (booking(n, at, confirmed_at=None) for n, at in numbered))
    diagnosis = world([], pending_bookings=stored)
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.CANNOT_TELL
    assert diagnosis.headline.state is HeadlineState.CANNOT_TELL
    assert "another account" in diagnosis.headline.sentence


def test_texts_since_the_live_build_took_over_speak_against_missing_settings() -> None:
    rows = [*texts(6), text(50, ago(minutes=30), to_number="+447400777666", **WITHOUT_LINK)]
    assert verdict(world(rows), "provider_unconfigured") is Verdict.POSSIBLE


# An account in perfect order ----------------------------------------------------------------------------------


@pytest.mark.parametrize("template", [{}, WITHOUT_LINK, REDACTED, {"link_code": "unknown"}])
@pytest.mark.parametrize("stored", [True, False])
def test_two_hundred_bookings_in_perfect_order_flow_whatever_the_text_says(
    template: dict[str, Any], stored: bool
) -> None:
    times = [(n, ago(minutes=6 * n + 45)) for n in range(200, 0, -1)]
    sids = {} if stored else {"sms_sid": None}
    made = {"confirmed_at": None, "booking_id": "made"}
    pending = [booking(n, at, **(sids | made | {"confirmed_at": at + timedelta(minutes=3)})) for n, at in times]
    messages = ({"id": f"m{n}", "direction": "outbound", "message_sid": sid(n), "created_at": at} for n, at in times)
    diagnosis = world(
        [text(n, at, **template) for n, at in times],
        pending_bookings=table(frames.PENDING_BOOKINGS, pending),
        short_links=table(frames.SHORT_LINKS, (link(n, at) for n, at in times)),
        messages=table(frames.MESSAGES, messages),
        webhook_log=table(frames.WEBHOOK_LOG, (receipt(n, at) for n, at in times)),
        api_usage=table(frames.API_USAGE, (call(n, at) for n, at in times)),
    )
    assert diagnosis.headline.state is HeadlineState.FLOWING, diagnosis.headline.sentence
