"""GitHub: the production branch, the required commit, and what a commit's neighbours say about it.

Facts: https://docs.github.com/rest. Reads carry ETags: an unchanged answer (304) costs nothing of the rate limit.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from pydantic import SecretStr

from lib.model.deploy_rules import branch_deploys
from lib.model.deployments import (
    Branch,
    BranchRules,
    Commit,
    Comparison,
    Repository,
    RequiredCommit,
    RequiredFrom,
    VercelSigns,
    WorkflowRun,
)
from lib.model.reading import Caveat, CaveatKind, FailureKind, Observed, SourceError
from lib.redaction import redact
from lib.sources import parse
from lib.sources.http import Deadline, Http, HttpError, Json, answered, join, together, wrong_address
from lib.sources.parse import found

SYSTEM = "GitHub"
HINTS: Mapping[FailureKind, str] = {
    FailureKind.UNAUTHORIZED: "The token is wrong or has expired: make a new fine-grained one and set GITHUB_TOKEN.",
    FailureKind.FORBIDDEN: "Give the token read rights to this repository: Contents, Actions, Checks, Commit statuses.",
    FailureKind.NOT_FOUND: "Check GITHUB_REPOSITORY; a private one also needs a token that was given this repository.",
    FailureKind.RATE_LIMITED: "The token's rights are not the reason: wait a little and ask again.",
    FailureKind.BAD_DATA: wrong_address("GITHUB_API_URL"),
}

COMMITS = 100  # one page: how far behind is known without asking for more
RUNS = 50
COMPARED_FILES = 300  # GitHub lists no more files than this in a comparison
MAX_HEADLINE_LENGTH = 200
# A renamed repository answers 301 to its id, and that may point on once more.
MAX_REDIRECTS = 2
# GitHub says 404 or 422 for a commit that it does not have, 409 for a repository without any.
_NO_COMMIT = (404, 409, 422)
# Of several Vercel statuses (one per project in the repository) the worst one is taken. A word that is not known
# stands between these and "success": it must not hide behind a good one.
_WORST_FIRST = ("failure", "error", "pending")


@dataclass(frozen=True, kw_only=True)
class GitHub:
    """One repository. Every method is one reading; all raise `SourceError` only."""

    http: Http
    base_url: str
    repository_name: str  # owner/name
    token: SecretStr

    def repository(self, deadline: Deadline) -> Observed[Repository]:
        """Read the repository and what the token's owner may do in it. A rename is followed and named."""
        repository = _read_repository(self._get(deadline))
        if repository.full_name.lower() != self.repository_name.lower():
            repository = replace(repository, renamed_from=self.repository_name)
        return Observed(repository)

    def branch(self, name: str | None, deadline: Deadline) -> Observed[Branch]:
        """Read the newest commits of branch `name`, or of the default branch."""
        name = name or self._default_branch(deadline)
        listed, detail = together(
            (
                partial(self._get, deadline, "commits", sha=name, per_page=COMMITS),
                partial(self._get, deadline, "branches", name),
            )
        )
        rows = parse.rows(answered(listed), SYSTEM)
        if not rows:
            raise _no_commits(name)
        _read_commit(rows[0])  # without the head, the next commit would seem to be it
        # GitHub knows no time of a commit whose author and committer are null. A walk along parents that comes to
        # one that is left out ends there as unknown.
        commits, caveats = parse.readable_rows(rows, SYSTEM, f"commits of {name}", _read_commit)
        if isinstance(detail, SourceError):
            caveats += (Caveat(CaveatKind.PARTIAL, name, f"Whether {name} is protected is not known: {detail}"),)
        branch = Branch(
            name=name,
            commits=tuple(commits),
            protected=parse.boolean(detail, "protected"),
            required_checks=parse.texts(detail, "protection", "required_status_checks", "contexts"),
            complete=len(rows) < COMMITS,
        )
        return Observed(branch, caveats)

    def required_commit(
        self, setting: str | None, deadline: Deadline, branch: str | None = None
    ) -> Observed[RequiredCommit]:
        """Resolve the commit that must be live: `setting`, else the head of the production branch."""
        branch = branch or self._default_branch(deadline)
        if setting is None:
            head = self._known_commit(branch, deadline)
            if head is None:
                raise _no_commits(branch)
            return Observed(RequiredCommit(head.sha, RequiredFrom.BRANCH_HEAD, head, on_branch=True))
        found, compared = together(
            (partial(self._known_commit, setting, deadline), partial(self.compare, setting, branch, deadline))
        )
        commit = answered(found)
        if commit is None:
            return Observed(RequiredCommit(setting, RequiredFrom.SETTING, None, on_branch=False))
        if not isinstance(compared, SourceError):
            on_branch = compared.value.status in ("ahead", "identical")
            return Observed(RequiredCommit(commit.sha, RequiredFrom.SETTING, commit, on_branch))
        sentence = f"Whether {branch} contains the required commit is not known: {compared}"
        caveats = (Caveat(CaveatKind.PARTIAL, branch, sentence),)
        return Observed(RequiredCommit(commit.sha, RequiredFrom.SETTING, commit, on_branch=None), caveats)

    def compare(self, base: str, head: str, deadline: Deadline) -> Observed[Comparison]:
        """Compare `base`...`head`: ahead_by is how many commits of head are not in base."""
        raw = self._get(deadline, "compare", f"{base}...{head}", per_page=1)
        comparison = Comparison(base, head, **dict(_Comparison.model_validate(raw)))
        files = comparison.files
        full = files is not None and len(files) >= COMPARED_FILES
        return Observed(comparison, _truncated("files", COMPARED_FILES) if full else ())

    def runs(self, sha: str, deadline: Deadline) -> Observed[tuple[WorkflowRun, ...]]:
        """List the GitHub Actions runs of one commit, newest first."""
        raw = self._get(deadline, "actions", "runs", head_sha=sha, per_page=RUNS)
        runs = tuple(_read_run(row) for row in parse.rows(raw, SYSTEM, "workflow_runs"))
        total = parse.integer(raw, "total_count")
        more = total is not None and total > len(runs)
        return Observed(runs, _truncated("Actions runs", len(runs)) if more else ())

    def rules(self, deadline: Deadline, branch: str | None = None) -> Observed[BranchRules]:
        """Read what the production branch demands of a push: rulesets, and classic protection."""
        branch = branch or self._default_branch(deadline)
        listed, classic = together(
            (
                partial(self._get, deadline, "rules", "branches", branch),
                partial(self._get, deadline, "branches", branch, "protection"),
            )
        )
        rows = parse.rows(answered(listed), SYSTEM)
        checks = [
            context
            for row in rows
            for check in parse.items(row, "parameters", "required_status_checks")
            if (context := parse.text(check, "context")) is not None
        ]
        checks += parse.texts(classic, "required_status_checks", "contexts")
        types = (parse.need(parse.text(row, "type"), SYSTEM, "the type of a rule") for row in rows)
        rules = BranchRules(
            rule_types=tuple(dict.fromkeys(types)),
            classic_protection=_is_protected(classic),
            required_checks=tuple(dict.fromkeys(checks)),
        )
        return Observed(rules)

    def vercel_signs(
        self, sha: str, deadline: Deadline, *, branch: str | None = None, directory: str | None = None
    ) -> Observed[VercelSigns]:
        """Read what Vercel's GitHub App left on `sha`, and what vercel.json there says to Vercel.

        `branch` decides between per-branch switches in vercel.json; `directory` is the project's root directory.
        """
        path = [segment for segment in (directory or "").split("/") if segment not in ("", ".", "..")]
        status, suites, file = together(
            (
                partial(self._get, deadline, "commits", sha, "status", per_page=100),
                partial(self._get, deadline, "commits", sha, "check-suites", per_page=100),
                partial(self._get, deadline, "contents", *path, "vercel.json", ref=sha),
            )
        )
        if isinstance(status, SourceError) and isinstance(suites, SourceError):
            raise status
        caveats: list[Caveat] = []
        state, description = None, None
        if isinstance(status, SourceError):
            caveats.append(_unread("commit statuses", status))
        else:
            state, description = _vercel_status(status)
        has_suite = None
        if isinstance(suites, SourceError):
            caveats.append(_unread("check suites", suites))
        else:
            listed = parse.rows(suites, SYSTEM, "check_suites")
            has_suite = any(parse.text(suite, "app", "slug") == "vercel" for suite in listed)
        enabled, ignore_command = None, None
        if _missing(file):
            enabled = True  # without the file nothing in the repository switches deployments off
        elif isinstance(file, SourceError):
            caveats.append(_unread("vercel.json", file))
        else:
            config = _file_content(file)
            if config is None:
                sentence = "vercel.json cannot be read as a file of settings, so the settings are not known."
                caveats.append(Caveat(CaveatKind.PARTIAL, "vercel.json", sentence))
            enabled = _deployments_enabled(config, branch)
            ignore_command = parse.text(config, "ignoreCommand")
        signs = VercelSigns(
            sha=sha,
            status_state=state,
            status_description=description,
            has_check_suite=has_suite,
            git_deployments_enabled=enabled,
            ignore_command=redact(ignore_command) if ignore_command else None,
        )
        return Observed(signs, tuple(caveats))

    def head_of(self, branch: str, deadline: Deadline) -> str:
        """Return the commit that `branch` is at now."""
        raw = self._get(deadline, "git", "ref", "heads", *branch.split("/"))
        return parse.need(parse.text(raw, "object", "sha"), SYSTEM, "the head of the branch")

    def tree_of(self, sha: str, deadline: Deadline) -> str:
        """Return the tree of a commit: what its files are, as one id."""
        raw = self._get(deadline, "git", "commits", sha)
        return parse.need(parse.text(raw, "tree", "sha"), SYSTEM, "the tree of the commit")

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every call needs."""
        return {
            "Authorization": f"Bearer {self.token.get_secret_value()}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def address(self, *segments: str) -> str:
        """Return the address of something in the repository."""
        owner, _, name = self.repository_name.partition("/")
        return join(self.base_url, "repos", owner, name, *segments)

    def _default_branch(self, deadline: Deadline) -> str:
        return parse.need(parse.text(self._get(deadline), "default_branch"), SYSTEM, "the default branch")

    def _known_commit(self, ref: str, deadline: Deadline) -> Commit | None:
        """Return the commit, or None if GitHub has no such commit."""
        try:
            return _read_commit(self._get(deadline, "commits", ref))
        except HttpError as error:
            if error.status in _NO_COMMIT:
                return None
            raise

    def _get(self, deadline: Deadline, *segments: str, **params: str | int) -> Json:
        return self.http.get_json(
            self.address(*segments),
            system=SYSTEM,
            deadline=deadline,
            params=params,
            headers=self.headers,
            hints=HINTS,
            etag=True,
            redirects=MAX_REDIRECTS,
        )


_clean = parse.clean(MAX_HEADLINE_LENGTH)


def _headline(message: Any) -> str:
    return redact((parse.text(message) or "").strip().partition("\n")[0][:MAX_HEADLINE_LENGTH])


def _file_names(files: Any) -> tuple[str, ...] | None:
    """Return the names of all files, or None where GitHub lists none: a file passed over would seem unchanged."""
    if files is None:
        return None
    return tuple(parse.need(parse.text(row, "filename"), SYSTEM, "a file's name") for row in parse.rows(files, SYSTEM))


_read_repository = parse.reader(
    Repository,
    SYSTEM,
    "the repository",
    full_name=found("full_name", need="the repository's name"),
    default_branch=found("default_branch", need="the default branch"),
    can_push=found("permissions.push"),
    can_admin=found("permissions.admin"),
)
_read_commit = parse.reader(
    Commit,
    SYSTEM,
    "a commit",
    sha=found("sha", need="a commit's id"),
    headline=found("commit.message", read=_headline),
    author=found("commit.author.name", "author.login", read=_clean),
    committed_at=found("commit.committer.date", "commit.author.date"),
    parents=found("parents", read=lambda row: parse.texts([parent.get("sha") for parent in parse.items(row)])),
    verified=found("commit.verification.verified"),
)
_read_run = parse.reader(
    WorkflowRun,
    SYSTEM,
    "a run",
    name=found("name", otherwise="unnamed"),
    sha=found("head_sha", need="a run's commit"),
    url=found("html_url", read=parse.web_address, otherwise=""),
)


class _Comparison(parse.Answer):
    SYSTEM = SYSTEM
    status: parse.Text = found(need="how the two commits relate")
    ahead_by: parse.Integer = found(need="how far ahead the commit is")
    behind_by: parse.Integer = found(need="how far behind the commit is")
    files: Annotated[tuple[str, ...] | None, parse.lenient(_file_names)]


def _is_protected(classic: Json) -> bool | None:
    """Read the answer about classic protection: 404 says "not protected", or that we may not know."""
    if not isinstance(classic, SourceError):
        return True
    return False if _missing(classic) and "Branch not protected" in str(classic) else None


def _vercel_status(raw: Json) -> tuple[str | None, str | None]:
    """Return state and description of Vercel's commit status, the worst if there are several."""
    statuses = parse.rows(raw, SYSTEM, "statuses")
    vercels = [row for row in statuses if (parse.text(row, "context") or "").lower().startswith("vercel")]
    known = [(state, _clean(row.get("description"))) for row in vercels if (state := _clean(row.get("state")))]
    return min(known, key=lambda status: _badness(status[0]), default=(None, None))


def _badness(state: str) -> int:
    """Return the place of a commit status among all, the worst first."""
    if state in _WORST_FIRST:
        return _WORST_FIRST.index(state)
    return len(_WORST_FIRST) + (state == "success")


def _file_content(raw: Json) -> dict[str, Any] | None:
    """Return the JSON object inside a file of the repository.

    None if it cannot be read as such, or if a folder, a link, a submodule or a file too large for its content to be
    sent stands in its place.
    """
    if parse.text(raw, "type") not in (None, "file") or parse.text(raw, "encoding") not in (None, "base64"):
        return None
    try:
        content = json.loads(base64.b64decode(parse.text(raw, "content") or ""))
    except (binascii.Error, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def _deployments_enabled(config: Json, branch: str | None) -> bool | None:
    """Whether vercel.json lets a push to `branch` deploy; None if that is not known."""
    if not isinstance(config, dict):
        return None
    switch = parse.at(config, "git", "deploymentEnabled")
    # "github.enabled" is the older name of the same switch.
    if switch is False or parse.boolean(config, "github", "enabled") is False:
        return False
    if branch is None:
        return None if isinstance(switch, dict) and False in switch.values() else True
    return branch_deploys(switch, branch)


def _missing(result: Json) -> bool:
    return isinstance(result, SourceError) and result.kind is FailureKind.NOT_FOUND


def _unread(what: str, error: SourceError) -> Caveat:
    return Caveat(CaveatKind.PARTIAL, what, f"The {what} could not be read: {error}")


def _truncated(what: str, count: int) -> tuple[Caveat, ...]:
    return (Caveat(CaveatKind.TRUNCATED, what, f"Only the first {count} {what} were read; there are more."),)


def _no_commits(branch: str) -> SourceError:
    return SourceError(
        FailureKind.NOT_FOUND, f"GitHub has no commits on {branch}.", "Is GITHUB_REPOSITORY the right repository?"
    )
