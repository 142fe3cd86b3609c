"""Twilio's log against the database, and what follows from the log alone."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from lib.diagnosis import text_log
from lib.diagnosis.error_codes import explain
from lib.diagnosis.journeys import Delivery, Recording
from lib.model import frames
from lib.model.provider import Balance
from tests.diagnosis.builders import NOW, OTHER_PHONE, PHONE, ago, booking, sid, table, text

AT = ago(hours=5)


def outbound(*rows: dict[str, Any]) -> Any:
    return text_log.reconciled(table(frames.TEXTS, rows), table(frames.MESSAGES), table(frames.PENDING_BOOKINGS), NOW)


def message(sid_: str | None, **fields: Any) -> dict[str, Any]:
    return {"id": f"m-{sid_}", "direction": "outbound", "message_sid": sid_, "created_at": AT} | fields


def test_texts_are_oldest_first_and_only_those_that_went_out() -> None:
    frame = outbound(text(2, ago(hours=1)), text(1, ago(hours=2)), text(3, AT, direction="inbound"))
    assert list(frame["sid"]) == [sid(1), sid(2)]
    assert list(frame["delivery"]) == [Delivery.DELIVERED] * 2
    assert list(frame["recording"]) == [Recording.LOST] * 2


def test_a_text_at_the_edge_of_the_window_is_not_called_lost() -> None:
    rows = table(frames.TEXTS, [text(1, AT), text(2, AT + timedelta(minutes=6))])
    frame = text_log.reconciled(rows, table(frames.MESSAGES), table(frames.PENDING_BOOKINGS), NOW, begins=AT)
    assert list(frame["recording"]) == [Recording.UNKNOWN, Recording.LOST]


def test_some_texts_are_claimed_by_the_database_and_unknown_to_twilio() -> None:
    messages = table(
        frames.MESSAGES,
        [
            message(sid(1)),
            message(sid(2)),
            message(sid(3)),
            message("local-fail-1"),
            message(sid(4), direction="inbound"),
            message(None),
        ],
    )
    pending = table(frames.PENDING_BOOKINGS, [booking(5, AT)])
    found = text_log.unknown_to_twilio(
        messages, table(frames.TEXTS, [text(1, AT)]), table(frames.TEXTS, [text(2, AT)]), pending
    )
    assert list(found) == [sid(3), sid(5)]


@pytest.mark.parametrize(
    ("status", "at", "is_stuck"),
    [
        ("queued", ago(minutes=61), True),
        ("queued", ago(minutes=59), False),
        ("sending", ago(minutes=61), True),
        ("sent", ago(minutes=119), False),
        ("sent", ago(minutes=121), True),
        ("delivered", ago(hours=20), False),
    ],
)
def test_stuck_is_what_waits_longer_than_is_plausible(status: str, at: Any, is_stuck: bool) -> None:
    assert bool(len(text_log.stuck(outbound(text(1, at, status=status, created_at=at)), NOW))) is is_stuck


def sent_every(gap: timedelta, count: int, number: str = PHONE, **fields: Any) -> list[dict[str, Any]]:
    return [text(n, AT + n * gap, to_number=number, created_at=AT + n * gap, **fields) for n in range(count)]


@pytest.mark.parametrize(
    ("rows", "too_many"),
    [
        (sent_every(timedelta(minutes=15), 4), True),  # four within an hour
        (sent_every(timedelta(minutes=20), 4), False),  # the fourth after an hour
        (sent_every(timedelta(hours=2), 9), True),  # nine within a day
        (sent_every(timedelta(hours=3), 9), False),  # the ninth after a day
        (sent_every(timedelta(minutes=9), 2, body_digest="same"), True),
        (sent_every(timedelta(minutes=11), 2, body_digest="same"), False),
        (sent_every(timedelta(minutes=9), 2, body_digest=None), False),  # bodies that are not kept are not the same
    ],
)
def test_too_many_texts_to_one_number_are_found(rows: list[dict[str, Any]], too_many: bool) -> None:
    other = text(99, AT, to_number=OTHER_PHONE)
    found = text_log.over_sent(outbound(*rows, other))
    assert list(found["to_number"]) == ([PHONE] if too_many else [])


def test_over_sending_is_counted_per_number() -> None:
    found = text_log.over_sent(outbound(*sent_every(timedelta(minutes=5), 10, body_digest="same")))
    assert found.to_dict("records") == [{"to_number": PHONE, "in_an_hour": 10, "in_a_day": 10, "duplicates": 9}]


def test_spending_adds_prices_and_says_how_long_the_balance_lasts() -> None:
    rows = [text(1, AT, price=-0.04, segments=2), text(2, AT, price=-0.08), text(3, AT, price=None)]
    spent = text_log.spending(outbound(*rows), Balance(Decimal("1.20"), "USD"), days=2)
    assert (spent.spent, spent.currency, spent.priced, spent.unpriced) == (Decimal("0.12"), "USD", 2, 1)
    assert spent.segments == 4
    assert spent.days_left == pytest.approx(20)


@pytest.mark.parametrize("balance", [None, Balance(Decimal("5"), "GBP")])
def test_days_left_are_told_in_one_currency_only(balance: Balance | None) -> None:
    assert text_log.spending(outbound(text(1, AT)), balance, days=1).days_left is None


def test_nothing_spent_lasts_for_no_known_time() -> None:
    spent = text_log.spending(outbound(), Balance(Decimal("5"), "GBP"), days=1)
    assert (spent.spent, spent.currency, spent.days_left) == (Decimal(0), "GBP", None)


def test_failures_are_told_by_code_with_the_owners_action() -> None:
    frame = outbound(
        text(1, AT),
        text(2, AT, status="undelivered", error_code="30007"),
        text(3, AT, status="undelivered", error_code="30007"),
        text(4, AT, status="failed", error_code="99999"),
    )
    rows = {row["error_code"]: row for row in text_log.by_status(frame).to_dict("records")}
    assert rows["30007"]["count"] == 2
    assert "spam" in rows["30007"]["meaning"] and rows["30007"]["action"]
    assert rows["99999"]["meaning"] == "Twilio error 99999"
    assert rows[""]["meaning"] == ""


def test_codes_that_stop_every_text_are_known_as_such() -> None:
    for code in ("20003", "20005", "21606", "21704", "30002", "63038"):
        assert explain(code).account_level
    for code in ("30003", "30005", "30007", "21408", "21610", "12345"):
        assert not explain(code).account_level
    assert explain("12345").url.endswith("/12345")
