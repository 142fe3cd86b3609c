"""Did Twilio accept? For each booking that was initiated, whether a text followed, and how fast."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.error_codes import explain
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Sending
from lib.diagnosis.outage import over_since
from lib.diagnosis.statistics import Share
from lib.formatting import counted
from lib.model.provider import DELIVERED_STATUSES, TextStatus
from lib.model.reading import FailureKind
from lib.model.verdict import Hop


def eligible_journeys(facts: Facts) -> pd.DataFrame:
    """Return the journeys of bookings that a text had to follow. Raises `CannotTellError`."""
    facts.need_texts()
    facts.need_complete(facts.snapshot.texts)
    return facts.need_journeys()


def settled_journeys(facts: Facts) -> pd.DataFrame:
    """Return those whose text was sent, or is overdue."""
    journeys = eligible_journeys(facts)
    return journeys[journeys["sending"].isin([Sending.ACCEPTED, Sending.MISSING])]


def newest_of_people(journeys: pd.DataFrame) -> pd.DataFrame:
    """Return the newest journey of each person, oldest first: who books again and again is one."""
    person = journeys["mobile_number"].fillna(journeys["id"])
    return journeys[~person.duplicated(keep="last")]


@check(
    Hop.ACCEPTED,
    "Is a text sent for each booking?",
    rests_on="texts",
    would_change="The next booking, and whether Twilio's log shows a text to its number within minutes.",
)
def texts_follow(facts: Facts) -> CheckResult:
    journeys = eligible_journeys(facts)
    settled = settled_journeys(facts)
    others = _neither(journeys)
    if settled.empty:
        uncertain = journeys[journeys["sending"] == Sending.UNCERTAIN]
        if not uncertain.empty:
            which = counted(len(uncertain), "booking")
            return cannot_tell(
                f"For {which}, Twilio holds a text to the same number; which booking it belongs to cannot be told.",
                *others,
            )
        if _refused_people(journeys) >= thresholds.FAILURES_TO_FAIL:
            return warn("Twilio refused every text, each for a reason on the recipient's side.", *others)
        return not_applicable("No booking is old enough to judge.", *others)
    followed = settled["sending"] == Sending.ACCEPTED
    share = Share(int(followed.sum()), len(settled))
    summary = f"Twilio accepted a text for {share.count:,} of {counted(share.total, 'booking')}."
    evidence = [share.message, *others]
    late = settled["text_after"] > thresholds.TEXT_FOLLOWS_WITHIN
    if late.any():
        evidence.append(f"{counted(int(late.sum()), 'text')} came late, but came")
    missed = settled[~followed]
    if missed.empty:
        return ok(summary, *evidence)
    evidence.append(f"first without a text: {facts.clock(missed['created_at'].iloc[0].to_pydatetime())}")
    if followed.any():
        last = settled.loc[followed, "created_at"].iloc[-1].to_pydatetime()
        evidence.append(f"last with a text: {facts.clock(last)}")
    over = over_since(settled["created_at"], ~followed)
    if over is not None:
        since = counted(int((settled["created_at"] >= over).sum()), "booking")
        message = f"Since {facts.clock(over)} every booking got its text ({since}); before, {len(missed):,} did not."
        return ok(message, summary, *evidence)
    known = journeys[journeys["sending"].isin([Sending.ACCEPTED, Sending.MISSING, Sending.UNCERTAIN])]
    newest = newest_of_people(known)["sending"].tail(thresholds.FAILURES_TO_WARN)
    enough = len(newest) == thresholds.FAILURES_TO_WARN or not followed.any()
    return fail(summary, *evidence) if enough and (newest == Sending.MISSING).all() else warn(summary, *evidence)


def _refused_people(journeys: pd.DataFrame) -> int:
    return len(newest_of_people(journeys[journeys["sending"] == Sending.REFUSED]))


def _neither(journeys: pd.DataFrame) -> list[str]:
    """Say how many bookings count neither as followed by a text nor as missing one, and why."""
    uncertain = int((journeys["sending"] == Sending.UNCERTAIN).sum())
    refused = _refused_people(journeys)
    notes = []
    if uncertain:
        notes.append(f"for {counted(uncertain, 'more booking')} a text to the number may be theirs or another's")
    if refused:
        notes.append(f"{counted(refused, 'person', 'people')} cannot be texted, for a reason on their side")
    return notes


@check(
    Hop.ACCEPTED,
    "Does the live app reach Twilio?",
    rests_on="texts",
    would_change="A text that the live build sends to Twilio.",
)
def app_reaches_twilio(facts: Facts) -> CheckResult:
    """Whether Twilio took a text since the oldest live build took over: then its settings for Twilio work."""
    hosts = facts.need(facts.snapshot.hostnames)
    since = max((host.serving_since for host in hosts if host.serving_since), default=None)
    if since is None:
        return cannot_tell("When the live build went live is not known.")
    texts = facts.need_texts()
    taken = texts[texts["direction"].str.startswith("outbound-api") & (texts["created_at"] >= since)]
    if taken.empty:
        return not_applicable(f"Twilio has no text since the live build took over at {facts.clock(since)}.")
    last = taken["created_at"].max().to_pydatetime()
    return ok(f"Twilio has {counted(len(taken), 'text')} since then, the last at {facts.clock(last)}.")


@check(
    Hop.ACCEPTED,
    "Are texts sent promptly?",
    rests_on="texts",
    would_change="The next bookings' texts.",
)
def texts_prompt(facts: Facts) -> CheckResult:
    journeys = settled_journeys(facts)
    after = journeys["text_after"].dropna()
    if after.empty:
        return not_applicable("No text was sent for a booking.")
    prompt = Share(int((after <= thresholds.PROMPT_TEXT).sum()), len(after))
    evidence = (
        f"half within {pd.Timedelta(after.median()).total_seconds():.0f} s",
        f"the slowest after {after.max().total_seconds():.0f} s",
    )
    summary = f"Of {counted(prompt.total, 'text')}, {prompt.count:,} reached Twilio within a minute."
    return ok(summary, *evidence) if 2 * prompt.count >= prompt.total else warn(summary, *evidence)


@check(
    Hop.ACCEPTED,
    "Is the Twilio account in order?",
    rests_on="account",
    would_change="The account's status and balance at Twilio.",
)
def account_active(facts: Facts) -> CheckResult:
    account = facts.need(facts.snapshot.account)
    balance = facts.value(facts.snapshot.balance)
    evidence = [f"account type {account.type}"]
    if balance is not None:
        evidence.append(f"balance {balance.amount:.2f} {balance.currency}")
    if account.status != "active":
        return fail(f"The Twilio account is {account.status}.", *evidence)
    if balance is None and not _without_balance(facts):
        facts.need(facts.snapshot.balance)
    if balance is not None and balance.amount <= 0:
        return fail("The Twilio account's balance is used up.", *evidence)
    spending = facts.spending
    if spending and spending.days_left is not None and spending.days_left < thresholds.LOW_BALANCE_DAYS:
        return warn(f"The balance lasts for about {spending.days_left:.0f} more days.", *evidence)
    return ok("The Twilio account is active.", *evidence)


def _without_balance(facts: Facts) -> bool:
    """Whether Twilio keeps no balance for this account: a subaccount spends its parent's."""
    failure = facts.snapshot.balance.failure
    return failure is not None and failure.kind is FailureKind.NOT_FOUND


@check(
    Hop.ACCEPTED,
    "Does Twilio refuse our texts?",
    rests_on="texts",
    would_change="A text that goes out.",
)
def account_errors(facts: Facts) -> CheckResult:
    """Errors that stop every text at once, from the message log and from Twilio's alerts."""
    texts = facts.need(facts.snapshot.texts)
    texts = texts[texts["direction"].str.startswith("outbound")]
    alerts = facts.value(facts.snapshot.alerts)
    seen = texts[["error_code", "created_at"]]
    if alerts is not None:
        seen = pd.concat([seen, alerts[["error_code", "created_at"]]])
    seen = seen.dropna(subset="error_code")
    account_level = [code for code in seen["error_code"].unique() if explain(str(code)).account_level]
    serious = seen[seen["error_code"].isin(account_level)]
    if serious.empty:
        facts.need_complete(facts.snapshot.alerts)  # a refused text never gets into the message log
        return ok("Twilio reports no problem with our account or sender.")
    newest = serious["created_at"].max()
    good = texts[texts["error_code"].isna() & texts["status"].isin([TextStatus.SENT, *DELIVERED_STATUSES])]
    evidence = [
        f"{explain(str(code)).meaning} ({code}): {counted(int(count), 'time')}"
        for code, count in serious["error_code"].value_counts().items()
    ]
    evidence.append(f"the last at {facts.clock(newest.to_pydatetime())}")
    since = int((good["created_at"] > newest).sum())
    if since >= thresholds.OUTAGE_OVER_AFTER:
        return ok(f"Twilio accepts our texts again: {since:,} went out since the last refusal.", *evidence)
    if since:
        return warn("Twilio reported a problem with our account or sender; texts have gone out since.", *evidence)
    return fail("Twilio refuses our texts because of our account or sender.", *evidence)
