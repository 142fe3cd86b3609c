"""Test bookings for the business's own phone are evidence that the flow works, and no business."""

from __future__ import annotations

from pathlib import Path

from lib.affected import affected
from lib.diagnosis.checks import delivery, demand, recording, sending
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.diagnosis.journeys import Stage
from lib.diagnosis.timeline import Series
from lib.model import frames
from lib.model.phone import NOBODYS_NUMBER
from lib.model.verdict import CheckStatus, HeadlineState
from lib.settings import load
from tests.diagnosis import builders as b

OURS = "+447400999888"


def taken_of(own: frozenset[str]) -> Diagnosis:
    """A desk where one customer asked, and two bookings were made for `OURS`, of which one got a text."""
    at = b.ago(hours=2)
    ours = {"mobile_number": OURS, "sms_sid": None, "metadata_state": "empty"}
    bookings = [b.booking(1, at), b.booking(2, at, **ours), b.booking(3, b.ago(hours=5), **ours)]
    texts = [b.text(1, at), b.text(7, at, to_number=OURS)]
    taken = b.snapshot(pending_bookings=b.table(frames.PENDING_BOOKINGS, bookings), texts=b.table(frames.TEXTS, texts))
    return diagnose(taken, b.NOW, Terms(own_numbers=own))


def test_no_business_figure_counts_a_booking_for_our_own_phone() -> None:
    counted, excluded = taken_of(frozenset()).facts, taken_of(frozenset({OURS})).facts
    for facts, bookings, texts in ((counted, 3, 2), (excluded, 1, 1)):
        assert facts.initiated == bookings
        assert facts.stages is not None and facts.stages[Stage.INITIATED] == bookings
        assert sum(facts.timeline[Series.INITIATED]) == bookings
        assert sum(facts.timeline[Series.ACCEPTED]) == texts
    assert {person.mobile_number for person in affected(counted).people} == {OURS}
    assert affected(excluded).people == ()


def test_a_try_of_the_call_alone_is_no_customer_and_says_nothing_of_the_flow() -> None:
    at = b.ago(hours=2)
    nobody = {"mobile_number": NOBODYS_NUMBER, "sms_sid": None, "metadata_state": "empty"}
    tries = [b.booking(n, b.ago(minutes=20 + n), **nobody) for n in (2, 3, 4, 5)]
    refused = [b.text(n, b.ago(minutes=20 + n), to_number=NOBODYS_NUMBER, status="failed") for n in (3, 4, 5)]
    taken = b.snapshot(
        pending_bookings=b.table(frames.PENDING_BOOKINGS, [b.booking(1, at), *tries]),
        texts=b.table(frames.TEXTS, [*refused, b.text(1, at)]),
    )
    diagnosis = diagnose(taken, b.NOW, Terms.of(load({}, secrets_file=Path("/nonexistent"))))
    assert diagnosis.headline.state is HeadlineState.FLOWING
    assert diagnosis.facts.initiated == 1 and affected(diagnosis.facts).people == ()
    for check in (sending.texts_follow, delivery.texts_arrive, recording.texts_recorded, recording.metadata_stored):
        assert diagnosis.check(check).status is CheckStatus.OK, check


def test_a_silence_of_customers_is_one_though_we_tested() -> None:
    at = b.ago(hours=2)
    taken = b.snapshot(
        pending_bookings=b.table(frames.PENDING_BOOKINGS, [b.booking(1, at, mobile_number=OURS)]),
        texts=b.table(frames.TEXTS, [b.text(1, at, to_number=OURS)]),
    )
    check = diagnose(taken, b.NOW, Terms(own_numbers=frozenset({OURS}))).check(demand.bookings_initiated)
    assert check.status in (CheckStatus.WARN, CheckStatus.NOT_APPLICABLE)
    assert "1 test booking of our own, not counted." in check.evidence
