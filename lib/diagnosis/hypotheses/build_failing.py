"""New commits do not build."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import code
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.hypotheses.not_promoted import waiting_build
from lib.diagnosis.hypothesis_api import DEVELOPER, OTHER_SYSTEMS, HypothesisSpec, TaskContext, decided_by
from lib.diagnosis.live_deployment import error_of_the_code, is_connected
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy


def code_error(context: TaskContext) -> str | None:
    """Return the error of the newest build, if it is one of the code and nothing that is ready could go live."""
    if not is_connected(context.facts) or waiting_build(context) or not context.fails(code.builds_pass):
        return None
    return error_of_the_code(context.facts)


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the task to fix the code, where building it again cannot help."""
    if error := code_error(context):
        yield Task(
            "mend_the_build",
            SPEC.id,
            OTHER_SYSTEMS,
            "Fix the first error of the build with a commit, and push it: Vercel then builds it by itself. "
            "Building the same commit again fails again.",
            context.summary(code.builds_pass),
            who=DEVELOPER,
            place="the code; its build log is on Deployments",
            link=context.github("commits"),
            exactly=error,
        )


SPEC = HypothesisSpec(
    id="build_failing",
    depth=60,
    title="Production builds fail",
    for_owner="New code cannot become live: its builds fail.",
    remedy=Remedy(
        "Fix the first error of the build log; if it came from outside the code, build again.", "redeploy_newest"
    ),
    explains=frozenset({Hop.CODE, Hop.RECORDED}),
    judge=decided_by(code.builds_pass),
    checks=(code.builds_pass,),
    signs=(modes.build_failed,),
    tasks=tasks,
    settled_elsewhere=(code.builds_pass,),
    runbook="""
- Look: the first error of the log, and whether the same commit was ever built well.
- Do: fix what the first error names, in code or in the variables. Build again as it is only where the error came from
  outside (a registry that timed out).
""",
)
