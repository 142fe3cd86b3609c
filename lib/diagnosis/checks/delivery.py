"""Did it arrive? What carriers answered, and whether their answers reach the database."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis import texts, thresholds
from lib.diagnosis.checking import Finding, Question, cannot_tell, counted, fail, not_applicable, ok, warn
from lib.diagnosis.facts import Facts
from lib.diagnosis.journeys import Delivery
from lib.diagnosis.statistics import Share
from lib.model.provider import TERMINAL_STATUSES
from lib.model.verdict import Hop

_OVERDUE_SHARE = 0.5


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
    if share.total >= thresholds.SMALL_NUMBER and 2 * share.count < share.total:
        return warn(summary, *evidence)
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
    handled = hooks[hooks["status"] == "success"]
    known = ended["sid"].isin(handled["message_sid"].dropna())
    share = Share(int(known.sum()), len(ended))
    evidence = [f"Twilio's receipts reached the app for {share.words} texts that came to an end"]
    refused = hooks[hooks["status"].isin(["signature_failed", "error"])]
    if not refused.empty:
        counts = ", ".join(f"{count:,} × {status}" for status, count in refused["status"].value_counts().items())
        evidence.append(f"receipts that the app refused: {counts}")
    if not handled.empty:
        evidence.append(f"last receipt handled at {facts.clock(handled['processed_at'].max().to_pydatetime())}")
    newest = known.tail(thresholds.FAILURES_TO_FAIL)
    if not newest.any() and len(newest) >= thresholds.FAILURES_TO_FAIL:
        return fail("Twilio's receipts do not reach the database: its statuses are out of date.", *evidence)
    if share.count < share.total * (1 - _OVERDUE_SHARE):
        return warn("Many of Twilio's receipts did not reach the database.", *evidence)
    return ok("Twilio's receipts reach the database.", *evidence)


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
