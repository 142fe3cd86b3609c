"""A window with very many rows: the newest are judged, the database counts the rest, and each says which it is."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest

from lib.affected import affected
from lib.diagnosis.checks import demand, sending
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Recording, Sending, Stage
from lib.diagnosis.timeline import Series
from lib.model import frames
from lib.model.counts import Counts
from lib.model.reading import Caveat, CaveatKind, FailureKind
from lib.model.verdict import CheckStatus, HeadlineState
from lib.model.window import Window, WindowSize
from lib.snapshot import Snapshot
from tests.diagnosis.builders import MOMENTS, NOW, ago, booking, never_sent, sid, snapshot, table, text, without

MONTH = Window.ending(NOW, WindowSize.MONTH)
SINCE = MOMENTS[0] - timedelta(minutes=30)  # before the first of the healthy world's rows


def counted(**changed: Any) -> Counts:
    """A month of 1,000 bookings a day, all stored, and as many texts, nine in ten of them delivered."""
    days = [MONTH.start + timedelta(days=day) for day in range(30)]
    base = {"initiated": 1000, "stored": 1000, "empty": 0, "without_sms": 0, "confirmed": 700}
    bookings = [{"bucket": day, **base, "booked": 600, "last_at": day} for day in days]
    texts = [
        {"bucket": day, "status": status, "texts": count, "last_at": day}
        for day in days
        for status, count in (("delivered", 900), ("undelivered", 100))
    ]
    counts = Counts(
        MONTH,
        table(frames.BOOKING_COUNTS, bookings),
        table(frames.BOOKING_COUNTS),
        table(frames.TEXT_COUNTS, texts),
        has_metadata=True,
        links_opened=24_000,
    )
    return dataclasses.replace(counts, **changed)


def cut(**changed: Any) -> Snapshot:
    return snapshot(MONTH, SINCE, **({"counts": counted()} | changed))


def tile(diagnosis: Diagnosis, name: str) -> tuple[CheckStatus, str]:
    found = next(tile for tile in diagnosis.tiles if tile.id == name)
    return found.status, found.value


def test_counts_stand_for_the_window_and_rows_for_the_verdict() -> None:
    diagnosis = diagnose(cut(), NOW)
    assert diagnosis.headline.state is HeadlineState.FLOWING
    assert "30,000 bookings were initiated" in diagnosis.check(demand.bookings_initiated).summary
    assert "of 6 bookings" in diagnosis.check(sending.texts_follow).summary
    assert tile(diagnosis, "delivered") == (CheckStatus.OK, "27,000 of 30,000")
    lines = diagnosis.facts.timeline
    assert lines[Series.INITIATED].sum() == 30_000 and lines[Series.MARKED_FAILED].sum() == 3_000
    assert lines[Series.ACCEPTED] is None, "only Twilio knows"


def test_what_the_database_knows_in_part_is_a_least_number() -> None:
    facts = Facts(cut(), NOW)
    assert facts.stages == {
        Stage.INITIATED: 30_000,
        Stage.ACCEPTED: 30_000,
        Stage.DELIVERED: 24_000,
        Stage.OPENED: 24_000,
        Stage.CONFIRMED: 21_000,
        Stage.BOOKED: 18_000,
    }
    assert facts.least_stages == {Stage.ACCEPTED, Stage.DELIVERED, Stage.OPENED}


def test_without_the_counts_the_window_is_unknown_and_never_zero() -> None:
    diagnosis = diagnose(without(cut(), ["counts"], FailureKind.TIMEOUT), NOW)
    assert diagnosis.facts.stages is None and set(diagnosis.facts.timeline.values()) == {None}
    assert diagnosis.check(demand.bookings_initiated).status is CheckStatus.CANNOT_TELL
    assert tile(diagnosis, "delivered")[0] is CheckStatus.CANNOT_TELL
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.OK
    assert diagnosis.headline.state is HeadlineState.CANNOT_TELL


def test_an_outage_as_old_as_the_rows_began_then_at_the_latest() -> None:
    since_always = cut(**never_sent())
    assert diagnose(since_always, NOW).headline.state is HeadlineState.BROKEN
    assert diagnose(since_always, NOW).headline.since_at_least
    assert diagnose(snapshot(**never_sent()), NOW).headline.since is not None


def test_a_text_that_an_older_row_knows_is_not_lost() -> None:
    lost = {"messages": table(frames.MESSAGES), "pending_bookings": table(frames.PENDING_BOOKINGS)}
    asked = [
        {"sid": sid(1), "in_messages": True, "with_booking": False},
        {"sid": sid(2), "in_messages": False, "with_booking": True},
        {"sid": sid(3), "in_messages": False, "with_booking": False},
    ]
    facts = Facts(cut(**lost, reconciled=table(frames.RECONCILED, asked)), NOW)
    recording = facts.outbound.set_index("sid")["recording"]
    found = [recording[sid(number)] for number in (1, 2, 3)]
    assert found == [Recording.RECORDED, Recording.DEFERRED, Recording.LOST]


def test_a_text_that_twilio_was_not_asked_for_is_not_called_unknown() -> None:
    known = [{"id": "m", "direction": "outbound", "message_sid": sid(n), "created_at": ago(hours=2)} for n in (77, 78)]
    base = snapshot(messages=table(frames.MESSAGES, known))
    unasked = Caveat(CaveatKind.PARTIAL, sid(77), "It was not asked for.")
    part = dataclasses.replace(base, known_texts=dataclasses.replace(base.known_texts, caveats=(unasked,)))
    assert list(Facts(part, NOW).unknown_to_twilio) == [sid(78)]


@pytest.mark.parametrize("said", [{"sms_opt_in": False}, {"messaging_status": "opted_out"}])
def test_nobody_who_wants_no_texts_is_missed_one(said: dict[str, Any]) -> None:
    asked = [booking(n, at, customer_id=f"c{n}") for n, at in enumerate(MOMENTS, start=1)]
    world = {
        "pending_bookings": table(frames.PENDING_BOOKINGS, asked),
        "texts": table(frames.TEXTS, (text(n, at) for n, at in enumerate(MOMENTS, start=1) if n != 3)),
    }
    assert diagnose(snapshot(**world), NOW).check(sending.texts_follow).status is CheckStatus.WARN
    opted_out = snapshot(**world, customers=table(frames.CUSTOMERS, [{"id": "c3", **said}]))
    diagnosis = diagnose(opted_out, NOW)
    assert diagnosis.check(sending.texts_follow).status is CheckStatus.OK
    assert list(diagnosis.facts.journeys["sending"]).count(Sending.OPTED_OUT) == 1
    assert affected(diagnosis.facts).people == ()


def test_the_tile_speaks_of_the_codes_start_only_where_rows_reach_back_to_it() -> None:
    def message(diagnosis: Diagnosis) -> str:
        return next(tile.message for tile in diagnosis.tiles if tile.id == "stored")

    assert message(diagnose(snapshot(), NOW)) == "Every texted booking has its text stored."
    assert "Every texted booking since" in message(diagnose(snapshot(Window.ending(NOW, WindowSize.WEEK)), NOW))


def test_the_states_of_metadata_are_counted_apart() -> None:
    counts = counted()
    some = counts.bookings.assign(stored=900, empty=30, without_sms=20)
    diagnosis = diagnose(cut(counts=dataclasses.replace(counts, bookings=some)), NOW)
    stored = next(tile for tile in diagnosis.tiles if tile.id == "stored")
    days = int((counts.bookings["bucket"] >= diagnosis.facts.running_code.since).sum())
    assert stored.value == f"{900 * days:,} of {1000 * days:,}"
    assert f"null ({50 * days:,}), empty ({30 * days:,}) or without the text ({20 * days:,})" in stored.message
