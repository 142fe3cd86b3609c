"""Every answer that GitHub's own description allows is read: as a value or as unknown, and never as something else."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from lib.model.reading import FailureKind
from lib.sources.github import GitHub
from lib.sources.github_writes import GitHubWrites
from lib.sources.http import Deadline, HttpError
from tests.contract import documents
from tests.contract.survey import (
    BASE_URL,
    CannedAnswers,
    Reader,
    questions,
    survey,
    value_of,
)
from tests.contract.variants import Body, Samples

NAME = "lantern-arms/booking"
REPO = f"/repos/{NAME}"
SHA = "a" * 40
VERCEL_JSON = base64.b64encode(b'{"git": {"deploymentEnabled": false}}').decode()
SAMPLES: Samples = {
    "full_name": (NAME,),
    "default_branch": ("main",),
    "sha": (SHA,),
    "context": ("Vercel", "ci/test"),
    "slug": ("vercel", "github-actions"),
    # The description calls this a text; the words are those of check runs.
    "conclusion": ("success", "failure", "cancelled", "startup_failure", "stale", "action_required", "a new word"),
    "state": ("success", "failure", "error", "pending", "a new state"),
    "content": (VERCEL_JSON, ""),
    "encoding": ("base64", "none"),
    "message": ("Store the text in metadata", ""),
}


def github(canned: CannedAnswers) -> GitHub:
    return GitHub(http=canned, base_url=BASE_URL, repository_name=NAME, token=SecretStr("t"))  # type: ignore[arg-type]


def soon() -> Deadline:
    return Deadline(10)


def at(path: str, method: str = "get", status: str = "200") -> Any:
    return lambda: documents.github(path, method, status)


def whole(path: str) -> Body:
    """An answer with everything in it."""
    return Body(documents.github(path), SAMPLES, {})


# What the readings may say ------------------------------------------------------------------------------


def repository_meaning(body: Any, result: Any) -> Iterator[str]:
    repository = value_of(result)
    if repository.can_push is not (body.get("permissions") or {}).get("push"):
        yield "what the token may do is not what GitHub says"
    if repository.archived is not body.get("archived"):
        yield "whether it is archived is not what GitHub says"


def commit_meaning(row: Any, commit: Any) -> Iterator[str]:
    if commit.sha != row["sha"]:
        yield "another commit is told"
    if list(commit.parents) != [parent["sha"] for parent in row["parents"]]:
        yield "a parent is lost"


def branch_meaning(body: Any, result: Any) -> Iterator[str]:
    branch = value_of(result)
    if len(branch.commits) != len(body) and not result.caveats:
        yield "a commit of the list is lost"
    read = {commit.sha: commit for commit in branch.commits}
    for row in body:
        if row["sha"] in read:
            yield from commit_meaning(row, read[row["sha"]])


def comparison_meaning(body: Any, result: Any) -> Iterator[str]:
    comparison = value_of(result)
    if comparison.status != body["status"]:
        yield "how two commits relate is not what GitHub says"
    if comparison.files is not None and len(comparison.files) != len(body.get("files") or ()):
        yield "a changed file is lost"


def runs_meaning(body: Any, result: Any) -> Iterator[str]:
    runs = value_of(result)
    if len(runs) != len(body["workflow_runs"]):
        yield "a run of the list is lost"
    for row, run in zip(body["workflow_runs"], runs, strict=False):
        if run.conclusion != row.get("conclusion"):
            yield "how a run ended is not what GitHub says"


def rules_meaning(body: Any, result: Any) -> Iterator[str]:
    if {row["type"] for row in body} != set(value_of(result).rule_types):
        yield "a rule is lost"


def protection_meaning(body: Any, result: Any) -> Iterator[str]:
    if value_of(result).classic_protection is not True:
        yield "a branch that is protected is told as one that is not"


def status_meaning(body: Any, result: Any) -> Iterator[str]:
    ours = [row for row in body["statuses"] if row["context"] == "Vercel"]
    if bool(ours) != (value_of(result).status_state is not None):
        yield "whether Vercel set a status is not what GitHub says"
    if ours and value_of(result).status_state != ours[0]["state"]:
        yield "Vercel's status is not what GitHub says"


def suites_meaning(body: Any, result: Any) -> Iterator[str]:
    theirs = any((suite.get("app") or {}).get("slug") == "vercel" for suite in body["check_suites"])
    if value_of(result).has_check_suite is not theirs:
        yield "whether Vercel opened a check suite is not what GitHub says"


def file_meaning(body: Any, result: Any) -> Iterator[str]:
    signs = value_of(result)
    readable = isinstance(body, dict) and body.get("type") == "file" and body.get("content") == VERCEL_JSON
    if readable and body.get("encoding") == "base64" and signs.git_deployments_enabled is not False:
        yield "a switch in vercel.json is not read"
    if signs.git_deployments_enabled is None and not any(caveat.subject == "vercel.json" for caveat in result.caveats):
        yield "that vercel.json cannot be read is not said"
    if signs.git_deployments_enabled is True:
        yield "what cannot be read counts as switched on"


# The readings -------------------------------------------------------------------------------------------


def _to_the_branch() -> dict[tuple[str, str], Any]:
    return {("GET", f"{REPO}/branches/main"): whole("/branches/{branch}")}


def _from_the_branch() -> dict[tuple[str, str], Any]:
    commits = [{"sha": SHA, "commit": {"message": "x", "committer": {"date": "2025-11-22T10:00:00Z"}}, "parents": []}]
    return {("GET", f"{REPO}/commits"): commits}


def _beside_vercels_signs() -> dict[tuple[str, str], Any]:
    return {
        ("GET", f"{REPO}/commits/{SHA}/status"): {"state": "pending", "statuses": [], "total_count": 0},
        ("GET", f"{REPO}/commits/{SHA}/check-suites"): {"total_count": 0, "check_suites": []},
    }


def _rules() -> dict[tuple[str, str], Any]:
    return {("GET", f"{REPO}/rules/branches/main"): []}


def _without_graphql() -> dict[tuple[str, str], Any]:
    return {
        ("POST", "/graphql"): HttpError(FailureKind.NOT_FOUND, "no GraphQL here", status=404),
        ("GET", f"{REPO}/git/ref/heads/main"): {"object": {"sha": SHA}},
        ("GET", f"{REPO}/git/commits/{SHA}"): {"tree": {"sha": SHA}},
        ("POST", f"{REPO}/git/commits"): {"sha": SHA},
        ("PATCH", f"{REPO}/git/refs/heads/main"): {"ref": "refs/heads/main"},
    }


def _empty_commit(canned: CannedAnswers) -> Any:
    return GitHubWrites(github(canned)).empty_commit("main", SHA, "Deploy again", soon())


READERS = (
    Reader(
        "repository", at(""), ("GET", REPO), lambda canned: github(canned).repository(soon()), SAMPLES, dict,
        repository_meaning,
    ),
    Reader(
        "commits", at("/commits"), ("GET", f"{REPO}/commits"), lambda canned: github(canned).branch("main", soon()),
        SAMPLES, _to_the_branch, branch_meaning, may_refuse=frozenset({FailureKind.NOT_FOUND}),
    ),
    Reader(
        "branch", at("/branches/{branch}"), ("GET", f"{REPO}/branches/main"),
        lambda canned: github(canned).branch("main", soon()), SAMPLES, _from_the_branch,
    ),
    Reader(
        "required commit", at("/commits/{ref}"), ("GET", f"{REPO}/commits/{SHA}"),
        lambda canned: github(canned).required_commit(SHA, soon(), "main"), SAMPLES,
        lambda: {("GET", f"{REPO}/compare/{SHA}...main"): whole("/compare/{basehead}")},
        lambda body, result: commit_meaning(body, value_of(result).commit),
    ),
    Reader(
        "comparison", at("/compare/{basehead}"), ("GET", f"{REPO}/compare/{SHA}...main"),
        lambda canned: github(canned).compare(SHA, "main", soon()), SAMPLES, dict, comparison_meaning,
    ),
    Reader(
        "runs", at("/actions/runs"), ("GET", f"{REPO}/actions/runs"), lambda canned: github(canned).runs(SHA, soon()),
        SAMPLES, dict, runs_meaning,
    ),
    Reader(
        "rules", at("/rules/branches/{branch}"), ("GET", f"{REPO}/rules/branches/main"),
        lambda canned: github(canned).rules(soon(), "main"), SAMPLES, dict, rules_meaning,
    ),
    Reader(
        "protection", at("/branches/{branch}/protection"), ("GET", f"{REPO}/branches/main/protection"),
        lambda canned: github(canned).rules(soon(), "main"), SAMPLES, _rules, protection_meaning,
    ),
    Reader(
        "commit status", at("/commits/{ref}/status"), ("GET", f"{REPO}/commits/{SHA}/status"),
        lambda canned: github(canned).vercel_signs(SHA, soon(), branch="main"), SAMPLES, _beside_vercels_signs,
        status_meaning,
    ),
    Reader(
        "check suites", at("/commits/{ref}/check-suites"), ("GET", f"{REPO}/commits/{SHA}/check-suites"),
        lambda canned: github(canned).vercel_signs(SHA, soon(), branch="main"), SAMPLES, _beside_vercels_signs,
        suites_meaning,
    ),
    Reader(
        "vercel.json", at("/contents/{path}"), ("GET", f"{REPO}/contents/vercel.json"),
        lambda canned: github(canned).vercel_signs(SHA, soon(), branch="main"), SAMPLES, _beside_vercels_signs,
        file_meaning,
    ),
    Reader(
        "head of a branch", at("/git/ref/{ref}"), ("GET", f"{REPO}/git/ref/heads/main"),
        lambda canned: github(canned).head_of("main", soon()), SAMPLES,
    ),
    Reader(
        "tree of a commit", at("/git/commits/{commit_sha}"), ("GET", f"{REPO}/git/commits/{SHA}"),
        lambda canned: github(canned).tree_of(SHA, soon()), SAMPLES,
    ),
    Reader(
        "a commit that is made", at("/git/commits", "post", "201"), ("POST", f"{REPO}/git/commits"), _empty_commit,
        SAMPLES, _without_graphql,
    ),
    Reader(
        "a branch that is moved", at("/git/refs/{ref}", "patch"), ("PATCH", f"{REPO}/git/refs/heads/main"),
        _empty_commit, SAMPLES, _without_graphql,
    ),
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_nothing_that_github_may_answer_is_misread(reader: Reader):
    assert survey(reader).complaints == {}


QUESTIONS = (
    ("commits", "/commits"),
    ("commits", "/branches/{branch}"),
    ("required commit", "/compare/{basehead}"),
    ("runs", "/actions/runs"),
    ("rules", "/rules/branches/{branch}"),
    ("commit status", "/commits/{ref}/status"),
    ("commit status", "/commits/{ref}/check-suites"),
    ("commit status", "/contents/{path}"),
)


@pytest.mark.parametrize(("name", "described"), QUESTIONS)
def test_github_knows_each_parameter_that_is_asked_with(name: str, described: str):
    asked = [params for path, params in questions(READERS, name) if _fits(described, path)]
    assert asked, "it is not asked"
    assert {key for params in asked for key in params} <= documents.github_parameters(described)


def _fits(described: str, path: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(described))
    return re.fullmatch(re.escape(REPO) + pattern, path) is not None
