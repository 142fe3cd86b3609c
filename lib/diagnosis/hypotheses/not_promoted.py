"""A newer build is ready, and production serves an older one."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import code
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.hypothesis_api import REDEPLOY, HypothesisSpec, TaskContext, decided_by
from lib.diagnosis.live_deployment import is_connected, named, ready
from lib.model.deployments import Deployment
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy, Verdict


def waiting_build(context: TaskContext) -> Deployment | None:
    """Return the newest build that waits for its promotion, where promoting it is what helps."""
    if not is_connected(context.facts) or not context.fails(code.nothing_waits):
        return None
    return next(iter(ready(context.facts)), None)


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the promotion of the build that waits."""
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


SPEC = HypothesisSpec(
    id="not_promoted",
    depth=70,
    title="The right build is ready, and another is live",
    for_owner="New code is ready and waits: production still shows an older version.",
    remedy=Remedy("Promote the newest ready build.", "promote"),
    explains=frozenset({Hop.CODE, Hop.RECORDED}),
    judge=decided_by(code.nothing_waits, on_warn=Verdict.POSSIBLE),
    checks=(code.nothing_waits,),
    signs=(modes.rollback_pin, modes.auto_assign_off, modes.older_took_domain),
    tasks=tasks,
    runbook="""
After a rollback Vercel pins production.

- Do: promote the newest ready build. Ask first why it was rolled back: the incident log and Vercel's activity name
  who did it.
""",
)
