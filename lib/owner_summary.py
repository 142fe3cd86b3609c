"""What the owner of the business reads first: are customers getting their texts, what is wrong, is anybody stuck.

Made of the same headline, checks, counts and affected people as everything else on the screen, so that the two never
disagree. Where the headline cannot tell, neither can this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lib.affected import Affected
from lib.diagnosis import hypothesis_api
from lib.diagnosis.check_api import CheckSpec
from lib.diagnosis.checks import code, confirming, delivery, demand, link, recording, sending
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.code_findings import misfit_in_short
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Delivery, Sending
from lib.diagnosis.text_fates import window_totals
from lib.formatting import counted
from lib.model.served_code import ErrorHandling, Problem
from lib.model.task import Task
from lib.model.verdict import Check, CheckStatus, HeadlineState, Hop

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
QUESTION: Final = "Are customers getting their texts?"


class OwnerAnswer(StrEnum):
    """The answer in one word. PARTLY: some get theirs, or the text comes and its link does not help."""

    YES = "yes"
    PARTLY = "partly"
    NO = "no"
    NONE_DUE = "none_due"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class OwnerSummary:
    """`answer` is a whole sentence. `wrong` goes on from "What is wrong: ".

    `stuck` says how many people wait for a link that works. `needed` goes on from "Needed: " and is empty where nobody
    is. `code_line` is the line of the served code that is the cause, empty where none is. `next_step` is the first
    task of the action plan; None where there is nothing to do, or nobody knows what.
    """

    question: str
    verdict: OwnerAnswer
    answer: str
    wrong: str
    stuck: str
    needed: str
    code_line: str = ""
    next_step: Task | None = None


def owner_summary(diagnosis: Diagnosis, tasks: Sequence[Task], affected: Affected | None) -> OwnerSummary:
    """Return the owner's sentences. `affected` is None where it cannot be told who was affected."""
    verdict, answer = _answer(diagnosis)
    next_step = next((task for task in tasks if not task.meanwhile), None)
    return OwnerSummary(
        question=QUESTION,
        verdict=verdict,
        answer=answer,
        wrong=_wrong(diagnosis),
        stuck=_stuck(diagnosis, affected),
        needed=_needed(diagnosis, next_step),
        code_line=code_line(diagnosis),
        next_step=next_step,
    )


# Are customers getting their texts?

# Headlines that are broken after the text arrived: what the owner has to hear behind a "yes".
_AFTER_THE_TEXT: Final[Mapping[str, str]] = {
    link.link_opens.id: "but the link in them does not work",
    link.openers_confirm.id: "but nobody who opens the link confirms",
    confirming.confirmations_book.id: "but whoever confirms gets no booking",
}


def _answer(diagnosis: Diagnosis) -> tuple[OwnerAnswer, str]:
    head, window = diagnosis.headline, diagnosis.facts.snapshot.window.size.message
    if head.state is HeadlineState.CANNOT_TELL:
        return OwnerAnswer.CANNOT_TELL, "Cannot tell."
    if head.state is HeadlineState.NO_TRAFFIC:
        return OwnerAnswer.NONE_DUE, f"No text was due: nobody asked to book in {window}."
    if head.state is HeadlineState.BROKEN and head.hop is Hop.DEMAND:
        return OwnerAnswer.NO, "No: bookings cannot start."
    try:
        verdict, answer = _by_counts(diagnosis)
    except CannotTellError:
        return OwnerAnswer.CANNOT_TELL, "Cannot tell."
    if head.state is not HeadlineState.BROKEN:
        return verdict, f"{answer}."
    if head.hop in (Hop.ACCEPTED, Hop.DELIVERED):
        no = verdict is OwnerAnswer.NO
        return OwnerAnswer.NO, f"{answer}." if no else f"No. {_decisive(diagnosis).summary}"
    but = _AFTER_THE_TEXT.get(_decisive(diagnosis).id, "but the flow is broken after that")
    return (OwnerAnswer.PARTLY, f"{answer}, {but}.") if verdict is OwnerAnswer.YES else (verdict, f"{answer}.")


def _by_counts(diagnosis: Diagnosis) -> tuple[OwnerAnswer, str]:
    """Return the answer by the two checks about it, without its full stop. Raises `CannotTellError`."""
    facts = diagnosis.facts
    follow, arrive = diagnosis.check(sending.texts_follow), diagnosis.check(delivery.texts_arrive)
    where = "the newest rows" if facts.snapshot.cut else facts.snapshot.window.size.message
    if follow.status is CheckStatus.NOT_APPLICABLE:
        return _none_due(facts, follow)
    if CheckStatus.CANNOT_TELL in (follow.status, arrive.status):
        return OwnerAnswer.CANNOT_TELL, "Cannot tell"
    journeys = sending.settled_journeys(facts)
    followed, bookings = int((journeys["sending"] == Sending.ACCEPTED).sum()), len(journeys)
    if follow.status is FAIL:
        return OwnerAnswer.NO, f"{_no(followed, bookings)} bookings in {where} got a text"
    texts = window_totals(facts)
    arrived, missed = texts.delivered, texts.ended - texts.delivered
    if arrive.status is FAIL:
        return OwnerAnswer.NO, f"{_no(arrived, arrived + missed)} texts in {facts.snapshot.window.size.message} arrived"
    if follow.status is WARN:
        return OwnerAnswer.PARTLY, f"Not all: {followed:,} of {counted(bookings, 'booking')} in {where} got a text"
    if arrive.status is WARN:
        return OwnerAnswer.PARTLY, f"Not all: {arrived:,} of {counted(arrived + missed, 'text')} arrived"
    if not arrived + missed:
        sent = f"They are sent, for {followed:,} of {counted(bookings, 'booking')}"
        return OwnerAnswer.PARTLY, f"{sent}. {arrive.summary.rstrip('.')}"
    if followed < bookings:
        return OwnerAnswer.YES, f"Yes. {follow.summary.rstrip('.')}"
    if missed:
        return OwnerAnswer.YES, f"Yes. {arrive.summary.rstrip('.')}"
    window = facts.snapshot.window.size.message
    return OwnerAnswer.YES, f"Yes, {arrived:,} of {arrived + missed:,} in {window}{_not_known_yet(facts)}"


def _none_due(facts: Facts, follow: Check) -> tuple[OwnerAnswer, str]:
    pending = facts.pending
    if pending is not None and pending.empty:
        return OwnerAnswer.NONE_DUE, f"No text was due: nobody asked to book in {facts.snapshot.window.size.message}"
    return OwnerAnswer.CANNOT_TELL, f"Cannot tell yet. {follow.summary.rstrip('.')}"


def _no(good: int, total: int) -> str:
    """Begin a "no" with its counts. It may be about the newest alone: then most of all can have been good."""
    if not good:
        return f"No: none of {total:,}"
    return f"No, not the newest: {good:,} of {total:,}" if 2 * good > total else f"No: only {good:,} of {total:,}"


def _not_known_yet(facts: Facts) -> str:
    if facts.snapshot.cut or facts.outbound is None:
        return ""
    waiting = int(facts.outbound["delivery"].isin([Delivery.ON_ITS_WAY, Delivery.NO_RECEIPT]).sum())
    return f"; of {waiting:,} more it is not known yet" if waiting else ""


# What is wrong?

_WRONG: Final[Mapping[tuple[CheckSpec, CheckStatus], str]] = {
    (modes.paused, FAIL): "the booking site is paused, so nobody can book",
    (demand.front_door, FAIL): "the booking app does not answer as it should, so nobody can book",
    (demand.api_answers, FAIL): "the booking app fails when somebody books",
    (demand.api_key_active, FAIL): "the booking form is refused: its key was switched off",
    (sending.account_active, FAIL): "the Twilio account cannot send texts",
    (sending.account_errors, FAIL): "Twilio refuses the texts",
    (sending.texts_follow, FAIL): "no text is sent for new bookings",
    (delivery.texts_arrive, FAIL): "texts are sent and do not arrive",
    (link.link_opens, FAIL): "customers cannot confirm: the link in the text does not open for them",
    (link.openers_confirm, FAIL): "nobody who opens the link confirms",
    (confirming.confirmations_book, FAIL): "customers confirm, and no booking is made",
    (recording.texts_recorded, FAIL): "no record of new texts is kept",
    (recording.metadata_stored, FAIL): "texts are not stored with their bookings",
    (recording.columns_exist, FAIL): "the booking app and its database do not fit together",
    (sending.texts_follow, WARN): "some bookings got no text",
    (sending.account_errors, WARN): "Twilio refused texts for a time",
    (delivery.texts_arrive, WARN): "some texts do not arrive",
    (link.openers_confirm, WARN): "nobody has confirmed lately",
    (confirming.confirmations_book, WARN): "some who confirmed got no booking",
    (demand.api_answers, WARN): "some attempts to book do not go through",
    (delivery.receipts_arrive, FAIL): "the booking system does not learn whether texts arrive",
    (confirming.jobs_move, FAIL): "reminders and other later texts wait: the app's background jobs do not run",
    (code.required_env, FAIL): "the booking app's settings are not complete",
    (code.git_integration, FAIL): "new versions of the booking app do not go live",
    (code.builds_pass, FAIL): "new versions of the booking app do not go live",
    (code.nothing_waits, FAIL): "new versions of the booking app do not go live",
    (code.serving_commit, FAIL): "new versions of the booking app do not go live",
    (recording.texts_recorded, WARN): "earlier texts are missing from the records",
}
_WRONG_BY_ID: Final = {(spec.id, status): clause for (spec, status), clause in _WRONG.items()}
NOTHING_WRONG: Final = "nothing that stops texts"


def _decisive(diagnosis: Diagnosis) -> Check:
    """Return the check that the headline rests on first."""
    ids = diagnosis.headline.because
    return next(check for check in diagnosis.checks if check.id == ids[0])


def _wrong(diagnosis: Diagnosis) -> str:
    state = diagnosis.headline.state
    if state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC):
        bad = [
            one
            for one in diagnosis.checks
            if one.status in (FAIL, WARN) and not one.id.startswith(modes.FAILURE_MODE_PREFIX)
        ]
        more = f", but {counted(len(bad), 'check is', 'checks are')} not fine" if bad else ""
        return f"{NOTHING_WRONG}{more}"
    check = _decisive(diagnosis)
    if state is HeadlineState.CANNOT_TELL:
        return f"cannot be told. {check.summary.rstrip('.')}"
    return _WRONG_BY_ID.get((check.id, check.status)) or check.summary.rstrip(".")


# Is anybody stuck?

# What is wrong there keeps nobody from booking.
_KEEPS_NOBODY: Final = frozenset(
    spec.id
    for spec in (
        recording.texts_recorded,
        recording.metadata_stored,
        recording.columns_exist,
        delivery.receipts_arrive,
        confirming.jobs_move,
        code.required_env,
        code.git_integration,
        code.builds_pass,
        code.nothing_waits,
        code.serving_commit,
    )
)
_UNKNOWN_WHO: Final = "Whether anybody is stuck cannot be told."


def _stuck(diagnosis: Diagnosis, affected: Affected | None) -> str:
    if affected is None:
        return _UNKNOWN_WHO
    if affected.people:
        at_least = "At least " if affected.at_least else ""
        waiting = len(affected.to_do)
        if waiting:
            who = counted(waiting, "person is", "people are")
            return f"{at_least}{who} stuck."
        were = counted(affected.count, "person was", "people were")
        return f"Nobody is waiting any more: {at_least.lower()}{were} stuck, and each was seen to."
    if affected.unknowable:
        return "Who tried to book cannot be known."
    head = diagnosis.headline
    if head.state in (HeadlineState.BROKEN, HeadlineState.CANNOT_TELL):
        return _UNKNOWN_WHO
    if affected.at_least:
        return "Nobody is stuck in what could be read."
    harmless = head.state is not HeadlineState.DEGRADED or _decisive(diagnosis).id in _KEEPS_NOBODY
    if not harmless or affected.unknown:
        return "Nobody is known to be stuck."
    return "Nobody is stuck."


# Who is needed?

_PEOPLE: Final[Mapping[str, str]] = {
    hypothesis_api.DEVELOPER: "your developer",
    hypothesis_api.VERCEL_ADMIN: "whoever runs Vercel",
    hypothesis_api.TWILIO_ADMIN: "whoever runs Twilio",
    hypothesis_api.DATABASE_ADMIN: "whoever runs Supabase",
}
_BY_BUTTON: Final = "your developer; a button here does it"


def _needed(diagnosis: Diagnosis, next_step: Task | None) -> str:
    if next_step is not None:
        return _BY_BUTTON if next_step.action else _PEOPLE.get(next_step.who, next_step.who)
    match diagnosis.headline.state:
        case HeadlineState.FLOWING | HeadlineState.NO_TRAFFIC:
            return ""
        case HeadlineState.CANNOT_TELL:
            return "whoever runs Switchboard"
        case _:
            return "your developer"


# The line of code.

_CODE_CAUSES: Final[Mapping[str, tuple[Problem, ...]]] = {
    "missing_column": (Problem.MISSING_COLUMN, Problem.MISSING_TABLE),
    "not_null_constraint": (Problem.NULL_REFUSED,),
    "api_failing": (Problem.REFUSED_LITERAL, Problem.NULL_REFUSED, Problem.MISSING_COLUMN, Problem.MISSING_TABLE),
}


def code_line(diagnosis: Diagnosis) -> str:
    """Return the place in the served code that is the likeliest cause, and what it does; "" where none is known.

    The app answers with an error only where it looks at one.
    """
    cause, found = diagnosis.likeliest, diagnosis.facts.code
    if cause is None or cause.id not in _CODE_CAUSES:
        return ""
    misfits = [one for one in found.on_flow if one.problem in _CODE_CAUSES[cause.id]]
    if cause.id == "api_failing":
        misfits = [one for one in misfits if one.error is not ErrorHandling.IGNORED and not one.sometimes]
    writes_first = sorted(misfits, key=lambda one: not one.use.operation.is_write)
    return misfit_in_short(writes_first[0]) if writes_first else ""
