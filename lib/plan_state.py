"""The last fix, and what evidence from after it says alone: what was before proves nothing of it, nor against it.

So what the plan asks for now rests on the one as well as on the other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pandas as pd

from lib import plan
from lib.actions.action import Touches
from lib.actions.action_registry import touched_by
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.tasks import tasks
from lib.journal.entry import StepState
from lib.journal.incident import Incident
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


@dataclasses.dataclass(frozen=True, slots=True)
class Remediation:
    """The last thing that changed the world: by the desk, or as somebody said of another system."""

    at: datetime
    message: str


def last_remediation(requests: Iterable[Request], incident: Incident | None) -> Remediation | None:
    """Return the newest fix, of the open incident if there is one; trying the flow changes nothing."""
    since = incident.opened_at if incident else datetime.min.replace(tzinfo=UTC)
    done = [
        Remediation(request.ended_at, request.asked.summary or request.action)
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
    """Where the plan stands: the last `fix`, what evidence from after it says, what to do now, and every step."""

    fix: Remediation | None
    judged: Diagnosis
    tasks: tuple[Task, ...]
    steps: tuple[plan.StepEvidence, ...]


def plan_state(
    diagnosis: Diagnosis, settings: Settings, requests: Iterable[Request], incident: Incident | None
) -> PlanState:
    """Return where the plan stands. What was wrong before the last fix asks for nothing: only what is wrong since."""
    fix = last_remediation(requests, incident)
    judged = judged_since(diagnosis, fix.at) if fix else diagnosis
    now = tasks(judged, settings)
    return PlanState(fix, judged, now, plan.evidence(diagnosis, now))


def why_nothing(diagnosis: Diagnosis, state: PlanState, when: str) -> str:
    """Say why nothing is asked for: all is well, the fix, done `when`, has yet to show, or the desk knows no cure."""
    if diagnosis.headline.state in (HeadlineState.FLOWING, HeadlineState.NO_TRAFFIC):
        return "Nothing needs to be fixed. Who was affected before is on Bookings."
    if state.fix is not None:
        return f"Since “{state.fix.message}”, {when}, no new evidence contradicts it. The next bookings will show."
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
