"""Whether Vercel takes production from another branch than before.

The production branch is the project's own: that it is not the repository's default branch is no fault by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib.diagnosis.builds import newest_first
from lib.diagnosis.facts import Facts


@dataclass(frozen=True, slots=True)
class BranchChange:
    """Production builds came from `before`, and are to come from `now`, from which none ever did."""

    before: str
    now: str

    @property
    def message(self) -> str:
        return f"Vercel takes production from the branch {self.now}, and its production builds came from {self.before}."


def branch_change(facts: Facts) -> BranchChange | None:
    """Return how the production branch was changed away from where production came from; None without a sign of it."""
    project, repository = facts.value(facts.snapshot.project), facts.value(facts.snapshot.repository)
    now = project.link.production_branch if project and project.link else None
    # Where it is the default branch, the branch was renamed or the work moved: its first build is to come.
    if now is None or repository is None or now == repository.default_branch:
        return None
    builds = newest_first(facts.value(facts.snapshot.deployments) or ())
    pushed = [branch for one in builds if (branch := one.pushed_branch)]
    return BranchChange(pushed[0], now) if pushed and now not in pushed else None
