"""What a person needs to know of a misfit beside the line itself: what it breaks, since when, and what would cure it.

Pure. A part that cannot be told is None or empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlsplit

from lib.diagnosis.checks.demand import INITIATE
from lib.diagnosis.code_findings import CodeFindings, CommitFindings
from lib.diagnosis.facts import Facts
from lib.diagnosis.running_code import moved_by_hand
from lib.diagnosis.serving import brought_by
from lib.model.deployments import Deployment, Hostname, same_commit
from lib.model.served_code import Line, MigrationState, Misfit, Operation, RepositoryMigration
from lib.model.verdict import Hop
from lib.served_code import excerpts
from lib.settings import Settings

_GITHUB_API, _ENTERPRISE_API = "api.github.com", "/api/v3"


@dataclass(frozen=True, slots=True)
class Live:
    """Where the commit of a misfit is live, since when without a break, and by which deployment. None: not known."""

    hostname: str
    since: datetime | None
    deployment: str | None


@dataclass(frozen=True, slots=True)
class MisfitDetail:
    """A misfit with what belongs to it. `lines` are those of the code around it; empty where none were kept.

    `hop` is the hop of the flow that it breaks; None where its table does not tell. `live` is empty for code that is
    not served. `migration` is one of the repository that is not in effect and would cure it, `migration_commit` the
    commit that holds it.
    """

    misfit: Misfit
    lines: tuple[Line, ...]
    hop: Hop | None
    live: tuple[Live, ...]
    migration: RepositoryMigration | None
    migration_commit: str | None


def served(facts: Facts) -> tuple[MisfitDetail, ...]:
    """Return the misfits on the way of a booking through the code that is served."""
    return _details(facts, facts.code.serving, facts.code.on_flow)


def coming(facts: Facts) -> tuple[MisfitDetail, ...]:
    """Return the misfits on that way that newer code brings and that is not served yet."""
    return _details(facts, facts.code.others, facts.code.next_on_flow)


def elsewhere(found: CodeFindings) -> tuple[Misfit, ...]:
    """Return the misfits that are not on the way of a booking, of all code that was read, each place once."""
    by_place = {
        (misfit.file, misfit.line, misfit.problem, misfit.table, misfit.column): misfit
        for misfit in reversed(found.misfits)
        if not misfit.on_flow
    }
    return tuple(reversed(by_place.values()))


def _details(facts: Facts, commits: Sequence[CommitFindings], misfits: Sequence[Misfit]) -> tuple[MisfitDetail, ...]:
    by_commit = {one.code.commit: one for one in commits}
    hosts, deployments = facts.value(facts.snapshot.hostnames) or (), facts.value(facts.snapshot.deployments) or ()
    return tuple(
        _detail(misfit, by_commit[misfit.commit], facts.code, hosts, deployments)
        for misfit in misfits
        if misfit.commit in by_commit
    )


def _detail(
    misfit: Misfit,
    commit: CommitFindings,
    found: CodeFindings,
    hosts: Sequence[Hostname],
    deployments: Sequence[Deployment],
) -> MisfitDetail:
    migration, holds_it = _cure(misfit, found)
    live = tuple(
        Live(host.name, live_since(host, deployments), host.deployment.id if host.deployment else None)
        for host in hosts
        if host.redirect_to is None and misfit.commit is not None and host.serving_commit == misfit.commit
    )
    lines = excerpts.around(commit.code, misfit.file, misfit.line)
    return MisfitDetail(misfit, lines, broken_hop(misfit), live, migration, holds_it)


def broken_hop(misfit: Misfit) -> Hop | None:
    """Return the hop of the flow that stops where this line fails; None where its table does not tell."""
    if not misfit.on_flow:
        return None
    operation = misfit.use.operation
    starts = misfit.hop is not None and misfit.hop.endswith(INITIATE)
    match misfit.table:
        case "pending_bookings" if starts and operation in (Operation.INSERT, Operation.UPSERT):
            return Hop.ACCEPTED  # without its row there is no booking to text about
        case "pending_bookings" if starts and operation is Operation.UPDATE:
            return Hop.RECORDED  # what is added to the row later is the record of the text
        case "messages" if operation.is_write:
            return Hop.RECORDED
        case "short_links":
            return Hop.LINK
        case "bookings":
            return Hop.CONFIRMED
        case _:
            return None


def _cure(misfit: Misfit, found: CodeFindings) -> tuple[RepositoryMigration | None, str | None]:
    """Return the migration that would cure a misfit and the commit that holds it, also where only newer code does."""
    place = (misfit.problem, misfit.table, misfit.column, misfit.detail)
    same = (one for one in found.misfits if (one.problem, one.table, one.column, one.detail) == place)
    for one in (misfit, *same):
        if one.migration is None:
            continue
        commit = next((commit for commit in found.commits if commit.code.commit == one.commit), None)
        migrations = commit.migrations if commit else ()
        migration = next((known for known in migrations if known.version == one.migration), None)
        if migration is not None and migration.state in (MigrationState.NOT_APPLIED, MigrationState.NO_EFFECT):
            return migration, one.commit
    return None, None


def live_since(host: Hostname, deployments: Sequence[Deployment]) -> datetime | None:
    """Return since when a hostname has served its commit without a break, as far as the deployments reach back.

    A deployment that built the same commit again does not make the line younger. After a move by hand the order in
    which builds were ready says nothing of what was live before.
    """
    since, commit = host.serving_since, host.serving_commit
    if since is None or commit is None or moved_by_hand(host):
        return since
    for deployment in reversed(brought_by(deployments, (host,))):
        if deployment.ready_at is None or deployment.ready_at > since:
            continue
        if not same_commit(deployment.commit, commit):
            break
        since = deployment.ready_at
    return since


def code_link(settings: Settings, commit: str | None, file: str, line: int) -> str | None:
    """Return the address at GitHub of a line at a commit. None on the sandbox, whose names may be somebody else's."""
    repository, api = settings.github_repository, urlsplit(settings.github_api_url)
    if settings.sandbox_url or commit is None or repository is None:
        return None
    if api.hostname == _GITHUB_API:
        site = "https://github.com"
    elif api.scheme == "https" and api.path.endswith(_ENTERPRISE_API):
        site = f"https://{api.netloc}"
    else:
        return None
    return f"{site}/{repository}/blob/{commit}/{quote(file)}#L{line}"
