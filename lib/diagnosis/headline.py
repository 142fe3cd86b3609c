"""The headline: the first rule that matches says what everybody reads.

A proven break outranks what is unread: a link that lands on a login is broken whether or not Twilio can be
asked. Without such proof, and without sight of bookings and texts, the desk cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.checks.delivery import SIGNATURE_REFUSED
from lib.diagnosis.checks.demand import initiate_calls
from lib.diagnosis.checks.sending import settled_journeys
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Delivery, Recording, Sending
from lib.diagnosis.texts import terminal
from lib.model.verdict import Check, CheckStatus, Headline, HeadlineState, Hop

FAIL, WARN = CheckStatus.FAIL, CheckStatus.WARN
Since = Callable[[Facts], datetime | None]

# What a verdict of FLOWING rests on: each of these has to be known, and good.
FOUNDATIONS = ("key_sees_all", "bookings_initiated", "texts_follow")


@dataclass(frozen=True, slots=True)
class Rule:
    """If `check` has `status`, the headline is `state` with `sentence` (which may hold the check's summary)."""

    check: str
    status: CheckStatus
    state: HeadlineState
    sentence: str
    since: Since


def _first_of_last_run(times: pd.Series, bad: pd.Series) -> datetime | None:
    """Return when the run of bad cases that lasts until now began."""
    if bad.empty or not bool(bad.iloc[-1]):
        return None
    good = bad.index[~bad.astype(bool)]
    run = times if good.empty else times.loc[good[-1] :].iloc[1:]
    return None if run.empty else run.iloc[0].to_pydatetime()


def _first(times: pd.Series) -> datetime | None:
    return None if times.empty else times.min().to_pydatetime()


def _unsent_since(facts: Facts) -> datetime | None:
    journeys = settled_journeys(facts)
    missing = journeys["sending"] == Sending.MISSING
    return _first_of_last_run(journeys["created_at"], missing) or _first(journeys.loc[missing, "created_at"])


def _failing_since(facts: Facts) -> datetime | None:
    recent = terminal(facts.need_outbound()).tail(thresholds.RECENT_TEXTS)
    failed = recent["delivery"] == Delivery.FAILED
    return _first_of_last_run(recent["created_at"], failed) or _first(recent.loc[failed, "created_at"])


def _lost_since(facts: Facts) -> datetime | None:
    outbound = facts.need_outbound()
    settled = outbound[outbound["recording"] != Recording.TOO_SOON]
    lost = settled["recording"] == Recording.LOST
    return _first_of_last_run(settled["created_at"], lost) or _first(settled.loc[lost, "created_at"])


def _api_since(facts: Facts) -> datetime | None:
    calls = initiate_calls(facts)
    return _first_of_last_run(calls["created_at"], calls["status_code"] >= 500)


def _refused_since(facts: Facts) -> datetime | None:
    """The last call that was accepted is the latest moment the key can be known to have worked."""
    keys = facts.need_rows(facts.snapshot.api_keys)
    used = keys["last_used_at"].max()
    return None if pd.isna(used) else used.to_pydatetime()


def _receipts_since(facts: Facts) -> datetime | None:
    hooks = facts.need_rows(facts.snapshot.webhook_log)
    refused = hooks.loc[hooks["status"] == SIGNATURE_REFUSED, "message_sid"]
    arrived = hooks.loc[~hooks["message_sid"].isin(refused), "processed_at"].max()
    return None if pd.isna(arrived) else arrived.to_pydatetime()


def _jobs_since(facts: Facts) -> datetime | None:
    jobs = facts.need_rows(facts.snapshot.background_jobs)
    waiting = jobs[jobs["status"].isin(["pending", "processing"])]
    return _first(waiting["scheduled_for"].fillna(waiting["created_at"]))


def _behind_since(facts: Facts) -> datetime | None:
    required = facts.value(facts.snapshot.required_commit)
    return required.commit.committed_at if required and required.commit else None


def _unknown(_: Facts) -> datetime | None:
    return None


_BROKEN, _DEGRADED = HeadlineState.BROKEN, HeadlineState.DEGRADED

# The order of the flow: what breaks earlier is said first.
RULES: tuple[Rule, ...] = (
    Rule("front_door", FAIL, _BROKEN, "The booking app is down.", _unknown),
    Rule("api_answers", FAIL, _BROKEN, "Bookings cannot start: the booking API fails.", _api_since),
    Rule(
        "api_key_active",
        FAIL,
        _BROKEN,
        "Bookings cannot start: the API key of the booking calls is refused.",
        _refused_since,
    ),
    Rule("texts_follow", FAIL, _BROKEN, "Texts are not sent: bookings come in and no text follows.", _unsent_since),
    Rule(
        "account_errors", FAIL, _BROKEN, "Texts are refused by Twilio because of our account or sender.", _unsent_since
    ),
    Rule("account_active", FAIL, _BROKEN, "Texts cannot be sent: the Twilio account is not in order.", _unknown),
    Rule("texts_arrive", FAIL, _BROKEN, "Texts are sent and do not arrive.", _failing_since),
    Rule("link_opens", FAIL, _BROKEN, "Texts arrive, but their link does not let customers confirm.", _unknown),
    Rule("openers_confirm", FAIL, _BROKEN, "People open the link and cannot confirm.", _unknown),
    Rule("confirmations_book", FAIL, _BROKEN, "Customers confirm, and no booking is made.", _unknown),
)
AMBER_RULES: tuple[Rule, ...] = (
    Rule(
        "texts_recorded", FAIL, _DEGRADED, "Texts reach customers, but the database does not know of them.", _lost_since
    ),
    Rule(
        "metadata_stored",
        FAIL,
        _DEGRADED,
        "Texts reach customers, but are not stored with their bookings.",
        _lost_since,
    ),
    Rule("columns_exist", FAIL, _DEGRADED, "The database lacks a column that the booking code writes.", _unknown),
    Rule("texts_follow", WARN, _DEGRADED, "Not every booking was followed by a text.", _unsent_since),
    Rule("texts_arrive", WARN, _DEGRADED, "Several texts in a row did not arrive.", _failing_since),
    Rule("api_answers", WARN, _DEGRADED, "Some booking calls fail.", _unknown),
    Rule(
        "receipts_arrive", FAIL, _DEGRADED, "Texts flow, but their receipts do not reach the database.", _receipts_since
    ),
    Rule("jobs_move", FAIL, _DEGRADED, "Texts flow, but the app's background jobs do not move.", _jobs_since),
    Rule("required_env", FAIL, _DEGRADED, "Texts flow, but the serving build lacks a required variable.", _unknown),
    Rule("git_integration", FAIL, _DEGRADED, "Texts flow, but new code does not reach production.", _behind_since),
    Rule(
        "builds_pass",
        FAIL,
        _DEGRADED,
        "Texts flow, but new code does not reach production: builds fail.",
        _behind_since,
    ),
    Rule(
        "serving_commit", FAIL, _DEGRADED, "Texts flow, but production does not run the required code.", _behind_since
    ),
    Rule(
        "texts_recorded", WARN, _DEGRADED, "Texts flow again; earlier ones are missing from the database.", _lost_since
    ),
)


def headline(facts: Facts, checks: Mapping[str, Check]) -> Headline:
    """Return the first headline that matches the checks."""
    blind = checks["key_sees_all"].status is not CheckStatus.OK
    if not blind and (broken := _first_match(RULES, facts, checks)):
        return broken
    unseen = [checks[name] for name in FOUNDATIONS if checks[name].status in (CheckStatus.CANNOT_TELL, FAIL)]
    if unseen:
        sentence = f"Whether texts flow cannot be told. {unseen[0].summary}"
        ids = tuple(check.id for check in unseen)
        return Headline(HeadlineState.CANNOT_TELL, sentence, None, unseen[0].hop, ids)
    if amber := _first_match(AMBER_RULES, facts, checks):
        return amber
    if checks["demand_seen"].status is not CheckStatus.OK:
        return _no_traffic(facts, checks)
    if checks["texts_follow"].status is not CheckStatus.OK:
        sentence = "Whether texts flow cannot be told yet: the only bookings are minutes old."
        return Headline(HeadlineState.CANNOT_TELL, sentence, None, Hop.ACCEPTED, ("texts_follow",))
    summary = checks["texts_follow"].summary
    return Headline(HeadlineState.FLOWING, f"Texts are flowing. {summary}", _flowing_since(facts), None, FOUNDATIONS)


def _first_match(rules: tuple[Rule, ...], facts: Facts, checks: Mapping[str, Check]) -> Headline | None:
    for rule in rules:
        check = checks[rule.check]
        if check.status is rule.status:
            sentence = f"{rule.sentence} {check.summary}"
            return Headline(rule.state, sentence, _since(rule.since, facts), check.hop, (check.id,))
    return None


def _since(since: Since, facts: Facts) -> datetime | None:
    try:
        return since(facts)
    except CannotTellError:
        return None


def _no_traffic(facts: Facts, checks: Mapping[str, Check]) -> Headline:
    history = facts.rows(facts.snapshot.demand_history)
    last = None if history is None or history.empty else history["created_at"].max().to_pydatetime()
    sentence = f"Nobody asked to book, so there was nothing to text. {checks['bookings_initiated'].summary}"
    return Headline(HeadlineState.NO_TRAFFIC, sentence, last, Hop.DEMAND, ("bookings_initiated", "demand_seen"))


def _flowing_since(facts: Facts) -> datetime | None:
    """The first text after the last booking that none followed; None if the window shows no miss."""
    journeys = settled_journeys(facts)
    missed = journeys.index[journeys["sending"] == Sending.MISSING]
    if missed.empty:
        return None
    return _first(journeys["created_at"].loc[missed[-1] :].iloc[1:])
