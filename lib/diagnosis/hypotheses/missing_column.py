"""The booking code writes to a column that the database does not have."""

from __future__ import annotations

from lib.diagnosis.applicable_migrations import migration_tasks
from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import code, recording
from lib.diagnosis.contract import Break
from lib.diagnosis.hypothesis_api import HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict


def judge(statuses: Statuses) -> Verdict:
    exists = statuses[recording.columns_exist]
    if exists is CheckStatus.FAIL:
        # What was declared of the code confirms nothing: the code may have moved on.
        return Verdict.CONFIRMED if statuses[code.code_read] is CheckStatus.OK else Verdict.LIKELY
    if exists is CheckStatus.OK and statuses[recording.next_code_fits] is CheckStatus.WARN:
        return Verdict.POSSIBLE
    return decided_by(recording.columns_exist)(statuses)


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
    judge=judge,
    checks=(recording.columns_exist, recording.metadata_stored),
    signs=(recording.next_code_fits,),
    basis=(code.code_read,),
    tasks=tasks,
    runbook="""
Texts go out; recording them fails, and the code ignores the error.

- Look: the error log's line (`42703` or `PGRST204`), the schema contract on *Systems*, and the migrations that the
  check names: the newest on the database's own record, one of which may have taken the column away. They are marks on
  the timeline.
- Do: *Action plan*, step 3: run the migration that is marked "would help".
- Not: redeploy, push again, or drop NOT NULL somewhere else. The code is live; it has nowhere to write.
- Done when: new bookings have their `initial_sms`, three minutes after their text.
""",
)
