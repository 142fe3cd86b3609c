"""The action plan as data: what each step asks, the evidence that answers it, when it is done, and what to do now.

Its state comes from two sides: the diagnosis says what the evidence is now, the journal what people did. What it
advises are the tasks of `lib.actions.advice`: a step that would cure nothing that was seen says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from lib.actions.advice import Task
from lib.diagnosis.diagnose import Diagnosis
from lib.model.verdict import Check, CheckStatus

# The plan's own estimate of how long working through it takes.
ESTIMATE = (timedelta(minutes=15), timedelta(minutes=30))


@dataclass(frozen=True, slots=True)
class PlanStep:
    """One step. `evidence` are ids of checks; it is done when all of `done_when` are ok.

    `fixes`: what is done in it changes the world, by a button of the desk or `by_people` in another system.
    """

    id: str
    number: str
    title: str
    asks: str
    evidence: tuple[str, ...]
    done_when: tuple[str, ...] = ()
    changes_world: bool = False
    by_people: bool = False


class EvidenceState(StrEnum):
    """What the evidence says of a step, whatever people say of it."""

    ADVISED = "advised"
    NOTHING_TO_DO = "nothing_to_do"
    NOT_YET = "not_yet"


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """A step as the evidence stands: whether it is answered, and what is to be done in it now, if anything is."""

    step: PlanStep
    checks: tuple[Check, ...]
    answered: bool
    tasks: tuple[Task, ...]
    advice: str

    @property
    def state(self) -> EvidenceState:
        if self.tasks:
            return EvidenceState.ADVISED
        return EvidenceState.NOTHING_TO_DO if self.answered else EvidenceState.NOT_YET


# What only people in other systems, or a developer, can set right.
_ELSEWHERE = (
    "key_sees_all",
    "api_key_active",
    "required_env",
    "builds_pass",
    "account_active",
    "account_errors",
    "texts_arrive",
    "link_opens",
    "receipts_arrive",
    "jobs_move",
)

STEPS: tuple[PlanStep, ...] = (
    PlanStep(
        "verify_deployment",
        "1",
        "Verify the deployment",
        "Does production serve the required commit, and did its builds pass?",
        evidence=("serving_commit", "fix_live", "builds_pass", "nothing_waits"),
        done_when=("serving_commit",),
    ),
    PlanStep(
        "redeploy",
        "2A",
        "Redeploy or promote",
        "If the required commit is not live: build it, or promote a build that is ready.",
        evidence=("serving_commit", "builds_pass", "nothing_waits", "required_env"),
        done_when=("serving_commit", "nothing_waits"),
        changes_world=True,
    ),
    PlanStep(
        "git_integration",
        "2B",
        "Check the Git integration",
        "Does a push reach Vercel: repository, production branch, the signs of life of Vercel's app?",
        evidence=("git_integration", "reason_05_unheard", "reason_08_git_deploys_off", "actions_pass"),
        done_when=("git_integration",),
        changes_world=True,
        by_people=True,
    ),
    PlanStep(
        "force_deployment",
        "2C",
        "Force a deployment",
        "If a push is not heard: an empty commit on the production branch shows whether the way works again.",
        evidence=("git_integration", "reason_05_unheard"),
        done_when=("serving_commit",),
        changes_world=True,
    ),
    PlanStep(
        "migration",
        "3",
        "Emergency migration",
        "Does the database refuse what the code writes, and which migration cures what was seen?",
        evidence=("columns_exist", "schema_contract", "null_customer_errors", "writes_succeed"),
        done_when=("columns_exist", "schema_contract", "null_customer_errors"),
        changes_world=True,
    ),
    PlanStep(
        "other_systems",
        "3B",
        "Fix what the desk has no button for",
        "Does a key, a setting, Twilio, the code itself, the link or a job stand in the way? People fix these there.",
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
        evidence=("api_answers", "texts_follow", "texts_recorded", "metadata_stored", "texts_arrive", "link_opens"),
        done_when=("texts_follow", "texts_recorded", "link_opens"),
    ),
    PlanStep(
        "monitor",
        "5",
        "Monitor",
        "Do the four success criteria hold on evidence newer than the fix?",
        evidence=("api_answers", "null_customer_errors", "texts_arrive", "metadata_stored"),
        done_when=("texts_follow", "texts_recorded", "texts_arrive"),
    ),
)


def evidence(diagnosis: Diagnosis, now: Sequence[Task]) -> tuple[StepEvidence, ...]:
    """Return every step with the evidence as it stands, and those of the tasks `now` that are done in it."""
    checks = {check.id: check for check in diagnosis.checks}
    return tuple(_evidence(step, checks, tuple(task for task in now if task.step_id == step.id)) for step in STEPS)


def _evidence(step: PlanStep, checks: dict[str, Check], now: tuple[Task, ...]) -> StepEvidence:
    answered = all(checks[name].status in (CheckStatus.OK, CheckStatus.NOT_APPLICABLE) for name in step.done_when)
    return StepEvidence(
        step=step,
        checks=tuple(checks[name] for name in step.evidence),
        answered=answered,
        tasks=now,
        advice=_advice(step, now, answered),
    )


def _advice(step: PlanStep, now: Sequence[Task], answered: bool) -> str:
    if now:
        return " ".join(task.message for task in now)
    if answered:
        return "Nothing to do: the evidence already says so."
    if step.changes_world:
        return "Nothing that this step can cure was seen: doing it would change nothing that is known to be wrong."
    return ""
