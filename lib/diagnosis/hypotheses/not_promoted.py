"""A newer build is ready, and production serves an older one."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import code
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.hypothesis_api import (
    AWAIT_MOVE,
    OTHER_SYSTEMS,
    REDEPLOY,
    VERCEL_ADMIN,
    HypothesisSpec,
    TaskContext,
    decided_by,
)
from lib.diagnosis.live_deployment import is_connected, is_paused, named, waiting
from lib.diagnosis.moves import ROLLING_RELEASE, Move, under_way
from lib.model.deployments import Deployment
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict


def waiting_build(context: TaskContext) -> Deployment | None:
    """Return the newest build that waits for its promotion, where promoting it is what helps."""
    in_the_way = not is_connected(context.facts) or is_paused(context.facts)
    if in_the_way or not context.fails(code.nothing_waits):
        return None
    return next(iter(waiting(context.facts)), None)


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the promotion of the build that waits; while the hostnames are being moved, what ends that."""
    due = context.check(code.serving_commit).status in (CheckStatus.FAIL, CheckStatus.WARN)
    if due and (move := under_way(context.facts)):
        yield _wait(context, move)
    if newest := waiting_build(context):
        yield Task(
            "promote",
            SPEC.id,
            REDEPLOY,
            f"Promote {named(newest)}: it is ready, and production serves an older one.",
            context.summary(code.nothing_waits),
            action="promote",
            args=(("deployment", newest.id),),
        )


def _wait(context: TaskContext, move: Move) -> Task:
    if move.kind == ROLLING_RELEASE:
        advice = "Take it further, complete it or abort it there: until then nothing else can be brought to production."
    else:
        advice = "Wait until it has ended, then check again: until then nothing else can be brought to production."
    return Task(
        AWAIT_MOVE,
        SPEC.id,
        OTHER_SYSTEMS,
        f"{move.message} {advice}",
        context.summary(code.nothing_waits),
        who=VERCEL_ADMIN,
        place="Vercel → Project → Deployments",
        link=context.vercel("deployments"),
    )


SPEC = HypothesisSpec(
    id="not_promoted",
    depth=70,
    title="The right build is ready, but another is live",
    for_owner="New code is ready but not live: production still runs an older version.",
    remedy=Remedy("Promote the newest ready build.", "promote"),
    explains=frozenset({Hop.CODE, Hop.RECORDED}),
    judge=decided_by(code.nothing_waits, on_warn=Verdict.POSSIBLE),
    checks=(code.nothing_waits,),
    signs=(modes.rollback_pin, modes.auto_assign_off, modes.older_took_domain),
    tasks=tasks,
    runbook="""
After a rollback Vercel pins production.

- Look: whether a promotion or a rolling release is under way. Then wait for its end, or complete it at Vercel.
- Do: promote the newest ready build. Ask first why it was rolled back: the incident log and Vercel's activity name
  who did it.
""",
)
