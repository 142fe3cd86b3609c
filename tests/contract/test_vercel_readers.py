"""Every answer that Vercel's own description allows is read: as a value or as unknown, and never as something else."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from lib.model.deployments import DeploymentState
from lib.model.reading import FailureKind, SourceError
from lib.model.window import Window, WindowSize
from lib.sources.http import Deadline
from lib.sources.vercel import Vercel
from lib.sources.vercel_writes import VercelWrites
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

PROJECT, DEPLOYMENT, HOST = "prj_1", "dpl_1", "book.lantern-arms.example"
NOW = datetime(2025, 11, 22, 12, 0, tzinfo=UTC)
MOMENT = int(NOW.timestamp() * 1000) - 3_600_000
WINDOW = Window.ending(NOW, WindowSize.DAY)
_TIMES = (
    "aliasAssigned", "aliasAssignedAt", "buildingAt", "canceledAt", "created", "createdAt", "date", "ready",
    "requestedAt", "startedAt", "updatedAt",
)  # fmt: skip
SAMPLES: Samples = {
    **dict.fromkeys(_TIMES, (MOMENT,)),
    "id": (DEPLOYMENT,),
    "uid": (DEPLOYMENT,),
    "deploymentId": (DEPLOYMENT,),
    "key": ("TWILIO_AUTH_TOKEN",),
    "name": (HOST,),
    "alias": (HOST,),
    "domain": (HOST,),
    # What Vercel's own links hold: an id of 0 is a placeholder, and a name may hold its owner.
    "repoId": (7, 0, "7"),
    "repo": ("booking", "lantern-arms/booking"),
    "org": ("lantern-arms", ""),
    "gitDirty": ("0", "1"),
    "githubCommitSha": ("a" * 40,),
    "sha": ("b" * 40,),
    # The ordinary ones of their enums.
    "readyState": ("READY",),
    "sources": ("git",),
    "target": ("production",),
}


def vercel(canned: CannedAnswers) -> Vercel:
    return Vercel(http=canned, base_url=BASE_URL, token=SecretStr("t"), project_id=PROJECT, team_id="team_1")  # type: ignore[arg-type]


def soon() -> Deadline:
    return Deadline(10)


def whole(model: str) -> Body:
    """An answer with everything in it."""
    return Body(documents.vercel(model), SAMPLES, {})


# What the readings may say ------------------------------------------------------------------------------


def project_meaning(body: Any, result: Any) -> Iterator[str]:
    project = value_of(result)
    if project.paused is not body.get("paused"):
        yield "paused is not what the project says"
    yield from _link_meaning(body.get("link"), project.link)
    request = body.get("lastAliasRequest")
    if request is not None and project.last_alias_request.job_status != request["jobStatus"]:
        yield "how far a promotion is, is lost"


def _policy_meaning(policy: Any, allows_git: bool | None) -> Iterator[str]:
    """A rule that is on lists what it lets in for its environments; one that is off is none."""
    ways, repositories = ([*_rules_for_production(policy.get(f"{kind}Sources"))] for kind in ("deployment", "git"))
    if any("git" not in rule["sources"] for rule in ways) and allows_git is not False:
        yield "a policy that lets no push in is not told"
    if all("git" in rule["sources"] for rule in ways) and not repositories and allows_git is False:
        yield "a policy that lets pushes in, or is off, is told as one that does not"
    # Which repositories may be pushed from is not compared with ours: then it cannot be known to be ours.
    if repositories and not _names_ours(repositories) and allows_git is True:
        yield "a policy that lets other repositories in is told as one that lets ours in"


def _rules_for_production(rules: Any) -> Iterator[Any]:
    for rule in rules or ():
        if rule["enabled"] and any(environment.get("target") == "production" for environment in rule["environments"]):
            yield rule


def _names_ours(rules: list[Any]) -> bool:
    return all(any(source.get("org") == "lantern-arms" for source in rule["sources"]) for rule in rules)


def _link_meaning(canned: Any, link: Any) -> Iterator[str]:
    if (canned is None) != (link is None):
        yield "the link to Git is not what the project says"
    if canned is None or link is None:
        return
    if link.repo_id is not None and link.repo_id <= 0:
        yield "a placeholder is told as the repository's id"
    # Without either it is named by none of the two; a group of GitLab may hold slashes, a name never does.
    if bool(link.org) != bool(link.repo) or "/" in link.repo:
        yield "something is told as a repository's name that cannot be one"


def _shares(release: Any) -> set[float]:
    return {release.get("currentCanaryPercentage"), (release.get("activeStage") or {}).get("targetPercentage")}


def rolling_meaning(body: Any, result: Any) -> Iterator[str]:
    release = body["rollingRelease"]
    active = release is not None and release["state"] == "ACTIVE"
    if value_of(result).rolling_release_active is not active:
        yield "whether a release is rolling is not what Vercel says"
    percent = value_of(result).rolling_release_percent
    if percent is not None and (not active or percent not in _shares(release)):
        yield "the share of visitors is not what Vercel says"


def deployment_meaning(body: Any, result: Any) -> Iterator[str]:
    deployment = value_of(result)
    if deployment.state is DeploymentState.UNKNOWN:
        yield "a state that Vercel knows is unknown to us"
    if (body.get("meta") or {}).get("gitDirty") == "1" and deployment.commit is not None:
        yield "an upload with changes of its own is told as the commit"
    reason = body.get("readyStateReason")
    if reason and reason not in (deployment.ready_state_reason or ""):
        yield "the reason that Vercel gives for a state is lost"
    if deployment.target not in (None, "production", "staging"):
        yield "a target is told that Vercel does not know"


def listed_meaning(body: Any, result: Any) -> Iterator[str]:
    rows, read = body["deployments"], value_of(result)
    if len(rows) != len(read):
        yield "a deployment of the list is lost"
    for row, deployment in zip(rows, read, strict=False):
        yield from deployment_meaning(row, deployment)


def hostname_meaning(body: Any, result: Any) -> Iterator[str]:
    for host in value_of(result):
        if host.redirect_to is None and host.deployment is None and host.failure is None:
            yield "a hostname serves nothing, and nothing says why"


def domains_meaning(body: Any, result: Any) -> Iterator[str]:
    rows = [row for row in body["domains"] if not row.get("gitBranch") and not row.get("customEnvironmentId")]
    hosts = value_of(result)
    # A project without domains of its own serves its name at vercel.app.
    if not rows and not hosts and not result.caveats:
        yield "no domain of its own is told as no hostname at all"
    yield from hostname_meaning(body, result)


def env_meaning(body: Any, result: Any) -> Iterator[str]:
    if "envs" in body and len(body["envs"]) != len(value_of(result)):
        yield "a variable of the list is lost"
    if (body.get("hiddenProductionEnvCount") or 0) > 0 and not result.caveats:
        yield "variables that Vercel hides are not told"


def writes_meaning(body: Any, result: Any) -> Iterator[str]:
    if result.id != body["id"]:
        yield "another deployment is told than was made"
    if result.state is DeploymentState.UNKNOWN:
        yield "a state that Vercel knows is unknown to us"


# The readings -------------------------------------------------------------------------------------------


def at(model: str) -> Any:
    return lambda: documents.vercel(model)


def _on_the_way_to_hostnames() -> dict[tuple[str, str], Any]:
    return {
        ("GET", f"/v9/projects/{PROJECT}"): whole("GetProjectResponseBody"),
        ("GET", f"/v9/projects/{PROJECT}/domains"): {
            "domains": [{"name": HOST, "apexName": HOST, "projectId": PROJECT, "verified": True}],
            "pagination": {"count": 1, "next": None, "prev": None},
        },
        ("GET", f"/v4/aliases/{HOST}"): {"alias": HOST, "deploymentId": DEPLOYMENT, "projectId": PROJECT},
        ("GET", f"/v13/deployments/{DEPLOYMENT}"): whole("GetDeploymentResponseBody"),
        ("GET", f"/v6/domains/{HOST}/config"): whole("GetDomainConfigResponseBody"),
    }


def _rolling_project() -> dict[tuple[str, str], Any]:
    return {("GET", f"/v9/projects/{PROJECT}"): {"id": PROJECT, "name": "booking", "rollingRelease": {"target": "p"}}}


def _whole_log() -> documents.Document:
    """The answer without `follow`: a list. Its other kind is one line of a stream."""
    answer = documents.vercel("GetDeploymentEventsResponse")
    return answer.at(answer.resolved["anyOf"][0])


def _without_right_to_domains() -> dict[tuple[str, str], Any]:
    return _on_the_way_to_hostnames() | {
        ("GET", f"/v9/projects/{PROJECT}/domains"): SourceError(FailureKind.FORBIDDEN, "not yours")
    }


READERS = (
    Reader(
        "project", at("GetProjectResponseBody"), ("GET", f"/v9/projects/{PROJECT}"),
        lambda canned: vercel(canned).project(soon()), SAMPLES,
        lambda: {("GET", f"/v1/projects/{PROJECT}/rolling-release"): whole("GetRollingReleaseResponseBody")},
        project_meaning,
    ),
    Reader(
        "deployment policy",
        at("GetProjectResponseBody"),
        ("GET", f"/v9/projects/{PROJECT}"),
        lambda canned: vercel(canned).project(soon()),
        {"sources": ("git",), "target": ("production",)},
        lambda: {("GET", f"/v1/projects/{PROJECT}/rolling-release"): whole("GetRollingReleaseResponseBody")},
        lambda body, result: _policy_meaning(body.get("deploymentPolicy") or {}, value_of(result).policy_allows_git),
        sparse=False,
        pairs=frozenset({"deploymentPolicy"}),
    ),
    Reader(
        "rolling release", at("GetRollingReleaseResponseBody"), ("GET", f"/v1/projects/{PROJECT}/rolling-release"),
        lambda canned: vercel(canned).project(soon()), SAMPLES, _rolling_project, rolling_meaning,
    ),
    Reader(
        "domains", at("GetProjectDomainsResponseBody"), ("GET", f"/v9/projects/{PROJECT}/domains"),
        lambda canned: vercel(canned).hostnames(soon()), SAMPLES, _on_the_way_to_hostnames, domains_meaning,
    ),
    Reader(
        "hostnames of the project", at("GetProjectResponseBody"), ("GET", f"/v9/projects/{PROJECT}"),
        lambda canned: vercel(canned).hostnames(soon()), SAMPLES, _without_right_to_domains, hostname_meaning,
    ),
    Reader(
        "alias", at("GetAliasResponseBody"), ("GET", f"/v4/aliases/{HOST}"),
        lambda canned: vercel(canned).hostnames(soon()), SAMPLES, _on_the_way_to_hostnames, hostname_meaning,
    ),
    Reader(
        "DNS", at("GetDomainConfigResponseBody"), ("GET", f"/v6/domains/{HOST}/config"),
        lambda canned: vercel(canned).hostnames(soon()), SAMPLES, _on_the_way_to_hostnames, hostname_meaning,
    ),
    Reader(
        "deployments", at("GetDeploymentsResponseBody"), ("GET", "/v7/deployments"),
        lambda canned: vercel(canned).deployments(soon()), SAMPLES, dict, listed_meaning,
    ),
    Reader(
        "a deployment that was made", at("GetDeploymentsResponseBody"), ("GET", "/v7/deployments"),
        lambda canned: vercel(canned).made_for("some switchboardRequest", NOW, soon()), SAMPLES,
    ),
    Reader(
        "deployment", at("GetDeploymentResponseBody"), ("GET", f"/v13/deployments/{DEPLOYMENT}"),
        lambda canned: vercel(canned).deployment(DEPLOYMENT, soon()), SAMPLES, dict, deployment_meaning,
        # Of somebody else's deployment Vercel tells nine fields: that it is not ours is said with a sentence.
        may_refuse=frozenset({FailureKind.FORBIDDEN}),
    ),
    Reader(
        "build log", _whole_log, ("GET", f"/v3/deployments/{DEPLOYMENT}/events"),
        lambda canned: vercel(canned).build_log(DEPLOYMENT, soon()), SAMPLES,
    ),
    Reader(
        "environment", at("FilterProjectEnvsResponseBody"), ("GET", f"/v10/projects/{PROJECT}/env"),
        lambda canned: vercel(canned).env_names(soon()), SAMPLES, dict, env_meaning,
    ),
    Reader(
        "activity", at("ListUserEventsResponseBody"), ("GET", "/v3/events"),
        lambda canned: vercel(canned).activity(WINDOW, soon()), SAMPLES,
    ),
    Reader(
        "a move", at("GetProjectResponseBody"), ("GET", f"/v9/projects/{PROJECT}"),
        lambda canned: vercel(canned).move_since("promote", "some toDeploymentId", NOW, soon()), SAMPLES,
    ),
    Reader(
        "rollback hostnames", at("ListAliasesResponseBody"), ("GET", "/v4/aliases"),
        lambda canned: vercel(canned).rollback_hostnames(DEPLOYMENT, soon()), SAMPLES,
    ),
    Reader(
        "redeploy", at("CreateDeploymentResponseBody"), ("POST", "/v13/deployments"),
        lambda canned: VercelWrites(vercel(canned)).redeploy(DEPLOYMENT, "booking", soon(), request_id="r"), SAMPLES,
        dict, writes_meaning,
    ),
    Reader(
        "cancel", at("CancelDeploymentResponseBody"), ("PATCH", f"/v12/deployments/{DEPLOYMENT}/cancel"),
        lambda canned: VercelWrites(vercel(canned)).cancel(DEPLOYMENT, soon()), SAMPLES, dict, writes_meaning,
    ),
)  # fmt: skip


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_nothing_that_vercel_may_answer_is_misread(reader: Reader):
    assert survey(reader).complaints == {}


QUESTIONS = (
    ("project", f"/v9/projects/{PROJECT}", "GetProjectRequest"),
    ("rolling release", f"/v1/projects/{PROJECT}/rolling-release", "GetRollingReleaseRequest"),
    ("domains", f"/v9/projects/{PROJECT}/domains", "GetProjectDomainsRequest"),
    ("alias", f"/v4/aliases/{HOST}", "GetAliasRequest"),
    ("deployment", f"/v13/deployments/{DEPLOYMENT}", "GetDeploymentRequest"),
    ("DNS", f"/v6/domains/{HOST}/config", "GetDomainConfigRequest"),
    ("deployments", "/v7/deployments", "GetDeploymentsRequest"),
    ("a deployment that was made", "/v7/deployments", "GetDeploymentsRequest"),
    ("build log", f"/v3/deployments/{DEPLOYMENT}/events", "GetDeploymentEventsRequest"),
    ("environment", f"/v10/projects/{PROJECT}/env", "FilterProjectEnvsRequest"),
    ("activity", "/v3/events", "ListUserEventsRequest"),
    ("rollback hostnames", "/v4/aliases", "ListAliasesRequest"),
)
# Read by Vercel's own command line, though its description names neither.
SPOKEN_ELSEWHERE = frozenset({"rollbackInfo", "meta-switchboardRequest"})


@pytest.mark.parametrize(("name", "path", "model"), QUESTIONS)
def test_vercel_knows_each_parameter_that_is_asked_with(name: str, path: str, model: str):
    asked = [params for asked_path, params in questions(READERS, name) if asked_path == path]
    assert asked, "it is not asked"
    known = documents.vercel(model).resolved["properties"].keys()
    assert {key for params in asked for key in params} <= known | SPOKEN_ELSEWHERE
