"""An incident and its steps, computed from its entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from lib.journal.entry import Entry, IncidentClosed, IncidentOpened, StepMoved, StepState
from lib.model.people import Actor


@dataclass(frozen=True, slots=True)
class StepRecord:
    """The state of one step of the plan, and who set it when. A step that nobody changed has no record."""

    id: str
    state: StepState
    reason: str
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True)
class Incident:
    """The present state of an incident. `steps` are those that somebody changed, in the order of the first change."""

    id: UUID
    title: str
    opened_by: Actor
    opened_at: datetime
    closed_by: Actor | None = None
    closed_at: datetime | None = None
    closing_message: str = ""
    steps: tuple[StepRecord, ...] = ()

    @property
    def open(self) -> bool:
        return self.closed_at is None

    def step(self, step_id: str) -> StepRecord | None:
        return next((step for step in self.steps if step.id == step_id), None)


def incident_of(entries: Sequence[Entry]) -> Incident:
    """Return the incident that its opening, step and closing entries, in order, make. Pure."""
    first = entries[0]
    assert isinstance(first.payload, IncidentOpened) and first.about.incident_id is not None  # noqa: S101
    steps: dict[str, StepRecord] = {}
    closing: Entry | None = None
    for entry in entries:
        payload, step_id = entry.payload, entry.about.step_id
        if isinstance(payload, StepMoved) and step_id is not None:
            steps[step_id] = StepRecord(step_id, payload.state, payload.reason, entry.actor, entry.at)
        elif isinstance(payload, IncidentClosed):
            closing = entry
    return Incident(
        id=first.about.incident_id,
        title=first.payload.title,
        opened_by=first.actor,
        opened_at=first.at,
        closed_by=closing.actor if closing else None,
        closed_at=closing.at if closing else None,
        closing_message=closing.payload.message if closing and isinstance(closing.payload, IncidentClosed) else "",
        steps=tuple(steps.values()),
    )
