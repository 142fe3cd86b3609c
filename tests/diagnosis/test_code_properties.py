"""Whatever the history of commits and the state of Vercel: what is said of the code is true, and agrees with itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.diagnosis.checks import BY_ID, code
from lib.diagnosis.checks import deployment_failure_modes as modes
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.moves import under_way
from lib.diagnosis.serving import CommitPosition
from lib.diagnosis.tasks import tasks
from lib.model.deployments import (
    AliasRequest,
    Branch,
    Commit,
    Comparison,
    Deployment,
    DeploymentState,
    GitLink,
    Hostname,
    RequiredCommit,
    RequiredFrom,
    VercelSigns,
    WorkflowRun,
)
from lib.model.provider import AppHealth
from lib.model.verdict import CheckStatus, HeadlineState, Hop, Verdict
from lib.settings import load
from tests.diagnosis.builders import FIX, NOW, PROJECT, ago, deployment, hostname, snapshot

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
SETTINGS = load({}, secrets_file=Path("/nonexistent"))


@dataclass(frozen=True)
class History:
    """A history of commits, oldest first, the last of them the head; and for each all that it contains."""

    commits: tuple[Commit, ...]
    contains: Mapping[str, frozenset[str]]

    @property
    def head(self) -> Commit:
        return self.commits[-1]

    def holds(self, sha: str, ancestor: str) -> bool:
        return ancestor in self.contains[sha]

    def compared(self, base: str, head: str) -> Comparison:
        """What GitHub says of the two."""
        ahead, behind = self.contains[head] - self.contains[base], self.contains[base] - self.contains[head]
        words = {(False, False): "identical", (True, False): "ahead", (False, True): "behind"}
        status = words.get((bool(ahead), bool(behind)), "diverged")
        return Comparison(base, head, status, len(ahead), len(behind))


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Up to nine commits with one or two parents and dates of any order; one of them is the fix."""
    count = draw(st.integers(2, 9))
    shas = [f"{number:x}" * 40 for number in range(1, count + 1)]
    shas[draw(st.integers(0, count - 1))] = FIX
    contains: dict[str, frozenset[str]] = {}
    commits = []
    for at, sha in enumerate(shas):
        parents = draw(st.lists(st.sampled_from(shas[:at]), min_size=1, max_size=2, unique=True)) if at else []
        contains[sha] = frozenset({sha}).union(*(contains[parent] for parent in parents))
        commits.append(Commit(sha, "a commit", "sam", ago(hours=draw(st.integers(1, 240))), tuple(parents)))
    return History(tuple(commits), contains)


def branch_of(draw: st.DrawFn, history: History) -> Branch:
    """The branch as GitHub lists it: what the head contains by date, and only the first of these."""
    on_it = [one for one in history.commits if history.holds(history.head.sha, one.sha)]
    by_date = sorted(on_it, key=lambda one: one.committed_at or ago(days=99), reverse=True)
    listed = [history.head, *(one for one in by_date if one.sha != history.head.sha)]
    kept = draw(st.integers(1, len(listed)))
    return Branch("main", tuple(listed[:kept]), protected=None, complete=kept == len(listed))


def required_of(draw: st.DrawFn, history: History) -> RequiredCommit:
    found = draw(st.sampled_from(history.commits))
    on_branch: bool | None = history.holds(history.head.sha, found.sha)
    merged_as = None
    if not on_branch and draw(st.booleans()):
        merged_as = draw(st.sampled_from(sorted(history.contains[history.head.sha])))
    if draw(st.integers(0, 5)) == 0:
        on_branch = None
    return RequiredCommit(
        found.sha, RequiredFrom.SETTING, found, on_branch, merged_as, merged_as is not None or draw(st.booleans())
    )


def builds_of(draw: st.DrawFn, history: History) -> tuple[Deployment, ...]:
    made = []
    for number in range(draw(st.integers(0, 5))):
        state = draw(st.sampled_from([DeploymentState.READY] * 4 + list(DeploymentState)))
        made.append(
            deployment(
                f"dpl_{number}",
                draw(st.none() | st.sampled_from(history.commits).map(lambda one: one.sha)),
                ago(hours=draw(st.integers(1, 200))),
                state=state,
                substate=draw(st.sampled_from([None, "STAGED", "PROMOTED", "ROLLING"])),
                target=draw(st.sampled_from(["production", "production", None])),
                branch=draw(st.sampled_from(["main", "main", "feature", None])),
                source=draw(st.sampled_from(["git", "git", "cli", None])),
                git_dirty=draw(st.sampled_from([None, None, None, True])),
                ready_state_reason=draw(st.none() | st.sampled_from(["unverified commit", "an odd word"])),
            )
        )
    return tuple(made)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[History, dict[str, Any]]:
    """A history, and what Vercel and GitHub say around it."""
    history = draw(histories())
    branch, required, builds = branch_of(draw, history), required_of(draw, history), builds_of(draw, history)
    served = [draw(st.sampled_from((*builds, None))) for _ in range(draw(st.integers(0, 2)))]
    pairs = [
        (build.sha, head)
        for build in served
        if build and build.sha
        for head in {required.sha, required.merged_as or required.sha, FIX}
    ]
    move = draw(st.sampled_from([None, "pending", "in-progress", "succeeded", "failed"]))
    request = AliasRequest(draw(st.sampled_from(["promote", "rollback"])), None, "dpl_0", move, ago(minutes=3))
    link = GitLink(
        draw(st.sampled_from(["github", "gitlab"])),
        "inn",
        "booking",
        draw(st.sampled_from([7, 7, 8, 0, None])),
        draw(st.sampled_from(["main", "main", "production", None])),
        0,
    )
    words = ["Account is blocked.", "Deployment has failed", None]
    outcome = st.sampled_from([None, "completed", "in_progress"]), st.sampled_from([None, "success", "stale", "odd"])
    return history, {
        "branch": branch,
        "required_commit": required,
        "deployments": builds,
        "hostnames": tuple(hostname(build, f"{at}.example") for at, build in enumerate(served)),
        "comparisons": tuple(history.compared(*pair) for pair in pairs if draw(st.booleans())),
        "project": dataclasses.replace(
            PROJECT,
            link=draw(st.sampled_from([link, link, link, None])),
            auto_assign_custom_domains=draw(st.sampled_from([True, True, False, None])),
            last_alias_request=request if move else None,
            rolling_release_active=draw(st.sampled_from([False, False, None, True])),
            rolling_release_percent=draw(st.sampled_from([None, 10])),
            paused=draw(st.sampled_from([False, False, None, True])),
            live=draw(st.booleans()),
            policy_allows_git=draw(st.sampled_from([None, True, False])),
        ),
        "vercel_signs": VercelSigns(
            required.sha,
            draw(st.sampled_from([None, "success", "failure", "error", "pending"])),
            draw(st.sampled_from(words)),
            draw(st.none() | st.booleans()),
            draw(st.none() | st.booleans()),
        ),
        "runs": tuple(
            WorkflowRun(at, "ci", required.sha, draw(outcome[0]), draw(outcome[1]), NOW, "")
            for at in range(draw(st.integers(0, 2)))
        ),
        "app_health": AppHealth(
            "x",
            draw(st.sampled_from([200, 200, 503])),
            None,
            None,
            draw(st.booleans()),
            draw(st.sampled_from([None, None, "DEPLOYMENT_PAUSED"])),
        ),
    }


def truly_holds(history: History, host: Hostname, wanted: str, merged_as: str | None = None) -> bool | None:
    """Whether what a hostname serves holds a commit, or what it was merged as. None: it serves no commit."""
    sha = host.serving_commit
    if sha is None:
        return None
    return history.holds(sha, wanted) or (merged_as is not None and history.holds(sha, merged_as))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_what_is_said_to_be_live_is_live_and_what_is_said_not_to_be_is_not(
    world: tuple[History, dict[str, Any]],
) -> None:
    history, changed = world
    diagnosis = diagnose(snapshot(**changed), NOW)
    required = changed["required_commit"]
    live = [truly_holds(history, host, required.sha, required.merged_as) for host in changed["hostnames"]]
    status = diagnosis.check(code.serving_commit).status
    assert status is not OK or (live and all(live))
    assert status not in (FAIL, WARN) or False in live
    fixed = [truly_holds(history, host, FIX) for host in changed["hostnames"]]
    fix_status = diagnosis.check(code.fix_live).status
    assert fix_status is not OK or (fixed and all(fixed))
    assert fix_status not in (FAIL, WARN) or False in fixed
    for one in diagnosis.facts.servings or ():
        sha = one.hostname.serving_commit
        if one.position is CommitPosition.BEHIND and one.behind_by is not None and not required.merged_as and sha:
            assert one.behind_by == len(history.contains[required.sha] - history.contains[sha])


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(worlds())
def test_no_two_answers_about_code_contradict_each_other(world: tuple[History, dict[str, Any]]) -> None:
    diagnosis = diagnose(snapshot(**world[1]), NOW)
    for name, holds in _agreements(diagnosis).items():
        assert holds, name


def _agreements(diagnosis: Diagnosis) -> dict[str, bool]:
    """Each sentence, and whether it holds."""
    verdicts = {one.id: one.verdict for one in diagnosis.hypotheses}
    advised = {task.id for task in tasks(diagnosis, SETTINGS)}
    sure = {id_ for id_, verdict in verdicts.items() if verdict in (Verdict.CONFIRMED, Verdict.LIKELY)}
    hop = next(hop for hop in diagnosis.hops if hop.hop is Hop.CODE)
    signs = [spec for id_, spec in BY_ID.items() if id_.startswith("reason_")]
    status = {spec: diagnosis.check(spec).status for spec in (*signs, *_CODE)}
    moving, paused = under_way(diagnosis.facts) is not None, status[modes.paused] is FAIL
    is_sign = (modes.unheard, modes.git_deploys_off, modes.ignored_step, modes.author_blocked, modes.unsigned)
    flows = diagnosis.headline.state is HeadlineState.FLOWING
    return {
        "code that cannot be told to be live is not said to be": verdicts["code_not_deployed"] is not Verdict.RULED_OUT
        or status[code.serving_commit] is OK,
        "the required commit is live, or it is not": (status[modes.nothing_wrong] is OK)
        <= (status[code.serving_commit] is OK),
        "nothing is to be promoted while something is under way": not moving
        or (verdicts["not_promoted"] is not Verdict.CONFIRMED and not {"promote", "deploy_commit"} & advised),
        "nothing is brought to a paused project": not paused
        or not {"promote", "deploy_commit", "roll_back", "read_app_log"} & advised,
        "a paused project is no failing app": not paused or "api_failing" not in sure,
        "a push is heard or it is not": not (status[code.git_integration] is OK and status[modes.unheard] is FAIL),
        "a repository is ours or it is not": not (
            status[code.git_integration] in (OK, WARN) and status[modes.disconnected] is FAIL
        ),
        "a sign that cannot be told rules nothing out": verdicts["git_integration_broken"] is not Verdict.RULED_OUT
        or not {CheckStatus.CANNOT_TELL, FAIL} & {status[spec] for spec in is_sign},
        "what is built was heard": not (status[modes.unheard] is FAIL and status[modes.build_failed] in (OK, FAIL)),
        "a build is stopped for one reason": [
            status[spec] for spec in (modes.ignored_step, modes.author_blocked, modes.unsigned, modes.cancelled)
        ].count(FAIL)
        <= 1,
        "texts do not flow over a red hop of code": not flows or hop.status is not FAIL,
        "builds fail or they pass": verdicts["build_failing"] is not Verdict.CONFIRMED
        or status[code.builds_pass] is FAIL,
    }


_CODE = (code.serving_commit, code.fix_live, code.builds_pass, code.nothing_waits, code.git_integration)
