"""Did it arrive? What carriers answered, and whether their answers reach the database."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import texts, thresholds
from lib.diagnosis.checking import Finding, Question, cannot_tell, counted, fail, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Delivery
from lib.diagnosis.statistics import Share, chance_of_at_least
from lib.model.provider import TERMINAL_STATUSES
from lib.model.verdict import Hop

# The app's word in webhook_logs for a receipt whose signature it could not verify.
SIGNATURE_REFUSED = "signature_failed"


def failures_in_a_row(terminal: pd.DataFrame) -> int:
    """Count how many of the newest texts failed in a row, each number counted once."""
    newest = terminal.iloc[::-1].drop_duplicates("to_number")
    delivered = (newest["delivery"] == Delivery.DELIVERED).to_numpy()
    return int(delivered.argmax()) if delivered.any() else len(newest)


def _texts_arrive(facts: Facts) -> Finding:
    frame = facts.need_outbound()
    terminal = texts.terminal(frame)
    if terminal.empty:
        waiting = int((frame["delivery"] == Delivery.NO_RECEIPT).sum())
        if waiting:
            return cannot_tell(f"None of {counted(waiting, 'text')} has a final answer from the phone network yet.")
        return not_applicable("No text has come to its end in this window.")
    share = Share(int((terminal["delivery"] == Delivery.DELIVERED).sum()), len(terminal))
    summary = f"Of {counted(share.total, 'text')} that came to an end, {share.count:,} arrived."
    unknown = int((frame["delivery"] == Delivery.NO_RECEIPT).sum())
    evidence = [share.words]
    if unknown:
        evidence.append(f"{counted(unknown, 'more text')} without a receipt")
    for row in texts.by_status(terminal[terminal["delivery"] == Delivery.FAILED]).to_dict("records"):
        why = f"{row['meaning']} ({row['error_code']})" if row["error_code"] else row["status"]
        evidence.append(f"{counted(int(row['count']), 'failure')}: {why}")
    streak = failures_in_a_row(terminal)
    if streak >= thresholds.FAILURES_TO_FAIL:
        return fail(f"The last {streak} texts, each to another number, did not arrive.", summary, *evidence)
    if streak >= thresholds.FAILURES_TO_WARN:
        return warn(f"The last {streak} texts, to different numbers, did not arrive.", summary, *evidence)
    recent = terminal.tail(thresholds.RECENT_TEXTS)
    failed = int((recent["delivery"] == Delivery.FAILED).sum())
    chance = chance_of_at_least(failed, len(recent), thresholds.USUAL_FAILURES)
    words = f"{failed} of the last {counted(len(recent), 'text')} did not arrive; by chance that is rare ({chance:.1%})"
    if failed and chance < thresholds.FAILURES_P_TO_FAIL:
        return fail(summary, words, *evidence)
    if failed and chance < thresholds.FAILURES_P_TO_WARN:
        return warn(summary, words, *evidence)
    return ok(summary, *evidence)


def _receipts_known(facts: Facts) -> Finding:
    frame = facts.need_outbound()
    terminal, unknown = len(texts.terminal(frame)), int((frame["delivery"] == Delivery.NO_RECEIPT).sum())
    if not terminal + unknown:
        return not_applicable("No text is old enough to have a receipt.")
    delivered = int((frame["delivery"] == Delivery.DELIVERED).sum())
    worst, best = delivered / (terminal + unknown), (delivered + unknown) / (terminal + unknown)
    words = f"between {worst:.0%} and {best:.0%} arrived, depending on {counted(unknown, 'text')} without a receipt"
    if best - worst > thresholds.RECEIPT_GAP:
        return warn("Too many texts have no final answer from the phone network to say how many arrived.", words)
    return ok("The phone network's answers are complete enough to judge by.", words)


def _receipts_arrive(facts: Facts) -> Finding:
    """Twilio knows how texts ended; does our database? Its webhook may be refused or unset."""
    ended = facts.need_outbound()
    ended = ended[
        ended["status"].isin(TERMINAL_STATUSES) & (ended["created_at"] <= facts.now - thresholds.RECORDING_SETTLES)
    ]
    if ended.empty:
        return not_applicable("No text has come to its end in this window.")
    hooks = facts.need_rows(facts.snapshot.webhook_log)
    # A refused signature is logged after the receipt itself was, so the refusal decides. A receipt that ended in
    # an error did arrive: it found no row to update, which is the recording's fault.
    refused = hooks[hooks["status"] == SIGNATURE_REFUSED]
    arrived = hooks[~hooks["message_sid"].isin(refused["message_sid"])]
    known = ended["sid"].isin(arrived["message_sid"].dropna())
    share = Share(int(known.sum()), len(ended))
    evidence = [f"receipts reached the app for {share.words} texts that came to an end"]
    if not refused.empty:
        evidence.append(f"{counted(len(refused), 'receipt')} refused because of the signature")
    if not arrived.empty:
        evidence.append(f"the last that was accepted at {facts.clock(arrived['processed_at'].max().to_pydatetime())}")
    newest = known.tail(thresholds.FAILURES_TO_FAIL)
    if not newest.any() and len(newest) >= thresholds.FAILURES_TO_FAIL:
        return fail("Twilio's receipts do not reach the database: its statuses are out of date.", *evidence)
    if 2 * share.count < share.total:
        return warn("Many of Twilio's receipts did not reach the database.", *evidence)
    return ok("Twilio's receipts reach the app.", *evidence)


def _over_sending(facts: Facts) -> Finding:
    too_many = texts.over_sent(facts.need_outbound())
    if too_many.empty:
        return ok("Nobody got too many texts.")
    duplicates = int(too_many["duplicates"].sum())
    evidence = (
        f"most to one number in a day: {int(too_many['in_a_day'].max())}",
        f"same text twice within minutes: {counted(duplicates, 'time')}",
    )
    return warn(f"{counted(len(too_many), 'number')} got too many texts.", *evidence)


def _stuck(facts: Facts) -> Finding:
    waiting = texts.stuck(facts.need_outbound(), facts.now)
    if waiting.empty:
        return ok("No text is stuck on its way.")
    by = tuple(f"{count:,} × {status}" for status, count in waiting["status"].value_counts().items())
    return warn(f"{counted(len(waiting), 'text')} had no final answer for hours.", *by)


QUESTIONS = (
    Question(
        "texts_arrive", Hop.DELIVERED, "Do texts arrive?", "texts",
        "The next texts' final status.", _texts_arrive,
    ),
    Question(
        "receipts_known", Hop.DELIVERED, "Does the phone network answer?", "texts",
        "Final statuses for the texts that have none.", _receipts_known,
    ),
    Question(
        "receipts_arrive", Hop.DELIVERED, "Do Twilio's receipts reach the database?", "webhook_log",
        "A receipt that the app's webhook handles with success.", _receipts_arrive,
    ),
    Question(
        "texts_stuck", Hop.DELIVERED, "Is a text stuck on its way?", "texts",
        "A final status for it.", _stuck,
    ),
    Question(
        "over_sending", Hop.DELIVERED, "Does anybody get too many texts?", "texts",
        "Fewer texts to the same number.", _over_sending,
    ),
)  # fmt: skip
