"""A NOT NULL column refuses what the code writes for new customers."""

from __future__ import annotations

from lib.diagnosis.applicable_migrations import migration_tasks
from lib.diagnosis.check_api import Statuses
from lib.diagnosis.checks import recording
from lib.diagnosis.contract import Break
from lib.diagnosis.hypothesis_api import HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import CheckStatus, Hop, Remedy, Verdict


def judge(statuses: Statuses) -> Verdict:
    # Unread logs: the constraint may stand in the way of the code, but nobody saw it do so.
    unread = statuses[recording.null_customer_errors] is CheckStatus.CANNOT_TELL
    if unread and statuses[recording.schema_contract] in (CheckStatus.FAIL, CheckStatus.WARN):
        return Verdict.POSSIBLE
    return decided_by(recording.null_customer_errors)(statuses)


def tasks(context: TaskContext) -> list[Task]:
    """Return the migrations that let a column be null, if that cures what was seen."""
    return migration_tasks(context, SPEC.id, Break.NULL_REFUSED)


SPEC = HypothesisSpec(
    id="not_null_constraint",
    depth=90,
    title="A NOT NULL column refuses the record",
    for_owner="Texts go out, but recording them fails for new customers.",
    remedy=Remedy("Deploy the fix; or let messages.customer_id be null by its migration.", "run_migration"),
    explains=frozenset({Hop.RECORDED}),
    judge=judge,
    checks=(recording.null_customer_errors,),
    signs=(recording.schema_contract,),
    tasks=tasks,
    runbook="""
- Look: the log's line (`23502`) with its column. Is the code that leaves it empty still live?
- Do: deploy the fix if there is one; else run the migration that lets the column be null. It can be undone as long as
  every row has a value.
""",
)
