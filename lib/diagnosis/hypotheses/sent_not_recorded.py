"""Texts go out, and no other cause explains why the database does not know of them."""

from __future__ import annotations

from lib.diagnosis.applicable_migrations import FORBIDDEN, migration_tasks
from lib.diagnosis.checks import recording
from lib.diagnosis.contract import Break
from lib.diagnosis.hypothesis_api import HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy


def tasks(context: TaskContext) -> list[Task]:
    """Return the migrations that let the app write what the database forbids or refuses."""
    if context.check(recording.texts_recorded).status is CheckStatus.OK:
        return []
    return migration_tasks(context, SPEC.id, FORBIDDEN, Break.LITERAL_REFUSED)


SPEC = HypothesisSpec(
    id="sent_not_recorded",
    depth=130,
    title="Texts go out and are not recorded",
    for_owner="Customers get their texts, but the database has no record of them.",
    remedy=Remedy(
        "Find what refuses the app's write: the database's log names it, mostly a trigger, a policy or a grant."
    ),
    explains=frozenset({Hop.RECORDED}),
    judge=decided_by(recording.texts_recorded),
    checks=(recording.texts_recorded, recording.metadata_stored),
    signs=(recording.writes_succeed, recording.schema_contract),
    tasks=tasks,
    runbook="""
No missing column and no NOT NULL explains it.

- Look: the error log: `42501` is a grant or a policy, a trigger names itself.
- Do: run the migration that the plan recommends, if one would help.
""",
)
