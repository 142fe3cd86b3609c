"""The project is paused at Vercel, which answers in the app's place."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.hypothesis_api import OTHER_SYSTEMS, VERCEL_ADMIN, HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the task to resume the project: no build and no rollback helps while it is paused."""
    if not context.fails(modes.paused):
        return
    yield Task(
        "resume_project",
        SPEC.id,
        OTHER_SYSTEMS,
        "Resume the project. If it was paused by a spending limit or an unpaid bill, settle that first.",
        context.summary(modes.paused),
        who=VERCEL_ADMIN,
        place="Vercel → Project → Settings → General → Resume Service",
        link=context.vercel("settings"),
    )


SPEC = HypothesisSpec(
    id="project_paused",
    depth=25,
    title="The Vercel project is paused",
    for_owner="Bookings cannot start: the website's project is paused at Vercel.",
    remedy=Remedy("Resume the project at Vercel; if a spending limit paused it, raise that first."),
    explains=frozenset({Hop.DEMAND, Hop.CODE}),
    judge=decided_by(modes.paused),
    checks=(modes.paused,),
    tasks=tasks,
    settled_elsewhere=(modes.paused,),
    runbook="""
Vercel answers 503 with `DEPLOYMENT_PAUSED` in the app's place. The code and the database are not the problem.

- Look: Vercel's activity, for who paused it, or for a spending limit that was reached.
- Do: resume it (Vercel → Project → Settings → General). If a limit or a bill paused it, settle that first.
- Not: a redeploy or a rollback. A paused project serves neither.
- Done when: the home page answers again.
""",
)
