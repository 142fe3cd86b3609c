"""The action plan as data: what each step asks, the evidence that answers it, when it is done, and what to do now.

Its state comes from two sides: the diagnosis says what the evidence is now, the journal what people did. What it
advises are the tasks of `lib.diagnosis.tasks`: a step that would cure nothing that was seen says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.checks import (
    code,
    delivery,
    demand,
    deployment_failure_modes,
    link,
    recording,
    sending,
)
from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.hypotheses import HYPOTHESES
from lib.model.task import Task
from lib.model.verdict import Check, CheckStatus

# The plan's own estimate of how long working through it takes.
ESTIMATE = (timedelta(minutes=15), timedelta(minutes=30))
PLANNED = " to ".join(f"{limit / timedelta(minutes=1):.0f}" for limit in ESTIMATE) + " minutes planned"


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step. `evidence` are ids of checks; it is done when all of `done_when` are ok.

    `changes_world`: what is done in it does, by a button here or `by_people` in another system. `after_fix`: it looks
    at what came of that.
    """

    id: str
    number: str
    title: str
    asks: str
    evidence: tuple[CheckSpec, ...]
    done_when: tuple[CheckSpec, ...] = ()
    changes_world: bool = False
    by_people: bool = False
    after_fix: bool = False


class EvidenceState(StrEnum):
    """What the evidence says of a step, whatever people say of it."""

    ADVISED = "advised"
    NOTHING_TO_DO = "nothing_to_do"
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """A step as the evidence stands: whether it is answered, and what is to be done in it now, if anything is.

    `unknown`: what would answer it cannot be told.
    """

    step: PlanStep
    checks: tuple[Check, ...]
    answered: bool
    tasks: tuple[Task, ...]
    advice: str
    unknown: bool = False

    @property
    def state(self) -> EvidenceState:
        if self.tasks:
            return EvidenceState.ADVISED
        return EvidenceState.NOTHING_TO_DO if self.answered else EvidenceState.NOT_YET


# What only people in other systems, or a developer, can set right.
_ELSEWHERE = tuple(dict.fromkeys(check for spec in HYPOTHESES for check in spec.settled_elsewhere))

STEPS: tuple[PlanStep, ...] = (
    PlanStep(
        "verify_deployment",
        "1",
        "Verify the deployment",
        "Does production serve the required commit, and did its builds pass?",
        evidence=(code.serving_commit, code.fix_live, code.builds_pass, code.nothing_waits),
        done_when=(code.serving_commit,),
    ),
    PlanStep(
        "redeploy",
        "2A",
        "Redeploy or promote",
        "If the required commit is not live: build it, or promote a build that is ready.",
        evidence=(code.serving_commit, code.builds_pass, code.nothing_waits, code.required_env),
        done_when=(code.serving_commit, code.nothing_waits),
        changes_world=True,
    ),
    PlanStep(
        "git_integration",
        "2B",
        "Check the Git integration",
        "Does a push reach Vercel? Repository, production branch, and Vercel's GitHub app.",
        evidence=(
            code.git_integration,
            deployment_failure_modes.unheard,
            deployment_failure_modes.git_deploys_off,
            code.actions_pass,
        ),
        done_when=(code.git_integration,),
        changes_world=True,
        by_people=True,
    ),
    PlanStep(
        "force_deployment",
        "2C",
        "Force a deployment",
        "If pushes do not reach Vercel: an empty commit on the production branch shows whether they do again.",
        evidence=(code.git_integration, deployment_failure_modes.unheard),
        done_when=(code.serving_commit,),
        changes_world=True,
    ),
    PlanStep(
        "migration",
        "3",
        "Emergency migration",
        "Does the database refuse what the code writes, and which migration would fix it?",
        evidence=(
            recording.columns_exist,
            recording.schema_contract,
            recording.null_customer_errors,
            recording.writes_succeed,
        ),
        done_when=(recording.columns_exist, recording.schema_contract, recording.null_customer_errors),
        changes_world=True,
    ),
    PlanStep(
        "other_systems",
        "3B",
        "Fix it in another system",
        "Is a key, a setting, Twilio, the code, the link or a job the cause? Fix it where it lives.",
        evidence=_ELSEWHERE,
        done_when=_ELSEWHERE,
        changes_world=True,
        by_people=True,
    ),
    PlanStep(
        "verify_fix",
        "4",
        "Verify the fix",
        "Does a test booking pass every hop: answer, record, text, delivery, link?",
        evidence=(
            demand.api_answers,
            sending.texts_follow,
            recording.texts_recorded,
            recording.metadata_stored,
            delivery.texts_arrive,
            link.link_opens,
        ),
        done_when=(sending.texts_follow, recording.texts_recorded, link.link_opens),
        after_fix=True,
    ),
    PlanStep(
        "monitor",
        "5",
        "Monitor",
        "Do the four success criteria hold on evidence newer than the fix?",
        evidence=(demand.api_answers, recording.null_customer_errors, delivery.texts_arrive, recording.metadata_stored),
        done_when=(sending.texts_follow, recording.texts_recorded, delivery.texts_arrive),
        after_fix=True,
    ),
)


def evidence(diagnosis: Diagnosis, now: Sequence[Task]) -> tuple[StepEvidence, ...]:
    """Return every step with the evidence as it stands, and those of the tasks `now` that are done in it."""
    return tuple(
        _evidence(step, diagnosis.answers, tuple(task for task in now if task.step_id == step.id)) for step in STEPS
    )


def _evidence(step: PlanStep, answers: Answers, now: tuple[Task, ...]) -> StepEvidence:
    found = [answers[spec].status for spec in step.done_when]
    answered = all(status in (CheckStatus.OK, CheckStatus.NOT_APPLICABLE) for status in found)
    return StepEvidence(
        step=step,
        checks=tuple(answers[spec] for spec in step.evidence),
        answered=answered,
        tasks=now,
        advice=_advice(step, now, answered),
        unknown=CheckStatus.CANNOT_TELL in found and not {CheckStatus.FAIL, CheckStatus.WARN} & set(found),
    )


def _advice(step: PlanStep, now: Sequence[Task], answered: bool) -> str:
    if now:
        return " ".join(task.message for task in now)
    if answered:
        return "Nothing to do: the evidence already shows it."
    if step.changes_world:
        return "Would not help: none of the problems found is one that this step fixes."
    return ""
