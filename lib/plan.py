"""The action plan as data: what each step asks, the evidence that answers it, the actions it offers, when it is done.

Its state comes from two sides: the diagnosis says what the evidence is now, the journal what people did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from lib.diagnosis.diagnose import Diagnosis
from lib.model.verdict import Check, CheckStatus, Verdict

# The plan's own estimate of how long working through it takes.
ESTIMATE = (timedelta(minutes=15), timedelta(minutes=30))


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `evidence` are ids of checks, `offers` ids of actions; it is done when all of `done_when` are ok."""

    id: str
    number: str
    title: str
    asks: str
    evidence: tuple[str, ...]
    done_when: tuple[str, ...] = ()
    offers: tuple[str, ...] = ()
    cures: tuple[str, ...] = ()  # the hypotheses that its actions can cure
    note: str = ""


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """A step as the evidence stands: whether it is answered, and whether its actions would cure anything seen."""

    step: Step
    checks: tuple[Check, ...]
    answered: bool
    advised: bool
    advice: str


STEPS: tuple[Step, ...] = (
    Step(
        "verify_deployment",
        "1",
        "Verify the deployment",
        "Does production serve the required commit, and did its builds pass?",
        evidence=("serving_commit", "fix_live", "builds_pass", "nothing_waits"),
        done_when=("serving_commit",),
    ),
    Step(
        "redeploy",
        "2A",
        "Redeploy or promote",
        "If the required commit is not live: build it, or promote a build that is ready.",
        evidence=("serving_commit", "builds_pass", "nothing_waits", "required_env"),
        done_when=("serving_commit", "nothing_waits"),
        offers=("promote", "deploy_commit", "redeploy_newest", "redeploy", "roll_back", "cancel_build"),
        cures=("code_not_deployed", "not_promoted", "build_failing", "provider_unconfigured"),
    ),
    Step(
        "git_integration",
        "2B",
        "Check the Git integration",
        "Does a push reach Vercel: repository, production branch, the signs of life of Vercel's app?",
        evidence=("git_integration", "reason_05_unheard", "reason_08_git_deploys_off", "actions_pass"),
        done_when=("git_integration",),
        cures=("git_integration_broken",),
        note="Connecting a repository is done in Vercel's settings: Project → Settings → Git.",
    ),
    Step(
        "force_deployment",
        "2C",
        "Force a deployment",
        "If a push is not heard: an empty commit on the production branch shows whether the way works again.",
        evidence=("git_integration", "reason_05_unheard"),
        done_when=("serving_commit",),
        offers=("force_deploy",),
        cures=("git_integration_broken",),
    ),
    Step(
        "migration",
        "3",
        "Emergency migration",
        "Does the database refuse what the code writes, and which migration cures what was seen?",
        evidence=("columns_exist", "schema_contract", "null_customer_errors", "writes_succeed"),
        done_when=("columns_exist", "schema_contract", "null_customer_errors"),
        offers=("run_migration", "undo_migration"),
        cures=("missing_column", "not_null_constraint", "sent_not_recorded", "api_failing"),
    ),
    Step(
        "verify_fix",
        "4",
        "Verify the fix",
        "Does a test booking pass every hop: answer, record, text, delivery, link?",
        evidence=("api_answers", "texts_follow", "texts_recorded", "metadata_stored", "texts_arrive", "link_opens"),
        done_when=("texts_follow", "texts_recorded", "link_opens"),
        offers=("test_booking", "recheck_link"),
    ),
    Step(
        "monitor",
        "5",
        "Monitor",
        "Do the four success criteria hold on evidence newer than the fix?",
        evidence=("api_answers", "null_customer_errors", "texts_arrive", "metadata_stored"),
        done_when=("texts_follow", "texts_recorded", "texts_arrive"),
    ),
)


def evidence(diagnosis: Diagnosis) -> tuple[StepEvidence, ...]:
    """Return every step with the evidence as it stands."""
    checks = {check.id: check for check in diagnosis.checks}
    return tuple(_evidence(step, checks, diagnosis) for step in STEPS)


def _evidence(step: Step, checks: dict[str, Check], diagnosis: Diagnosis) -> StepEvidence:
    answered = all(checks[name].status in (CheckStatus.OK, CheckStatus.NOT_APPLICABLE) for name in step.done_when)
    causes = [
        hypothesis
        for hypothesis in diagnosis.hypotheses
        if hypothesis.id in step.cures and hypothesis.verdict in (Verdict.CONFIRMED, Verdict.LIKELY)
    ]
    return StepEvidence(
        step=step,
        checks=tuple(checks[name] for name in step.evidence),
        answered=answered,
        advised=bool(causes),
        advice=_advice(step, [hypothesis.title for hypothesis in causes], answered),
    )


def _advice(step: Step, causes: Sequence[str], answered: bool) -> str:
    if causes:
        return f"Advised: {'; '.join(causes)}."
    if answered:
        return "Nothing to do: the evidence already says so."
    if step.cures:
        return "Nothing that this step can cure was seen: doing it would change nothing that is known to be wrong."
    return ""
