"""The last fix, and what evidence from after it says alone: what was before proves nothing of it, nor against it.

So what the plan asks for now rests on the one as well as on the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

import pandas as pd

from lib import plan
from lib.actions.action import Touches
from lib.actions.action_registry import touched_by
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.tasks import tasks
from lib.journal.entry import StepState
from lib.journal.incident import Incident, StepRecord
from lib.journal.request import Request, RequestState
from lib.model.reading import Reading
from lib.model.task import Task
from lib.model.verdict import CheckStatus, HeadlineState, Tile
from lib.model.window import Window
from lib.settings import Settings
from lib.snapshot import Snapshot

# The readings whose rows are things that happened, and the column that says when.
_HAPPENED: Final = dict.fromkeys(
    (
        "pending_bookings",
        "bookings",
        "messages",
        "delivery_receipts",
        "audit_log",
        "api_usage",
        "texts",
        "known_texts",
        "alerts",
    ),
    "created_at",
) | {"database_errors": "at"}


# Without an incident, what was done within this time counts as done.
_LATELY: Final = timedelta(hours=1)


@dataclasses.dataclass(frozen=True, slots=True)
class Remediation:
    """The last thing that changed the world: by an `action` of the desk, or as somebody said of another system."""

    at: datetime
    message: str
    action: str | None = None

    @property
    def done(self) -> str:
        """What was done, in one short sentence."""
        if self.action is None:
            return "Done."
        if self.action in _DONE:
            return _DONE[self.action]
        return "Deployed." if touched_by(self.action) is Touches.CODE else "The database was changed."


_DONE: Final = {"roll_back": "Rolled back.", "cancel_build": "The build was stopped."}


def last_remediation(requests: Iterable[Request], incident: Incident | None) -> Remediation | None:
    """Return the newest fix, of the open incident if there is one; trying the flow changes nothing."""
    since = incident.opened_at if incident else datetime.min.replace(tzinfo=UTC)
    done = [
        Remediation(request.ended_at, request.asked.summary or request.action, request.action)
        for request in requests
        if touched_by(request.action) is not Touches.NOTHING
        and request.ended_at is not None
        and request.ended_at >= since
        and request.state is RequestState.SUCCEEDED
    ]
    by_people = {step.id for step in plan.STEPS if step.by_people}
    done += [
        Remediation(step.at, step.reason)
        for step in (incident.steps if incident else ())
        if step.id in by_people and step.state is StepState.DONE and step.reason
    ]
    return max(done, key=lambda fix: fix.at, default=None)


@dataclasses.dataclass(frozen=True, slots=True)
class PlanState:
    """Where the plan stands: the last `fix`, what evidence from after it says, what to do now, and every step.

    `running` are the requests that are not over, `acted_in` the ids of the steps in which something succeeded during
    the incident; without one, within the last hour.
    """

    fix: Remediation | None
    judged: Diagnosis
    tasks: tuple[Task, ...]
    steps: tuple[plan.StepEvidence, ...]
    running: tuple[Request, ...] = ()
    acted_in: frozenset[str] = frozenset()

    @property
    def confirmed(self) -> bool:
        """Whether evidence from after the last fix shows that texts flow."""
        return self.fix is not None and self.judged.headline.state is HeadlineState.FLOWING

    @property
    def waits_for_bookings(self) -> bool:
        """Whether a fix was made against which nothing speaks, and for which nothing speaks yet."""
        open_still = self.judged.headline.state in (HeadlineState.NO_TRAFFIC, HeadlineState.CANNOT_TELL)
        return self.fix is not None and not self.tasks and open_still


class StepStatus(StrEnum):
    """Where a step stands, in one word."""

    NOT_NEEDED = "not_needed"
    DO_NOW = "do_now"
    WAITING = "waiting"
    DONE = "done"
    CANNOT_TELL = "cannot_tell"


def recorded_as_done(task: Task, incident: Incident | None) -> StepRecord | None:
    """Return the record that people did a task, if there is one; the evidence may not be there yet."""
    step = incident.step(task.step_id) if incident else None
    return step if step and step.state is StepState.DONE and step.reason == task.message else None


def step_status(evidence: plan.StepEvidence, state: PlanState, incident: Incident | None) -> StepStatus:
    """Return where a step stands. A step is done only by what was seen; what people say makes it wait for that."""
    step = evidence.step
    if any(request.about.step_id == step.id for request in state.running):
        return StepStatus.WAITING
    if evidence.tasks:
        said = all(recorded_as_done(task, incident) for task in evidence.tasks)
        return StepStatus.WAITING if said else StepStatus.DO_NOW
    if step.after_fix:
        return _status_after_fix(state)
    if step.changes_world:
        record = incident.step(step.id) if incident else None
        acted = step.id in state.acted_in or (record is not None and record.state is StepState.DONE)
        if acted:
            return StepStatus.DONE if evidence.answered or state.confirmed else StepStatus.WAITING
        return StepStatus.CANNOT_TELL if evidence.unknown else StepStatus.NOT_NEEDED
    if evidence.answered:
        return StepStatus.DONE
    return StepStatus.CANNOT_TELL if evidence.unknown else StepStatus.WAITING


def _status_after_fix(state: PlanState) -> StepStatus:
    if state.tasks or state.running:
        return StepStatus.WAITING
    if state.confirmed:
        return StepStatus.DONE
    well = state.judged.headline.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC)
    return StepStatus.NOT_NEEDED if well and state.fix is None else StepStatus.WAITING


def plan_state(
    diagnosis: Diagnosis, settings: Settings, requests: Iterable[Request], incident: Incident | None
) -> PlanState:
    """Return where the plan stands. What was wrong before the last fix asks for nothing: only what is wrong since."""
    requests = tuple(requests)
    fix = last_remediation(requests, incident)
    judged = judged_since(diagnosis, fix.at) if fix else diagnosis
    now = tasks(judged, settings)
    running = tuple(request for request in requests if not request.state.over)
    since = incident.opened_at if incident else diagnosis.facts.now - _LATELY
    acted_in = frozenset(
        request.about.step_id
        for request in requests
        if request.state is RequestState.SUCCEEDED
        and request.about.step_id
        and request.ended_at is not None
        and request.ended_at >= since
    )
    return PlanState(fix, judged, now, plan.evidence(diagnosis, now), running, acted_in)


def why_nothing(diagnosis: Diagnosis, state: PlanState, when: str) -> str:
    """Say why nothing is asked for: all is well, the fix, done `when`, has yet to show, or the desk knows no cure."""
    if diagnosis.headline.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC):
        return "Nothing needs to be fixed. Who was affected before is on Bookings."
    if state.fix is not None and state.confirmed:
        return (
            f"{state.fix.done} The bookings since then confirm it: “{state.fix.message}”, {when}. "
            "What was before still counts in the headline."
        )
    if state.fix is not None and state.waits_for_bookings:
        return f"{state.fix.done} Waiting for the next bookings to confirm. “{state.fix.message}”, {when}."
    return "Switchboard has no fix for this: look at the evidence in the steps, and at Escalation."


def judged_since(diagnosis: Diagnosis, at: datetime) -> Diagnosis:
    """Return what evidence from after `at` alone says; worked out once for all who look at `diagnosis`."""
    facts = diagnosis.facts
    return diagnosis.cached(("since", at), lambda: diagnose(_since(facts.snapshot, at), facts.now, facts.terms))


def tiles_since(judged: Diagnosis, at: datetime) -> tuple[Tile, ...]:
    """Return the success criteria of `judged`, which rests on evidence from after `at` alone."""
    cut = judged.facts.snapshot
    asked = cut.pending_bookings.value
    # That nothing failed means something only once somebody asked again, and the log was read after that.
    tried = asked is not None and not asked.empty and cut.database_errors.observed_at > at
    return tuple(
        tile if tile.id != "null_errors" or tried or tile.status is not CheckStatus.OK else _not_tried(tile)
        for tile in judged.tiles
    )


def _not_tried(tile: Tile) -> Tile:
    message = "No booking was made since, so it is not proven yet."
    return dataclasses.replace(tile, status=CheckStatus.NOT_APPLICABLE, value="none", message=message)


def _since(snapshot: Snapshot, at: datetime) -> Snapshot:
    """Return `snapshot` without what happened before `at`."""
    # A fix may be younger than the snapshot, and a window without length has no rates.
    newest = snapshot.window.end - timedelta(seconds=1)
    window = Window(snapshot.window.size, min(max(at, snapshot.window.start), newest), snapshot.window.end)
    changed: dict[str, Any] = {
        name: dataclasses.replace(reading, value=_after(reading.value, column, at))
        for name, column in _HAPPENED.items()
        if (reading := _reading(snapshot, name)).value is not None
    }
    return dataclasses.replace(snapshot, window=window, **changed)


def _reading(snapshot: Snapshot, name: str) -> Reading[pd.DataFrame]:
    reading: Reading[pd.DataFrame] = getattr(snapshot, name)
    return reading


def _after(rows: pd.DataFrame | None, column: str, at: datetime) -> pd.DataFrame | None:
    return None if rows is None else rows[rows[column] >= at].reset_index(drop=True)
