"""Vercel: what each production hostname really serves, and which switches decide it.

READY says nothing about what visitors get: the truth is hostname → alias → deployment → commit, per hostname.
Facts: https://vercel.com/docs/rest-api and the source of Vercel's CLI. Only named fields are kept: the answers
also hold environment values, protection bypass keys and hook URLs, which are dropped here.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from pydantic import SecretStr

from lib.model.deploy_rules import PolicyRule, policy_lets_in
from lib.model.deployments import (
    AliasRequest,
    BuildLog,
    BuildLogLine,
    Deployment,
    DeploymentState,
    EnvName,
    GitLink,
    Hostname,
    LogLevel,
    Project,
    RollbackNote,
    VercelEvent,
)
from lib.model.reading import Caveat, CaveatKind, FailureKind, Observed, SourceError
from lib.model.window import Window
from lib.redaction import redact
from lib.sources import parse
from lib.sources.http import Deadline, Http, Json, answered, join, together

SYSTEM = "Vercel"
HINTS: Mapping[FailureKind, str] = {
    FailureKind.UNAUTHORIZED: "Make a new token (Vercel → Account Settings → Tokens) and set VERCEL_TOKEN.",
    FailureKind.FORBIDDEN: "Give the token the scope of the team that owns the project, and check VERCEL_TEAM_ID.",
    FailureKind.NOT_FOUND: "Right project? Right team? Check VERCEL_PROJECT_ID and VERCEL_TEAM_ID.",
    FailureKind.BAD_DATA: "Check VERCEL_API_URL: a proxy or another system may be answering.",
}

PRODUCTION_DEPLOYMENTS = 20
ALL_DEPLOYMENTS = 50
MAX_HOSTNAMES = 100  # the most that one page holds; more would lengthen the chain of requests
MAX_EVENTS = 100
# The key in a deployment's `meta` under which the desk keeps the request that made it.
REQUEST_META = "switchboardRequest"
# How far Vercel's clock and ours may be apart.
CLOCK_SLACK = timedelta(minutes=1)
MAX_LOG_LINE_LENGTH = 2000
MAX_ERROR_LENGTH = 500
# DNS is a side fact: a slow answer must not hold up what the hostname serves.
DNS_SECONDS = 3.0

# The activity that explains why pushed code is not live, in words.
EVENT_LABELS: Mapping[str, str] = {
    "aliases-assigned": "production hostnames were assigned",
    "authorize-git-deployment": "a deployment waited for authorization",
    "deploy-hook-deduped": "a deploy hook was skipped as a duplicate",
    "deploy-hook-processed": "a deploy hook was called",
    "deployment-creation-blocked": "a deployment was blocked",
    "deployment-policy-blocked": "a deployment was blocked by policy",
    "disconnect-github": "GitHub was disconnected from the account",
    "env-variable-add": "an environment variable was added",
    "env-variable-delete": "an environment variable was deleted",
    "env-variable-edit": "an environment variable was edited",
    "git-integration-repo-push": "a push arrived from Git",
    "instant-rollback-created": "production was rolled back",
    "manual-deployment-promotion-created": "a deployment was promoted by hand",
    "owner-blocked": "the account was blocked",
    "owner-soft-blocked": "the account was limited",
    "production-branch-updated": "the production branch was changed",
    "project-affected-projects-deployments-updated": "skipping of unaffected projects was changed",
    "project-auto-assign-custom-production-domains-updated": "automatic assignment of hostnames was switched",
    "project-domain-deleted": "a hostname was removed from the project",
    "project-domain-moved": "a hostname was moved to another project",
    "project-domain-unverified": "a hostname lost its verification",
    "project-git-create-deployments-toggled": "GitHub deployment records were switched",
    "project-git-repository-connected": "the project was connected to Git",
    "project-git-repository-disconnected": "the project was disconnected from Git",
    "project-git-require-verified-commits-toggled": "the demand for signed commits was switched",
    "project-ignored-build-step-updated": "the ignored build step was changed",
    "project-paused": "the project was paused",
}

_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|[\x00-\x08\x0b-\x1f\x7f]")
_ENV_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Rows of the older shape carry no level: these beginnings on stderr are errors, other stderr is chatter.
_ERROR_LINE = re.compile(r"(?i)\s*(?:\S*error\b|npm err!|failed (?:to|with)|command .{1,200} exited with [1-9])")


@dataclass(frozen=True, kw_only=True)
class Vercel:
    """One Vercel project. Every method is one reading; all raise `SourceError` only."""

    http: Http
    base_url: str
    token: SecretStr
    project_id: str
    team_id: str | None = None

    def project(self, deadline: Deadline) -> Observed[Project]:
        """Read the project's switches. Tells a bad token from a wrong project or team."""
        try:
            raw = self._project(deadline)
        except SourceError as error:
            if error.kind in (FailureKind.NOT_FOUND, FailureKind.FORBIDDEN):
                raise self._explained(error, deadline) from None
            raise
        project = _project(raw)
        if not isinstance(raw.get("rollingRelease"), dict):
            return Observed(project)
        return self._with_rolling_release(project, deadline)

    def hostnames(self, deadline: Deadline) -> Observed[tuple[Hostname, ...]]:
        """Resolve every production hostname to what it serves; one that cannot be resolved says why itself."""
        listed, caveats = self._listed_hostnames(deadline)
        resolver = _Resolver(self, deadline)
        results = together(
            [
                *(partial(resolver.serving, host) for host in listed),
                *(partial(self._dns, host.hostname, deadline) for host in listed),
            ],
            at_most=16,
        )
        serving, dns = results[: len(listed)], results[len(listed) :]
        return Observed(tuple(_with_dns(answered(host), d) for host, d in zip(serving, dns, strict=True)), caveats)

    def deployments(self, deadline: Deadline) -> Observed[tuple[Deployment, ...]]:
        """List the newest deployments, newest first: production ones, and all targets to catch previews."""
        questions: tuple[dict[str, str | int], ...] = (
            {"target": "production", "limit": PRODUCTION_DEPLOYMENTS},
            {"limit": ALL_DEPLOYMENTS},
        )
        results = together(
            partial(self._get, deadline, "v7", "deployments", projectId=self.project_id, **query) for query in questions
        )
        if all(isinstance(result, SourceError) for result in results):
            raise results[0]
        found: dict[str, Deployment] = {}
        caveats: list[Caveat] = []
        for what, result in zip(("production deployments", "deployments"), results, strict=True):
            if isinstance(result, SourceError):
                caveats.append(Caveat(CaveatKind.PARTIAL, what, f"The list of {what} is missing: {result}"))
                continue
            for row in parse.rows(parse.at(result, "deployments"), SYSTEM):
                deployment = read_deployment(row)
                found[deployment.id] = deployment
        return Observed(tuple(sorted(found.values(), key=lambda d: d.created_at, reverse=True)), tuple(caveats))

    def build_log(self, deployment_id: str, deadline: Deadline) -> Observed[BuildLog]:
        """Read a deployment's build log, oldest line first, without colours and secrets."""
        rows = self._get(
            deadline, "v3", "deployments", deployment_id, "events", direction="forward", limit=-1, builds=1
        )
        # Vercel answers null for a log without lines.
        return Observed(BuildLog(deployment_id, _log_lines([] if rows is None else parse.rows(rows, SYSTEM))))

    def env_names(self, deadline: Deadline) -> Observed[tuple[EnvName, ...]]:
        """List the project's environment variables by name. Their values are dropped."""
        answer = self._get(deadline, "v10", "projects", self.project_id, "env")
        names = tuple(
            EnvName(
                key=parse.need(_env_key(parse.text(row, "key")), SYSTEM, "the name of an environment variable"),
                targets=parse.texts(row, "target"),
                type=parse.text(row, "type") or "unknown",
                git_branch=parse.text(row, "gitBranch"),
                updated_at=parse.epoch_ms(row, "updatedAt") or parse.epoch_ms(row, "createdAt"),
            )
            for row in parse.rows(parse.at(answer, "envs"), SYSTEM)
        )
        return Observed(names, _more_pages(answer, "environment variables"))

    def activity(self, window: Window, deadline: Deadline) -> Observed[tuple[VercelEvent, ...]]:
        """Read the project's activity in `window`, newest first: type, time and actor, never the payload."""
        answer = self._get(
            deadline,
            "v3",
            "events",
            projectIds=self.project_id,
            types=",".join(EVENT_LABELS),
            since=_iso(window.start),
            until=_iso(window.end),
            limit=MAX_EVENTS,
        )
        rows = parse.rows(parse.at(answer, "events"), SYSTEM)
        events = sorted((_event(row) for row in rows), key=lambda event: event.at, reverse=True)
        caveats = _truncated("activity", len(rows)) if len(rows) >= MAX_EVENTS else ()
        return Observed(tuple(event for event in events if window.start <= event.at < window.end), caveats)

    def deployment(self, id_or_host: str, deadline: Deadline) -> Deployment:
        """Read one deployment by id, or the one that a hostname points at."""
        return read_deployment(parse.mapping(self._get(deadline, "v13", "deployments", id_or_host), SYSTEM))

    def made_for(self, request_id: str, since: datetime, deadline: Deadline) -> Deployment | None:
        """Find the deployment that the desk's own request made since `since`; None if Vercel lists none.

        This is how an outcome that is not known is resolved: whatever the answer was, the mark is in its `meta`.
        """
        answer = self._get(
            deadline,
            "v7",
            "deployments",
            projectId=self.project_id,
            since=int((since - CLOCK_SLACK).timestamp() * 1000),
            limit=PRODUCTION_DEPLOYMENTS,
            **{f"meta-{REQUEST_META}": request_id},
        )
        rows = parse.rows(parse.at(answer, "deployments"), SYSTEM)
        # Should the filter not be heeded, another's deployment must not pass for ours.
        marked = [read_deployment(row) for row in rows if parse.text(row, "meta", REQUEST_META) == request_id]
        # Whoever redeploys ours by hand may take its mark along: ours is the first.
        return min(marked, key=lambda deployment: deployment.created_at, default=None)

    def move_since(self, kind: str, deployment_id: str, since: datetime, deadline: Deadline) -> AliasRequest | None:
        """Find the "promote" or "rollback" to a deployment that was asked for since `since`.

        None if the project's last move is another one, or older.
        """
        move = _alias_request(self._project(deadline).get("lastAliasRequest"))
        if move is None or (move.type, move.to_deployment_id) != (kind, deployment_id):
            return None
        return move if move.requested_at is not None and move.requested_at >= since - CLOCK_SLACK else None

    def rollback_hostnames(self, deployment_id: str, deadline: Deadline) -> tuple[str, ...]:
        """List the hostnames that a rollback to this deployment would move."""
        answer = self._get(deadline, "v4", "aliases", rollbackDeploymentId=deployment_id, limit=MAX_HOSTNAMES)
        rows = parse.rows(parse.at(answer, "aliases"), SYSTEM)
        return tuple(sorted(parse.need(parse.text(row, "alias"), SYSTEM, "a hostname") for row in rows))

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every call needs."""
        return {"Authorization": f"Bearer {self.token.get_secret_value()}"}

    @property
    def scope(self) -> dict[str, str | int]:
        """The parameters that every call needs."""
        # Only team ids may be sent: a personal account is meant by sending none.
        return {"teamId": self.team_id} if self.team_id and self.team_id.startswith("team_") else {}

    def _project(self, deadline: Deadline) -> dict[str, Any]:
        raw = self._get(deadline, "v9", "projects", self.project_id, rollbackInfo="true")
        return parse.mapping(raw, SYSTEM)

    def _with_rolling_release(self, project: Project, deadline: Deadline) -> Observed[Project]:
        try:
            answer = self._get(deadline, "v1", "projects", self.project_id, "rolling-release")
        except SourceError as error:
            sentence = f"Whether a rolling release is under way is not known: {error}"
            return Observed(project, (Caveat(CaveatKind.PARTIAL, "rolling release", sentence),))
        # The state stands in an envelope, which is null when nothing is rolling.
        enveloped = isinstance(answer, dict) and "rollingRelease" in answer
        release = answer["rollingRelease"] if enveloped else answer
        state = parse.text(release, "state")
        active = False if release is None else state == "ACTIVE" if state else None
        return Observed(replace(project, rolling_release_active=active))

    def _explained(self, error: SourceError, deadline: Deadline) -> SourceError:
        """Ask who the token is, to tell a token that is not accepted from ids that are not its own."""
        try:
            self._get(deadline, "v2", "user")
        except SourceError as other:
            return other if other.kind is FailureKind.UNAUTHORIZED else error
        where = f"in team {self.team_id}" if self.team_id else "in the token's own account, as no team is set"
        return SourceError(
            error.kind,
            f"Vercel accepts our token, but shows it no project {self.project_id} {where}.",
            HINTS[FailureKind.NOT_FOUND],
        )

    def _listed_hostnames(self, deadline: Deadline) -> tuple[tuple[_Listed, ...], tuple[Caveat, ...]]:
        try:
            answer = self._get(
                deadline, "v9", "projects", self.project_id, "domains", production="true", limit=MAX_HOSTNAMES
            )
        except SourceError as error:
            if error.kind is not FailureKind.FORBIDDEN:
                raise
            sentence = f"The project's own list stands in for its domains, which may not be read: {error}"
            caveat = Caveat(CaveatKind.PARTIAL, "hostnames", sentence)
            return _hostnames_of_project(self._project(deadline)), (caveat,)
        rows = parse.rows(parse.at(answer, "domains"), SYSTEM)
        production = [row for row in rows if not row.get("gitBranch") and not row.get("customEnvironmentId")]
        return tuple(_Listed(_hostname(row)) for row in production), _more_pages(answer, "hostnames")

    def _alias(self, host: str, deadline: Deadline) -> dict[str, Any]:
        return parse.mapping(self._get(deadline, "v4", "aliases", host), SYSTEM)

    def _dns(self, host: Hostname, deadline: Deadline) -> Json:
        if host.redirect_to is not None or host.name.endswith(".vercel.app"):
            return None  # Vercel's own names need no DNS of ours
        within = deadline.within(DNS_SECONDS)
        return self._get(within, "v6", "domains", host.name, "config", projectIdOrName=self.project_id, strict="true")

    def _get(self, deadline: Deadline, *segments: str, **params: str | int) -> Json:
        return self.http.get_json(
            join(self.base_url, *segments),
            system=SYSTEM,
            deadline=deadline,
            params=self.scope | params,
            headers=self.headers,
            hints=HINTS,
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    """A hostname as listed, and the deployment it serves where the list itself says so."""

    hostname: Hostname
    deployment_id: str | None = None


class _Resolver:
    """Takes hostnames to deployments, reading each deployment once however many hostnames share it."""

    def __init__(self, vercel: Vercel, deadline: Deadline) -> None:
        self._vercel = vercel
        self._deadline = deadline
        self._lock = threading.Lock()
        self._readings: dict[str, Future[Deployment]] = {}

    def serving(self, listed: _Listed) -> Hostname:
        """Return the hostname with what it serves, or with the failure on the way there."""
        host = listed.hostname
        if host.redirect_to is not None:
            return host
        try:
            if listed.deployment_id is not None:
                return replace(host, deployment=self._deployment(listed.deployment_id))
            return self._through_alias(host)
        except SourceError as error:
            return replace(host, failure=error.failure)

    def _through_alias(self, host: Hostname) -> Hostname:
        try:
            alias = self._vercel._alias(host.name, self._deadline)
        except SourceError as error:
            if error.kind is not FailureKind.NOT_FOUND:
                raise
            return self._without_alias(host)
        if (target := parse.text(alias, "redirect")) is not None:
            return replace(host, redirect_to=target)
        deployment_id = parse.text(alias, "deploymentId") or parse.text(alias, "deployment", "id")
        host = replace(
            host,
            alias_project_id=parse.text(alias, "projectId"),
            alias_moved_at=parse.epoch_ms(alias, "updatedAt") or parse.epoch_ms(alias, "createdAt"),
        )
        try:
            needed = parse.need(deployment_id, SYSTEM, f"the deployment that {host.name} serves")
            return replace(host, deployment=self._deployment(needed))
        except SourceError as error:
            return replace(host, failure=error.failure)

    def _without_alias(self, host: Hostname) -> Hostname:
        try:
            return replace(host, deployment=self._deployment(host.name))
        except SourceError as error:
            if error.kind is not FailureKind.NOT_FOUND:
                raise
            raise SourceError(
                FailureKind.NOT_FOUND,
                f"Vercel lists {host.name} in the project, but no deployment is assigned to it.",
                "It may belong to another project or team: look at the project's Domains page.",
            ) from None

    def _deployment(self, id_or_host: str) -> Deployment:
        with self._lock:
            first = id_or_host not in self._readings
            reading = self._readings.setdefault(id_or_host, Future())
        if first:
            try:
                reading.set_result(self._vercel.deployment(id_or_host, self._deadline))
            except BaseException as error:  # noqa: BLE001 - those who wait for it must hear of any end
                reading.set_exception(error)
        # Whoever reads it is bound by the same deadline, so this wait ends.
        return reading.result()


def _with_dns(host: Hostname, dns: Json) -> Hostname:
    """Add what DNS says, where it could be read: without it the hostname is known all the same."""
    return replace(
        host,
        dns_configured_by=parse.text(dns, "configuredBy"),
        dns_misconfigured=parse.boolean(dns, "misconfigured"),
    )


def _hostname(row: Mapping[str, Any]) -> Hostname:
    return Hostname(
        name=parse.need(parse.text(row, "name"), SYSTEM, "a hostname"),
        redirect_to=parse.text(row, "redirect"),
        verified=parse.boolean(row, "verified"),
    )


def _hostnames_of_project(raw: Mapping[str, Any]) -> tuple[_Listed, ...]:
    """Return the production hostnames, and what they serve, as the project itself tells."""
    return tuple(
        _Listed(
            Hostname(parse.need(parse.text(row, "domain"), SYSTEM, "a hostname")),
            parse.text(row, "deployment", "id"),
        )
        for row in parse.rows(raw.get("alias"), SYSTEM)
        if "production" in {(parse.text(row, key) or "").lower() for key in ("environment", "target")}
    )


def _project(raw: Mapping[str, Any]) -> Project:
    return Project(
        id=parse.need(parse.text(raw, "id"), SYSTEM, "the project's id"),
        name=parse.need(parse.text(raw, "name"), SYSTEM, "the project's name"),
        account_id=parse.text(raw, "accountId"),
        link=_link(raw.get("link")),
        auto_assign_custom_domains=parse.boolean(raw, "autoAssignCustomDomains"),
        auto_assign_updated_by=_person(raw.get("autoAssignCustomDomainsUpdatedBy")),
        ignore_command=_clean(parse.text(raw, "commandForIgnoringBuildStep")),
        skips_unaffected=parse.boolean(raw, "enableAffectedProjectsDeployments"),
        root_directory=parse.text(raw, "rootDirectory"),
        creates_git_deployments=_enabled(parse.at(raw, "gitProviderOptions", "createDeployments")),
        requires_verified_commits=parse.boolean(raw, "gitProviderOptions", "requireVerifiedCommits"),
        policy_allows_git=_policy_allows_git(raw),
        paused=parse.boolean(raw, "paused"),
        live=parse.boolean(raw, "live"),
        protection=parse.text(raw, "ssoProtection", "deploymentType"),
        last_alias_request=_alias_request(raw.get("lastAliasRequest")),
        rollback_note=_rollback_note(raw.get("rollbackDescription")),
        # Null says that the project does not roll; a field that is not there says nothing.
        rolling_release_active=False if "rollingRelease" in raw and raw["rollingRelease"] is None else None,
        production_deployment_id=parse.text(raw, "targets", "production", "id"),
        framework=parse.text(raw, "framework"),
        build_command=parse.text(raw, "buildCommand"),
    )


def _link(raw: Any) -> GitLink | None:
    """Read the link to Git; only null or nothing at all means disconnected."""
    if raw is None:
        return None
    link = parse.mapping(raw, SYSTEM)
    return GitLink(
        type=parse.text(link, "type") or "unknown",
        # GitHub, GitLab and Bitbucket each name the same two things their own way.
        org=parse.text(link, "org") or parse.text(link, "projectNamespace") or parse.text(link, "owner") or "",
        repo=parse.text(link, "repo") or parse.text(link, "projectName") or parse.text(link, "slug") or "",
        repo_id=parse.integer(link, "repoId"),
        production_branch=parse.text(link, "productionBranch"),
        deploy_hook_count=len(parse.items(link, "deployHooks")),
    )


def _alias_request(raw: Any) -> AliasRequest | None:
    if (kind := parse.text(raw, "type")) is None:
        return None
    return AliasRequest(
        type=kind,
        from_deployment_id=parse.text(raw, "fromDeploymentId"),
        to_deployment_id=parse.text(raw, "toDeploymentId"),
        job_status=parse.text(raw, "jobStatus"),
        requested_at=parse.epoch_ms(raw, "requestedAt"),
    )


def _rollback_note(raw: Any) -> RollbackNote | None:
    if not isinstance(raw, dict):
        return None
    return RollbackNote(
        username=_clean(parse.text(raw, "username")),
        description=_clean(parse.text(raw, "description")),
        created_at=parse.epoch_ms(raw, "createdAt"),
    )


def _policy_allows_git(raw: Mapping[str, Any]) -> bool | None:
    """Whether the deployment policy lets pushes build production; None if it does not say, or not clearly."""
    ways = [
        PolicyRule(parse.boolean(rule, "enabled"), "git" in parse.texts(rule, "sources"), _for_production(rule))
        for rule in parse.items(raw, "deploymentPolicy", "deploymentSources")
    ]
    # Which repositories it lets in is not compared with ours.
    repositories = [
        PolicyRule(parse.boolean(rule, "enabled"), None, _for_production(rule))
        for rule in parse.items(raw, "deploymentPolicy", "gitSources")
    ]
    rules = ways + repositories
    return policy_lets_in(rules)[0] if rules else None


def _for_production(rule: Mapping[str, Any]) -> bool | None:
    """Whether a rule is about production; None where it names no environment."""
    targets = [parse.text(environment, "target") for environment in parse.items(rule, "environments")]
    return "production" in targets if targets else None


def read_deployment(row: Mapping[str, Any]) -> Deployment:
    """Read a deployment as the list or the single call shows it, or the answer to the call that made it."""
    error = parse.text(row, "aliasError", "message") or parse.text(row, "aliasError", "code")
    return Deployment(
        id=parse.need(parse.text(row, "uid") or parse.text(row, "id"), SYSTEM, "a deployment's id"),
        url=parse.text(row, "url") or "",
        state=_state(parse.text(row, "readyState") or parse.text(row, "state")),
        created_at=parse.need(
            parse.epoch_ms(row, "createdAt") or parse.epoch_ms(row, "created"), SYSTEM, "a deployment's time"
        ),
        substate=parse.text(row, "readySubstate"),
        target=parse.text(row, "target"),
        sha=_sha(row),
        branch=parse.text(row, "gitSource", "ref") or _meta(row, "CommitRef"),
        commit_message=_headline(_meta(row, "CommitMessage")),
        commit_author=_clean(_meta(row, "CommitAuthorName") or _meta(row, "CommitAuthorLogin")),
        source=parse.text(row, "source"),
        creator=_person(row.get("creator")),
        action=parse.text(row, "meta", "action"),
        building_at=parse.epoch_ms(row, "buildingAt"),
        ready_at=parse.epoch_ms(row, "ready"),
        canceled_at=parse.epoch_ms(row, "canceledAt"),
        alias_assigned=_alias_assigned(row),
        alias_error=_clean(error),
        checks_state=parse.text(row, "checksState"),
        checks_conclusion=parse.text(row, "checksConclusion"),
        alias_check_state=parse.text(row, "checks", "deployment-alias", "state"),
        error_code=parse.text(row, "errorCode"),
        error_message=_clean(parse.text(row, "errorMessage")),
        error_step=parse.text(row, "errorStep"),
        error_link=_web_address(_clean(parse.text(row, "errorLink"))),
        build_skipped=parse.boolean(row, "buildSkipped"),
        seat_block=parse.text(row, "seatBlock", "blockCode"),
        out_of_memory=bool(row["oomReport"]) if "oomReport" in row else None,
        is_rollback_candidate=parse.boolean(row, "isRollbackCandidate"),
        waits_for_build_slot=parse.boolean(row, "isInConcurrentBuildsQueue"),
        waits_for_platform=parse.boolean(row, "isInSystemBuildsQueue"),
        env_names=_env_names(row.get("env")),
        inspector_url=_web_address(parse.text(row, "inspectorUrl")),
    )


def _state(word: str | None) -> DeploymentState:
    try:
        return DeploymentState(word or "")
    except ValueError:
        return DeploymentState.UNKNOWN


def _sha(row: Mapping[str, Any]) -> str | None:
    """Look the commit up in the order in which Vercel's own places for it can be trusted."""
    return (
        parse.text(row, "gitSource", "sha")
        or parse.text(row, "meta", "githubCommitSha")
        or parse.text(row, "meta", "gitCommitSha")
        or parse.text(row, "meta", "commitSha")
    )


def _meta(row: Mapping[str, Any], name: str) -> str | None:
    return parse.text(row, "meta", f"github{name}") or parse.text(row, "meta", f"git{name}")


def _alias_assigned(row: Mapping[str, Any]) -> bool | None:
    """Vercel says when (a number), whether (a boolean), or null for not yet; nothing at all is unknown."""
    if "aliasAssigned" not in row:
        return None
    value = row["aliasAssigned"]
    return value if isinstance(value, bool) else isinstance(value, int | float)


def _env_names(raw: Any) -> tuple[str, ...] | None:
    if not isinstance(raw, list):
        return None
    return tuple(key for name in parse.texts(raw) if (key := _env_key(name)) is not None)


def _env_key(name: str | None) -> str | None:
    """Return `name` if it can be a variable's name and nothing more (such as NAME=value)."""
    return name if name is not None and _ENV_KEY.fullmatch(name) else None


def _enabled(word: Any) -> bool | None:
    return {"enabled": True, "disabled": False}.get(word) if isinstance(word, str) else None


def _person(raw: Any) -> str | None:
    """Return someone's user name, or the id in its place; never an e-mail address."""
    name = parse.text(raw) or parse.text(raw, "username") or parse.text(raw, "githubLogin") or parse.text(raw, "uid")
    return _clean(name)


def _web_address(url: str | None) -> str | None:
    """Return `url` if a page may link to it."""
    return url if url is not None and url.startswith("https://") else None


def _headline(message: str | None) -> str | None:
    return _clean(message.strip().partition("\n")[0]) if message else None


def _clean(text: str | None) -> str | None:
    return redact(text[:MAX_ERROR_LENGTH]) if text else None


def _event(row: Mapping[str, Any]) -> VercelEvent:
    kind = parse.text(row, "type") or "unknown"
    return VercelEvent(
        type=kind,
        at=parse.need(parse.epoch_ms(row, "createdAt"), SYSTEM, "the time of an event"),
        actor=_person(row.get("user")),
        sentence=EVENT_LABELS.get(kind, ""),
    )


def _log_lines(rows: list[dict[str, Any]]) -> tuple[BuildLogLine, ...]:
    """Read the three shapes of log rows; the same row may come twice."""
    at = next((time for row in rows if (time := _log_time(row)) is not None), None)
    seen: set[str] = set()
    lines: list[BuildLogLine] = []
    for row in rows:
        text = _ANSI.sub("", _log_text(row))
        mark = parse.text(row, "id") or parse.text(row, "payload", "id")
        if not text.strip() or mark in seen:
            continue
        if mark is not None:
            seen.add(mark)
        # A line without a time stands where it came: it takes the time of the line before it.
        at = parse.need(_log_time(row) or at, SYSTEM, "the times of a build log's lines")
        lines += (
            BuildLogLine(at, redact(line[:MAX_LOG_LINE_LENGTH]), _log_level(row, text))
            for line in text.splitlines()
            if line.strip()
        )
    return tuple(sorted(lines, key=lambda line: line.at))


def _log_time(row: Mapping[str, Any]) -> datetime | None:
    return parse.epoch_ms(row, "created") or parse.epoch_ms(row, "date") or parse.epoch_ms(row, "payload", "date")


def _log_text(row: Mapping[str, Any]) -> str:
    return parse.text(row, "text") or parse.text(row, "payload", "text") or ""


def _log_level(row: Mapping[str, Any], text: str) -> LogLevel:
    kind, level = parse.text(row, "type"), parse.text(row, "level")
    if kind == "fatal" or level == "error":
        return LogLevel.ERROR
    if level == "warning":
        return LogLevel.WARNING
    failed = level is None and kind == "stderr" and _ERROR_LINE.match(text)
    return LogLevel.ERROR if failed else LogLevel.INFO


def _more_pages(answer: Json, what: str) -> tuple[Caveat, ...]:
    if parse.at(answer, "pagination", "next") is None:
        return ()
    return _truncated(what, parse.integer(answer, "pagination", "count"))


def _truncated(what: str, count: int | None) -> tuple[Caveat, ...]:
    first = f"the first {count} " if count else "the first page of "
    return (Caveat(CaveatKind.TRUNCATED, what, f"Only {first}{what} were read; there are more."),)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
