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
from pydantic.alias_generators import to_camel

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
from lib.sources.http import Deadline, Http, Json, answered, join, together, wrong_address
from lib.sources.parse import found

SYSTEM = "Vercel"
HINTS: Mapping[FailureKind, str] = {
    FailureKind.UNAUTHORIZED: "Make a new token (Vercel → Account Settings → Tokens) and set VERCEL_TOKEN.",
    FailureKind.FORBIDDEN: "Give the token the scope of the team that owns the project, and check VERCEL_TEAM_ID.",
    FailureKind.NOT_FOUND: "Right project? Right team? Check VERCEL_PROJECT_ID and VERCEL_TEAM_ID.",
    FailureKind.BAD_DATA: wrong_address("VERCEL_API_URL"),
}

PRODUCTION_DEPLOYMENTS = 20
ALL_DEPLOYMENTS = 50
MAX_HOSTNAMES = 100  # the most that one page holds; more would lengthen the chain of requests
MAX_EVENTS = 100
# The key in a deployment's `meta` under which the desk keeps the request that made it.
REQUEST_META = "switchboardRequest"
# In the order in which Vercel's own places for the commit can be trusted.
COMMIT_PLACES = ("gitSource.sha", "meta.githubCommitSha", "meta.gitCommitSha", "meta.commitSha")
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
_SLUG = re.compile(r"[a-z0-9][a-z0-9-]*")
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
        """Read the project's switches. A bad token and a wrong project or team are different errors."""
        try:
            raw = self._project(deadline)
        except SourceError as error:
            if error.kind in (FailureKind.NOT_FOUND, FailureKind.FORBIDDEN):
                raise self._explained(error, deadline) from None
            raise
        project = _read_project(raw)
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
        known: dict[str, Deployment] = {}
        caveats: list[Caveat] = []
        for what, result in zip(("production deployments", "deployments"), results, strict=True):
            if isinstance(result, SourceError):
                caveats.append(Caveat(CaveatKind.PARTIAL, what, f"The list of {what} is missing: {result}"))
                continue
            listed, unread = parse.readable_rows(result, SYSTEM, what, read_deployment, "deployments")
            known |= {deployment.id: deployment for deployment in listed}
            caveats += unread
        return Observed(tuple(sorted(known.values(), key=lambda d: d.created_at, reverse=True)), tuple(caveats))

    def build_log(self, deployment_id: str, deadline: Deadline) -> Observed[BuildLog]:
        """Read a deployment's build log, oldest line first, without colours and secrets."""
        rows = self._get(
            deadline, "v3", "deployments", deployment_id, "events", direction="forward", limit=-1, builds=1
        )
        # Vercel answers null for a log without lines, and for a line without anything.
        rows = [row for row in rows if row is not None] if isinstance(rows, list) else [] if rows is None else rows
        read, caveats = parse.readable_rows(rows, SYSTEM, "lines of the build log", _LogRow.model_validate)
        return Observed(BuildLog(deployment_id, _log_lines(read)), caveats)

    def env_names(self, deadline: Deadline) -> Observed[tuple[EnvName, ...]]:
        """List the project's environment variables by name. Their values are dropped."""
        answer = self._get(deadline, "v10", "projects", self.project_id, "env")
        # A variable that is passed over would seem not to be set: all of them or none.
        # A single variable may stand in the place of the list.
        single = isinstance(answer, dict) and "envs" not in answer and "key" in answer
        names = tuple(map(_read_env_name, [answer] if single else parse.rows(answer, SYSTEM, "envs")))
        return Observed(names, _more_pages(answer, "environment variables") + _hidden_variables(answer))

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
        events, caveats = parse.readable_rows(answer, SYSTEM, "events of the activity", _read_event, "events")
        events.sort(key=lambda event: event.at, reverse=True)
        if len(answer["events"]) >= MAX_EVENTS:
            caveats += _truncated("activity", MAX_EVENTS)
        return Observed(tuple(event for event in events if window.start <= event.at < window.end), caveats)

    def deployment(self, id_or_host: str, deadline: Deadline) -> Deployment:
        """Read one deployment by id, or the one that a hostname points at."""
        raw = self._get(deadline, "v13", "deployments", id_or_host)
        if _is_of_another_owner(raw):
            raise SourceError(
                FailureKind.FORBIDDEN,
                "Vercel shows this deployment to its owner only: it belongs to another account or team.",
                "Look on the project's Domains page for who owns the hostname, and check VERCEL_TEAM_ID.",
            )
        return read_deployment(raw)

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
        rows = parse.rows(answer, SYSTEM, "deployments")
        # Should the filter not be heeded, another's deployment must not pass for ours.
        marked = [read_deployment(row) for row in rows if parse.text(row, "meta", REQUEST_META) == request_id]
        # Whoever redeploys ours by hand may take its mark along: ours is the first.
        return min(marked, key=lambda deployment: deployment.created_at, default=None)

    def move_since(self, kind: str, deployment_id: str, since: datetime, deadline: Deadline) -> AliasRequest | None:
        """Find the "promote" or "rollback" to a deployment that was asked for since `since`.

        None if the project's last move is another one, or older.
        """
        move = _read_move(self._project(deadline).get("lastAliasRequest"))
        if move is None or (move.type, move.to_deployment_id) != (kind, deployment_id):
            return None
        return move if move.requested_at is not None and move.requested_at >= since - CLOCK_SLACK else None

    def rollback_hostnames(self, deployment_id: str, deadline: Deadline) -> tuple[str, ...]:
        """List the hostnames that a rollback to this deployment would move."""
        answer = self._get(deadline, "v4", "aliases", rollbackDeploymentId=deployment_id, limit=MAX_HOSTNAMES)
        rows = parse.rows(answer, SYSTEM, "aliases")
        return tuple(sorted(parse.need(parse.text(row, "alias"), SYSTEM, "a hostname") for row in rows))

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every call needs."""
        return {"Authorization": f"Bearer {self.token.get_secret_value()}"}

    @property
    def scope(self) -> dict[str, str | int]:
        """The parameters that every call needs."""
        if self.team_id and self.team_id.startswith("team_"):
            return {"teamId": self.team_id}
        # The id of a personal account has capitals, which no slug has: that account is meant by sending nothing.
        return {"slug": self.team_id} if self.team_id and _SLUG.fullmatch(self.team_id) else {}

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
        project = replace(project, rolling_release_active=active)
        if active:
            project = replace(
                project,
                rolling_release_percent=_canary_share(release),
                rolling_release_deployment_id=parse.text(release, "canaryDeployment", "id"),
            )
        return Observed(project)

    def _explained(self, error: SourceError, deadline: Deadline) -> SourceError:
        """Ask whose token it is: it may not be accepted, or accepted and without rights to these ids."""
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
        rows = parse.rows(answer, SYSTEM, "domains")
        production = [row for row in rows if not row.get("gitBranch") and not row.get("customEnvironmentId")]
        if not production:
            return _own_names(self._project(deadline)), _more_pages(answer, "hostnames")
        hosts, unread = parse.readable_rows(production, SYSTEM, "hostnames", _read_hostname)
        return tuple(map(_Listed, hosts)), unread + _more_pages(answer, "hostnames")

    def _alias(self, host: str, deadline: Deadline) -> _Alias:
        return _Alias.model_validate(self._get(deadline, "v4", "aliases", host))

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
        if alias.redirect is not None:
            return replace(host, redirect_to=alias.redirect)
        host = replace(host, alias_project_id=alias.project_id, alias_moved_at=alias.moved_at)
        try:
            needed = parse.need(alias.deployment_id, SYSTEM, f"the deployment that {host.name} serves")
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
            except BaseException as error:  # noqa: BLE001 - whoever waits for it must get any error
                reading.set_exception(error)
        # Whoever reads it is bound by the same deadline, so this wait ends.
        return reading.result()


def _canary_share(release: Json) -> float | None:
    """Return the share of visitors, in per cent, that the new deployment gets; None where Vercel does not say.

    A stage names what it aims at: where it shifts visitors little by little, that is not yet what they get.
    """
    share = parse.decimal(parse.at(release, "currentCanaryPercentage"))
    if share is None and not parse.boolean(release, "activeStage", "linearShift"):
        share = parse.decimal(parse.at(release, "activeStage", "targetPercentage"))
    return float(share) if share is not None and 0 <= share <= 100 else None


_clean = parse.clean(MAX_ERROR_LENGTH)


def _headline(value: Any) -> str | None:
    return _clean((parse.text(value) or "").strip().partition("\n")[0])


def _is_of_another_owner(raw: Any) -> bool:
    """Whether this is the short view that Vercel gives of somebody else's deployment: no `createdAt`, no `meta`."""
    return parse.text(raw, "id") is not None and all(key not in raw for key in ("createdAt", "created", "meta"))


def _person(value: Any) -> str | None:
    """Return someone's user name, or the id in its place; never an e-mail address."""
    return _clean(value) or next(filter(None, (_clean(parse.at(value, key)) for key in _PERSON_KEYS)), None)


def read_state(value: Any) -> DeploymentState | None:
    """Return a deployment's state, UNKNOWN for a word that is not known, or None for no word."""
    word = parse.text(value)
    return None if word is None else DeploymentState(word) if word in set(DeploymentState) else DeploymentState.UNKNOWN


def _alias_assigned(row: Any) -> bool | None:
    """Vercel says when (a number), whether (a boolean), or null for not yet; nothing at all is unknown."""
    if "aliasAssigned" not in row:
        return None
    value = row["aliasAssigned"]
    return value if isinstance(value, bool) else isinstance(value, int | float)


def _env_key(value: Any) -> str | None:
    """Return a text that can be a variable's name and nothing more (such as NAME=value)."""
    name = parse.text(value)
    return name if name is not None and _ENV_KEY.fullmatch(name) else None


def _env_names(value: Any) -> tuple[str, ...] | None:
    if not isinstance(value, list):
        return None
    return tuple(key for name in parse.texts(value) if (key := _env_key(name)) is not None)


def _policy(project: Any) -> tuple[bool | None, bool]:
    """Whether the deployment policy lets pushes build production (None: it does not say), and whether it is unclear."""
    # Which repositories it lets in is not compared with ours.
    rules = [
        PolicyRule(
            parse.boolean(rule, "enabled"),
            "git" in parse.texts(rule, "sources") if kind == "deploymentSources" else None,
            _for_production(rule),
        )
        for kind in ("deploymentSources", "gitSources")
        for rule in parse.items(project, "deploymentPolicy", kind)
    ]
    return policy_lets_in(rules) if rules else (None, False)


def _for_production(rule: Any) -> bool | None:
    """Whether a rule is about production; None where it names no environment."""
    targets = [parse.text(environment, "target") for environment in parse.items(rule, "environments")]
    return "production" in targets if targets else None


_PERSON_KEYS = ("username", "githubLogin", "uid")
_SWITCH = {"enabled": True, "disabled": False}


def _link(value: Any) -> GitLink | None:
    """Read the link to Git; only null or nothing at all means disconnected."""
    if value is None:
        return None
    link = _read_link(value)
    org, repo = _owner_and_name(link)
    return replace(link, org=org, repo=repo)


def _owner_and_name(link: GitLink) -> tuple[str, str]:
    """Return whose repository it is and its name, both empty unless both are known: half of it names none.

    `repo` may hold "owner/name". A group of GitLab may hold slashes itself, so the name is what follows the last one.
    """
    owner, _, name = link.repo.rpartition("/")
    owner = owner or link.org
    return (owner, name) if owner and name else ("", "")


def _repository_id(value: Any) -> int | None:
    """Return a repository's id; zero or less is a placeholder."""
    known = parse.integer(value)
    return known if known is not None and known > 0 else None


# Instants are milliseconds since 1970.
_reader = partial(parse.reader, system=SYSTEM, times=parse.epoch_ms, case=to_camel)
_read_link = _reader(
    GitLink,
    what="the link",
    type=found(otherwise="unknown"),
    # GitHub, GitLab and Bitbucket each name the same two things their own way.
    org=found("org", "projectNamespace", "owner", otherwise=""),
    repo=found("repo", "projectName", "slug", otherwise=""),
    repo_id=found(read=_repository_id),
    deploy_hook_count=found("deployHooks", read=lambda hooks: len(parse.items(hooks))),
)
_read_move = parse.or_none(_reader(AliasRequest, what="a move"))
_read_note = parse.or_none(
    _reader(RollbackNote, what="a note", username=found(read=_clean), description=found(read=_clean))
)
_read_project = _reader(
    Project,
    what="the project",
    link=found(read=_link),
    auto_assign_updated_by=found("autoAssignCustomDomainsUpdatedBy", read=_person),
    ignore_command=found("commandForIgnoringBuildStep", read=_clean),
    skips_unaffected=found("enableAffectedProjectsDeployments"),
    creates_git_deployments=found(
        "gitProviderOptions.createDeployments", read=lambda word: _SWITCH.get(parse.text(word) or "")
    ),
    requires_verified_commits=found("gitProviderOptions.requireVerifiedCommits"),
    policy_allows_git=found(parse.WHOLE, read=lambda project: _policy(project)[0]),
    policy_unclear=found(parse.WHOLE, read=lambda project: _policy(project)[1]),
    protection=found("ssoProtection.deploymentType"),
    last_alias_request=found(read=_read_move),
    rollback_note=found("rollbackDescription", read=_read_note),
    # Null says that the project does not roll; a field that is not there says nothing.
    rolling_release_active=found(
        parse.WHOLE, read=lambda project: False if project.get("rollingRelease", ...) is None else None
    ),
    production_deployment_id=found("targets.production.id"),
)
# A deployment as the list or the single call shows it, or the answer to the call that made it.
read_deployment = _reader(
    Deployment,
    what="a deployment",
    id=found("uid", "id"),
    url=found(otherwise=""),
    state=found("readyState", "state", read=read_state, otherwise=DeploymentState.UNKNOWN),
    created_at=found("createdAt", "created"),
    substate=found("readySubstate"),
    sha=found(*COMMIT_PLACES),
    branch=found("gitSource.ref", "meta.githubCommitRef", "meta.gitCommitRef"),
    commit_message=found("meta.githubCommitMessage", "meta.gitCommitMessage", read=_headline),
    commit_author=found(
        *(f"meta.{host}CommitAuthor{part}" for part in ("Name", "Login") for host in ("github", "git")), read=_clean
    ),
    creator=found(read=_person),
    action=found("meta.action"),
    ready_at=found("ready"),
    alias_assigned=found(parse.WHOLE, read=_alias_assigned),
    alias_error=found("aliasError.message", "aliasError.code", read=_clean),
    alias_check_state=found("checks.deployment-alias.state"),
    error_message=found(read=_clean),
    ready_state_reason=found(read=_clean),
    git_dirty=found("meta.gitDirty", read=lambda flag: {"1": True, "0": False}.get(parse.text(flag) or "")),
    error_link=found(read=lambda url: parse.web_address(_clean(url))),
    seat_block=found("seatBlock.blockCode"),
    out_of_memory=found(parse.WHOLE, read=lambda row: bool(row["oomReport"]) if "oomReport" in row else None),
    waits_for_build_slot=found("isInConcurrentBuildsQueue"),
    waits_for_platform=found("isInSystemBuildsQueue"),
    env_names=found("env", read=_env_names),
    inspector_url=found(read=parse.web_address),
)
_read_hostname = _reader(Hostname, what="a hostname", name=found(need="a hostname"), redirect_to=found("redirect"))
_read_env_name = _reader(
    EnvName,
    what="a variable",
    key=found(read=_env_key, need="the name of an environment variable"),
    targets=found("target"),
    type=found(otherwise="unknown"),
    updated_at=found("updatedAt", "createdAt"),
)
_read_event_row = _reader(
    VercelEvent,
    what="an event",
    type=found(otherwise="unknown"),
    at=found("createdAt", need="the time of an event"),
    actor=found("user", read=_person),
)


def _read_event(row: Any) -> VercelEvent:
    event = _read_event_row(row)
    return replace(event, sentence=EVENT_LABELS.get(event.type, ""))


class _Alias(parse.Answer):
    SYSTEM = SYSTEM
    redirect: parse.Text
    deployment_id: parse.Text = found("deploymentId", "deployment.id")
    project_id: parse.Text = found("projectId")
    moved_at: parse.EpochMs = found("updatedAt", "createdAt")


class _LogRow(parse.Answer):
    """A row of a build log, in any of its three shapes."""

    SYSTEM = SYSTEM

    id: parse.Text = found("id", "payload.id")
    at: parse.EpochMs = found("created", "date", "payload.date")
    text: parse.TextOrEmpty = found("text", "payload.text")
    type: parse.Text
    level: parse.Text

    @property
    def log_level(self) -> LogLevel:
        if self.type == "fatal" or self.level == "error":
            return LogLevel.ERROR
        if self.level == "warning":
            return LogLevel.WARNING
        failed = self.level is None and self.type == "stderr" and _ERROR_LINE.match(_ANSI.sub("", self.text or ""))
        return LogLevel.ERROR if failed else LogLevel.INFO


def _with_dns(host: Hostname, dns: Json) -> Hostname:
    """Add what DNS says, where it could be read: without it the hostname is known all the same."""
    return replace(
        host, dns_configured_by=parse.text(dns, "configuredBy"), dns_misconfigured=parse.boolean(dns, "misconfigured")
    )


def _hostnames_of_project(raw: Json) -> tuple[_Listed, ...]:
    """Return the production hostnames, and what they serve, as the project itself says."""
    return tuple(
        _Listed(
            Hostname(parse.need(parse.text(row, "domain"), SYSTEM, "a hostname")), parse.text(row, "deployment", "id")
        )
        for row in parse.rows(raw, SYSTEM, "alias")
        if _is_production_alias(row)
    )


def _own_names(raw: Json) -> tuple[_Listed, ...]:
    """Return the names that Vercel itself gave to a project without production domains.

    What they serve is read through their aliases. A name for a branch stays at its branch when production moves.
    """
    listed = [parse.text(row, "domain") for row in parse.items(raw, "alias") if _is_production_alias(row)]
    names = [*listed, *parse.texts(raw, "targets", "production", "alias")]
    of_a_branch = f"{parse.text(raw, 'name') or ''}-git-"
    return tuple(_Listed(Hostname(name)) for name in dict.fromkeys(names) if name and not name.startswith(of_a_branch))


def _is_production_alias(row: Any) -> bool:
    return "production" in {(parse.text(row, key) or "").lower() for key in ("environment", "target")}


def _log_lines(rows: list[_LogRow]) -> tuple[BuildLogLine, ...]:
    """Return the lines of the rows in the order of their times; the same row may come twice."""
    at = next((row.at for row in rows if row.at is not None), None)
    seen: set[str] = set()
    lines: list[BuildLogLine] = []
    for row in rows:
        text = _ANSI.sub("", row.text or "")
        if not text.strip() or row.id in seen:
            continue
        if row.id is not None:
            seen.add(row.id)
        # A line without a time stands where it came: it takes the time of the line before it.
        at = parse.need(row.at or at, SYSTEM, "the times of a build log's lines")
        lines += (
            BuildLogLine(at, redact(line[:MAX_LOG_LINE_LENGTH]), row.log_level)
            for line in text.splitlines()
            if line.strip()
        )
    return tuple(sorted(lines, key=lambda line: line.at))


def _hidden_variables(answer: Json) -> tuple[Caveat, ...]:
    count = parse.integer(answer, "hiddenProductionEnvCount") or 0
    if count <= 0:
        return ()
    sentence = f"Vercel hides {count} of production's environment variables from our token."
    return (Caveat(CaveatKind.TRUNCATED, "environment variables", sentence),)


def _more_pages(answer: Json, what: str) -> tuple[Caveat, ...]:
    if parse.at(answer, "pagination", "next") is None:
        return ()
    return _truncated(what, parse.integer(answer, "pagination", "count"))


def _truncated(what: str, count: int | None) -> tuple[Caveat, ...]:
    first = f"the first {count} " if count else "the first page of "
    return (Caveat(CaveatKind.TRUNCATED, what, f"Only {first}{what} were read; there are more."),)


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
