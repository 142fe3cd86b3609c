"""What production is made of, as actions look at it: the project, its hostnames, its repository and its branch.

Within one look of an `ActionContext` each is read once. All raise `SourceError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lib.actions.action import ActionContext
from lib.model.deployments import Branch, Hostname, Project, Repository
from lib.model.reading import FailureKind, SourceError
from lib.sources.http import Deadline
from lib.sources.vercel_writes import DEPLOYABLE_LINKS

_READ_SECONDS = 10.0


def soon() -> Deadline:
    """Return the deadline of one question."""
    return Deadline(_READ_SECONDS)


def project(context: ActionContext) -> Project:
    """Return the Vercel project."""
    return context.ask("project", lambda: context.sources.vercel.project(soon()).value)


def hostnames(context: ActionContext) -> Sequence[Hostname]:
    """Return the production hostnames that serve something themselves, and do not redirect."""
    found = context.ask("hostnames", lambda: context.sources.vercel.hostnames(soon()).value)
    return [host for host in found if host.redirect_to is None]


def repository(context: ActionContext) -> Repository:
    """Return the GitHub repository."""
    return context.ask("repository", lambda: context.sources.github.repository(soon()).value)


def production_branch(context: ActionContext) -> Branch:
    """Return the branch that Vercel builds production from; the default branch, where GitHub has none of that name."""
    return context.ask("branch", lambda: _read_production_branch(context))


def _read_production_branch(context: ActionContext) -> Branch:
    link = project(context).link
    name = link.production_branch if link and link.type in DEPLOYABLE_LINKS else None
    try:
        return context.sources.github.branch(name, soon()).value
    except SourceError as error:
        if name is None or error.kind is not FailureKind.NOT_FOUND:
            raise
        return context.sources.github.branch(None, soon()).value
