"""The desk's own key does not see the data."""

from __future__ import annotations

from collections.abc import Iterator

from lib.diagnosis.checks import visibility
from lib.diagnosis.hypothesis_api import OTHER_SYSTEMS, HypothesisSpec, TaskContext, decided_by
from lib.model.task import Task
from lib.model.verdict import Hop, Remedy


def tasks(context: TaskContext) -> Iterator[Task]:
    """Yield the task to give the desk a key that sees every row."""
    if not context.fails(visibility.key_sees_all):
        return
    yield Task(
        "give_secret_key",
        SPEC.id,
        OTHER_SYSTEMS,
        "Give Switchboard the project's secret key, in its environment or in .streamlit/secrets.toml, and restart it.",
        context.summary(visibility.key_sees_all),
        who="whoever runs Switchboard",
        place="Supabase → Project Settings → API Keys → Secret keys",
        link=context.supabase("settings/api-keys"),
        exactly='SUPABASE_SECRET_KEY = "sb_secret_…"',
    )


SPEC = HypothesisSpec(
    id="reads_blocked",
    depth=10,
    title="Switchboard cannot see the data",
    for_owner="Nothing can be said about the texts: Switchboard's key cannot see the data.",
    remedy=Remedy("Put the secret key (sb_secret_…) into SUPABASE_SECRET_KEY."),
    explains=frozenset(Hop),
    judge=decided_by(visibility.key_sees_all),
    checks=(visibility.key_sees_all,),
    signs=(visibility.empty_means_empty, visibility.project_matches),
    tasks=tasks,
    settled_elsewhere=(visibility.key_sees_all,),
    runbook="""
Row level security hides rows from a publishable key and gives no error: all counts would be zero.

- Look: *Systems*, booking data: "see all rows (row level security)".
- Do: put the *secret* key (`sb_secret_…`) into `SUPABASE_SECRET_KEY`, from the same project as `SUPABASE_URL`. Start
  Switchboard again. A policy is not to be widened for this.
- Done when: the headline is anything but CANNOT TELL.
""",
)
