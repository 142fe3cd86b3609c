"""The app is not set up to send texts, so Twilio never hears of them."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import code, demand, sending
from lib.diagnosis.hypotheses.provider_failing import twilio_task
from lib.diagnosis.hypothesis_api import OTHER_SYSTEMS, VERCEL_ADMIN, HypothesisSpec, TaskContext, read_app_log, rebuild
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict

OK, WARN, FAIL, CANNOT_TELL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL, CheckStatus.CANNOT_TELL


def judge(statuses: Statuses) -> Verdict:
    follow, environment = statuses[sending.texts_follow], statuses[code.required_env]
    refused = statuses[sending.account_errors]
    reaches = statuses[sending.app_reaches_twilio]
    if follow is OK:
        return Verdict.RULED_OUT
    if follow is not FAIL:
        return Verdict.POSSIBLE if follow is WARN or environment is FAIL else Verdict.CANNOT_TELL
    if environment is FAIL:
        return Verdict.CONFIRMED
    if statuses[demand.api_answers] in (FAIL, CANNOT_TELL):
        return Verdict.CANNOT_TELL  # it may fail before it would send
    if refused is FAIL:
        return Verdict.RULED_OUT if environment is OK else Verdict.CANNOT_TELL  # Twilio heard the app
    in_order = refused is OK and statuses[sending.account_active] is OK
    return Verdict.LIKELY if in_order and reaches is CheckStatus.NOT_APPLICABLE else Verdict.POSSIBLE


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield what to set for the app, or to look into its log where nothing is known to be unset."""
    if context.fails(code.required_env):
        yield _variables(context)
    elif context.fails(sending.texts_follow) and not context.fails(demand.api_answers) and not twilio_task(context):
        message = "Read the app's log for why it sends nothing: Twilio's variables may be wrong, not only missing."
        yield read_app_log(context, SPEC.id, message, sending.texts_follow)


def _variables(context: TaskContext) -> Task:
    known = context.facts.value(context.facts.snapshot.env_names) or ()
    there = {one.key for one in known if one.in_production}
    unset = [name for name in context.settings.required_env_names if name not in there]
    if not unset:
        return rebuild(SPEC.id, context.summary(code.required_env))
    return Task(
        "set_variables",
        SPEC.id,
        OTHER_SYSTEMS,
        "Add these variables for Production; those of Twilio are in its Console under Account Info. "
        "They reach the app with the next build, which Switchboard then offers.",
        context.summary(code.required_env),
        who=VERCEL_ADMIN,
        place="Vercel → Project → Settings → Environment Variables",
        link=context.vercel("settings/environment-variables"),
        exactly="\n".join(unset),
    )


SPEC = HypothesisSpec(
    id="provider_unconfigured",
    depth=100,
    title="The app has no working Twilio settings",
    for_owner="No texts go out: the booking app is not set up to send them.",
    remedy=Remedy("Set Twilio's variables in Vercel for Production, then redeploy.", "redeploy"),
    explains=frozenset({Hop.ACCEPTED, Hop.CODE}),
    judge=judge,
    checks=(sending.texts_follow, code.required_env, sending.app_reaches_twilio),
    rest=(demand.api_answers, sending.account_errors, sending.account_active),
    tasks=tasks,
    settled_elsewhere=(code.required_env,),
    runbook="""
The texts never reached Twilio.

- Look: which of the required names the *serving build* has. A variable set later is not in it.
- Do: set them in Vercel for Production, then redeploy: the same commit is enough.
""",
)
