"""What Vercel and GitHub say about code: projects, deployments, hostnames, commits.

A field is None when the other side did not say. None means unknown, never "fine".
Field facts: docs of Vercel's REST API (v9 projects, v13 deployments, v4 aliases) and GitHub's REST API.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lib.model.reading import Failure


class DeploymentState(StrEnum):
    """Vercel's readyState. READY says nothing about what visitors get."""

    QUEUED = "QUEUED"
    INITIALIZING = "INITIALIZING"
    BUILDING = "BUILDING"
    READY = "READY"
    ERROR = "ERROR"
    CANCELED = "CANCELED"
    BLOCKED = "BLOCKED"
    DELETED = "DELETED"
    UNKNOWN = "UNKNOWN"

    @property
    def in_progress(self) -> bool:
        return self in (self.QUEUED, self.INITIALIZING, self.BUILDING)

    @property
    def failed(self) -> bool:
        return self in (self.ERROR, self.CANCELED, self.BLOCKED)


@dataclass(frozen=True, slots=True)
class Deployment:
    """One Vercel deployment. Times in UTC; `sha` is None for an upload that did not come from Git."""

    id: str
    url: str
    state: DeploymentState
    created_at: datetime
    substate: str | None = None  # STAGED never served production; ROLLING; PROMOTED has served it
    target: str | None = None  # "production", or None for a preview
    sha: str | None = None
    branch: str | None = None
    commit_message: str | None = None
    commit_author: str | None = None
    source: str | None = None  # git, cli, redeploy, api-trigger-git-deploy, …
    creator: str | None = None
    action: str | None = None  # meta.action: redeploy or promote
    building_at: datetime | None = None
    ready_at: datetime | None = None
    canceled_at: datetime | None = None
    alias_assigned: bool | None = None
    alias_error: str | None = None
    checks_state: str | None = None  # registered, running, completed
    checks_conclusion: str | None = None
    alias_check_state: str | None = None  # checks["deployment-alias"]: pending, succeeded, failed
    error_code: str | None = None
    error_message: str | None = None
    error_step: str | None = None
    error_link: str | None = None
    build_skipped: bool | None = None
    seat_block: str | None = None  # COMMIT_AUTHOR_REQUIRED or TEAM_ACCESS_REQUIRED
    out_of_memory: bool | None = None
    is_rollback_candidate: bool | None = None
    waits_for_build_slot: bool | None = None
    waits_for_platform: bool | None = None
    env_names: tuple[str, ...] | None = None  # names baked into the build, never values
    inspector_url: str | None = None


@dataclass(frozen=True, slots=True)
class GitLink:
    """Which repository a Vercel project builds from."""

    type: str
    org: str
    repo: str
    repo_id: int | None
    production_branch: str | None
    deploy_hook_count: int  # their URLs are credentials and are dropped at parse time

    @property
    def full_name(self) -> str:
        return f"{self.org}/{self.repo}"


@dataclass(frozen=True, slots=True)
class AliasRequest:
    """The last promote or rollback of a project and how far it got."""

    type: str  # promote or rollback
    from_deployment_id: str | None
    to_deployment_id: str | None
    job_status: str | None  # pending, in-progress, succeeded, failed, skipped
    requested_at: datetime | None


@dataclass(frozen=True, slots=True)
class RollbackNote:
    """Who rolled production back, and why in their words."""

    username: str | None
    description: str | None
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Project:
    """A Vercel project: the switches that decide whether a push becomes live."""

    id: str
    name: str
    account_id: str | None
    link: GitLink | None  # None: disconnected from Git
    auto_assign_custom_domains: bool | None
    auto_assign_updated_by: str | None = None
    ignore_command: str | None = None
    skips_unaffected: bool | None = None
    root_directory: str | None = None
    creates_git_deployments: bool | None = None
    requires_verified_commits: bool | None = None
    policy_allows_git: bool | None = None
    paused: bool | None = None
    live: bool | None = None
    protection: str | None = None  # ssoProtection.deploymentType
    last_alias_request: AliasRequest | None = None
    rollback_note: RollbackNote | None = None
    rolling_release_active: bool | None = None
    production_deployment_id: str | None = None  # targets.production.id, a cross-check only
    framework: str | None = None
    build_command: str | None = None  # None: the framework's own, or not said


@dataclass(frozen=True, slots=True)
class Hostname:
    """One production hostname, resolved through its alias to the deployment that it really serves.

    `deployment` is None with a `failure` when a step of the way could not be read: then what this
    hostname serves is unknown.
    """

    name: str
    redirect_to: str | None = None
    verified: bool | None = None
    alias_project_id: str | None = None
    alias_moved_at: datetime | None = None
    deployment: Deployment | None = None
    failure: Failure | None = None
    dns_configured_by: str | None = None
    dns_misconfigured: bool | None = None

    @property
    def serving_commit(self) -> str | None:
        return self.deployment.sha if self.deployment else None

    @property
    def serving_since(self) -> datetime | None:
        """When the alias moved to what it serves, else when that was ready; None where neither is known."""
        return self.alias_moved_at or (self.deployment.ready_at if self.deployment else None)


class LogLevel(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class BuildLogLine:
    """One line of a build log, ANSI codes and token-like strings removed."""

    at: datetime
    text: str
    level: LogLevel


@dataclass(frozen=True, slots=True)
class BuildLog:
    """The build log of one deployment, oldest line first."""

    deployment_id: str
    lines: tuple[BuildLogLine, ...]

    @property
    def first_error(self) -> BuildLogLine | None:
        return next((line for line in self.lines if line.level is LogLevel.ERROR), None)


@dataclass(frozen=True, slots=True)
class EnvName:
    """The name of an environment variable of the project. Its value is dropped at parse time."""

    key: str
    targets: tuple[str, ...]
    type: str
    git_branch: str | None
    updated_at: datetime | None

    @property
    def in_production(self) -> bool:
        return "production" in self.targets and self.git_branch is None


@dataclass(frozen=True, slots=True)
class VercelEvent:
    """One row of Vercel's activity: type, time and actor, without payload."""

    type: str
    at: datetime
    actor: str | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """A GitHub repository as the token sees it."""

    id: int
    full_name: str
    default_branch: str
    pushed_at: datetime | None
    archived: bool | None
    can_push: bool | None
    can_admin: bool | None
    renamed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of the production branch."""

    sha: str
    headline: str
    author: str | None
    committed_at: datetime
    parents: tuple[str, ...] = ()
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """The production branch: its newest commits, newest first, as far as they were read."""

    name: str
    commits: tuple[Commit, ...]
    protected: bool | None
    required_checks: tuple[str, ...] = ()
    complete: bool = False  # whether `commits` reaches back to the first commit

    @property
    def head(self) -> Commit:
        return self.commits[0]

    def position(self, sha: str) -> int | None:
        """How many commits `sha` is behind the head, or None if it is not among those read."""
        return next((i for i, commit in enumerate(self.commits) if same_commit(commit.sha, sha)), None)


class RequiredFrom(StrEnum):
    """Where the required commit was taken from."""

    SETTING = "setting"
    BRANCH_HEAD = "branch_head"


@dataclass(frozen=True, slots=True)
class RequiredCommit:
    """The commit that must be live."""

    sha: str
    taken_from: RequiredFrom
    commit: Commit | None  # None: GitHub does not know it
    on_branch: bool | None  # whether the production branch contains it


@dataclass(frozen=True, slots=True)
class Comparison:
    """GitHub's compare of `base`...`head`: status is ahead, behind, diverged or identical."""

    base: str
    head: str
    status: str
    ahead_by: int
    behind_by: int
    files: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One GitHub Actions run."""

    id: int
    name: str
    sha: str
    status: str
    conclusion: str | None
    created_at: datetime
    url: str


@dataclass(frozen=True, slots=True)
class BranchRules:
    """What the production branch demands of a push. None: this token may not see it."""

    rule_types: tuple[str, ...]
    classic_protection: bool | None
    required_checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VercelSigns:
    """The signs of life that Vercel's GitHub App leaves on a commit. It never shows in the hooks list."""

    sha: str
    status_state: str | None  # success, failure, pending, error; None: no Vercel status at all
    status_description: str | None
    has_check_suite: bool | None
    git_deployments_enabled: bool | None  # vercel.json at the head: git.deploymentEnabled; None: unread
    ignore_command: str | None = None  # vercel.json at the head: ignoreCommand


def same_commit(one: str | None, other: str | None) -> bool:
    """Whether two commit ids mean the same commit; either may be abbreviated to seven digits or more."""
    if not one or not other or min(len(one), len(other)) < 7:
        return False
    one, other = one.lower(), other.lower()
    return one.startswith(other) or other.startswith(one)
