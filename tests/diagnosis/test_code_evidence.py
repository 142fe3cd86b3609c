"""What is said of code and deployments: never more than Vercel and GitHub said, and nothing read off an order."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from lib.diagnosis.checks import BY_ID
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Facts, Terms
from lib.diagnosis.serving import brought_by
from lib.diagnosis.tasks import tasks
from lib.model.deployments import (
    AliasRequest,
    Branch,
    Comparison,
    Deployment,
    DeploymentState,
    GitLink,
    RequiredCommit,
    RequiredFrom,
    VercelEvent,
    VercelSigns,
    WorkflowRun,
)
from lib.model.provider import AppHealth, Landing, LinkOpening
from lib.model.reading import Caveat, CaveatKind, Failure, FailureKind
from lib.model.verdict import Check, CheckStatus, HeadlineState, Hop, Verdict
from lib.settings import load
from tests.diagnosis.builders import (
    COMMITS,
    FIX,
    FIX_BUILD,
    HEAD,
    HEAD_BUILD,
    NOW,
    OLD,
    OLD_BUILD,
    PROJECT,
    ago,
    catalog,
    commit,
    deployment,
    hostname,
    snapshot,
    truncated,
)

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
CANNOT_TELL, NOT_APPLICABLE = CheckStatus.CANNOT_TELL, CheckStatus.NOT_APPLICABLE
AWAY = Failure(FailureKind.TIMEOUT, "It is away.")
SETTINGS = load({}, secrets_file=Path("/nonexistent"))


def answer(id_: str, **changed: Any) -> Check:
    return BY_ID[id_](Facts(snapshot(**changed), NOW))


def judged(**changed: Any) -> Diagnosis:
    return diagnose(snapshot(**changed), NOW, Terms.of(SETTINGS))


def verdicts(diagnosis: Diagnosis) -> dict[str, Verdict]:
    return {one.id: one.verdict for one in diagnosis.hypotheses}


def advised(diagnosis: Diagnosis) -> list[str]:
    return [task.id for task in tasks(diagnosis, SETTINGS)]


def project(**fields: Any) -> dict[str, Any]:
    return {"project": dataclasses.replace(PROJECT, **fields)}


def required(sha: str, on_branch: bool | None = True, **fields: Any) -> dict[str, Any]:
    found = commit(sha, ago(days=2))
    return {"required_commit": RequiredCommit(sha, RequiredFrom.SETTING, found, on_branch, **fields)}


# Ancestry ----------------------------------------------------------------------------------------------------

# The fix was written before the served commit, on a branch of its own, and merged after it.
MERGE, SERVED, BASE, STRAY = "1" * 40, "2" * 40, OLD, "d" * 40
LATE_MERGE = (
    commit(MERGE, ago(hours=1), SERVED, FIX),
    commit(SERVED, ago(days=3), BASE),
    commit(FIX, ago(days=5), BASE),
    commit(BASE, ago(days=9)),
)


def merged_late(served: str, wanted: str = MERGE, *, complete: bool = True) -> dict[str, Any]:
    build = deployment("dpl_live", served, ago(days=2))
    return required(wanted) | {
        "branch": Branch("main", LATE_MERGE, protected=False, complete=complete),
        "hostnames": (hostname(build),),
        "deployments": (build,),
    }


def served_elsewhere(status: str | None = None, **fields: Any) -> dict[str, Any]:
    """The served commit is not on the branch; GitHub compares the two, or does not."""
    compared = () if status is None else (Comparison(STRAY, HEAD, status, 3, 1),)
    build = deployment("dpl_stray", STRAY, ago(days=1))
    branch = Branch("main", COMMITS, protected=False)
    return required(HEAD, **fields) | {"hostnames": (hostname(build),), "comparisons": compared, "branch": branch}


DIRTY = dataclasses.replace(HEAD_BUILD, git_dirty=True, source="cli")
UNNAMED = dataclasses.replace(HEAD_BUILD, sha=None, source=None)


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        # The list is by date: none of these stands where its place in it says.
        (merged_late(SERVED), FAIL, "2 commits behind"),
        (merged_late(SERVED, FIX), FAIL, "does not serve the required commit"),
        (merged_late(FIX, SERVED), FAIL, "does not serve the required commit"),
        (merged_late(FIX), FAIL, "2 commits behind"),
        (merged_late(MERGE, FIX), OK, "Every production hostname serves"),
        (merged_late(SERVED, BASE), OK, "Every production hostname serves"),
        # A walk that leaves the commits that were read says nothing, unless the other way round is certain.
        (merged_late(SERVED, complete=False), FAIL, "does not serve the required commit."),
        (merged_late(SERVED, FIX, complete=False), CANNOT_TELL, "is unknown"),
        (
            merged_late(SERVED, FIX, complete=False) | {"comparisons": (Comparison(SERVED, FIX, "diverged", 1, 1),)},
            FAIL,
            "does not serve the required commit",
        ),
        # GitHub's comparison.
        (served_elsewhere(), CANNOT_TELL, "is unknown"),
        (served_elsewhere("ahead"), FAIL, "3 commits behind"),
        (served_elsewhere("behind"), OK, "Every production hostname serves"),
        (served_elsewhere("diverged"), FAIL, "does not serve the required commit"),
        (served_elsewhere("a new word"), CANNOT_TELL, "is unknown"),
        # A squash merge holds the change and not the commit.
        (served_elsewhere("diverged", on_branch=False), CANNOT_TELL, "is unknown"),
        (served_elsewhere("diverged", on_branch=None), CANNOT_TELL, "is unknown"),
        (served_elsewhere("diverged", on_branch=False, pulls_read=True), FAIL, "does not serve the required commit"),
        (served_elsewhere("diverged", on_branch=False, merged_as=STRAY), OK, "Every production hostname serves"),
        (
            merged_late(SERVED) | required(STRAY, on_branch=False, merged_as=MERGE),
            FAIL,
            "2 commits behind",
        ),
        # What was uploaded is not what the commit holds.
        ({"hostnames": (hostname(DIRTY),)}, CANNOT_TELL, "is unknown"),
        ({"hostnames": (hostname(UNNAMED),)}, CANNOT_TELL, "is unknown"),
        ({"hostnames": ()}, CANNOT_TELL, "lists no production hostname"),
        ({"hostnames": (hostname(None, redirect_to="two.example"),)}, CANNOT_TELL, "lists no production hostname"),
    ],
)
def test_a_commit_is_live_where_what_is_served_contains_it(
    changed: dict[str, Any], status: CheckStatus, said: str
) -> None:
    diagnosis = judged(**changed)
    check = next(check for check in diagnosis.checks if check.id == "serving_commit")
    assert (check.status, said in check.summary) == (status, True), check
    expected = {OK: Verdict.RULED_OUT, FAIL: Verdict.CONFIRMED}.get(status)
    assert expected is None or verdicts(diagnosis)["code_not_deployed"] is expected
    assert status is OK or verdicts(diagnosis)["code_not_deployed"] is not Verdict.RULED_OUT
    assert status is not FAIL or diagnosis.headline.state is HeadlineState.DEGRADED


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        (merged_late(SERVED), FAIL),
        (merged_late(MERGE), OK),
        (merged_late(FIX), OK),
        (merged_late(SERVED, SERVED), WARN),  # what is required is live, and from before the fix
        (merged_late(SERVED, SERVED, complete=False), CANNOT_TELL),
        (
            merged_late(SERVED, FIX, complete=False) | {"comparisons": (Comparison(SERVED, FIX, "diverged", 1, 1),)},
            FAIL,
        ),
        ({"hostnames": (hostname(DIRTY),)}, CANNOT_TELL),
    ],
)
def test_the_fix_is_live_where_what_is_served_contains_it(changed: dict[str, Any], status: CheckStatus) -> None:
    assert answer("fix_live", **changed).status is status


def test_the_fix_is_live_since_a_build_contained_it_and_not_since_one_that_is_listed_before_it() -> None:
    merge = deployment("dpl_merge", MERGE, ago(hours=1))
    served = deployment("dpl_served", SERVED, ago(days=2))
    branch = Branch("main", LATE_MERGE, protected=False, complete=True)
    seen = snapshot(branch=branch, hostnames=(hostname(merge),), deployments=(merge, served))
    assert Facts(seen, NOW).running_code.since == merge.ready_at


def test_a_build_that_took_longer_became_live_later() -> None:
    slow = deployment("dpl_slow", FIX, ago(hours=5), ready_at=ago(hours=4))
    quick = deployment("dpl_quick", HEAD, ago(hours=4, minutes=50), ready_at=ago(hours=4, minutes=40))
    assert brought_by((quick, slow), (hostname(slow),)) == (quick, slow)


@pytest.mark.parametrize(
    ("sha", "ancestor", "complete", "contains", "behind_by"),
    [
        (MERGE, FIX, True, True, 0),
        (MERGE, FIX[:7], True, True, 0),
        (SERVED, FIX, True, False, 1),
        (SERVED, MERGE, True, False, 2),
        (SERVED, FIX, False, None, None),
        (SERVED, MERGE, False, False, None),  # the merge contains it; the fix may be in what was not read
        (BASE, SERVED, False, False, 1),
        (SERVED, "9" * 40, True, False, None),
        (SERVED, "9" * 40, False, None, None),
        ("9" * 40, SERVED, True, None, None),
        (SERVED, SERVED, False, True, 0),
    ],
)
def test_a_branch_says_what_contains_what_as_far_as_it_was_read(
    sha: str, ancestor: str, complete: bool, contains: bool | None, behind_by: int | None
) -> None:
    branch = Branch("main", LATE_MERGE, protected=False, complete=complete)
    assert branch.contains(sha, ancestor) is contains
    assert branch.behind_by(sha, ancestor) == behind_by


# Workflow runs -----------------------------------------------------------------------------------------------


def runs(*words: tuple[str | None, str | None]) -> dict[str, Any]:
    made = (WorkflowRun(n, f"ci {n}", HEAD, *word, ago(hours=1), "https://example") for n, word in enumerate(words))
    return {"runs": tuple(made)}


DONE = "completed"


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        *((runs((DONE, good)), OK, "Actions passed") for good in ("success", "neutral", "skipped")),
        *(
            (runs((DONE, "success"), (DONE, bad)), WARN, "1 Actions run did not pass")
            for bad in ("failure", "startup_failure", "cancelled", "stale", "timed_out", "action_required")
        ),
        (runs((None, "startup_failure")), WARN, "1 Actions run did not pass"),
        *((runs((word, None)), WARN, "still running") for word in ("queued", "in_progress", "waiting", "requested")),
        (runs((None, None)), CANNOT_TELL, "cannot be told"),
        (runs((None, "success")), CANNOT_TELL, "cannot be told"),
        (runs((DONE, None)), CANNOT_TELL, "cannot be told"),
        (runs((DONE, "a new word")), CANNOT_TELL, "cannot be told"),
        (runs(("unknown", None), (DONE, "success")), CANNOT_TELL, "cannot be told"),
        (runs((DONE, "cancelled"), (None, None)), WARN, "1 Actions run did not pass"),
        ({"runs": truncated("runs", runs((DONE, "success"))["runs"])}, CANNOT_TELL, "Only a part"),
    ],
)
def test_actions_passed_only_where_github_says_so(changed: dict[str, Any], status: CheckStatus, said: str) -> None:
    check = answer("actions_pass", **changed)
    assert (check.status, said in check.summary) == (status, True), check


@pytest.mark.parametrize("conclusion", ["startup_failure", "cancelled", "timed_out"])
def test_a_run_that_did_not_pass_may_hold_the_merge(conclusion: str) -> None:
    build = {"hostnames": (hostname(FIX_BUILD),)}
    unmerged = required(HEAD, on_branch=False, pulls_read=True)
    assert answer("reason_04_gated_by_checks", **build, **unmerged, **runs((DONE, conclusion))).status is WARN


# The link to the repository ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "status"),
    [
        (GitLink("github", "", "dev/booking", 0, "main", 0), CANNOT_TELL),
        (GitLink("github", "", "dev/booking", None, "main", 0), CANNOT_TELL),
        (GitLink("github-limited", "", "", None, "main", 0), CANNOT_TELL),
        (GitLink("github", "inn", "booking", -1, "main", 0), CANNOT_TELL),
        (GitLink("github-custom-host", "inn", "booking", None, "main", 0), CANNOT_TELL),
        (GitLink("gitlab", "inn", "booking", 99, "main", 0), CANNOT_TELL),  # an id of GitLab's
        (GitLink("github", "", "inn/booking", 7, "main", 0), OK),
        (GitLink("github", "renamed", "since", 7, "main", 0), OK),
        (GitLink("github", "inn", "booking", 8, "main", 0), FAIL),
    ],
)
def test_another_repository_is_one_with_another_id(link: GitLink, status: CheckStatus) -> None:
    diagnosis = judged(**project(link=link))
    assert diagnosis.check(BY_ID["git_integration"]).status is status
    assert diagnosis.check(BY_ID["reason_06_disconnected"]).status is status
    assert ("connect_repository" in advised(diagnosis)) is (status is FAIL)


def test_a_repository_is_named_as_far_as_vercel_names_it() -> None:
    names = [
        GitLink("github", org, repo, None, None, 0).full_name for org, repo in (("a", "b"), ("", "a/b"), ("", "b"))
    ]
    assert names == ["a/b", "a/b", "b"]
    assert GitLink("github", "", "", None, None, 0).full_name == "a repository that Vercel does not name"


# Pushes that Vercel refused, or did not hear -----------------------------------------------------------------

BEHIND: dict[str, Any] = {"hostnames": (hostname(FIX_BUILD),), "deployments": (FIX_BUILD, OLD_BUILD)}


def signs(state: str | None, description: str | None = None, has_suite: bool | None = True) -> dict[str, Any]:
    return {"vercel_signs": VercelSigns(HEAD, state, description, has_suite, True)}


# What Vercel wrote, and whether the commit can be deployed another way meanwhile.
REFUSALS = (
    ("failure", "Account is blocked.", False),
    ("error", "Account is blocked.", False),
    ("failure", "Git author sam must have access to the project booking on Vercel to create deployments.", True),
    ("failure", "Authorization required to deploy.", True),
    ("failure", "No GitHub account was found matching the commit author email address", True),
    ("failure", "Deployment rate limited — retry in 24 hours.", False),
)


@pytest.mark.parametrize(("state", "words", "another_way"), REFUSALS)
def test_a_push_that_vercel_refused_is_not_heard_and_says_why(state: str, words: str, another_way: bool) -> None:
    diagnosis = judged(**BEHIND, **signs(state, words))
    found = next(one for one in diagnosis.hypotheses if one.id == "git_integration_broken")
    assert found.verdict is Verdict.CONFIRMED
    assert f"Vercel refused the push of {HEAD[:7]}: “{words}”" in found.for_engineer
    assert diagnosis.check(BY_ID["git_integration"]).status is FAIL
    assert advised(diagnosis) == ["settle_refusal", *(["deploy_commit"] if another_way else [])]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        (signs("failure", "Deployment has failed"), CANNOT_TELL),  # there was a deployment, and it is not listed
        (signs("failure", "Deployment failed"), CANNOT_TELL),
        (signs("failure", "Canceled by Ignored Build Step"), CANNOT_TELL),
        (signs("failure"), WARN),
        (signs("success", "Deployment has completed"), WARN),
        (signs(None, has_suite=None), CANNOT_TELL),
        (signs(None, has_suite=False), FAIL),
        (signs(None, has_suite=False) | required(HEAD, on_branch=None), CANNOT_TELL),
        (signs(None, has_suite=False) | required(HEAD, on_branch=False, pulls_read=True), NOT_APPLICABLE),
        (signs(None, has_suite=False) | {"deployments": truncated("deployments", (FIX_BUILD,))}, CANNOT_TELL),
        (signs(None, has_suite=False) | {"deployments": (deployment("dpl_x", STRAY, ago(hours=1)),)}, CANNOT_TELL),
        (signs("failure", "Account is blocked.") | {"hostnames": (hostname(HEAD_BUILD),)}, NOT_APPLICABLE),
        (signs("failure", "Account is blocked.") | {"deployments": (HEAD_BUILD, FIX_BUILD)}, OK),
    ],
)
def test_what_became_of_a_push_is_said_as_far_as_it_is_known(changed: dict[str, Any], status: CheckStatus) -> None:
    diagnosis = judged(**(BEHIND | changed))
    assert diagnosis.check(BY_ID["reason_05_unheard"]).status is status
    verdict = verdicts(diagnosis)["git_integration_broken"]
    assert (verdict is Verdict.CONFIRMED) is (status is FAIL)
    assert not (status is CANNOT_TELL and verdict is Verdict.RULED_OUT)


def test_signs_that_could_not_be_read_are_not_missing() -> None:
    read = snapshot(**BEHIND, **signs(None, has_suite=False))
    unread = Caveat(CaveatKind.PARTIAL, "commit statuses", "The commit statuses could not be read: GitHub is away.")
    partly = dataclasses.replace(read, vercel_signs=dataclasses.replace(read.vercel_signs, caveats=(unread,)))
    check = BY_ID["reason_05_unheard"](Facts(partly, NOW))
    assert (check.status, check.summary) == (CANNOT_TELL, unread.sentence)


# Builds that were cancelled or refused -----------------------------------------------------------------------


def stopped(state: DeploymentState = DeploymentState.CANCELED, **fields: Any) -> dict[str, Any]:
    build = dataclasses.replace(HEAD_BUILD, state=state, substate=None, ready_at=None, **fields)
    return {"hostnames": (hostname(FIX_BUILD),), "deployments": (build, FIX_BUILD, OLD_BUILD)}


IGNORED = (
    'The Deployment has been canceled as a result of running the command defined in the "Ignored Build Step" setting.'
)
UNVERIFIED = "The Deployment was canceled because it was created with an unverified commit"
BLOCKED = DeploymentState.BLOCKED


@pytest.mark.parametrize(
    ("changed", "check", "said"),
    [
        (stopped(), "reason_13_cancelled", "It was cancelled; the reason is not known."),
        (stopped(ready_state_reason="Removed by its owner"), "reason_13_cancelled", "“Removed by its owner”"),
        (stopped(ready_state_reason=IGNORED), "reason_09_ignored_step", "Skipped by the ignored build step"),
        (
            stopped(error_link="https://vercel.com/docs/ignored-build-step"),
            "reason_09_ignored_step",
            "Skipped by the ignored build step",
        ),
        (stopped(ready_state_reason=UNVERIFIED), "reason_12_unsigned", "the commit is not signed"),
        (stopped(BLOCKED, ready_state_reason=UNVERIFIED), "reason_12_unsigned", "the commit is not signed"),
        (
            stopped(BLOCKED, ready_state_reason="Git author sam must have access to the team inn on Vercel."),
            "reason_11_author_blocked",
            "Its author may not deploy: Git author sam",
        ),
        (stopped(BLOCKED, seat_block="TEAM_ACCESS_REQUIRED"), "reason_11_author_blocked", "TEAM_ACCESS_REQUIRED"),
        (stopped(BLOCKED), "reason_11_author_blocked", "Vercel blocked it; the reason is not known."),
    ],
)
def test_why_a_build_was_stopped_is_said_in_vercels_words_or_not_at_all(
    changed: dict[str, Any], check: str, said: str
) -> None:
    diagnosis = judged(**changed)
    failing = {id_: one.summary for id_ in _STOPS if (one := diagnosis.check(BY_ID[id_])).status is FAIL}
    assert list(failing) == [check], failing
    assert said in failing[check]
    assert "omebody" not in failing[check]


_STOPS = ("reason_09_ignored_step", "reason_11_author_blocked", "reason_12_unsigned", "reason_13_cancelled")


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        (stopped(), Verdict.CANNOT_TELL),  # it may be the ignored build step, or a person
        (stopped(ready_state_reason="Removed by its owner"), Verdict.RULED_OUT),
        (stopped(ready_state_reason=UNVERIFIED), Verdict.CONFIRMED),
        (stopped(ready_state_reason=IGNORED), Verdict.CONFIRMED),
        (stopped(BLOCKED), Verdict.CONFIRMED),
        (stopped(DeploymentState.UNKNOWN), Verdict.CANNOT_TELL),
    ],
)
def test_a_build_that_was_stopped_for_no_known_reason_rules_nothing_out(
    changed: dict[str, Any], verdict: Verdict
) -> None:
    assert verdicts(judged(**changed))["git_integration_broken"] is verdict


def test_a_preview_or_another_branch_that_came_later_did_not_supersede_it() -> None:
    later = deployment("dpl_later", "e" * 40, ago(days=1))
    for changes, said in (({}, True), ({"target": None}, False), ({"branch": "feature"}, False)):
        builds = stopped()["deployments"]
        found = {"deployments": (dataclasses.replace(later, **changes), *builds), "hostnames": (hostname(FIX_BUILD),)}
        assert ("A newer build of main was begun since." in answer("reason_13_cancelled", **found).summary) is said


def test_a_cancelled_build_hides_no_error_of_the_code() -> None:
    failed = dataclasses.replace(
        HEAD_BUILD, state=DeploymentState.ERROR, substate=None, ready_at=None, error_message="Type error in page.tsx"
    )
    cancelled = deployment("dpl_c", HEAD, ago(days=1), state=DeploymentState.CANCELED, substate=None, ready_at=None)
    builds: tuple[Deployment, ...] = (cancelled, failed, FIX_BUILD)
    assert "mend_the_build" in advised(judged(hostnames=(hostname(FIX_BUILD),), deployments=builds))


# The production branch ---------------------------------------------------------------------------------------


def tracks(branch: str | None, **fields: Any) -> dict[str, Any]:
    return project(link=GitLink("github", "inn", "booking", 7, branch, 0), **fields)


def from_branch(name: str | None, *builds: Deployment, **fields: Any) -> tuple[Deployment, ...]:
    return tuple(dataclasses.replace(one, branch=name, **fields) for one in builds)


PREVIEW = dataclasses.replace(HEAD_BUILD, target=None, substate=None)
ALL_BUILDS = (HEAD_BUILD, FIX_BUILD, OLD_BUILD)
DEVELOP = {"repository": dataclasses.replace(snapshot().repository.value, default_branch="develop")}  # type: ignore[type-var]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        # A repository whose default branch is not the production branch, and was not before.
        (DEVELOP, OK),
        (DEVELOP | tracks("release") | {"deployments": from_branch("release", *ALL_BUILDS)}, OK),
        (DEVELOP | tracks("release") | {"deployments": ()}, OK),
        (DEVELOP | tracks(None), OK),
        (DEVELOP | tracks("release") | {"deployments": from_branch("cli-branch", *ALL_BUILDS, source="cli")}, OK),
        (DEVELOP | tracks("release") | {"deployments": from_branch("x", *ALL_BUILDS, action="promote")}, OK),
        # The branch was renamed along with the repository's: its first build is to come.
        (tracks("main") | {"deployments": from_branch("master", *ALL_BUILDS)}, OK),
        # Production came from another branch than the one that is set now.
        (tracks("production"), WARN),  # the required commit is live all the same
        (tracks("production") | {"hostnames": (hostname(FIX_BUILD),), "deployments": (PREVIEW, FIX_BUILD)}, FAIL),
        (DEVELOP | tracks("release") | {"hostnames": (hostname(OLD_BUILD),), "deployments": (OLD_BUILD,)}, FAIL),
    ],
)
def test_a_production_branch_is_wrong_where_production_came_from_another(
    changed: dict[str, Any], status: CheckStatus
) -> None:
    diagnosis = judged(**changed)
    assert diagnosis.check(BY_ID["git_integration"]).status is status
    # While texts flow, what is only possible is no reason to change anything.
    assert ("set_production_branch" in advised(diagnosis)) is (status is FAIL)
    assert verdicts(diagnosis)["git_integration_broken"] is {
        OK: Verdict.RULED_OUT,
        WARN: Verdict.POSSIBLE,
        FAIL: Verdict.CONFIRMED,
    }.get(status)


def test_the_branch_to_set_is_the_one_that_production_came_from() -> None:
    changed = DEVELOP | tracks("release") | {"hostnames": (hostname(OLD_BUILD),), "deployments": (OLD_BUILD,)}
    (task,) = [one for one in tasks(judged(**changed), SETTINGS) if one.id == "set_production_branch"]
    assert task.exactly == "main"


# Moves under way ---------------------------------------------------------------------------------------------

WAITING: dict[str, Any] = {"hostnames": (hostname(FIX_BUILD),)}


def moving(kind: str, status: str | None, to: str = "dpl_head") -> dict[str, Any]:
    return project(last_alias_request=AliasRequest(kind, "dpl_fix", to, status, ago(minutes=2)))


CANARY = project(rolling_release_active=True, rolling_release_percent=10, rolling_release_deployment_id="dpl_head")
ROLLING = {"deployments": (dataclasses.replace(HEAD_BUILD, substate="ROLLING"), FIX_BUILD, OLD_BUILD)}


@pytest.mark.parametrize(
    ("changed", "said", "on_its_way"),
    [
        (moving("promote", "in-progress"), "A promotion is under way.", True),
        (moving("promote", "pending"), "A promotion is under way.", True),
        (moving("rollback", "in-progress", "dpl_old"), "A rollback is under way.", False),
        (moving("something new", "in-progress"), "A move of the hostnames is under way.", True),
        (CANARY, "A rolling release is under way: the new deployment is serving 10 % of visitors.", True),
        (project(rolling_release_active=True), "A rolling release is under way.", False),
        (project(rolling_release_active=None) | ROLLING, "A rolling release is under way.", True),
        (
            moving("promote", "in-progress")
            | {
                "project": dataclasses.replace(
                    moving("promote", "in-progress")["project"], auto_assign_custom_domains=False
                )
            },
            "A promotion is under way.",
            True,
        ),
    ],
)
def test_what_is_under_way_is_not_to_be_promoted(changed: dict[str, Any], said: str, on_its_way: bool) -> None:
    diagnosis = judged(**(WAITING | changed))
    check = diagnosis.check(BY_ID["nothing_waits"])
    assert (check.status, check.summary) == (WARN, said)
    assert verdicts(diagnosis)["not_promoted"] is Verdict.POSSIBLE
    assert advised(diagnosis) == ["await_move"]
    assert diagnosis.check(BY_ID["serving_commit"]).status is (WARN if on_its_way else FAIL)


@pytest.mark.parametrize(
    "changed",
    [
        moving("promote", "succeeded", "dpl_fix"),
        moving("promote", "failed"),
        moving("promote", "skipped"),
        moving("promote", None),
        project(rolling_release_active=False) | ROLLING,
    ],
)
def test_what_has_ended_is_not_under_way(changed: dict[str, Any]) -> None:
    diagnosis = judged(**(WAITING | changed))
    assert verdicts(diagnosis)["not_promoted"] is Verdict.CONFIRMED
    assert "promote" in advised(diagnosis)


def test_a_later_build_of_an_older_commit_does_not_wait_for_promotion() -> None:
    again = deployment("dpl_again", FIX, ago(hours=3), action="redeploy")
    diagnosis = judged(deployments=(again, HEAD_BUILD, FIX_BUILD))
    assert diagnosis.check(BY_ID["nothing_waits"]).status is OK
    both = judged(deployments=(again, HEAD_BUILD, FIX_BUILD), hostnames=(hostname(OLD_BUILD),))
    assert advised(both)[0] == "promote"


# A paused project --------------------------------------------------------------------------------------------


def front_door(status: int, error: str | None = None) -> dict[str, Any]:
    return {"app_health": AppHealth("booking.example", status, None, None, True, error)}


PAUSED_DOOR = front_door(503, "DEPLOYMENT_PAUSED")


@pytest.mark.parametrize(
    ("changed", "verdict"),
    [
        (project(paused=True) | PAUSED_DOOR, Verdict.CONFIRMED),
        (project(paused=True) | {"app_health": AWAY}, Verdict.CONFIRMED),
        (project(paused=None) | PAUSED_DOOR, Verdict.CONFIRMED),
        (PAUSED_DOOR | {"project": AWAY}, Verdict.CONFIRMED),
        (project(paused=False, live=False), Verdict.RULED_OUT),
        (project(paused=None, live=False), Verdict.RULED_OUT),  # its front door answers
        (project(paused=None, live=False) | {"app_health": AWAY}, Verdict.CANNOT_TELL),
        (project(paused=None) | front_door(503), Verdict.CANNOT_TELL),
        (project(paused=None) | front_door(503, "FUNCTION_INVOCATION_FAILED"), Verdict.CANNOT_TELL),
        (project(paused=False) | front_door(404, "DEPLOYMENT_PAUSED"), Verdict.RULED_OUT),
    ],
)
def test_a_project_is_paused_where_vercel_says_so_or_answers_so(changed: dict[str, Any], verdict: Verdict) -> None:
    assert verdicts(judged(**changed))["project_paused"] is verdict


@pytest.mark.parametrize("also", [{}, {"hostnames": (hostname(FIX_BUILD),)}, {"hostnames": (hostname(OLD_BUILD),)}])
def test_a_paused_project_is_resumed_and_nothing_is_rolled_back_promoted_or_built(also: dict[str, Any]) -> None:
    diagnosis = judged(**(project(paused=True) | PAUSED_DOOR | also))
    assert verdicts(diagnosis)["api_failing"] is Verdict.RULED_OUT
    assert diagnosis.likeliest is not None and diagnosis.likeliest.id == "project_paused"
    assert advised(diagnosis)[0] == "resume_project"
    assert not {"roll_back", "promote", "deploy_commit", "redeploy", "read_app_log"} & set(advised(diagnosis))


def test_a_link_that_a_paused_project_does_not_open_is_no_reason_to_roll_back() -> None:
    before = dataclasses.replace(FIX_BUILD, is_rollback_candidate=True)
    shut = LinkOpening("booking-1", ago(minutes=2), Landing.ERROR, 503, ("booking.example/booking-confirmation/…",))
    moved = hostname(HEAD_BUILD, alias_moved_at=ago(minutes=30))
    seen: dict[str, Any] = {"link_opening": shut, "hostnames": (moved,), "deployments": (HEAD_BUILD, before)}
    assert advised(judged(**seen)) == ["open_the_page", "roll_back"]
    assert advised(judged(**seen, **project(paused=True), **PAUSED_DOOR)) == ["resume_project"]


def test_a_front_door_that_fails_otherwise_is_the_apps_own_fault() -> None:
    assert verdicts(judged(**front_door(503)))["api_failing"] is Verdict.CONFIRMED


# Nothing listed, and parts of lists --------------------------------------------------------------------------


@pytest.mark.parametrize("number", [0, 23, 25, 26, 30, 31])
def test_no_listed_hostname_is_not_one_in_order(number: int) -> None:
    (id_,) = [id_ for id_ in BY_ID if id_.startswith(f"reason_{number:02d}_")]
    assert answer(id_, hostnames=()).status is CANNOT_TELL


def test_a_variable_that_a_part_of_the_list_lacks_may_be_set() -> None:
    terms = Terms(required_env_names=("TWILIO_AUTH_TOKEN",))
    seen = snapshot(env_names=truncated("env_names", ()))
    assert BY_ID["required_env"](Facts(seen, NOW, terms)).status is CANNOT_TELL
    assert BY_ID["required_env"](Facts(snapshot(hostnames=()), NOW, terms)).status is CANNOT_TELL


def test_a_hostname_that_was_not_read_may_serve_something_else() -> None:
    part = {"hostnames": truncated("hostnames", (hostname(HEAD_BUILD),))}
    assert answer("serving_commit", **part).status is CANNOT_TELL
    assert answer("reason_00_nothing_wrong", **part).status is CANNOT_TELL


def test_an_upload_with_changes_is_told_as_that_and_not_as_its_commit() -> None:
    check = answer("reason_31_by_hand", hostnames=(hostname(DIRTY),))
    assert (check.status, "with changes that are in no commit" in check.summary) == (FAIL, True)
    assert "are not in the commit" in " ".join(answer("serving_commit", hostnames=(hostname(DIRTY),)).evidence)
    assert answer("reason_31_by_hand", hostnames=(hostname(UNNAMED),)).status is CANNOT_TELL


def test_texts_do_not_flow_over_a_red_hop_of_code() -> None:
    event = VercelEvent("production-branch-updated", ago(hours=2), "sam")
    takes_all = catalog(messages__customer_id=True)
    diagnosis = judged(**merged_late(SERVED, SERVED), vercel_events=(event,), catalog=takes_all)
    code = next(hop for hop in diagnosis.hops if hop.hop is Hop.CODE)
    assert diagnosis.headline.state is HeadlineState.FLOWING
    assert code.status is WARN


@pytest.mark.parametrize("check", ["bookings_initiated", "demand_seen", "texts_follow"])
def test_a_table_of_which_no_row_could_be_read_is_not_taken_for_an_empty_one(check: str) -> None:
    unread = truncated("pending_bookings", snapshot().pending_bookings.value.iloc[:0])
    found = answer(check, pending_bookings=unread)
    assert (found.status, found.summary) == (CANNOT_TELL, "Only a part of pending_bookings was read.")
