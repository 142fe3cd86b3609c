"""Which deployment is served, which others are ready to be, and whether Vercel can build our commits at all."""

from __future__ import annotations

from datetime import datetime

from lib.diagnosis import thresholds
from lib.diagnosis.builds import BUILT, is_transient, newest_first
from lib.diagnosis.facts import Facts
from lib.diagnosis.moves import under_way
from lib.model.deployments import Deployment, DeploymentState, Hostname, LogLevel, same_commit

# What Vercel answers in X-Vercel-Error for a project that is paused.
PAUSED_ERROR = "DEPLOYMENT_PAUSED"

# The first line of an error often says only that there is one.
_ERROR_LINES = 4


def _created(deployment: Deployment) -> datetime:
    return deployment.created_at


def live_host(facts: Facts) -> Hostname | None:
    """Return the hostname that serves the oldest deployment of those that are being served."""
    hosts = facts.value(facts.snapshot.hostnames) or ()
    served = [(host.deployment.created_at, host) for host in hosts if host.deployment and host.redirect_to is None]
    return min(served, key=lambda one: one[0], default=(None, None))[1]


def live(facts: Facts) -> Deployment | None:
    """Return the oldest of the deployments that are being served."""
    host = live_host(facts)
    return host.deployment if host else None


def ready(facts: Facts) -> list[Deployment]:
    """Return the production builds that are ready and not what is served, the newest first."""
    served = live(facts)
    found = facts.value(facts.snapshot.deployments) or ()
    waiting = [one for one in found if one.target == "production" and one.state is DeploymentState.READY]
    return sorted((one for one in waiting if served and one.id != served.id), key=_created, reverse=True)


def waiting(facts: Facts) -> list[Deployment]:
    """Return the production builds that are newer than what is served and did not become live, the newest first.

    One whose commit is older than what is served does not wait, whenever it was built.
    """
    hosts = facts.value(facts.snapshot.hostnames) or ()
    served = [host.deployment for host in hosts if host.deployment and host.redirect_to is None]
    oldest = min(served, key=_created, default=None)
    settled = facts.now - thresholds.ALIAS_SETTLES
    return [
        one
        for one in newest_first(facts.value(facts.snapshot.deployments) or ())
        if one.state is DeploymentState.READY
        and oldest is not None
        and one.created_at > oldest.created_at
        and any(one.id != other.id for other in served)
        and (one.ready_at is None or one.ready_at <= settled)
        and not _is_older(facts, one, oldest)
    ]


def _is_older(facts: Facts, one: Deployment, served: Deployment) -> bool:
    """Whether the commit of `one` is known to be contained in what is served, and not the same."""
    branch = facts.value(facts.snapshot.branch)
    if branch is None or not one.commit or not served.commit or same_commit(one.commit, served.commit):
        return False
    return branch.contains(served.commit, one.commit) is True


def is_connected(facts: Facts) -> bool:
    """Whether Vercel can build our commits, as far as is known: the project is connected to our repository."""
    project, repository = facts.value(facts.snapshot.project), facts.value(facts.snapshot.repository)
    if project is None:
        return True
    link = project.link
    return link is not None and (repository is None or link.is_to(repository) is not False)


def is_held_up(facts: Facts) -> bool:
    """Whether no build can be brought to production now: the project is paused, or Vercel moves its hostnames."""
    return is_paused(facts) is True or under_way(facts) is not None


def is_paused(facts: Facts) -> bool | None:
    """Whether the project is paused: by its own switch, or by what its front door answers. None: cannot be told.

    `live: false` says nothing: it stands on projects that were never paused.
    """
    project, health = facts.value(facts.snapshot.project), facts.value(facts.snapshot.app_health)
    if health is not None and health.status_code == 503 and health.vercel_error == PAUSED_ERROR:
        return True
    if project is not None and project.paused is not None:
        return project.paused
    answers = health is not None and health.served_by_vercel and health.status_code < 500
    return False if answers else None


def error_of_the_code(facts: Facts) -> str | None:
    """Return how the newest production build failed, if by the code: building it again cannot help."""
    found = facts.value(facts.snapshot.deployments) or ()
    newest = next((one for one in newest_first(found) if one.state in BUILT), None)
    if newest is None or newest.state is not DeploymentState.ERROR:
        return None
    log = facts.value(facts.snapshot.build_log)
    lines = log.lines if log and log.deployment_id == newest.id else ()
    errors = [line.text for line in lines if line.level is LogLevel.ERROR][:_ERROR_LINES]
    error = "\n".join(errors) or newest.error_message or ""
    return None if not error or is_transient(f"{error} {newest.error_message or ''}") else error


def changed_since_build(facts: Facts, *names: str) -> list[str]:
    """Return which of the variables were changed after the live build was made, which then has the old value."""
    served, known = live(facts), facts.value(facts.snapshot.env_names) or ()
    if served is None:
        return []
    return [
        one.key
        for one in known
        if one.key in names and one.in_production and one.updated_at and one.updated_at > served.created_at
    ]


def named(deployment: Deployment) -> str:
    """Return how a deployment is called in a sentence: its commit and what its author wrote."""
    return f"{deployment.built_from} “{deployment.commit_message or deployment.id}”"
