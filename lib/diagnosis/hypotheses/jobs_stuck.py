"""The app's background jobs do not run."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import confirming
from lib.diagnosis.hypothesis_api import OTHER_SYSTEMS, VERCEL_ADMIN, HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy, Verdict


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the task to switch the scheduled job on."""
    if not context.fails(confirming.jobs_move):
        return
    yield Task(
        "start_scheduler",
        SPEC.id,
        OTHER_SYSTEMS,
        "Switch the scheduled job on that calls the app's job worker. The jobs that wait then run by themselves.",
        context.summary(confirming.jobs_move),
        who=VERCEL_ADMIN,
        place="Vercel → Project → Settings → Cron Jobs",
        link=context.vercel("settings/cron-jobs"),
    )


SPEC = HypothesisSpec(
    id="jobs_stuck",
    depth=150,
    title="Background jobs do not run",
    for_owner="Reminders and other later texts wait: the app's background jobs do not run.",
    remedy=Remedy("Check the app's scheduled job at Vercel, then let the stuck jobs run again."),
    explains=frozenset({Hop.CONFIRMED}),
    judge=decided_by(confirming.jobs_move, on_warn=Verdict.POSSIBLE, on_absent=Verdict.RULED_OUT),
    checks=(confirming.jobs_move,),
    tasks=tasks,
    settled_elsewhere=(confirming.jobs_move,),
    runbook="""
- Do: Vercel → Project → Settings → Cron Jobs: is it on, did its last run succeed? Then let the stuck jobs run again.
""",
)
