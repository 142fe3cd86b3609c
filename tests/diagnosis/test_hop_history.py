"""When did it break? What each bin of a hop's bar says, held against the checks about the rows of that bin."""

from __future__ import annotations

import dataclasses
import itertools
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings

from lib.diagnosis.check_api import CheckSpec
from lib.diagnosis.checks import confirming, delivery, demand, link, recording, sending
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import CannotTellError, Facts, Terms
from lib.diagnosis.hop_history import (
    ABOUT_NOW,
    HOPS,
    BinState,
    HopBin,
    HopHistory,
    hop_histories,
    when_it_broke,
)
from lib.model import frames
from lib.model.provider import Landing, LinkOpening
from lib.model.reading import FailureKind
from lib.model.verdict import CheckStatus, Hop
from lib.snapshot import Snapshot
from tests.diagnosis.builders import NOW, booking, snapshot, table, text, without
from tests.diagnosis.test_random import snapshots

GOOD, SOME, BAD, NOTHING, UNKNOWN = (
    BinState.GOOD,
    BinState.SOME_FAILED,
    BinState.BAD,
    BinState.NOTHING,
    BinState.UNKNOWN,
)
# The checks about rows, by the hop whose bar is made of the same rows.
ROW_CHECKS = {
    Hop.DEMAND: demand.api_answers,
    Hop.ACCEPTED: sending.texts_follow,
    Hop.DELIVERED: delivery.texts_arrive,
    Hop.RECORDED: recording.texts_recorded,
    Hop.LINK: link.openers_confirm,
    Hop.CONFIRMED: confirming.confirmations_book,
}


def bars(diagnosis: Diagnosis) -> dict[Hop, HopHistory]:
    return {one.hop: one for one in hop_histories(diagnosis.facts, diagnosis.answers)}


def within(frame: pd.DataFrame, column: str, one: HopBin) -> pd.DataFrame:
    return frame[(frame[column] >= one.start) & (frame[column] < one.end)]


def status_of_rows(check: CheckSpec, facts: Facts, one: HopBin) -> CheckStatus:
    """Answer `check` from the rows of one bin alone, joined as in the whole window."""
    taken = facts.snapshot
    changed: dict[str, Any] = {}
    for name, column in (("api_usage", "created_at"), ("pending_bookings", "confirmed_at")):
        reading = getattr(taken, name)
        if reading.value is not None:
            changed[name] = dataclasses.replace(reading, value=within(reading.value, column, one))
    part = Facts(dataclasses.replace(taken, **changed), facts.now, facts.terms)
    for name in ("journeys", "outbound"):
        whole = getattr(facts, name)
        part.__dict__[name] = None if whole is None else within(whole, "created_at", one)
    try:
        return check.answer(part).status
    except CannotTellError:
        return CheckStatus.CANNOT_TELL


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots())
def test_no_bin_is_good_where_the_check_of_its_rows_is_not(world: tuple[Snapshot, datetime, Terms]) -> None:
    seen, now, terms = world
    diagnosis = diagnose(seen, now, terms)
    for hop, history in bars(diagnosis).items():
        for one in history.bins:
            if hop not in ROW_CHECKS or one.state is not GOOD or not one.judged:
                continue
            status = status_of_rows(ROW_CHECKS[hop], diagnosis.facts, one)
            assert status not in (CheckStatus.FAIL, CheckStatus.WARN), (hop, one)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(snapshots())
def test_the_bins_tile_the_window_and_good_ones_have_evidence(world: tuple[Snapshot, datetime, Terms]) -> None:
    seen, now, terms = world
    diagnosis = diagnose(seen, now, terms)
    drawn = bars(diagnosis)
    assert tuple(drawn) == HOPS
    for hop, history in drawn.items():
        bins = history.bins
        assert bins[0].start == seen.window.start and bins[-1].end == seen.window.end
        assert all(one.end == following.start for one, following in itertools.pairwise(bins))
        assert sum(run.judged for run in history.runs) == sum(one.judged for one in bins)
        assert [run.state for run in history.runs if run.start >= run.end] == []
        for one in bins[:-1]:
            if one.state is GOOD and hop is not Hop.CODE:
                assert one.judged and (hop is Hop.LINK or not one.failed), (hop, one)
            if one.start < seen.rows_since and hop is not Hop.CODE:
                assert one.state is UNKNOWN
        if any(diagnosis.check(spec).status is CheckStatus.FAIL for spec in ABOUT_NOW.get(hop, ())):
            assert bins[-1].state is BAD
        if history.why_unknown:
            assert {one.state for one in bins[:-1]} <= {UNKNOWN}


def an_outage(*, hours: int, missing: set[int]) -> Diagnosis:
    """One booking in the middle of each of the last hours; `missing` are the hours ago of those without a text."""
    at = {hour: NOW - timedelta(hours=hour) + timedelta(minutes=30) for hour in range(hours, 0, -1)}
    bookings = [booking(hour, when, **({"sms_sid": None} if hour in missing else {})) for hour, when in at.items()]
    texts = [text(hour, when) for hour, when in at.items() if hour not in missing]
    taken = snapshot(pending_bookings=table(frames.PENDING_BOOKINGS, bookings), texts=table(frames.TEXTS, texts))
    return diagnose(taken, NOW)


def test_an_outage_is_bad_from_its_first_hour_and_what_was_before_stays_good() -> None:
    found = bars(an_outage(hours=12, missing={1, 2, 3, 4}))[Hop.ACCEPTED]
    states = [one.state for one in found.bins[-12:-1]]
    assert states == [GOOD] * 8 + [BAD] * 3
    assert {one.state for one in found.bins[:12]} == {NOTHING}
    broke = when_it_broke((found,))
    assert broke is not None and broke[1].start == NOW - timedelta(hours=4)


def test_one_booking_without_a_text_is_no_outage() -> None:
    found = bars(an_outage(hours=12, missing={5}))[Hop.ACCEPTED]
    assert [one.state for one in found.bins[-12:-1]].count(SOME) == 1
    assert BAD not in {one.state for one in found.bins}
    assert when_it_broke((found,)) is None


def test_an_outage_that_is_over_stays_in_the_bar_and_is_not_said_to_last() -> None:
    found = bars(an_outage(hours=12, missing={6, 7, 8}))[Hop.ACCEPTED]
    assert [run.state for run in found.runs if run.judged] == [GOOD, BAD, GOOD]
    assert when_it_broke((found,)) is None


@pytest.mark.parametrize(("unread", "unknown"), [("texts", Hop.ACCEPTED), ("pending_bookings", Hop.DEMAND)])
def test_what_was_not_read_is_unknown_and_says_why(unread: str, unknown: Hop) -> None:
    diagnosis = diagnose(without(snapshot(), [unread], FailureKind.TIMEOUT), NOW)
    found = bars(diagnosis)[unknown]
    assert {one.state for one in found.bins} == {UNKNOWN} and found.why_unknown


def test_rows_that_were_not_read_are_unknown_before_the_first_that_was() -> None:
    whole = snapshot()
    since = NOW - timedelta(hours=6, minutes=20)
    diagnosis = diagnose(dataclasses.replace(whole, rows_since=since), NOW)
    for hop, history in bars(diagnosis).items():
        if hop is not Hop.CODE:
            assert {one.state for one in history.bins if one.start < since} == {UNKNOWN}


def test_a_link_that_leads_to_a_login_is_bad_now_and_one_that_opens_is_good() -> None:
    for landing, state in ((Landing.LOGIN, BAD), (Landing.CONFIRMATION, GOOD)):
        opening = LinkOpening("b", NOW, landing, 200, ())
        diagnosis = diagnose(snapshot(link_opening=opening, pending_bookings=table(frames.PENDING_BOOKINGS)), NOW)
        assert bars(diagnosis)[Hop.LINK].bins[-1].state is state
