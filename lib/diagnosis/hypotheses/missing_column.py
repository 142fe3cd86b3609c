"""The booking code writes to a column that the database does not have."""

from __future__ import annotations

from lib.diagnosis.applicable_migrations import migration_tasks
from lib.diagnosis.checks import recording
from lib.diagnosis.contract import Break
from lib.diagnosis.hypothesis_api import HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy


def tasks(context: TaskContext) -> list[Task]:
    """Return the migrations that add what is missing."""
    return migration_tasks(context, SPEC.id, Break.MISSING_COLUMN, Break.MISSING_TABLE)


SPEC = HypothesisSpec(
    id="missing_column",
    depth=40,
    title="The database lacks a column that the code writes",
    for_owner="Texts go out, but the database has no place to record them. Deploying again does not change that.",
    remedy=Remedy("Run the migration that adds the missing column.", "run_migration"),
    explains=frozenset({Hop.RECORDED}),
    judge=decided_by(recording.columns_exist),
    checks=(recording.columns_exist, recording.metadata_stored),
    tasks=tasks,
    runbook="""
Texts go out; recording them fails, and the code swallows the error.

- Look: the error log's line (`42703` or `PGRST204`), the schema contract on *Systems*, and the migrations that the
  check names: the newest on the database's own record, one of which may have taken the column away. They are marks on
  the timeline.
- Do: *Action plan*, step 3: run the migration that is marked "cures what was seen".
- Not: redeploy, push again, or drop NOT NULL somewhere else. The code is live; it has nowhere to write.
- Done when: new bookings have their `initial_sms`, three minutes after their text.
""",
)
