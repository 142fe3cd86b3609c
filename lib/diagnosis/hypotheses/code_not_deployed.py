"""Production serves older code than it should."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import code
from lib.diagnosis.hypotheses.build_failing import code_error
from lib.diagnosis.hypotheses.not_promoted import waiting_build
from lib.diagnosis.hypothesis_api import DEVELOPER, OTHER_SYSTEMS, REDEPLOY, HypothesisSpec, TaskContext, decided_by
from lib.diagnosis.live_deployment import is_connected, is_held_up
from lib.diagnosis.pushes import refusal
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict


def judge(statuses: Statuses) -> Verdict:
    verdict = decided_by(code.serving_commit)(statuses)
    # Which commit is required may be unknown; code from before the fix is hardly it.
    old = statuses[code.fix_live] in (CheckStatus.FAIL, CheckStatus.WARN)
    return Verdict.POSSIBLE if verdict is Verdict.CANNOT_TELL and old else verdict


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the deployment of the required commit, where nothing stands before it."""
    facts = context.facts
    required = facts.value(facts.snapshot.required_commit)
    refused = refusal(facts)
    in_the_way = not is_connected(facts) or is_held_up(facts) or (refused is not None and refused.is_about_the_account)
    in_the_way = in_the_way or bool(waiting_build(context) or code_error(context))
    if in_the_way or not context.fails(code.serving_commit) or required is None:
        return
    if required.commit is None:
        yield Task(
            "push_the_commit",
            SPEC.id,
            OTHER_SYSTEMS,
            "Push the required commit: GitHub does not know it. Or correct REQUIRED_COMMIT.",
            context.summary(code.serving_commit),
            who=DEVELOPER,
            place="the code",
            exactly=required.sha,
        )
        return
    yield Task(
        "deploy_commit",
        SPEC.id,
        REDEPLOY,
        f"Deploy {required.sha[:7]}, the required commit: “{required.commit.headline}”.",
        context.summary(code.serving_commit),
        action="deploy_commit",
        args=(("sha", required.sha),),
    )


SPEC = HypothesisSpec(
    id="code_not_deployed",
    depth=80,
    title="The required code is not live",
    for_owner="Production runs older code than it should.",
    remedy=Remedy("Deploy the required commit.", "deploy_commit"),
    explains=frozenset({Hop.CODE, Hop.RECORDED}),
    judge=judge,
    checks=(code.serving_commit, code.fix_live),
    tasks=tasks,
    runbook="""
- Look: which commit each hostname serves, and how far it is behind. One hostname may differ from the others.
- Do: deploy the required commit.
- Done when: *every* production hostname serves it.
""",
)
