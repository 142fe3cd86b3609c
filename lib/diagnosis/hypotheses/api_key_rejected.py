"""The booking calls use an API key that is switched off."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import UUID

from lib.diagnosis.checks import demand
from lib.diagnosis.facts import Facts
from lib.diagnosis.hypothesis_api import DATABASE_ADMIN, OTHER_SYSTEMS, HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the task to switch the key on again."""
    if not context.fails(demand.api_key_active):
        return
    yield Task(
        "switch_key_on",
        SPEC.id,
        OTHER_SYSTEMS,
        "Switch the API key on again. If it was revoked on purpose, make a new one and give it to the website.",
        context.summary(demand.api_key_active),
        who=DATABASE_ADMIN,
        place="Supabase → SQL Editor",
        link=context.supabase("sql/new"),
        exactly=_switch_on(context.facts),
    )


def _switch_on(facts: Facts) -> str:
    """Return the statement that switches on the key that was used last; empty if that is not known."""
    keys = facts.rows(facts.snapshot.api_keys)
    if keys is None:
        return ""
    off = keys[keys["can_write_bookings"].fillna(False) & ~keys["is_active"].fillna(False)]
    try:
        key = UUID(str(off.sort_values("last_used_at")["id"].iloc[-1]))
    except (IndexError, ValueError):
        return ""
    return f"update public.api_keys set is_active = true where id = '{key}';"  # noqa: S608 - text for a person


SPEC = HypothesisSpec(
    id="api_key_rejected",
    depth=20,
    title="The caller's API key is refused",
    for_owner="Bookings cannot start: the key that the booking calls use is switched off.",
    remedy=Remedy("Switch the API key on again, or give the caller a new one."),
    explains=frozenset({Hop.DEMAND}),
    judge=decided_by(demand.api_key_active),
    checks=(demand.api_key_active,),
    tasks=tasks,
    settled_elsewhere=(demand.api_key_active,),
    runbook="""
The app answers 401 or 403 and does not log it: the evidence is the key's own row.

- Look: *Status*, "the caller's key"; when it was switched off, and by whom.
- Do: switch the key on again, or give the caller a new one. If it was switched off on purpose, ask first.
- Done when: a test booking is answered with 201.
""",
)
