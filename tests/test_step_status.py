"""Where a step of the plan stands, in one word; nothing that cannot be told is called not needed, or done."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from lib.model.task import Task
from lib.model.verdict import HeadlineState
from lib.plan import STEPS, StepEvidence
from lib.plan_state import PlanState, Remediation, StepStatus, step_status
from tests.pages.synthetic import NOW

BY_ID = {step.id: step for step in STEPS}
TASK = Task("run_x", "missing_column", "migration", "Add the column.", "It is gone.", action="run_migration")
FIX = Remediation(NOW, "Run a migration", "run_migration")


def evidence(step: str, *, answered: bool = False, unknown: bool = False, tasks: tuple[Task, ...] = ()) -> StepEvidence:
    return StepEvidence(BY_ID[step], (), answered, tasks, "", unknown)


def state(
    seen_since: HeadlineState = HeadlineState.DEGRADED,
    *,
    fix: Remediation | None = None,
    tasks: tuple[Task, ...] = (),
    running_in: str | None = None,
    acted_in: tuple[str, ...] = (),
) -> PlanState:
    judged = SimpleNamespace(headline=SimpleNamespace(state=seen_since))
    running = (SimpleNamespace(about=SimpleNamespace(step_id=running_in)),) if running_in else ()
    return PlanState(fix, cast(Any, judged), tasks, (), cast(Any, running), frozenset(acted_in))


def test_a_step_with_a_task_is_to_be_done_now_and_waits_while_its_action_runs() -> None:
    asked = evidence("migration", tasks=(TASK,))
    assert step_status(asked, state(tasks=(TASK,)), None) is StepStatus.DO_NOW
    assert step_status(asked, state(tasks=(TASK,), running_in="migration"), None) is StepStatus.WAITING


def test_a_step_that_would_not_help_is_not_needed_unless_that_cannot_be_told() -> None:
    assert step_status(evidence("redeploy", answered=True), state(), None) is StepStatus.NOT_NEEDED
    assert step_status(evidence("redeploy"), state(), None) is StepStatus.NOT_NEEDED
    assert step_status(evidence("redeploy", unknown=True), state(), None) is StepStatus.CANNOT_TELL
    assert step_status(evidence("verify_deployment", unknown=True), state(), None) is StepStatus.CANNOT_TELL


def test_what_was_done_is_done_once_the_evidence_shows_it() -> None:
    fixed = state(HeadlineState.NO_TRAFFIC, fix=FIX, acted_in=("migration",))
    assert step_status(evidence("migration"), fixed, None) is StepStatus.WAITING
    assert step_status(evidence("migration", answered=True), fixed, None) is StepStatus.DONE


@pytest.mark.parametrize("step", ["verify_fix", "monitor"])
def test_looking_at_the_result_waits_for_a_fix_and_then_for_bookings(step: str) -> None:
    looking = evidence(step)
    assert step_status(looking, state(tasks=(TASK,)), None) is StepStatus.WAITING
    assert step_status(looking, state(HeadlineState.NO_TRAFFIC, fix=FIX), None) is StepStatus.WAITING
    assert step_status(looking, state(HeadlineState.FLOWING, fix=FIX), None) is StepStatus.DONE
    for well in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC):
        assert step_status(looking, state(well), None) is StepStatus.NOT_NEEDED


@pytest.mark.parametrize(
    ("action", "said"),
    [
        ("deploy_commit", "Deployed."),
        ("roll_back", "Rolled back."),
        ("cancel_build", "The build was stopped."),
        ("run_migration", "The database was changed."),
        (None, "Done."),
    ],
)
def test_what_was_done_is_said_as_what_it_was(action: str | None, said: str) -> None:
    assert Remediation(NOW, "x", action).done == said


def test_after_a_fix_the_plan_waits_until_bookings_made_since_confirm_it() -> None:
    assert state(HeadlineState.NO_TRAFFIC, fix=FIX).waits_for_bookings
    assert not state(HeadlineState.FLOWING, fix=FIX).waits_for_bookings
    assert not state(HeadlineState.BROKEN, fix=FIX).waits_for_bookings, "what was seen since speaks against it"
    assert not state(HeadlineState.DEGRADED, fix=FIX, tasks=(TASK,)).waits_for_bookings
