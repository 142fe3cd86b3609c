"""Marks of the journal for a timeline: incidents, migrations and other actions that took effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from lib.actions.action import Touches
from lib.actions.action_registry import touched_by
from lib.diagnosis.timeline import Mark, MarkKind
from lib.journal.incident import Incident
from lib.journal.request import Request, RequestState
from lib.model.window import Window


def with_journal(
    marks: Sequence[Mark], incidents: Iterable[Incident], requests: Iterable[Request], window: Window
) -> tuple[Mark, ...]:
    """Return `marks` with those of the journal that lie within `window`, oldest first."""
    found = [*marks]
    for incident in incidents:
        found.append(Mark(incident.opened_at, MarkKind.INCIDENT, f"incident opened: {incident.title}"))
        if incident.closed_at is not None:
            found.append(Mark(incident.closed_at, MarkKind.INCIDENT, f"incident closed: {incident.title}"))
    for request in requests:
        at = _took_effect(request)
        touched = touched_by(request.action)
        if at is not None and touched is not Touches.NOTHING:
            kind = MarkKind.MIGRATION if touched is Touches.DATABASE else MarkKind.ACTION
            given = ", ".join(argument.value for argument in request.asked.arguments)
            found.append(Mark(at, kind, f"{request.action} {given} {request.state}".replace("  ", " ")))
    return tuple(sorted((one for one in found if window.start <= one.at < window.end), key=lambda one: one.at))


def _took_effect(request: Request) -> datetime | None:
    """Return when a request may have changed something, also if its outcome is unknown or it did not help."""
    if request.started_at is None:
        return None
    nothing_done = request.state is RequestState.FAILED and request.receipt is not None and not request.receipt.after
    return None if nothing_done else request.ended_at or request.started_at
