"""The four success criteria of the flow, as tiles: counts first, and what they rest on."""

from __future__ import annotations

from lib.diagnosis import texts
from lib.diagnosis.checking import counted
from lib.diagnosis.checks.demand import initiate_calls
from lib.diagnosis.checks.recording import null_errors
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Delivery, Recording, Sending
from lib.model.frames import MetadataState
from lib.model.verdict import CheckStatus, Tile

UNKNOWN_VALUE = "?"


def tiles(facts: Facts) -> tuple[Tile, ...]:
    """Return the four tiles; one that cannot be told says why and shows no number."""
    return tuple(
        _tile(facts, name, label, answer)
        for name, label, answer in (
            ("last_answer", "Last booking call", _last_answer),
            ("null_errors", "Records refused (null customer)", _null_errors),
            ("delivered", "Texts delivered", _delivered),
            ("stored", "Texts stored with their booking", _stored),
        )
    )


def _tile(facts: Facts, name: str, label: str, answer: object) -> Tile:
    try:
        status, value, words = answer(facts)  # type: ignore[operator]
    except CannotTellError as error:
        status, value, words = CheckStatus.CANNOT_TELL, UNKNOWN_VALUE, str(error)
    return Tile(name, label, status, value, words)


def _last_answer(facts: Facts) -> tuple[CheckStatus, str, str]:
    """The API says `sms_sent` to its caller only; a text in Twilio's log is the better proof of the same."""
    calls = initiate_calls(facts)
    if calls.empty:
        return CheckStatus.NOT_APPLICABLE, "none", "No booking call is logged in this window."
    code, at = int(calls["status_code"].iloc[-1]), calls["created_at"].iloc[-1].to_pydatetime()
    when = f"at {facts.clock(at)}"
    if code != 201:
        return CheckStatus.FAIL, str(code), f"The booking app answered {code} {when}."
    journeys = facts.need_journeys(facts.snapshot.texts)
    if journeys.empty:
        return CheckStatus.CANNOT_TELL, "201", f"Accepted {when}; its booking is not in this window."
    sending = journeys["sending"].iloc[-1]
    if sending == Sending.ACCEPTED:
        return CheckStatus.OK, "201 + text", f"Accepted {when}, and Twilio has its text."
    if sending == Sending.TOO_SOON:
        return CheckStatus.CANNOT_TELL, "201", f"Accepted {when}; its text may still be on its way."
    return CheckStatus.FAIL, "201, no text", f"Accepted {when}, and Twilio has no text for it."


def _null_errors(facts: Facts) -> tuple[CheckStatus, str, str]:
    found = null_errors(facts)
    if found.empty:
        return CheckStatus.OK, "0", "No write failed on a null customer_id."
    last = facts.clock(found["at"].max().to_pydatetime())
    return CheckStatus.FAIL, f"{len(found):,}", f"messages.customer_id refused null, the last time at {last}."


def _delivered(facts: Facts) -> tuple[CheckStatus, str, str]:
    ended = texts.terminal(facts.need_outbound())
    if ended.empty:
        return CheckStatus.NOT_APPLICABLE, "none", "No text came to its end in this window."
    arrived = int((ended["delivery"] == Delivery.DELIVERED).sum())
    value = f"{arrived:,} of {len(ended):,}"
    newest_arrived = bool(ended["delivery"].iloc[-1] == Delivery.DELIVERED)
    if arrived == len(ended):
        return CheckStatus.OK, value, "Every text that came to its end arrived."
    status = CheckStatus.WARN if newest_arrived else CheckStatus.FAIL
    return status, value, f"{counted(len(ended) - arrived, 'text')} did not arrive."


def _stored(facts: Facts) -> tuple[CheckStatus, str, str]:
    """Bookings with `metadata.initial_sms` of those that a text followed."""
    if facts.need_rows(facts.snapshot.pending_bookings) is not None and not facts.metadata_readable:
        return CheckStatus.FAIL, "no column", "pending_bookings.metadata does not exist: nothing can be stored."
    journeys = facts.need_journeys(facts.snapshot.texts)
    due = journeys[(journeys["sending"] == Sending.ACCEPTED) & (journeys["recording"] != Recording.TOO_SOON)]
    since = facts.running_code.since
    if since is not None:
        due = due[due["created_at"] >= since]
    if due.empty:
        return CheckStatus.NOT_APPLICABLE, "none", "No booking is due to have its text stored."
    stored = due["metadata_state"] == MetadataState.STORED
    value = f"{int(stored.sum()):,} of {len(due):,}"
    cut = f" since {facts.clock(since)}" if since else ""
    if stored.all():
        return CheckStatus.OK, value, f"Every texted booking{cut} has its text stored."
    newest_stored = bool(stored.iloc[-1])
    status = CheckStatus.WARN if newest_stored else CheckStatus.FAIL
    return status, value, f"{counted(int((~stored).sum()), 'texted booking')}{cut} without it."
