"""What Vercel and GitHub say about code: projects, deployments, hostnames, commits.

A field is None when the other side did not say. None means unknown, never "fine".
Field facts: docs of Vercel's REST API (v9 projects, v13 deployments, v4 aliases) and GitHub's REST API.
"""

from __future__ import annotations

from collections.abc import Iterable
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
    sha: str | None = None  # with `git_dirty` only what the upload began from: see `commit`
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
    ready_state_reason: str | None = None  # v13 only, as are error_step, error_link, canceled_at and build_skipped
    git_dirty: bool | None = None  # meta.gitDirty: uploaded with changes that the commit does not hold

    @property
    def commit(self) -> str | None:
        """The commit that was built; None where Vercel names none, or what was built is not what it holds."""
        return None if self.git_dirty else self.sha

    @property
    def built_from(self) -> str:
        """What was built, in short: its commit, or an upload and the commit that this began from."""
        if self.commit:
            return self.commit[:7]
        return f"upload on {self.sha[:7]}" if self.sha else "upload"

    @property
    def pushed_branch(self) -> str | None:
        """The branch whose push made it; None for an upload, a redeploy or a promotion."""
        return self.branch or None if self.source in ("git", None) and self.action is None else None


@dataclass(frozen=True, slots=True)
class GitLink:
    """Which repository a Vercel project builds from. What Vercel leaves out is empty or None."""

    type: str
    org: str
    repo: str
    repo_id: int | None
    production_branch: str | None
    deploy_hook_count: int  # their URLs are credentials and are dropped at parse time

    @property
    def is_github(self) -> bool:
        """Whether it is a link to GitHub, of whichever kind."""
        return self.type.startswith("github")

    @property
    def full_name(self) -> str:
        """The repository as owner/name, as far as Vercel names it; `repo` may hold both."""
        if not self.repo or "/" in self.repo:
            return self.repo or "a repository that Vercel does not name"
        return f"{self.org}/{self.repo}" if self.org else self.repo

    def is_to(self, repository: Repository) -> bool | None:
        """Whether this is the link to `repository` of GitHub; None where Vercel gives no id to tell by.

        An id of zero or less is a placeholder, and the ids of other kinds of links are not GitHub's.
        """
        if self.repo_id is None or self.repo_id <= 0 or not self.is_github:
            return None
        return self.repo_id == repository.id


@dataclass(frozen=True, slots=True)
class AliasRequest:
    """The last promote or rollback of a project and how far it got."""

    type: str  # promote or rollback
    from_deployment_id: str | None
    to_deployment_id: str | None
    job_status: str | None  # pending, in-progress, succeeded, failed, skipped
    requested_at: datetime | None

    @property
    def under_way(self) -> bool:
        """Whether the hostnames are being moved just now."""
        return self.job_status in ("pending", "in-progress")


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
    policy_allows_git: bool | None = None  # None: there is no rule about it, or it is unclear
    policy_unclear: bool = False  # a rule is on for production, and whether it lets our pushes in cannot be told
    paused: bool | None = None
    live: bool | None = None  # says nothing: false stands on ordinary projects too
    protection: str | None = None  # ssoProtection.deploymentType
    last_alias_request: AliasRequest | None = None
    rollback_note: RollbackNote | None = None
    rolling_release_active: bool | None = None
    rolling_release_percent: float | None = None  # share of the visitors that the new deployment gets
    rolling_release_deployment_id: str | None = None  # the new one (the canary)
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
        return self.deployment.commit if self.deployment else None

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
    """One commit of the production branch. GitHub may know no author and no time of it."""

    sha: str
    headline: str
    author: str | None
    committed_at: datetime | None
    parents: tuple[str, ...] = ()
    verified: bool | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """The production branch: its newest commits by date, the head first, as far as they were read.

    The order of the list says nothing of what holds what: that is told by `parents`.
    """

    name: str
    commits: tuple[Commit, ...]
    protected: bool | None
    required_checks: tuple[str, ...] = ()
    complete: bool = False  # whether `commits` reaches back to the first commit

    @property
    def head(self) -> Commit:
        return self.commits[0]

    def position(self, sha: str) -> int | None:
        """Where `sha` stands in the list, which is by date; None if it is not among the commits read."""
        return next((i for i, commit in enumerate(self.commits) if same_commit(commit.sha, sha)), None)

    def contains(self, sha: str, ancestor: str) -> bool | None:
        """Whether commit `sha` contains `ancestor`, by walking along parents.

        None where the walk leaves the commits that were read.
        """
        if same_commit(sha, ancestor):
            return True
        found = self._walk(sha)
        if _holds(found.reached, ancestor):
            return True
        if _holds(self._walk(ancestor).reached, sha):
            return False  # of two commits only one can contain the other
        return None if found.left else False

    def behind_by(self, sha: str, wanted: str) -> int | None:
        """How many commits `wanted` has that `sha` does not contain; None where the walk cannot count them."""
        missing = self.missing_from(sha, wanted)
        return None if missing is None else len(missing)

    def missing_from(self, sha: str, wanted: str) -> frozenset[str] | None:
        """The commits of `wanted` that `sha` does not contain; None where the walk cannot tell which these are."""
        if (ours := self._commit(sha)) is None or self._commit(wanted) is None:
            return None
        wanted_walk, ours_walk = self._walk(wanted), self._walk(ours.sha)
        missing = wanted_walk.reached - ours_walk.reached
        if missing & wanted_walk.left:
            return None
        # Beyond the commits read, ours may contain one of them after all, unless that one contains ours.
        certain = not ours_walk.left or all(ours.sha in self._walk(one).reached for one in missing)
        return missing if certain else None

    def _commit(self, sha: str) -> Commit | None:
        at = self.position(sha)
        return None if at is None else self.commits[at]

    def _walk(self, sha: str) -> _Walk:
        known = {commit.sha: commit for commit in self.commits}
        start = self._commit(sha)
        todo, reached, left = [start.sha if start else sha], set[str](), set[str]()
        while todo:
            at = todo.pop()
            if at in reached:
                continue
            reached.add(at)
            commit = known.get(at)
            if commit is None or not (commit.parents or self.complete):
                left.add(at)
            else:
                todo += commit.parents
        return _Walk(frozenset(reached), frozenset(left))


@dataclass(frozen=True, slots=True)
class _Walk:
    """The commits that a walk along parents met, and those of them whose parents were not read."""

    reached: frozenset[str]
    left: frozenset[str]


def _holds(shas: Iterable[str], sha: str) -> bool:
    return any(same_commit(one, sha) for one in shas)


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
    on_branch: bool | None  # whether the production branch contains it, as a commit
    # What its merged pull request became on the branch (merge_commit_sha): a squash does not contain the commit,
    # and holds its change all the same. `pulls_read`: its pull requests were asked for.
    merged_as: str | None = None
    pulls_read: bool = False


@dataclass(frozen=True, slots=True)
class Comparison:
    """GitHub's compare of `base`...`head`: status is ahead, behind, diverged or identical."""

    base: str
    head: str
    status: str
    ahead_by: int
    behind_by: int
    files: tuple[str, ...] | None = None


class RunOutcome(StrEnum):
    """What a workflow run came to, as far as GitHub's two words for it say."""

    PASSED = "passed"
    NOT_PASSED = "not_passed"
    RUNNING = "running"
    UNKNOWN = "unknown"


# GitHub's words: https://docs.github.com/rest/actions/workflow-runs
_PASSED = frozenset({"success", "neutral", "skipped"})
_NOT_PASSED = frozenset({"failure", "cancelled", "timed_out", "action_required", "startup_failure", "stale"})
_RUNNING = frozenset({"queued", "in_progress", "waiting", "pending", "requested"})


@dataclass(frozen=True, slots=True)
class WorkflowRun:
    """One GitHub Actions run. Both `status` and `conclusion` may be null."""

    id: int
    name: str
    sha: str
    status: str | None
    conclusion: str | None
    created_at: datetime
    url: str

    @property
    def outcome(self) -> RunOutcome:
        """What it came to; a word that is missing or not known is not taken for a good one."""
        if self.conclusion in _NOT_PASSED:
            return RunOutcome.NOT_PASSED
        if self.conclusion in _PASSED and self.status == "completed":
            return RunOutcome.PASSED
        return RunOutcome.RUNNING if self.conclusion is None and self.status in _RUNNING else RunOutcome.UNKNOWN


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
