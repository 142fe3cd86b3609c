"""What would cure what is seen now, as tasks of the hypotheses.

A task is given only where the evidence says that it cures something. What one task will settle is not asked for twice:
after each, the desk looks again and says what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lib.diagnosis.diagnose import Diagnosis
from lib.diagnosis.hypotheses import HYPOTHESES
from lib.diagnosis.hypothesis_api import AWAIT_MOVE, OTHER_SYSTEMS, TaskContext
from lib.model.task import Task
from lib.model.verdict import HeadlineState, Hop, Verdict
from lib.settings import Settings

# Causes that keep new code from production, and with it what it would record.
_OF_NEW_CODE = frozenset({Hop.CODE, Hop.RECORDED})


def tasks(diagnosis: Diagnosis, settings: Settings) -> tuple[Task, ...]:
    """Return what to do now, the most urgent first; empty if nothing that is seen can be cured, or needs to be."""
    context = TaskContext(diagnosis.facts, diagnosis.answers, settings)
    due = any(tuple(spec.tasks(context)) for spec in HYPOTHESES if spec.explains == _OF_NEW_CODE)
    context = replace(context, new_code_is_due=due)
    found = [task for spec in HYPOTHESES for task in spec.tasks(context)]
    # While texts flow, what is no more than possible is no reason to change production: only what moves is waited for.
    if diagnosis.headline.state is HeadlineState.FLOWING:
        return tuple(task for task in found if task.id == AWAIT_MOVE)
    once: dict[str, Task] = {}
    for task in found or _remedies(diagnosis):
        once.setdefault(task.id, task)  # two causes may ask for the same
    return tuple(sorted(once.values(), key=lambda task: task.meanwhile))


def _remedies(diagnosis: Diagnosis) -> Iterator[Task]:
    """Yield the remedies of causes for which there is no better advice; nobody can be made to want to book."""
    for one in diagnosis.hypotheses:
        if one.verdict in (Verdict.CONFIRMED, Verdict.LIKELY) and one.id != "no_demand":
            message, who = one.remedy.message, "whoever administers that system"
            yield Task(one.id, one.id, OTHER_SYSTEMS, message, one.for_owner, who=who)
