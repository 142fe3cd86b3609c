"""The booking app answers with errors of its own."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.applicable_migrations import FORBIDDEN, migration_tasks
from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import demand
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.contract import Break
from lib.diagnosis.hypothesis_api import HypothesisSpec, TaskContext, decided_by, read_app_log
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict


def judge(statuses: Statuses) -> Verdict:
    asked = (statuses[demand.api_answers], statuses[demand.front_door])
    if statuses[modes.paused] is CheckStatus.FAIL:
        # Vercel answers in the app's place; what the app will answer is not known where it failed before.
        return Verdict.CANNOT_TELL if asked[0] is CheckStatus.FAIL else Verdict.RULED_OUT
    if CheckStatus.FAIL in asked:
        return Verdict.CONFIRMED
    if asked == (CheckStatus.OK, CheckStatus.CANNOT_TELL):
        return Verdict.CANNOT_TELL  # it may have gone down since
    return decided_by(demand.api_answers, on_warn=Verdict.POSSIBLE)(statuses)


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the migrations that cure what makes it fail, else the task to read the app's log."""
    failing = next((spec for spec in (demand.front_door, demand.api_answers) if context.fails(spec)), None)
    if failing is None or context.fails(modes.paused):
        return
    yield from (migrations := migration_tasks(context, SPEC.id, *Break, FORBIDDEN))
    if not migrations:
        message = "Find the failing call in the app's log, and fix the error that it names."
        yield read_app_log(context, SPEC.id, message, failing)


SPEC = HypothesisSpec(
    id="api_failing",
    depth=30,
    title="The booking API fails",
    for_owner="Bookings cannot start: the booking app itself fails.",
    remedy=Remedy(
        "Read the app's log at Vercel for the failing call; roll back if it began with a deployment.", "roll_back"
    ),
    explains=frozenset({Hop.DEMAND}),
    judge=judge,
    checks=(demand.api_answers,),
    signs=(demand.front_door,),
    rest=(modes.paused,),
    tasks=tasks,
    runbook="""
Bookings do not start; texts are not the problem.

- Look: which answer (500, 404, time-out), since when, and whether a deployment or a refused write stands at that
  minute.
- Do: if a refused write is named, run the migration that the plan recommends. If it began with a deployment, roll
  back. Else read the app's runtime log at Vercel by the request id.
- Not: a redeploy of the same commit. It fails the same way.
""",
)
