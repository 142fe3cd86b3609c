"""The four success criteria of the flow, as tiles: counts first, and what they rest on."""

from __future__ import annotations

from collections.abc import Callable

from lib.diagnosis import text_fates
from lib.diagnosis.check_api import Answers
from lib.diagnosis.checks import delivery, demand, recording, sending
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Sending
from lib.formatting import counted
from lib.model.frames import MetadataState
from lib.model.verdict import CheckStatus, Tile

UNKNOWN_VALUE = "?"
SERVER_ERROR = 500  # and above: RFC 9110, section 15.6

_WORST_FIRST = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.CANNOT_TELL)

TileFunction = Callable[[Facts, Answers], tuple[CheckStatus, str, str]]


def tiles(facts: Facts, answers: Answers) -> tuple[Tile, ...]:
    """Return the four tiles; one that cannot be told says why and shows no number."""
    return tuple(
        _tile(facts, answers, name, label, answer)
        for name, label, answer in (
            ("last_answer", "Last booking call", _last_answer),
            ("null_errors", "Writes refused (no customer yet)", _null_errors),
            ("delivered", "Texts delivered", _delivered),
            ("stored", "Texts stored with their booking", _stored),
        )
    )


def _tile(facts: Facts, answers: Answers, name: str, label: str, answer: TileFunction) -> Tile:
    try:
        status, value, message = answer(facts, answers)
    except CannotTellError as error:
        status, value, message = CheckStatus.CANNOT_TELL, UNKNOWN_VALUE, str(error)
    return Tile(name, label, status, value, message)


def _last_answer(facts: Facts, answers: Answers) -> tuple[CheckStatus, str, str]:
    """The API says `sms_sent` to its caller only; a text in Twilio's log is the better proof of the same."""
    calls = demand.initiate_calls(facts)
    if calls.empty:
        return CheckStatus.NOT_APPLICABLE, "none", "No booking call is logged in this window."
    code, at = int(calls["status_code"].iloc[-1]), calls["created_at"].iloc[-1].to_pydatetime()
    when = f"at {facts.clock(at)}"
    if code >= SERVER_ERROR:
        return CheckStatus.FAIL, str(code), f"The booking app answered {code} {when}."
    if code != 201:  # no alarm by itself: somebody asked for what cannot be booked
        found = answers[demand.api_answers].status
        status = found if found in (CheckStatus.FAIL, CheckStatus.WARN) else CheckStatus.NOT_APPLICABLE
        return status, str(code), f"The booking app answered {code} {when}."
    journeys = facts.need_journeys(facts.snapshot.texts)
    if journeys.empty:
        return CheckStatus.CANNOT_TELL, "201", f"Accepted {when}; its booking is not in this window."
    last = journeys["sending"].iloc[-1]
    if last == Sending.ACCEPTED:
        return CheckStatus.OK, "201, text sent", f"Accepted {when}, and Twilio has its text."
    if last == Sending.UNCERTAIN:
        message = f"Accepted {when}; which text to its number belongs to it cannot be told."
        return CheckStatus.CANNOT_TELL, "201", message
    if last == Sending.REFUSED:
        return CheckStatus.NOT_APPLICABLE, "201", f"Accepted {when}; Twilio refuses texts to this one recipient."
    if last == Sending.OPTED_OUT:
        return CheckStatus.NOT_APPLICABLE, "201", f"Accepted {when}; this customer has opted out of texts."
    if last == Sending.TOO_SOON:
        return CheckStatus.CANNOT_TELL, "201", f"Accepted {when}; its text may still be on its way."
    return CheckStatus.FAIL, "201, no text", f"Accepted {when}, but Twilio has no text for it."


def _null_errors(facts: Facts, answers: Answers) -> tuple[CheckStatus, str, str]:
    check, found = answers[recording.null_customer_errors], recording.null_errors(facts)
    if found.empty:
        return check.status, "0" if check.status is CheckStatus.OK else UNKNOWN_VALUE, check.summary
    if check.status is CheckStatus.OK:  # it is over: a green count of refused records would say the opposite
        return check.status, "0 now", f"{check.summary} Before that, {counted(len(found), 'text')}."
    return check.status, f"{len(found):,}", check.summary


def _delivered(facts: Facts, answers: Answers) -> tuple[CheckStatus, str, str]:
    """One failure among many is no alarm: the check that weighs them gives the colour."""
    if facts.snapshot.cut:
        return _counted_delivered(facts, answers)
    found = text_fates.totals(facts)
    if not found.ended:
        return CheckStatus.NOT_APPLICABLE, "none", "No text has a final status in this window."
    checks = (answers[delivery.texts_arrive], *((answers[sending.texts_follow],) if found.not_sent else ()))
    status = next((one for one in _WORST_FIRST if any(check.status is one for check in checks)), checks[0].status)
    return status, found.arrived, found.message


def _counted_delivered(facts: Facts, answers: Answers) -> tuple[CheckStatus, str, str]:
    found, check = text_fates.counted_totals(facts), answers[delivery.texts_arrive]
    message = f"As the database has them. Twilio's log since {facts.clock(facts.snapshot.rows_since)}: {check.summary}"
    if not found.ended:
        return check.status, "unknown", f"The database has no final status of a text. {check.summary}"
    return check.status, found.arrived, message


def _counted_stored(facts: Facts, answers: Answers) -> tuple[CheckStatus, str, str]:
    """Over the buckets since the code that stores them went live; the check weighs the newest rows."""
    since, bookings = facts.running_code.since, facts.need_counts().bookings
    due = bookings if since is None else bookings[bookings["bucket"] >= since]
    begins = facts.snapshot.window.start if since is None else max(since, facts.snapshot.window.start)
    check = answers[recording.metadata_stored]
    newest = f"Since {facts.clock(facts.snapshot.rows_since)}: {check.summary}"
    initiated, stored, empty, without = (
        int(due[column].sum()) for column in ("initiated", "stored", "empty", "without_sms")
    )
    null = initiated - stored - empty - without
    others = f": in the others metadata is null ({null:,}), empty ({empty:,}) or without the text ({without:,})"
    message = f"Of all bookings since {facts.clock(begins)}{others if stored < initiated else ''}. {newest}"
    return check.status, f"{stored:,} of {initiated:,}", message


def _stored(facts: Facts, answers: Answers) -> tuple[CheckStatus, str, str]:
    """Bookings with `metadata.initial_sms` of those that a text followed."""
    if facts.need_rows(facts.snapshot.pending_bookings) is not None and not facts.metadata_readable:
        return CheckStatus.FAIL, "no column", "pending_bookings.metadata does not exist: nothing can be stored."
    if facts.snapshot.cut:
        return _counted_stored(facts, answers)
    due, running = recording.due_to_be_stored(facts), facts.running_code
    if due.empty:
        return CheckStatus.NOT_APPLICABLE, "none", "No booking is due to have its text stored."
    stored = due["metadata_state"] == MetadataState.STORED
    value = f"{int(stored.sum()):,} of {len(due):,}"
    # Code that went live before the rows begin says nothing about when they do.
    inside = running.since is not None and running.since > facts.snapshot.rows_since
    cut = f" since {facts.clock(running.since)}" if running.since and inside else ""
    if stored.all():
        return CheckStatus.OK, value, f"Every texted booking{cut} has its text stored."
    if running.after_fix is None:
        return CheckStatus.CANNOT_TELL, value, "Which code is live is unknown, so what it should store is too."
    if not running.after_fix:
        return CheckStatus.FAIL, value, "The live code is older than the fix and stores none."
    return answers[recording.metadata_stored].status, value, answers[recording.metadata_stored].summary
