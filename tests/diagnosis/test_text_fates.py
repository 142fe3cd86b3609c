"""Every text that was due is counted once, also one that Twilio never took."""

from __future__ import annotations

import pytest

from lib.diagnosis.diagnose import diagnose
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Recording
from lib.diagnosis.text_fates import TextFate, text_log, totals
from lib.model import frames
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import CheckStatus
from tests.diagnosis.builders import NOW, ago, booking, never_sent, snapshot, table, text, truncated

AWAY = Failure(FailureKind.TIMEOUT, "It did not answer.")
REFUSED = {"sid": "NO1", "error_code": "21606", "level": "error", "text": "no"}


def facts(**changed: object) -> Facts:
    return Facts(snapshot(**changed), NOW)


def bookings(*numbers: int) -> object:
    return table(frames.PENDING_BOOKINGS, [booking(n, ago(hours=n + 1)) for n in numbers])


def some_refused() -> Facts:
    """Four bookings, of which Twilio took the texts of two; it logged a refusal of the newest."""
    return facts(
        pending_bookings=bookings(1, 2, 3, 4),
        texts=table(frames.TEXTS, [text(3, ago(hours=4)), text(4, ago(hours=5))]),
        alerts=table(frames.ALERTS, [{**REFUSED, "created_at": ago(hours=2, seconds=-20)}]),
    )


def test_texts_that_were_never_sent_count_as_not_arrived() -> None:
    found = totals(some_refused())
    assert (found.delivered, found.not_sent, found.failed, found.arrived) == (2, 2, 0, "2 of 4")
    assert found.message == "2 texts were not sent."


def test_the_tile_says_the_same_and_is_red_while_no_text_follows() -> None:
    diagnosis = diagnose(some_refused().snapshot, NOW)
    tile = next(tile for tile in diagnosis.tiles if tile.id == "delivered")
    assert (tile.value, tile.message) == (totals(diagnosis.facts).arrived, "2 texts were not sent.")
    assert tile.status is CheckStatus.FAIL
    nothing = diagnose(snapshot(**never_sent()), NOW)
    assert next(tile for tile in nothing.tiles if tile.id == "delivered").status is CheckStatus.FAIL


def test_the_log_has_failures_first_the_newest_of_them_on_top_with_the_error_in_words() -> None:
    log = text_log(some_refused())
    assert list(log["fate"]) == [TextFate.NOT_SENT, TextFate.NOT_SENT, TextFate.DELIVERED, TextFate.DELIVERED]
    assert list(log["booking_id"]) == ["booking-1", "booking-2", "booking-3", "booking-4"]
    assert log["error"][0] == "The sender cannot be used on this account (21606)"
    assert log["error"][1] == "Twilio never got it, and logged no error: the app did not send it."
    assert list(log["error"][2:]) == ["", ""]


def test_a_text_that_is_not_recorded_stands_after_the_failed_and_before_the_others() -> None:
    log = text_log(
        facts(
            pending_bookings=table(frames.PENDING_BOOKINGS, [booking(1, ago(hours=2))]),
            messages=table(frames.MESSAGES),
            texts=table(
                frames.TEXTS,
                [
                    text(1, ago(hours=2)),
                    text(8, ago(hours=5), to_number="+447400999888", link_code=None),
                    text(9, ago(hours=6), status="undelivered", error_code="30003"),
                ],
            ),
        )
    )
    assert list(log["fate"]) == [TextFate.FAILED, TextFate.DELIVERED, TextFate.DELIVERED]
    assert log["recording"][1] == Recording.LOST and "no record" in log["error"][1]
    assert "30003" in log["error"][0]


def test_what_was_not_read_is_not_counted_as_sent_or_recorded() -> None:
    with pytest.raises(CannotTellError):
        totals(Facts(snapshot(texts=AWAY), NOW))
    unread = totals(Facts(snapshot(pending_bookings=AWAY, messages=AWAY), NOW))
    assert unread.not_sent is None and unread.not_recorded is None
    assert "cannot be told" in unread.message
    cut = totals(facts(texts=truncated("texts", table(frames.TEXTS, [text(1, ago(hours=1))]))))
    assert cut.not_sent is None, "the rest of the log may hold them"
