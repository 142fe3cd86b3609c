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
    ELSEWHERE = "elsewhere"  # another branch: neither contains the other
    UNKNOWN = "unknown"

    @property
    def contains_required(self) -> bool | None:
        """Whether the required commit is live there. None: cannot be told."""
        if self is CommitPosition.UNKNOWN:
            return None
        return self in (CommitPosition.SAME, CommitPosition.NEWER)


@dataclass(frozen=True, slots=True)
class Serving:
    """One production hostname against the required commit. `behind_by` counts the commits not live there."""

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
        return Serving(hostname, CommitPosition.UNKNOWN, None, "It was uploaded by hand: it has no commit.")
    if required is None:
        return Serving(hostname, CommitPosition.UNKNOWN, None, "The required commit is unknown.")
    if same_commit(sha, required.sha):
        return Serving(hostname, CommitPosition.SAME, 0)
    return _by_branch(hostname, sha, required, branch) or _by_comparison(hostname, sha, required, comparisons)


def _by_branch(hostname: Hostname, sha: str, required: RequiredCommit, branch: Branch | None) -> Serving | None:
    """Compare positions on the production branch, where both commits are among those read."""
    if branch is None:
        return None
    serving_at, required_at = branch.position(sha), branch.position(required.sha)
    if serving_at is None or required_at is None:
        return None
    if serving_at < required_at:
        return Serving(hostname, CommitPosition.NEWER, 0)
    return Serving(hostname, CommitPosition.BEHIND, serving_at - required_at)


def _by_comparison(
    hostname: Hostname, sha: str, required: RequiredCommit, comparisons: Sequence[Comparison]
) -> Serving:
    found = next((c for c in comparisons if same_commit(c.base, sha) and same_commit(c.head, required.sha)), None)
    if found is None:
        return Serving(hostname, CommitPosition.UNKNOWN, None, "The two commits could not be compared.")
    position = {"identical": CommitPosition.SAME, "ahead": CommitPosition.BEHIND, "behind": CommitPosition.NEWER}.get(
        found.status, CommitPosition.ELSEWHERE
    )
    return Serving(hostname, position, found.ahead_by)


def brought_by(deployments: Sequence[Deployment], hostnames: Sequence[Hostname]) -> tuple[Deployment, ...]:
    """Return the production deployments that became live, oldest first: the marks on a timeline."""
    serving_ids = {host.deployment.id for host in hostnames if host.deployment}
    lived = [
        deployment
        for deployment in deployments
        if deployment.target == "production"
        and deployment.ready_at is not None
        and (deployment.substate in ("PROMOTED", "ROLLING") or deployment.id in serving_ids)
    ]
    return tuple(sorted(lived, key=lambda deployment: deployment.created_at))
