"""The headline: the first rule that matches says what everybody reads.

A proven break outranks what is unread: a link that lands on a login is broken whether or not Twilio can be
asked. Without such proof, and without sight of bookings and texts, the desk cannot tell.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.checks import code, confirming, delivery, demand, link, recording, sending, visibility
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Delivery, Recording, Sending
from lib.diagnosis.text_log import terminal, without_lone_faults
from lib.model.reading import Freshness
from lib.model.verdict import Check, CheckStatus, Headline, HeadlineState, Hop

FAIL, WARN = CheckStatus.FAIL, CheckStatus.WARN


@dataclass(frozen=True, slots=True)
class Beginning:
    """When something began. `at_least`: the rows that were read begin with it, so it may have begun before."""

    at: datetime
    at_least: bool = False


Since = Callable[[Facts], Beginning | None]

# What a verdict of FLOWING rests on: each of these has to be known, and good.
FOUNDATIONS = (visibility.key_sees_all, demand.bookings_initiated, sending.texts_follow, delivery.texts_arrive)
# Either of these shows that the link in the text works.
LINK_WORKS = (link.link_opens, link.openers_confirm)
# With no booking, these have to be known before it may be called nobody's wish.
DEMAND_VISIBLE = (demand.demand_seen, demand.api_key_active)


@dataclass(frozen=True, slots=True)
class HeadlineRule:
    """If `check` has `status`, the headline is `state`; the check's own summary follows `sentence`.

    Under an amber rule `sentence` goes on from "Texts flow, but …", where it is known that they do.
    """

    check: CheckSpec
    status: CheckStatus
    state: HeadlineState
    sentence: str
    since: Since
    while_flowing: str = ""  # the sentence where a text follows each booking all the same


def _first_of_last_run(times: pd.Series, bad: pd.Series) -> Beginning | None:
    """Return when the run of bad cases that lasts until now began: at the least then, if no good one is known."""
    if bad.empty or not bool(bad.iloc[-1]):
        return None
    good = bad.index[~bad.astype(bool)]
    run = times if good.empty else times.loc[good[-1] :].iloc[1:]
    return None if run.empty else Beginning(run.iloc[0].to_pydatetime(), at_least=good.empty)


def _first(times: pd.Series) -> Beginning | None:
    return None if times.empty else Beginning(times.min().to_pydatetime())


def _unsent_since(facts: Facts) -> Beginning | None:
    journeys = sending.settled_journeys(facts)
    missing = journeys["sending"] == Sending.MISSING
    return _first_of_last_run(journeys["created_at"], missing) or _first(journeys.loc[missing, "created_at"])


def _failing_since(facts: Facts) -> Beginning | None:
    ended = terminal(facts.need_outbound()[["delivery", "created_at", "error_code"]])
    recent = without_lone_faults(ended).tail(thresholds.RECENT_TEXTS)
    failed = recent["delivery"] == Delivery.FAILED
    return _first_of_last_run(recent["created_at"], failed) or _first(recent.loc[failed, "created_at"])


def _lost_since(facts: Facts) -> Beginning | None:
    settled = recording.settled_texts(facts.need_outbound()[["recording", "created_at"]])
    lost = settled["recording"] == Recording.LOST
    return _first_of_last_run(settled["created_at"], lost) or _first(settled.loc[lost, "created_at"])


def _api_since(facts: Facts) -> Beginning | None:
    calls = demand.initiate_calls(facts).reset_index(drop=True)
    return _first_of_last_run(calls["created_at"], calls["status_code"] >= 500)


def _refused_since(facts: Facts) -> Beginning | None:
    """The last call that was accepted is the latest moment the key can be known to have worked."""
    keys = facts.need_rows(facts.snapshot.api_keys)
    used = keys["last_used_at"].max()
    return None if pd.isna(used) else Beginning(used.to_pydatetime())


def _receipts_since(facts: Facts) -> Beginning | None:
    """The last receipt that was taken is the latest moment they can be known to have arrived."""
    last = delivery.taken_receipts(facts)["processed_at"].max()
    return None if pd.isna(last) else Beginning(last.to_pydatetime())


def _unconfirmed_since(facts: Facts) -> Beginning | None:
    """When the first of those booked who opened their link since and did not confirm: all of them, until now."""
    opened = link.opened_links(facts)
    return _first_of_last_run(opened["created_at"], opened["confirmed_at"].isna())


def _unbooked_since(facts: Facts) -> Beginning | None:
    pending = facts.need_rows(facts.snapshot.pending_bookings)
    confirmed = pending.dropna(subset="confirmed_at").sort_values("confirmed_at", ignore_index=True)
    return _first_of_last_run(confirmed["confirmed_at"], confirmed["booking_id"].isna())


def _jobs_since(facts: Facts) -> Beginning | None:
    return _first(confirming.overdue_jobs(facts)["due"])


def _behind_since(facts: Facts) -> Beginning | None:
    required = facts.value(facts.snapshot.required_commit)
    return Beginning(required.commit.committed_at) if required and required.commit else None


def _unknown(_: Facts) -> Beginning | None:
    return None


_BROKEN, _DEGRADED = HeadlineState.BROKEN, HeadlineState.DEGRADED

# The order of the flow: what breaks earlier is said first. Of two that break the same hop, the one that says more.
RULES: tuple[HeadlineRule, ...] = (
    HeadlineRule(modes.paused, FAIL, _BROKEN, "Bookings cannot start.", _unknown),
    HeadlineRule(demand.front_door, FAIL, _BROKEN, "Bookings cannot start.", _unknown),
    HeadlineRule(demand.api_answers, FAIL, _BROKEN, "Bookings cannot start: the booking API fails.", _api_since),
    HeadlineRule(
        demand.api_key_active, FAIL, _BROKEN, "Bookings cannot start: the caller's API key is refused.", _refused_since
    ),
    HeadlineRule(sending.account_active, FAIL, _BROKEN, "Texts cannot be sent.", _unsent_since),
    HeadlineRule(
        sending.account_errors, FAIL, _BROKEN, "Texts are not sent.", _unsent_since, "Texts are being refused."
    ),
    HeadlineRule(
        sending.texts_follow, FAIL, _BROKEN, "Texts are not sent: none for the newest bookings.", _unsent_since
    ),
    HeadlineRule(delivery.texts_arrive, FAIL, _BROKEN, "Texts are sent but do not arrive.", _failing_since),
    HeadlineRule(link.link_opens, FAIL, _BROKEN, "Texts go out, but nobody can confirm.", _unconfirmed_since),
    HeadlineRule(link.openers_confirm, FAIL, _BROKEN, "Texts go out, but nobody confirms.", _unconfirmed_since),
    HeadlineRule(
        confirming.confirmations_book, FAIL, _BROKEN, "Customers confirm, but no booking is made.", _unbooked_since
    ),
)
_UNRECORDED = "Texts go out, but the database has no record of them."
_OLD_CODE = "new code does not reach production."
AMBER_RULES: tuple[HeadlineRule, ...] = (
    HeadlineRule(recording.texts_recorded, FAIL, _DEGRADED, _UNRECORDED, _lost_since),
    HeadlineRule(
        recording.metadata_stored, FAIL, _DEGRADED, "Texts go out, but are not stored with their bookings.", _lost_since
    ),
    HeadlineRule(recording.columns_exist, FAIL, _DEGRADED, "the database and the code do not match.", _unknown),
    HeadlineRule(sending.texts_follow, WARN, _DEGRADED, "Not every booking got its text.", _unsent_since),
    HeadlineRule(
        sending.account_errors,
        WARN,
        _DEGRADED,
        "Not every booking got its text.",
        _unsent_since,
        "texts were refused for a time.",
    ),
    HeadlineRule(delivery.texts_arrive, WARN, _DEGRADED, "Not every text arrives.", _failing_since),
    HeadlineRule(
        link.openers_confirm, WARN, _DEGRADED, "Texts go out, and nobody has confirmed lately.", _unconfirmed_since
    ),
    HeadlineRule(
        confirming.confirmations_book, WARN, _DEGRADED, "Not every confirmation became a booking.", _unbooked_since
    ),
    HeadlineRule(demand.api_answers, WARN, _DEGRADED, "Not every booking call starts a booking.", _unknown),
    HeadlineRule(
        delivery.receipts_arrive, FAIL, _DEGRADED, "receipts from Twilio do not reach the database.", _receipts_since
    ),
    HeadlineRule(confirming.jobs_move, FAIL, _DEGRADED, "the app's background jobs do not run.", _jobs_since),
    HeadlineRule(code.required_env, FAIL, _DEGRADED, "production's settings are not in order.", _unknown),
    HeadlineRule(code.git_integration, FAIL, _DEGRADED, _OLD_CODE, _behind_since),
    HeadlineRule(code.builds_pass, FAIL, _DEGRADED, _OLD_CODE, _behind_since),
    HeadlineRule(code.nothing_waits, FAIL, _DEGRADED, _OLD_CODE, _behind_since),
    HeadlineRule(code.serving_commit, FAIL, _DEGRADED, _OLD_CODE, _behind_since),
    HeadlineRule(
        recording.texts_recorded, WARN, _DEGRADED, "Earlier texts are missing from the database.", _lost_since
    ),
)


def headline(facts: Facts, answers: Answers) -> Headline:
    """Return the first headline that matches the checks."""
    sight = [check for check in answers.values() if check.hop is Hop.VISIBILITY and check.status is FAIL]
    blind = bool(sight) or answers[visibility.key_sees_all].status is not CheckStatus.OK
    if not blind and (broken := _first_match(RULES, facts, answers)):
        return broken
    unseen = [answers[spec] for spec in FOUNDATIONS if answers[spec].status in (CheckStatus.CANNOT_TELL, FAIL)]
    if sight or unseen:
        return _cannot_tell("Whether texts flow cannot be told.", *dict.fromkeys((*sight, *unseen)))
    link_checks = [answers[spec] for spec in LINK_WORKS]
    link_unknown = link_checks[0].status is CheckStatus.CANNOT_TELL
    if link_unknown and link_checks[1].status is WARN:
        return _cannot_tell("Texts go out; whether their link works cannot be told.", *reversed(link_checks))
    if amber := _first_match(AMBER_RULES, facts, answers):
        return amber
    if answers[demand.demand_seen].status is not CheckStatus.OK:
        return _no_demand(facts, answers)
    if answers[sending.texts_follow].status is not CheckStatus.OK:
        return _cannot_tell("Whether texts flow cannot be told yet.", answers[sending.texts_follow])
    if link_unknown and link_checks[1].status is not CheckStatus.OK:
        return _cannot_tell("Texts go out; whether their link works cannot be told.", *link_checks)
    if _app_silent(facts):
        return _cannot_tell(
            "Texts went out; whether a booking can start now cannot be told.", answers[demand.front_door]
        )
    if unexpected := _unexpected(answers):
        return unexpected
    because = (
        *(spec.id for spec in FOUNDATIONS),
        *(check.id for check in link_checks if check.status is CheckStatus.OK),
    )
    sentence = f"Texts are flowing. {answers[sending.texts_follow].summary}"
    return Headline(HeadlineState.FLOWING, sentence, _flowing_since(facts), None, because)


def _cannot_tell(sentence: str, *checks: Check) -> Headline:
    ids = tuple(check.id for check in checks)
    return Headline(HeadlineState.CANNOT_TELL, f"{sentence} {checks[0].summary}", None, checks[0].hop, ids)


def _first_match(rules: tuple[HeadlineRule, ...], facts: Facts, answers: Answers) -> Headline | None:
    for rule in rules:
        check = answers[rule.check]
        if check.status is rule.status:
            flowing = answers[sending.texts_follow].status is CheckStatus.OK
            opening = _opening(rule.while_flowing if flowing and rule.while_flowing else rule.sentence, flowing)
            return _headline(rule.state, f"{opening} {check.summary}", _since(rule.since, facts), check)
    return None


def _headline(state: HeadlineState, sentence: str, since: Beginning | None, check: Check) -> Headline:
    at, at_least = (since.at, since.at_least) if since else (None, False)
    return Headline(state, sentence, at, check.hop, (check.id,), since_at_least=at_least)


def _opening(sentence: str, flowing: bool) -> str:
    """Say that texts flow only where they are known to; a sentence that begins large says it all by itself."""
    if sentence[0].isupper():
        return sentence
    return f"Texts flow, but {sentence}" if flowing else sentence[0].upper() + sentence[1:]


def _since(since: Since, facts: Facts) -> Beginning | None:
    """Return when it began; at the least then, where that may lie before the rows that were read begin."""
    try:
        began = since(facts)
    except CannotTellError:
        return None
    first = facts.first_row_at
    if began is not None and facts.snapshot.cut and first is not None and began.at <= first:
        return Beginning(began.at, at_least=True)
    return began


def _unexpected(answers: Answers) -> Headline | None:
    """Return what fails without a rule of its own: nothing is called flowing over it."""
    failing = [c for c in answers.values() if c.status is FAIL and not c.id.startswith(modes.FAILURE_MODE_PREFIX)]
    if not failing:
        return None
    return _headline(_DEGRADED, f"Texts flow, but not everything is in order. {failing[0].summary}", None, failing[0])


def _no_demand(facts: Facts, answers: Answers) -> Headline:
    """Nobody is known to have asked: no traffic, if it is known that they could have."""
    shut = [answers[spec] for spec in DEMAND_VISIBLE if answers[spec].status is CheckStatus.CANNOT_TELL]
    if _app_silent(facts):
        shut.append(answers[demand.front_door])
    if shut:
        return _cannot_tell("No booking came in; whether anybody tried cannot be told.", *shut)
    history = facts.rows(facts.snapshot.demand_history)
    last = None if history is None or history.empty else history["created_at"].max().to_pydatetime()
    sentence = f"Nobody asked to book, so there was nothing to text. {answers[demand.bookings_initiated].summary}"
    return Headline(
        HeadlineState.NO_TRAFFIC,
        sentence,
        last,
        Hop.DEMAND,
        tuple(spec.id for spec in (demand.bookings_initiated, *DEMAND_VISIBLE)),
    )


def _app_silent(facts: Facts) -> bool:
    """Whether the booking app may be down. One that is not connected is not expected to answer."""
    return facts.snapshot.app_health.freshness(facts.now) in (Freshness.FAILED, Freshness.STALE)


def _flowing_since(facts: Facts) -> datetime | None:
    """The first text after the last booking that none followed; None if the window shows no miss."""
    journeys = sending.settled_journeys(facts)
    missed = journeys.index[journeys["sending"] == Sending.MISSING]
    if missed.empty:
        return None
    first = _first(journeys["created_at"].loc[missed[-1] :].iloc[1:])
    return first.at if first else None
