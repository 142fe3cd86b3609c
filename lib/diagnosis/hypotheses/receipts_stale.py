"""Texts arrive, and Twilio's receipts do not reach the database."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import delivery
from lib.diagnosis.hypothesis_api import OTHER_SYSTEMS, VERCEL_ADMIN, HypothesisSpec, TaskContext, decided_by, rebuild
from lib.diagnosis.live_deployment import changed_since_build
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict

_WEBHOOK_VARIABLE = "TWILIO_WEBHOOK_URL"
_WEBHOOK_PATH = "/api/webhooks/twilio"


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield how the app comes to accept Twilio's receipts."""
    changed = changed_since_build(context.facts, _WEBHOOK_VARIABLE, "TWILIO_AUTH_TOKEN")
    if changed and context.check(delivery.receipts_arrive).status is not CheckStatus.OK:
        yield rebuild(SPEC.id, f"{changed[0]} was changed after the live build was made.")
        return
    if not context.fails(delivery.receipts_arrive):
        return
    app = context.settings.booking_app_url
    yield Task(
        "correct_webhook",
        SPEC.id,
        OTHER_SYSTEMS,
        f"Set {_WEBHOOK_VARIABLE} for Production to the very address that Twilio calls: the app checks each receipt's "
        "signature against it. It reaches the app with the next build, which Switchboard then offers.",
        context.summary(delivery.receipts_arrive),
        who=VERCEL_ADMIN,
        place="Vercel → Project → Settings → Environment Variables",
        link=context.vercel("settings/environment-variables"),
        exactly=f"{_WEBHOOK_VARIABLE} = {app}{_WEBHOOK_PATH}" if app else _WEBHOOK_VARIABLE,
    )


SPEC = HypothesisSpec(
    id="receipts_stale",
    depth=140,
    title="Twilio's receipts do not reach the database",
    for_owner="Texts arrive, but the booking system is not notified.",
    remedy=Remedy("Correct the status callback at Twilio and the webhook's signature check in the app."),
    explains=frozenset({Hop.DELIVERED}),
    judge=decided_by(delivery.receipts_arrive, on_warn=Verdict.POSSIBLE),
    checks=(delivery.receipts_arrive,),
    tasks=tasks,
    settled_elsewhere=(delivery.receipts_arrive,),
    runbook="""
Texts arrive; the app is not notified.

- Do: the status callback in Twilio's console and `TWILIO_WEBHOOK_URL` in Vercel must be the same address, as the
  signature is made over it; redeploy after a change of the variable.
""",
)
