"""What people call checks, causes, actions and steps, for pages and documents about what the journal holds."""

from __future__ import annotations

from lib.actions.action_registry import ACTIONS
from lib.diagnosis.checks import ALL
from lib.diagnosis.hypotheses import HYPOTHESES
from lib.journal.rendering import Titles
from lib.plan import STEPS

TITLES = Titles(
    checks={spec.id: spec.question for spec in ALL},
    hypotheses={spec.id: spec.title for spec in HYPOTHESES},
    actions={id_: action.title for id_, action in ACTIONS.items()},
    steps={step.id: f"{step.number} {step.title}" for step in STEPS},
)
_STATUS_WORDS = {
    "ok": "fine",
    "warn": "a warning",
    "fail": "failed",
    "cannot_tell": "cannot tell",
    "not_applicable": "not applicable",
    "ruled_out": "ruled out",
}


def status_word(status: str | None) -> str:
    """Return the status of a check, of a cause or of a headline as people say it. None: it was not asked then."""
    return "not asked" if status is None else _STATUS_WORDS.get(status, status.replace("_", " "))


def title_of(kind: str, id_: str) -> str:
    """Return the title of what `record_changes` names by its kind and id."""
    if kind == "headline":
        return "Headline"
    return TITLES.check(id_) if kind == "checks" else TITLES.hypothesis(id_)
