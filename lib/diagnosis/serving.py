"""Which commit each production hostname serves, and how far that is from the required commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from lib.model.deployments import Branch, Comparison, Deployment, Hostname, RequiredCommit, same_commit


class CommitPosition(StrEnum):
    """Where the serving commit stands, seen from the required commit."""

    SAME = "same"
    NEWER = "newer"  # it contains the required commit and more
    BEHIND = "behind"
    ELSEWHERE = "elsewhere"  # neither contains the other
    UNKNOWN = "unknown"

    @property
    def contains_required(self) -> bool | None:
        """Whether the required commit is live there. None: cannot be told."""
        if self is CommitPosition.UNKNOWN:
            return None
        return self in (CommitPosition.SAME, CommitPosition.NEWER)


@dataclass(frozen=True, slots=True)
class Serving:
    """One production hostname against the required commit.

    `behind_by` counts the commits not live there; None where they cannot be counted.
    """

    hostname: Hostname
    position: CommitPosition
    behind_by: int | None
    why_unknown: str = ""


def serving(
    hostnames: Sequence[Hostname],
    required: RequiredCommit | None,
    branch: Branch | None,
    comparisons: Sequence[Comparison] = (),
) -> tuple[Serving, ...]:
    """Return what each production hostname serves. Redirecting hostnames serve nothing of their own."""
    return tuple(
        _serving(hostname, required, branch, comparisons) for hostname in hostnames if hostname.redirect_to is None
    )


def _serving(
    hostname: Hostname, required: RequiredCommit | None, branch: Branch | None, comparisons: Sequence[Comparison]
) -> Serving:
    if hostname.deployment is None:
        reason = hostname.failure.sentence if hostname.failure else "Its deployment is unknown."
        return Serving(hostname, CommitPosition.UNKNOWN, None, reason)
    sha = hostname.serving_commit
    if sha is None:
        return Serving(hostname, CommitPosition.UNKNOWN, None, _without_commit(hostname.deployment))
    if required is None:
        return Serving(hostname, CommitPosition.UNKNOWN, None, "The required commit is unknown.")
    if same_commit(sha, required.sha):
        return Serving(hostname, CommitPosition.SAME, 0)
    return _placed(hostname, sha, required, branch, comparisons)


def _without_commit(deployment: Deployment) -> str:
    if deployment.git_dirty:
        return f"It was uploaded with changes that are not in the commit {(deployment.sha or 'it names')[:7]}."
    if deployment.source == "cli":
        return "It was uploaded by hand: it has no commit."
    return "Vercel names no commit that it was built from."


def _placed(
    hostname: Hostname, sha: str, required: RequiredCommit, branch: Branch | None, comparisons: Sequence[Comparison]
) -> Serving:
    found = relation(sha, required.sha, branch, comparisons)
    if found.holds:
        return Serving(hostname, CommitPosition.SAME if found.is_held else CommitPosition.NEWER, 0)
    if found.holds is None:
        return Serving(hostname, CommitPosition.UNKNOWN, None, "The two commits could not be compared.")
    is_merged_as_another = not required.on_branch and required.merged_as is not None
    if found.is_held and not is_merged_as_another:
        return Serving(hostname, CommitPosition.BEHIND, found.missing)
    if required.on_branch:
        return Serving(hostname, CommitPosition.ELSEWHERE, found.missing)
    return _by_merge(hostname, sha, required, branch, comparisons)


def _by_merge(
    hostname: Hostname, sha: str, required: RequiredCommit, branch: Branch | None, comparisons: Sequence[Comparison]
) -> Serving:
    """Place a commit that the branch does not contain: its pull request may have been squashed into it."""
    if required.merged_as is None:
        if required.pulls_read:
            return Serving(hostname, CommitPosition.ELSEWHERE, None)
        why = "Neither commit contains the other; whether a squash merge took its change in is not known."
        return Serving(hostname, CommitPosition.UNKNOWN, None, why)
    merged = relation(sha, required.merged_as, branch, comparisons)
    if merged.holds is None:
        return Serving(hostname, CommitPosition.UNKNOWN, None, "It could not be compared with the merged commit.")
    if merged.holds:
        return Serving(hostname, CommitPosition.NEWER, 0)
    position = CommitPosition.BEHIND if merged.is_held else CommitPosition.ELSEWHERE
    return Serving(hostname, position, merged.missing)


@dataclass(frozen=True, slots=True)
class Ancestry:
    """How one commit stands to a wanted one: does it hold it, is it held by it, how many of its commits it lacks."""

    holds: bool | None
    is_held: bool | None
    missing: int | None


# GitHub's word for the wanted commit, seen from the other one.
_COMPARED = {
    "identical": (True, True),
    "ahead": (False, True),
    "behind": (True, False),
    "diverged": (False, False),
}


def relation(sha: str, wanted: str, branch: Branch | None, comparisons: Sequence[Comparison] = ()) -> Ancestry:
    """Return how `sha` stands to `wanted`: by GitHub's comparison of the two, else by a walk along parents.

    The order and the dates of a list of commits say nothing of that.
    """
    if same_commit(sha, wanted):
        return Ancestry(True, True, 0)
    found = next((c for c in comparisons if same_commit(c.base, sha) and same_commit(c.head, wanted)), None)
    if found is not None and found.status in _COMPARED:
        return Ancestry(*_COMPARED[found.status], found.ahead_by)
    if branch is None:
        return Ancestry(None, None, None)
    return Ancestry(branch.contains(sha, wanted), branch.contains(wanted, sha), branch.behind_by(sha, wanted))


def brought_by(deployments: Sequence[Deployment], hostnames: Sequence[Hostname]) -> tuple[Deployment, ...]:
    """Return the production deployments that became live, in the order in which they were ready to.

    A build that was begun earlier and took longer becomes live later.
    """
    serving_ids = {host.deployment.id for host in hostnames if host.deployment}
    lived = [
        deployment
        for deployment in deployments
        if deployment.target == "production"
        and deployment.ready_at is not None
        and (deployment.substate in ("PROMOTED", "ROLLING") or deployment.id in serving_ids)
    ]
    return tuple(sorted(lived, key=lambda deployment: (deployment.ready_at, deployment.created_at)))
