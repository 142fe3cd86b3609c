"""Which deployment is served, which others are ready to be, and whether Vercel can build our commits at all."""

from __future__ import annotations

from datetime import datetime

from lib.diagnosis.builds import is_transient
from lib.diagnosis.facts import Facts
from lib.model.deployments import Deployment, DeploymentState, Hostname, LogLevel

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


def is_connected(facts: Facts) -> bool:
    """Whether Vercel can build our commits, as far as is known: the project is connected to our repository."""
    project, repository = facts.value(facts.snapshot.project), facts.value(facts.snapshot.repository)
    if project is None:
        return True
    link = project.link
    elsewhere = link and repository and link.repo_id is not None and link.repo_id != repository.id
    return link is not None and not elsewhere


def error_of_the_code(facts: Facts) -> str | None:
    """Return how the newest production build failed, if by the code: building it again cannot help."""
    found = facts.value(facts.snapshot.deployments) or ()
    ended = [one for one in found if one.target == "production" and not one.state.in_progress]
    newest = max(ended, key=_created, default=None)
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
    return f"{(deployment.sha or 'the upload')[:7]} “{deployment.commit_message or deployment.id}”"
