"""News of production deployments: the stored deployments compared with the present ones. Pure.

The first comparison has no news, because history is none. Nothing is sent twice, because the stored deployments are
written in the transaction that posts the news.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from lib.diagnosis.builds import Stop, why_stopped
from lib.model.deployments import Deployment, DeploymentState, Hostname, Project


class NewsKind(StrEnum):
    """What can happen to a production deployment that is worth a message."""

    LIVE = "live"
    PROMOTED = "promoted"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    SKIPPED = "skipped"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class DeploymentNews:
    """News about one deployment; `hostnames` are those that it serves now."""

    kind: NewsKind
    deployment: Deployment
    hostnames: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KnownDeployments:
    """The production deployments as of the last comparison.

    `world` identifies the project: for another one there is nothing to compare with. `live` is hostname → deployment
    id. Deployments that were created up to `through` and are not in `states` are history.
    """

    world: str
    live: Mapping[str, str] = field(default_factory=dict)
    states: Mapping[str, DeploymentState] = field(default_factory=dict)
    through: datetime | None = None


@dataclass(frozen=True, slots=True)
class DeploymentObservation:
    """The present deployments. None: could not be read, and what was known stays."""

    world: str
    deployments: tuple[Deployment, ...] | None
    hostnames: tuple[Hostname, ...] | None
    project: Project | None


def compare(
    known: KnownDeployments | None, observed: DeploymentObservation
) -> tuple[KnownDeployments, tuple[DeploymentNews, ...]]:
    """Return what to store now, and the news since `known`."""
    if known is None or known.world != observed.world:
        return _learned(KnownDeployments(observed.world), observed), ()
    return _learned(known, observed), (*_ended(known, observed), *_moved(known, observed))


def _learned(known: KnownDeployments, observed: DeploymentObservation) -> KnownDeployments:
    live, states, through = known.live, known.states, known.through
    if observed.hostnames is not None:
        # A hostname that could not be resolved keeps the deployment that it served.
        live = {
            host.name: host.deployment.id if host.deployment else known.live[host.name]
            for host in observed.hostnames
            if host.deployment or host.name in known.live
        }
    if observed.deployments is not None:
        production = _production(observed)
        states = {deployment.id: deployment.state for deployment in production}
        times = [deployment.created_at for deployment in production]
        through = max([*times, *([known.through] if known.through else [])], default=None)
    return KnownDeployments(observed.world, live, states, through)


def _production(observed: DeploymentObservation) -> list[Deployment]:
    return [deployment for deployment in observed.deployments or () if deployment.target == "production"]


def _ended(known: KnownDeployments, observed: DeploymentObservation) -> Iterator[DeploymentNews]:
    """Yield the deployments that ended without becoming ready, oldest first."""
    for deployment in sorted(_production(observed), key=lambda one: one.created_at):
        if deployment.id in known.states:
            is_news = known.states[deployment.id] is not deployment.state
        else:
            # No news if the list was never read before, or if the deployment is older than what it showed.
            is_news = known.through is not None and deployment.created_at > known.through
        if is_news and (kind := _how_it_ended(deployment)):
            yield DeploymentNews(kind, deployment)


def _how_it_ended(deployment: Deployment) -> NewsKind | None:
    """Say how a deployment ended, if that is news: a cancellation of which Vercel gives no such reason is none."""
    stop = why_stopped(deployment)
    match deployment.state:
        case DeploymentState.ERROR:
            return NewsKind.FAILED
        case DeploymentState.BLOCKED:
            return NewsKind.BLOCKED
        case DeploymentState.CANCELED if stop in (Stop.AUTHOR, Stop.UNVERIFIED):
            return NewsKind.BLOCKED
        case DeploymentState.CANCELED if deployment.build_skipped or stop is Stop.IGNORED_STEP:
            return NewsKind.SKIPPED
    return None


def _moved(known: KnownDeployments, observed: DeploymentObservation) -> Iterator[DeploymentNews]:
    """Yield the deployments that serve a hostname now and served none before."""
    if not known.live:
        return  # the hostnames were never read before
    serving: dict[str, list[Hostname]] = {}
    for host in observed.hostnames or ():
        if host.deployment and host.redirect_to is None:
            serving.setdefault(host.deployment.id, []).append(host)
    for deployment_id, hosts in serving.items():
        deployment = hosts[0].deployment
        if deployment and deployment_id not in known.live.values():
            names = tuple(host.name for host in hosts)
            yield DeploymentNews(_how(deployment_id, observed.project), deployment, names)


def _how(deployment_id: str, project: Project | None) -> NewsKind:
    """Return how a deployment became live: by the project's last promotion or rollback, if that led to it."""
    move = project.last_alias_request if project else None
    if move is None or move.to_deployment_id != deployment_id or move.job_status in ("failed", "skipped"):
        return NewsKind.LIVE
    return {"promote": NewsKind.PROMOTED, "rollback": NewsKind.ROLLED_BACK}.get(move.type, NewsKind.LIVE)
