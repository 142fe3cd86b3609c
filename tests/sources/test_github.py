"""What GitHub says, read: the branch, the required commit, and the signs around a commit."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from lib.model.deployments import RequiredFrom
from lib.model.reading import CaveatKind, FailureKind, SourceError
from lib.sources.github import GitHub
from lib.sources.http import Deadline, Http, HttpError
from tests.sources import bodies
from tests.sources.bodies import FIX, OLD, REPOSITORY
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json

REPO = f"/repos/{REPOSITORY}"


@pytest.fixture
def github(server: FakeServer, http: Http) -> GitHub:
    server.tell_all(bodies.GITHUB)
    return bodies.github(server.url, http)


def refusal(message: str, status: int) -> Scripted:
    return as_json({"message": message}, status)


def test_the_repository_says_what_the_token_may_do(github: GitHub, soon: Deadline):
    repository = github.repository(soon).value
    assert (repository.id, repository.default_branch) == (7, "main")
    assert (repository.can_push, repository.can_admin) == (True, False)
    assert repository.renamed_from is None


def test_a_renamed_repository_is_followed_and_named(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(REPO, Scripted(b'{"message": "Moved"}', 301, {"Location": f"{server.url}/repositories/7"}))
    server.tell("/repositories/7", as_json(bodies.GITHUB[REPO] | {"full_name": "lantern-arms/bookings"}))
    repository = github.repository(soon).value
    assert (repository.full_name, repository.renamed_from) == ("lantern-arms/bookings", REPOSITORY)


def test_a_rename_to_another_host_is_not_followed_with_our_token(
    github: GitHub, server: FakeServer, nobody: str, soon: Deadline
):
    server.tell(REPO, Scripted(b"{}", 301, {"Location": f"{nobody}/repositories/7"}))
    assert failure_of(lambda: github.repository(soon)).kind is FailureKind.BAD_DATA


def test_the_branch_has_its_newest_commits_first(github: GitHub, server: FakeServer, soon: Deadline):
    branch = github.branch(None, soon).value
    assert (branch.name, branch.head.sha, branch.position(OLD[:7])) == ("main", FIX, 1)
    assert branch.head.headline == "Store the text" and branch.head.verified is True
    assert branch.head.committed_at == datetime(2025, 11, 22, 10, tzinfo=UTC)
    assert (branch.protected, branch.required_checks, branch.complete) == (True, ("test",), True)
    assert server.asked_for(f"{REPO}/commits")[0].query == {"sha": "main", "per_page": "100"}


def test_a_named_branch_is_read_without_the_repository(github: GitHub, server: FakeServer, soon: Deadline):
    github.branch("main", soon)
    assert not server.asked_for(REPO)


def test_a_branch_longer_than_one_page_does_not_reach_back_to_the_start(
    github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/commits", as_json([bodies.commit(f"{n:040x}", "x", None) for n in range(100)]))
    assert github.branch("main", soon).value.complete is False


def test_a_commit_without_a_time_is_read_with_its_parents(github: GitHub, server: FakeServer, soon: Deadline):
    shas = [f"{n:040x}" for n in range(3)]
    rows = [bodies.commit(sha, "x", parent) for sha, parent in zip(shas, [*shas[1:], None], strict=True)]
    for row in rows[:2]:
        row["commit"] |= {"author": None, "committer": None}
    server.tell(f"{REPO}/commits", as_json(rows))
    branch = github.branch("main", soon).value
    assert [commit.committed_at is None for commit in branch.commits] == [True, True, False]
    assert branch.contains(shas[0], shas[2]) is True


def test_a_commit_that_cannot_be_read_is_left_out_and_said(github: GitHub, server: FakeServer, soon: Deadline):
    shas = [f"{n:040x}" for n in range(3)]
    rows = [bodies.commit(sha, "x", parent) for sha, parent in zip(shas, [*shas[1:], None], strict=True)]
    rows[1]["sha"] = None
    server.tell(f"{REPO}/commits", as_json(rows))
    observed = github.branch("main", soon)
    assert [commit.sha for commit in observed.value.commits] == [shas[0], shas[2]]
    assert observed.value.contains(shas[0], shas[2]) is None, "what the commit between them holds is not known"
    (caveat,) = observed.caveats
    assert caveat.kind is CaveatKind.TRUNCATED and "1 of 3 commits of main" in caveat.sentence


def test_a_full_page_does_not_reach_back_to_the_start_though_one_of_it_is_left_out(
    github: GitHub, server: FakeServer, soon: Deadline
):
    rows = [bodies.commit(f"{n:040x}", "x", None) for n in range(100)]
    rows[5]["sha"] = None
    server.tell(f"{REPO}/commits", as_json(rows))
    branch = github.branch("main", soon).value
    assert (len(branch.commits), branch.complete) == (99, False)


def test_no_other_commit_passes_for_a_head_that_cannot_be_read(github: GitHub, server: FakeServer, soon: Deadline):
    head, other = bodies.commit(FIX, "x", OLD), bodies.commit(OLD, "y", None)
    server.tell(f"{REPO}/commits", as_json([head | {"sha": None}, other]))
    assert failure_of(lambda: github.branch("main", soon)).kind is FailureKind.BAD_DATA


def test_protection_that_may_not_be_seen_is_unknown(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(f"{REPO}/branches/main", refusal("Resource not accessible by personal access token", 403))
    observed = github.branch("main", soon)
    assert observed.value.protected is None
    assert observed.caveats[0].kind is CaveatKind.PARTIAL
    assert "Resource not accessible" in observed.caveats[0].sentence


@pytest.mark.parametrize("answer", [as_json([]), refusal("Git Repository is empty.", 409)])
def test_an_empty_repository_is_an_error_not_an_empty_branch(
    answer: Scripted, github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/commits", answer)
    with pytest.raises(SourceError):
        github.branch("main", soon)


def test_without_a_setting_the_head_of_the_branch_is_required(github: GitHub, soon: Deadline):
    required = github.required_commit(None, soon).value
    assert (required.sha, required.taken_from, required.on_branch) == (FIX, RequiredFrom.BRANCH_HEAD, True)


@pytest.mark.parametrize(
    ("status", "on_branch"), [("ahead", True), ("identical", True), ("diverged", False), ("behind", False)]
)
def test_a_required_commit_is_looked_for_on_the_branch(
    status: str, on_branch: bool, github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/compare/{FIX[:7]}...main", as_json({"status": status, "ahead_by": 0, "behind_by": 0}))
    required = github.required_commit(FIX[:7], soon).value
    assert (required.sha, required.taken_from, required.on_branch) == (FIX, RequiredFrom.SETTING, on_branch)


@pytest.mark.parametrize("status", [404, 422])
def test_a_required_commit_that_github_does_not_know_is_named(
    status: int, github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/commits/abcdef1", refusal("No commit found for SHA: abcdef1", status))
    required = github.required_commit("abcdef1", soon).value
    assert (required.sha, required.commit, required.on_branch) == ("abcdef1", None, False)


def test_whether_the_branch_contains_it_may_be_unknown(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(f"{REPO}/compare/{FIX[:7]}...main", Scripted(b"{}", 500))
    observed = github.required_commit(FIX[:7], soon)
    assert observed.value.on_branch is None and observed.caveats


def test_a_comparison_with_as_many_files_as_github_lists_is_truncated(
    github: GitHub, server: FakeServer, soon: Deadline
):
    files = [{"filename": f"f{n}"} for n in range(300)]
    compared = {"status": "ahead", "ahead_by": 9, "behind_by": 0, "files": files}
    server.tell(f"{REPO}/compare/{OLD}...main", as_json(compared))
    observed = github.compare(OLD, "main", soon)
    assert (observed.value.ahead_by, len(observed.value.files or ())) == (9, 300)
    assert observed.caveats[0].kind is CaveatKind.TRUNCATED


def test_runs_of_a_commit_are_listed(github: GitHub, server: FakeServer, soon: Deadline):
    (run,) = github.runs(FIX, soon).value
    assert (run.id, run.status, run.conclusion) == (5, "completed", "success")
    assert server.asked[0].query["head_sha"] == FIX
    server.tell(f"{REPO}/actions/runs", as_json(bodies.GITHUB[f"{REPO}/actions/runs"] | {"total_count": 80}))
    assert github.runs(FIX, soon).caveats[0].kind is CaveatKind.TRUNCATED


def test_rules_have_types_and_required_checks(github: GitHub, soon: Deadline):
    rules = github.rules(soon).value
    assert rules.rule_types == ("pull_request", "required_status_checks")
    assert rules.required_checks == ("test", "lint")
    assert rules.classic_protection is False


@pytest.mark.parametrize(
    ("answer", "protected"),
    [
        (as_json({"required_status_checks": {"contexts": ["build"]}}), True),
        (refusal("Not Found", 404), None),
        (refusal("Resource not accessible by personal access token", 403), None),
    ],
)
def test_not_protected_and_not_allowed_to_know_are_different(
    answer: Scripted, protected: bool | None, github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/branches/main/protection", answer)
    assert github.rules(soon).value.classic_protection is protected


def test_the_signs_of_vercels_app_are_read_from_the_commit(github: GitHub, soon: Deadline):
    signs = github.vercel_signs(FIX, soon, branch="main").value
    assert (signs.status_state, signs.status_description) == ("failure", "Deployment failed, …")
    assert signs.has_check_suite is True
    assert (signs.git_deployments_enabled, signs.ignore_command) == (False, "exit 0")


def test_no_sign_at_all_is_a_finding(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(f"{REPO}/commits/{FIX}/status", as_json({"state": "pending", "total_count": 0, "statuses": []}))
    server.tell(f"{REPO}/commits/{FIX}/check-suites", as_json({"check_suites": [{"app": {"slug": "github-actions"}}]}))
    signs = github.vercel_signs(FIX, soon).value
    assert (signs.status_state, signs.has_check_suite) == (None, False)


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (("success", "waiting on approval"), "waiting on approval"),
        (("waiting on approval", "pending"), "pending"),
        (("success", "success"), "success"),
        (("success", "error", "failure"), "failure"),
    ],
)
def test_the_worst_of_vercels_statuses_is_taken_and_an_unheard_of_one_is_not_good(
    states: tuple[str, ...], worst: str, github: GitHub, server: FakeServer, soon: Deadline
):
    rows = [{"context": f"Vercel – {n}", "state": state} for n, state in enumerate(states)]
    server.tell(f"{REPO}/commits/{FIX}/status", as_json({"statuses": rows}))
    assert github.vercel_signs(FIX, soon).value.status_state == worst


def test_a_token_without_the_checks_right_falls_back_to_statuses(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(f"{REPO}/commits/{FIX}/check-suites", refusal("Resource not accessible by personal access token", 403))
    observed = github.vercel_signs(FIX, soon)
    assert (observed.value.status_state, observed.value.has_check_suite) == ("failure", None)
    assert [caveat.subject for caveat in observed.caveats] == ["check suites"]


@pytest.mark.parametrize(
    ("config", "enabled"),
    [
        ({}, True),
        ({"git": {"deploymentEnabled": False}}, False),
        ({"git": {"deploymentEnabled": {"main": False}}}, False),
        ({"git": {"deploymentEnabled": {"ma*": False}}}, False),
        ({"git": {"deploymentEnabled": {"other": False}}}, True),
        ({"git": {"deploymentEnabled": {"*": False, "main": True}}}, True),
        ({"git": {"deploymentEnabled": {"!(main)": False}}}, None),
        ({"git": {"deploymentEnabled": "no"}}, None),
        ({"github": {"enabled": False}}, False),
        ([], None),
    ],
)
def test_vercel_json_can_switch_deployments_off(
    config: object, enabled: bool | None, github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/contents/vercel.json", as_json(bodies.file_of(config)))
    assert github.vercel_signs(FIX, soon, branch="main").value.git_deployments_enabled is enabled


@pytest.mark.parametrize(
    "stands_there",
    [
        [{"type": "file", "name": "a", "path": "vercel.json/a"}],
        {"type": "symlink", "target": "apps/web/vercel.json"},
        {"type": "submodule", "submodule_git_url": "git://example.test/x"},
        {"type": "file", "encoding": "none", "content": "", "size": 2_000_000},
        {"type": "file", "encoding": "base64", "content": "bm8gSlNPTg=="},
    ],
)
def test_what_stands_in_the_place_of_vercel_json_and_cannot_be_read_is_a_caveat(
    stands_there: object, github: GitHub, server: FakeServer, soon: Deadline
):
    server.tell(f"{REPO}/contents/vercel.json", as_json(stands_there))
    observed = github.vercel_signs(FIX, soon, branch="main")
    assert observed.value.git_deployments_enabled is None
    assert [caveat.subject for caveat in observed.caveats] == ["vercel.json"]


def test_a_switch_by_branch_is_unknown_while_the_branch_is(github: GitHub, soon: Deadline):
    assert github.vercel_signs(FIX, soon).value.git_deployments_enabled is None


def test_a_repository_without_vercel_json_switches_nothing_off(github: GitHub, server: FakeServer, soon: Deadline):
    del server.answers[f"{REPO}/contents/vercel.json"]
    assert github.vercel_signs(FIX, soon).value.git_deployments_enabled is True
    server.tell(f"{REPO}/contents/vercel.json", refusal("Resource not accessible by personal access token", 403))
    assert github.vercel_signs(FIX, soon).value.git_deployments_enabled is None


def test_vercel_json_is_read_where_the_project_has_its_root(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(f"{REPO}/contents/apps/web/vercel.json", as_json(bodies.file_of({"github": {"enabled": False}})))
    assert github.vercel_signs(FIX, soon, directory="./apps/web/").value.git_deployments_enabled is False


def test_unchanged_answers_are_asked_for_by_etag(github: GitHub, server: FakeServer, soon: Deadline):
    server.tell(REPO, as_json(bodies.GITHUB[REPO], ETag='"v1"'), Scripted(status=304))
    assert github.repository(soon) == github.repository(soon)
    assert server.asked[-1].headers["If-None-Match"] == '"v1"'


SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
AN_HOUR_ON = str(int(bodies.NOW.timestamp()) + 3600)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"Retry-After": "120"}, 120),
        # Of the other limit there are calls left: its reset is no reason to wait.
        ({"X-RateLimit-Remaining": "4200", "X-RateLimit-Reset": AN_HOUR_ON}, 60),
    ],
)
def test_a_secondary_rate_limit_is_no_lack_of_rights(
    headers: dict[str, str], seconds: float, server: FakeServer, soon: Deadline
):
    server.everything = as_json({"message": SECONDARY}, 403, **headers)
    github = bodies.github(server.url, Http(clock=lambda: bodies.NOW, sleep=lambda _: None))
    caught = failure_of(lambda: github.repository(soon))
    assert isinstance(caught, HttpError)
    assert (caught.kind, caught.wait) == (FailureKind.RATE_LIMITED, seconds)
    assert "secondary rate limit" in str(caught)
    assert "rights are not the reason" in caught.failure.hint
    asked = len(server.asked)
    assert failure_of(lambda: github.runs(FIX, soon)).kind is FailureKind.RATE_LIMITED
    assert len(server.asked) == asked, "until then nothing is asked"
