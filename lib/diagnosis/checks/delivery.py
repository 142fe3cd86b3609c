"""Did it arrive? What carriers answered, and whether their answers reach the database."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import text_log, thresholds
from lib.diagnosis.check_api import CheckResult, cannot_tell, check, fail, not_applicable, ok, warn
from lib.diagnosis.columns import isin
from lib.diagnosis.error_codes import OF_ONE_RECIPIENT, explain
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Delivery
from lib.diagnosis.outage import over_since
from lib.diagnosis.statistics import Share, chance_of_at_least, percent
from lib.formatting import counted
from lib.model.provider import TERMINAL_STATUSES
from lib.model.verdict import Hop

# The app's word in webhook_logs for a receipt whose signature it could not verify.
SIGNATURE_REFUSED = "signature_failed"


# So many of the newest texts are looked through for a streak of failures.
_LONGEST_STREAK = 10_000


def fates(terminal: pd.DataFrame) -> pd.Series:
    """Return the `Delivery` of the newest text to each number, oldest first: a phone that is off counts once."""
    newest = terminal[["sid", "to_number", "delivery"]].tail(_LONGEST_STREAK)
    number = newest["to_number"].fillna(newest["sid"])
    return newest.loc[~number.duplicated(keep="last"), "delivery"]


def failures_in_a_row(newest: pd.Series) -> int:
    """Count how many of the newest of these fates were failures, without one that arrived between them."""
    delivered = (newest.iloc[::-1] == Delivery.DELIVERED).to_numpy()
    return int(delivered.argmax()) if delivered.any() else len(newest)


@check(
    Hop.DELIVERED,
    "Do texts arrive?",
    rests_on="texts",
    would_change="The next texts' final status.",
)
def texts_arrive(facts: Facts) -> CheckResult:
    frame = facts.need_outbound()
    ended = text_log.terminal(frame)
    terminal = text_log.without_lone_faults(ended)
    own = [_own_reasons(ended)] if len(ended) > len(terminal) else []
    if terminal.empty:
        if own:
            return not_applicable("No text has a final status, apart from texts that the recipient cannot get.", *own)
        waiting = int((frame["delivery"] == Delivery.NO_RECEIPT).sum())
        if waiting:
            return cannot_tell(f"None of {counted(waiting, 'text')} has a final answer from the phone network yet.")
        return not_applicable("No text has a final status in this window.")
    share = Share(int((terminal["delivery"] == Delivery.DELIVERED).sum()), len(terminal))
    summary = f"Delivered: {share.count:,} of {counted(share.total, 'text')} with a final status."
    unknown = int((frame["delivery"] == Delivery.NO_RECEIPT).sum())
    evidence = [share.message, *own]
    if unknown:
        evidence.append(f"{counted(unknown, 'more text')} without a receipt")
    failures = terminal[terminal["delivery"] == Delivery.FAILED]
    for row in text_log.by_status(failures).to_dict("records") if len(failures) else ():
        why = f"{row['meaning']} ({row['error_code']})" if row["error_code"] else row["status"]
        evidence.append(f"{counted(int(row['count']), 'failure')}: {why}")
    over = over_since(terminal["created_at"], terminal["delivery"] == Delivery.FAILED)
    if over is not None:
        since = counted(int((terminal["created_at"] >= over).sum()), "text")
        return ok(f"Since {facts.clock(over)} every text arrived ({since}).", summary, *evidence)
    newest = fates(terminal)
    streak = failures_in_a_row(newest)
    recent = newest.tail(thresholds.RECENT_TEXTS)
    failed = int((recent == Delivery.FAILED).sum())
    chance = chance_of_at_least(failed, len(recent), thresholds.USUAL_FAILURES)
    if streak >= thresholds.FAILURES_TO_WARN:
        told = (f"The last texts to {streak:,} different numbers did not arrive.", summary, *evidence)
    else:
        rare = (
            f"{failed} of the last {counted(len(recent), 'number')} did not get their text: by chance alone, "
            f"that happens in {percent(chance)} of cases"
        )
        told = (summary, rare, *evidence)
    if streak >= thresholds.FAILURES_TO_FAIL or chance < thresholds.FAILURES_P_TO_FAIL:
        return fail(*told)
    if streak >= thresholds.FAILURES_TO_WARN or chance < thresholds.FAILURES_P_TO_WARN:
        return warn(*told)
    if unknown > thresholds.RECEIPT_GAP * (unknown + len(terminal)):
        old_enough = counted(unknown + len(terminal), "text")
        return cannot_tell(f"Of {old_enough}, {unknown:,} have no final answer from the phone network.", summary)
    return ok(summary, *evidence)


def _own_reasons(ended: pd.DataFrame) -> str:
    lone = ended[ended["error_code"].isin(OF_ONE_RECIPIENT)]
    meanings = ", ".join(dict.fromkeys(explain(str(code)).meaning.lower() for code in lone["error_code"]))
    return (
        f"{counted(lone['to_number'].nunique(), 'person', 'people')} not counted, "
        f"for a reason on the recipient's side: {meanings}"
    )


@check(
    Hop.DELIVERED,
    "Does the phone network report back?",
    rests_on="texts",
    would_change="Final statuses for the texts that have none.",
)
def receipts_known(facts: Facts) -> CheckResult:
    frame = facts.need_outbound()
    counts = frame["delivery"].value_counts()
    delivered, failed, unknown = (
        int(counts.get(fate, 0)) for fate in (Delivery.DELIVERED, Delivery.FAILED, Delivery.NO_RECEIPT)
    )
    old_enough = delivered + failed + unknown
    if not old_enough:
        return not_applicable("No text is old enough to have a receipt.")
    if not unknown:
        return ok("Every text that is old enough has a final answer from the phone network.")
    worst, best = delivered / old_enough, (delivered + unknown) / old_enough
    message = (
        f"{percent(worst)} to {percent(best)} arrived: {counted(unknown, 'text')} without a receipt may have or not"
    )
    if best - worst > thresholds.RECEIPT_GAP:
        return warn("Too many texts have no final answer from the phone network to say how many arrived.", message)
    return ok("The phone network reports enough to judge by.", message)


def taken_receipts(facts: Facts) -> pd.DataFrame:
    """Return the log of receipts that the app took in. Raises `CannotTellError`.

    A refused signature is logged after the receipt itself was, so the refusal decides. A receipt that ended in
    an error did arrive: it found no row to update, which is the recording's fault.
    """
    hooks = facts.need_rows(facts.snapshot.webhook_log)
    refused = hooks.loc[hooks["status"] == SIGNATURE_REFUSED, "message_sid"]
    return hooks[hooks["message_sid"].notna() & ~isin(hooks["message_sid"], refused)]


@check(
    Hop.DELIVERED,
    "Do Twilio's receipts reach the database?",
    rests_on="webhook_log",
    would_change="A receipt that the app's webhook handles with success.",
)
def receipts_arrive(facts: Facts) -> CheckResult:
    """Twilio knows how texts ended; does our database? Its webhook may be refused or unset."""
    ended = facts.need_outbound()[["sid", "status", "created_at"]]
    ended = ended[ended["status"].isin(TERMINAL_STATUSES)]
    log = facts.snapshot.webhook_log
    if log.since is not None and not log.truncated:  # a text has several receipts: their log reaches less far back
        ended = ended[ended["created_at"] >= log.since]
    if ended.empty:
        return not_applicable("No text has a final status in this window.")
    arrived = taken_receipts(facts)
    # A receipt that was taken already need not be waited for.
    settled = ended["created_at"] <= facts.now - thresholds.RECORDING_SETTLES
    ended = ended[settled | isin(ended["sid"], arrived["message_sid"])]
    if ended.empty:
        return not_applicable("No text got its final status long enough ago to have its receipt.")
    hooks = facts.need_complete(facts.snapshot.webhook_log)
    refused = hooks[hooks["status"] == SIGNATURE_REFUSED]
    known = isin(ended["sid"], arrived["message_sid"])
    share = Share(int(known.sum()), len(ended))
    summary = f"The app accepted receipts for {share.count:,} of {counted(share.total, 'text')} with a final status."
    evidence = [share.message]
    if not refused.empty:
        evidence.append(f"{counted(len(refused), 'receipt')} refused because of the signature")
    if not arrived.empty:
        evidence.append(f"the last accepted at {facts.clock(arrived['processed_at'].max().to_pydatetime())}")
    newest = known.tail(thresholds.FAILURES_TO_FAIL)
    if not newest.any() and len(newest) >= thresholds.FAILURES_TO_FAIL:
        return fail(summary, *evidence)
    return warn(summary, *evidence) if 2 * share.count < share.total else ok(summary, *evidence)


@check(
    Hop.DELIVERED,
    "Is a text stuck?",
    rests_on="texts",
    would_change="A final status for it.",
)
def texts_stuck(facts: Facts) -> CheckResult:
    waiting = text_log.stuck(facts.need_outbound(), facts.now)
    if waiting.empty:
        return ok("No text is stuck.")
    by = tuple(f"{count:,} × {status}" for status, count in waiting["status"].value_counts().items())
    return warn(f"{counted(len(waiting), 'text')} had no final answer for hours.", *by)


@check(
    Hop.DELIVERED,
    "Does anybody get too many texts?",
    rests_on="texts",
    would_change="Fewer texts to the same number.",
)
def over_sending(facts: Facts) -> CheckResult:
    too_many = facts.over_sent
    if too_many.empty:
        return ok("Nobody got too many texts.")
    duplicates = int(too_many["duplicates"].sum())
    evidence = (
        f"most to one number in a day: {int(too_many['in_a_day'].max())}",
        f"same text twice within minutes: {counted(duplicates, 'time')}",
    )
    return warn(f"{counted(len(too_many), 'number')} got too many texts.", *evidence)
