"""Which code has been running: whether the serving commit contains the fix, and since when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from lib.diagnosis import thresholds
from lib.diagnosis.serving import Serving, brought_by, relation
from lib.model.deployments import Branch, Comparison, Deployment, Hostname


@dataclass(frozen=True, slots=True)
class RunningCode:
    """Whether every production hostname runs code that contains the fix.

    `after_fix` is None where that cannot be told. `since` is when such code became live, as far as the
    list of deployments reaches back; None while it is not live or not known.
    """

    after_fix: bool | None
    since: datetime | None


def running_code(
    fix: str,
    servings: Sequence[Serving],
    branch: Branch | None,
    deployments: Sequence[Deployment] | None,
    rolled_back_at: datetime | None = None,
    comparisons: Sequence[Comparison] = (),
) -> RunningCode:
    """Tell whether the fix is live on all hostnames, and since when without a break.

    `rolled_back_at` is the last rollback: what was live before it was not live without a break.
    """
    contains = [_contains(fix, serving, branch, comparisons) for serving in servings]
    if False in contains:
        return RunningCode(False, None)
    if not contains or None in contains:
        return RunningCode(None, None)
    if branch is None:
        return RunningCode(True, None)
    hostnames = [serving.hostname for serving in servings]
    return RunningCode(True, _live_since(fix, hostnames, branch, deployments or (), rolled_back_at))


def _contains(fix: str, serving: Serving, branch: Branch | None, comparisons: Sequence[Comparison]) -> bool | None:
    sha = serving.hostname.serving_commit
    if sha is None:
        return None
    found = relation(sha, fix, branch, comparisons)
    if found.holds is False and not found.is_held and (branch is None or branch.position(fix) is None):
        return None  # the branch may hold its change all the same: squashed into another commit
    return found.holds


def _live_since(
    fix: str,
    hostnames: Sequence[Hostname],
    branch: Branch,
    deployments: Sequence[Deployment],
    rolled_back_at: datetime | None,
) -> datetime | None:
    """Walk back over the deployments that were live, as long as they contain the fix."""
    current = [moment for host in hostnames if (moment := host.serving_since) is not None]
    since = max(current, default=None)
    if since is None or any(moved_by_hand(host) for host in hostnames):
        return since  # a build that was promoted by hand says nothing of what was live before
    for deployment in reversed(brought_by(deployments, hostnames)):
        if not deployment.commit or not branch.contains(deployment.commit, fix):
            break
        if rolled_back_at and deployment.ready_at and deployment.ready_at <= rolled_back_at:
            break
        if deployment.ready_at and deployment.ready_at < since:
            since = deployment.ready_at
    return since


def moved_by_hand(host: Hostname) -> bool:
    """Whether the hostname got its deployment long after that was ready, and not as the end of its build."""
    ready = _ready(host)
    if ready is None or host.alias_moved_at is None:
        return False
    return host.alias_moved_at - ready > thresholds.ALIAS_SETTLES


def _ready(host: Hostname) -> datetime | None:
    return host.deployment.ready_at if host.deployment else None
