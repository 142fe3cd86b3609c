"""When did it break? For each hop and bin of time, what the rows of that time say of the hop.

Made of the same facts and by the same rules as the checks. A bin without anything to judge says so, what was not
read is unknown, and nothing is good without evidence of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import numpy as np
import pandas as pd

from lib.diagnosis import text_log, thresholds
from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.checks import code, confirming, demand, link, recording, sending
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.hops import DECISIVE
from lib.diagnosis.journeys import Delivery, Recording, Sending
from lib.model.verdict import CheckStatus, Hop
from lib.model.window import Window


class BinState(StrEnum):
    """What is known of a hop in one bin of time."""

    GOOD = "good"
    SOME_FAILED = "some failed"
    BAD = "bad"
    NOTHING = "nothing to judge"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class HopBin:
    """One bin `[start, end)` of a hop's bar (UTC): of `judged` cases `failed` did.

    Without cases the state is that of the hop as a whole: which code served, or what is the case now.
    """

    start: datetime
    end: datetime
    state: BinState
    judged: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class HopHistory:
    """The bar of one hop: bins that follow each other without a gap, over the whole window.

    `why_unknown` is the reason where all of it is unknown; else empty.
    """

    hop: Hop
    bins: tuple[HopBin, ...]
    why_unknown: str = ""

    @property
    def runs(self) -> tuple[HopBin, ...]:
        """The bar with neighbours of one state joined."""
        joined: list[HopBin] = []
        for one in self.bins:
            if joined and joined[-1].state is one.state:
                last = joined.pop()
                one = HopBin(last.start, one.end, one.state, last.judged + one.judged, last.failed + one.failed)
            joined.append(one)
        return tuple(joined)


@dataclass(frozen=True, eq=False)
class Cases:
    """What a hop is judged by, oldest first: when each case was, whether it went wrong, and whose it was.

    `open_at` are the times of cases of which it is not known how they went.
    """

    at: pd.Series
    bad: pd.Series
    who: pd.Series
    open_at: pd.Series


# That a key sees every row is no hop of time: where it does not, every bar is unknown.
HOPS: Final = tuple(hop for hop in Hop if hop is not Hop.VISIBILITY)

# Checks about this moment, not about rows. Where one fails, the newest bin of its hop is bad.
ABOUT_NOW: Final[Mapping[Hop, tuple[CheckSpec, ...]]] = {
    Hop.DEMAND: (demand.front_door, demand.api_key_active),
    Hop.CODE: (code.serving_commit, code.builds_pass, code.nothing_waits, code.required_env, code.git_integration),
    Hop.ACCEPTED: (sending.account_active,),
    Hop.RECORDED: (recording.columns_exist,),
    Hop.LINK: (link.link_opens,),
    Hop.CONFIRMED: (confirming.jobs_move,),
}


def _cases(frame: pd.DataFrame, time: str, bad: pd.Series, who: str, unsettled: pd.Series) -> Cases:
    return Cases(frame[time], bad.astype(bool), frame[who].astype("object"), unsettled)


def _started(facts: Facts) -> Cases:
    """Bookings that began, and calls that ended in an error of the app's own."""
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    began = pd.DataFrame({"at": pending["created_at"], "bad": False, "who": pending["mobile_number"]})
    try:
        calls = demand.initiate_calls(facts)
    except CannotTellError:
        calls = None
    if calls is not None and len(calls):
        errors = calls[calls["status_code"] >= 500]
        failed = pd.DataFrame({"at": errors["created_at"], "bad": True, "who": None})
        began = pd.concat([began, failed]) if len(began) and len(failed) else failed if len(failed) else began
    began = began.sort_values("at", kind="stable", ignore_index=True)
    return _cases(began, "at", began["bad"], "who", _none())


def _accepted(facts: Facts) -> Cases:
    journeys = sending.eligible_journeys(facts)
    settled = sending.settled_journeys(facts)
    unsettled = journeys["sending"].isin([Sending.UNCERTAIN, Sending.UNKNOWN])
    bad = settled["sending"] == Sending.MISSING
    return _cases(settled, "created_at", bad, "mobile_number", journeys.loc[unsettled, "created_at"])


def _delivered(facts: Facts) -> Cases:
    outbound = facts.need_outbound()
    ended = text_log.without_lone_faults(text_log.terminal(outbound))
    unsettled = outbound["delivery"] == Delivery.NO_RECEIPT
    bad = ended["delivery"] == Delivery.FAILED
    return _cases(ended, "created_at", bad, "to_number", outbound.loc[unsettled, "created_at"])


def _recorded(facts: Facts) -> Cases:
    outbound = facts.need_outbound()
    for reading in (facts.snapshot.messages, facts.snapshot.pending_bookings):
        facts.need_rows(reading)
        facts.need_complete(reading)
    settled = recording.settled_texts(outbound)
    unsettled = outbound["recording"] == Recording.UNKNOWN
    bad = settled["recording"] == Recording.LOST
    return _cases(settled, "created_at", bad, "sid", outbound.loc[unsettled, "created_at"])


def _opened(facts: Facts) -> Cases:
    """People who opened their link. That one of them did not confirm is no fault; that none did may be one."""
    opened = link.opened_links(facts).sort_values("created_at", kind="stable")
    return _cases(opened, "created_at", opened["confirmed_at"].isna(), "id", _none())


def _confirmed(facts: Facts) -> Cases:
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    confirmed = pending.dropna(subset="confirmed_at").sort_values("confirmed_at", kind="stable")
    return _cases(confirmed, "confirmed_at", confirmed["booking_id"].isna(), "id", _none())


_CASES: Final[Mapping[Hop, Callable[[Facts], Cases]]] = {
    Hop.DEMAND: _started,
    Hop.ACCEPTED: _accepted,
    Hop.DELIVERED: _delivered,
    Hop.RECORDED: _recorded,
    Hop.LINK: _opened,
    Hop.CONFIRMED: _confirmed,
}


def hop_histories(facts: Facts, answers: Answers) -> tuple[HopHistory, ...]:
    """Return the bar of every hop but the first, which is about the desk's own sight, in the order of the flow."""
    return tuple(_history(hop, facts, answers) for hop in HOPS)


def _history(hop: Hop, facts: Facts, answers: Answers) -> HopHistory:
    bins = _bins(facts.snapshot.window)
    if hop is Hop.CODE:
        return HopHistory(hop, _now(hop, _code_bins(bins, facts, answers), answers))
    try:
        cases = _CASES[hop](facts)
    except CannotTellError as error:
        return HopHistory(hop, _now(hop, bins, answers), str(error))
    judge = _judge_openers if hop is Hop.LINK else _judge
    judged = tuple(
        HopBin(start.start, start.end, BinState.UNKNOWN) if start.start < _rows_since(facts) else one
        for start, one in zip(bins, judge(bins, cases), strict=True)
    )
    return HopHistory(hop, _now(hop, judged, answers))


def _bins(window: Window) -> tuple[HopBin, ...]:
    """Return bins that tile the window, all unknown."""
    width, bins = window.size.bucket, []
    start = window.start
    while start < window.end:
        end = min(start + width, window.end)
        bins.append(HopBin(start, end, BinState.UNKNOWN))
        start = end
    return tuple(bins)


def _rows_since(facts: Facts) -> datetime:
    return facts.snapshot.rows_since if facts.snapshot.cut else facts.snapshot.window.start


def _judge(bins: tuple[HopBin, ...], cases: Cases) -> tuple[HopBin, ...]:
    """Judge each bin by its own cases; one bad case alone is somebody's bad luck, as in the checks."""
    number, bad = _numbers(bins, cases.at), cases.bad.to_numpy(dtype=bool)
    lasting = _in_a_run(bad, cases.who)
    judged, failed = _counts(bins, number), _counts(bins, number[bad])
    in_runs, unsettled = _counts(bins, number[lasting]), _counts(bins, _numbers(bins, cases.open_at))
    return tuple(
        HopBin(one.start, one.end, _state(*map(int, counts[:4])), int(counts[0]), int(counts[1]))
        for one, *counts in zip(bins, judged, failed, in_runs, unsettled, strict=True)
    )


def _state(judged: int, failed: int, in_runs: int, unsettled: int) -> BinState:
    if not judged:
        return BinState.UNKNOWN if unsettled else BinState.NOTHING
    if not failed:
        return BinState.GOOD
    return BinState.BAD if in_runs and 2 * failed >= judged else BinState.SOME_FAILED


def _judge_openers(bins: tuple[HopBin, ...], cases: Cases) -> tuple[HopBin, ...]:
    """Judge by whether anybody who opened the link confirmed: too few who did not say nothing."""
    number = _numbers(bins, cases.at)
    confirmed = ~cases.bad.to_numpy(dtype=bool)
    judged = []
    for place, one in enumerate(bins):
        here = confirmed[number == place]
        count = len(here)
        judged.append(HopBin(one.start, one.end, _openers_state(here), count, count - int(here.sum())))
    return tuple(judged)


def _openers_state(confirmed: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> BinState:
    if not len(confirmed):
        return BinState.NOTHING
    match link.openers_status(pd.Series(confirmed)):
        case CheckStatus.OK:
            return BinState.GOOD
        case CheckStatus.FAIL:
            return BinState.BAD
        case CheckStatus.WARN:
            return BinState.SOME_FAILED
        case _:
            return BinState.UNKNOWN


def _code_bins(bins: tuple[HopBin, ...], facts: Facts, answers: Answers) -> tuple[HopBin, ...]:
    """Judge which code served: since it serves, or since the commit that it lacks was made. Before, it is unknown."""
    status = answers[DECISIVE[Hop.CODE]].status
    if status is CheckStatus.OK:
        state, since = BinState.GOOD, _serving_since(facts)
    elif status is CheckStatus.FAIL:
        required = facts.value(facts.snapshot.required_commit)
        state, since = BinState.BAD, required.commit.committed_at if required and required.commit else None
    else:
        return bins
    since = bins[-1].start if since is None else since
    return tuple(HopBin(one.start, one.end, state) if one.end > since else one for one in bins)


def _serving_since(facts: Facts) -> datetime | None:
    hosts = [host for host in facts.value(facts.snapshot.hostnames) or () if not host.redirect_to]
    since = [host.serving_since for host in hosts]
    known = [moment for moment in since if moment is not None]
    return max(known) if known and len(known) == len(since) else None


def _now(hop: Hop, bins: tuple[HopBin, ...], answers: Answers) -> tuple[HopBin, ...]:
    """Return `bins` with what is the case now in the newest: bad beats all, and a link that opens is evidence."""
    last = bins[-1]
    statuses = [answers[spec].status for spec in ABOUT_NOW.get(hop, ())]
    state = last.state
    if CheckStatus.FAIL in statuses:
        state = BinState.BAD
    elif hop is Hop.LINK and state in (BinState.NOTHING, BinState.UNKNOWN) and CheckStatus.OK in statuses:
        state = BinState.GOOD
    return (*bins[:-1], HopBin(last.start, last.end, state, last.judged, last.failed))


def _in_a_run(
    bad: np.ndarray[tuple[int], np.dtype[np.bool_]], who: pd.Series
) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return which bad cases stand in a row of several, of more than one person where that is known."""
    run = np.cumsum(~bad)
    rows = pd.DataFrame({"run": run[bad], "who": who.to_numpy(dtype="object")[bad]})
    whose = rows["who"].where(rows["who"].notna(), pd.Series(range(len(rows)), dtype="object"))
    people = whose.groupby(rows["run"]).transform("nunique").to_numpy()
    lasting = np.zeros(len(bad), dtype=bool)
    lasting[bad] = people >= thresholds.FAILURES_TO_WARN
    return lasting


def _numbers(bins: tuple[HopBin, ...], at: pd.Series) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return in which bin each time lies; -1 for one outside of the window."""
    starts = pd.DatetimeIndex([one.start for one in bins])
    times = pd.DatetimeIndex(pd.to_datetime(at, utc=True))
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = starts.searchsorted(times, side="right") - 1
    return np.where(times < pd.Timestamp(bins[-1].end), found, -1)


def _counts(
    bins: tuple[HopBin, ...], numbers: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return np.bincount(numbers[numbers >= 0], minlength=len(bins))


def _none() -> pd.Series:
    return pd.Series([], dtype="datetime64[ns, UTC]")


def when_it_broke(histories: tuple[HopHistory, ...]) -> tuple[HopHistory, HopBin] | None:
    """Return the hop that has been bad the longest of those that still are, and since which bin; None if none is.

    What is bad still: in the newest bin of which anything is known, or all through until it.
    """
    found = []
    for history in histories:
        known = [run for run in history.runs if run.state not in (BinState.NOTHING, BinState.UNKNOWN)]
        if not known or known[-1].state is not BinState.BAD:
            continue
        # Quiet and unknown bins between bad ones are no end of the outage.
        begin = len(known) - 1
        while begin and known[begin - 1].state is BinState.BAD:
            begin -= 1
        first = next(one for one in history.bins if one.start == known[begin].start)
        found.append((history, first))
    return min(found, key=lambda each: each[1].start, default=None)
