"""Twilio or the phone networks refuse the texts."""

from __future__ import annotations

import pandas as pd

from lib.diagnosis.check_api import CheckSpec, Statuses
from lib.diagnosis.checks import delivery, sending
from lib.diagnosis.error_codes import ErrorCode, explain
from lib.diagnosis.facts import Facts
from lib.diagnosis.hypothesis_api import OTHER_SYSTEMS, TWILIO_ADMIN, HypothesisSpec, TaskContext
from lib.diagnosis.journeys import Delivery
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict

_BILLING = "https://console.twilio.com/us1/billing/manage-billing/billing-overview"


def judge(statuses: Statuses) -> Verdict:
    account, errors = statuses[sending.account_active], statuses[sending.account_errors]
    arrive = statuses[delivery.texts_arrive]
    if CheckStatus.FAIL in (account, errors, arrive):
        return Verdict.CONFIRMED
    if CheckStatus.WARN in (errors, arrive):  # a balance that runs low refuses nothing yet
        return Verdict.POSSIBLE
    return Verdict.CANNOT_TELL if CheckStatus.CANNOT_TELL in (account, errors, arrive) else Verdict.RULED_OUT


def twilio_task(context: TaskContext) -> Task | None:
    """Return what to do at Twilio about what it refuses, if it says what that is."""
    if context.fails(sending.account_active):
        message = "Settle the bill or have the suspension lifted."
        place = "Twilio Console → Billing"
        return _at_twilio(context, "settle_twilio_account", message, sending.account_active, _BILLING, place=place)
    if context.fails(sending.account_errors) and (error := _account_error(context.facts)):
        message = f"{error.action} {error.meaning}."
        return _at_twilio(context, "mend_twilio_account", message, sending.account_errors, error.url, error)
    if context.fails(delivery.texts_arrive) and (error := _delivery_error(context.facts)):
        message = f"{error.action} {error.meaning}. A cluster of it is also a ticket for Twilio's support."
        return _at_twilio(context, "mend_delivery", message, delivery.texts_arrive, error.url, error)
    return None


def tasks(context: TaskContext) -> list[Task]:
    """Return what to do at Twilio."""
    task = twilio_task(context)
    return [task] if task else []


def _at_twilio(
    context: TaskContext,
    id_: str,
    message: str,
    why: CheckSpec,
    link: str,
    error: ErrorCode | None = None,
    place: str = "Twilio Console",
) -> Task:
    return Task(
        id_,
        SPEC.id,
        OTHER_SYSTEMS,
        message,
        context.summary(why),
        who=TWILIO_ADMIN,
        place=place,
        link=context.link(link),
        exactly=f"error {error.code}" if error else "",
    )


def _account_error(facts: Facts) -> ErrorCode | None:
    """Return the newest error that stops every text at once."""
    frames = [facts.value(reading) for reading in (facts.snapshot.texts, facts.snapshot.alerts)]
    rows = [frame[["error_code", "created_at"]].dropna() for frame in frames if frame is not None]
    if not rows:
        return None
    codes = pd.concat(rows).sort_values("created_at")["error_code"]
    return next((error for code in reversed(codes.tolist()) if (error := explain(str(code))).account_level), None)


def _delivery_error(facts: Facts) -> ErrorCode | None:
    """Return the error that most texts failed with."""
    if facts.outbound is None:
        return None
    codes = facts.outbound.loc[facts.outbound["delivery"] == Delivery.FAILED, "error_code"].dropna().value_counts()
    return explain(str(codes.index[0])) if len(codes) else None


SPEC = HypothesisSpec(
    id="provider_failing",
    depth=110,
    title="Twilio or the phone networks refuse the texts",
    for_owner="Texts are refused or do not arrive: the problem is at Twilio or the phone network.",
    remedy=Remedy("Do what the error code asks for; then send a test booking.", "test_booking"),
    explains=frozenset({Hop.ACCEPTED, Hop.DELIVERED}),
    judge=judge,
    checks=(sending.account_errors, delivery.texts_arrive),
    signs=(sending.account_active,),
    tasks=tasks,
    settled_elsewhere=(sending.account_active, sending.account_errors, delivery.texts_arrive),
    runbook="""
*Texts* lists the error codes, each with what to do.

- Account suspended or balance gone: the owner, in Twilio's console. Switchboard cannot do this.
- 30007 (filtered), 30034 (unregistered sender): register the sender; sending again makes it worse.
- 21610 (STOP): this person does not want texts. Call them.
- 30003, 30005, 30006 for single numbers: call them; for many at once: Twilio's status page.
""",
)
