"""The Vercel twin speaks Vercel's protocol, and what it says follows from what was done to it."""

from __future__ import annotations

import httpx
import pytest

from lib.sandbox.releases import FIX
from lib.sandbox.serve import Running
from lib.sandbox.vercel_twin import PLANTED_BYPASS_SECRET, PLANTED_ENV_VALUE, PLANTED_HOOK_URL
from tests.sandbox.twins import build_quickly, serving
from tests.waiting import wait_until

pytestmark = pytest.mark.sandbox


def test_without_the_right_token_or_team_it_refuses_as_vercel_does(sandbox: Running, play) -> None:
    play("healthy")
    keys = sandbox.world.credentials
    endpoint = f"{sandbox.world.base_url}/vercel"
    project = f"{endpoint}/v9/projects/{keys.vercel_project_id}"
    wrong, right = {"Authorization": "Bearer wrong"}, {"Authorization": f"Bearer {keys.vercel_token}"}

    def get(url: str, **more: object) -> httpx.Response:
        return httpx.get(url, trust_env=False, **more)  # type: ignore[arg-type]

    assert get(f"{endpoint}/v2/user").status_code == 401
    assert get(f"{endpoint}/v2/user", headers=wrong).json()["error"]["invalidToken"] is True
    assert get(project, headers=right).status_code == 404  # no team named: the token's own account is asked
    other_team = get(project, headers=right, params={"teamId": "team_other"})
    assert (other_team.status_code, other_team.json()["error"]["code"]) == (403, "forbidden")


def test_the_project_carries_the_secrets_that_the_real_one_returns(sandbox: Running, play, vercel) -> None:
    play("healthy")
    project = vercel.get(f"/v9/projects/{sandbox.world.credentials.vercel_project_id}").json()
    assert project["env"][0]["value"] == PLANTED_ENV_VALUE
    assert PLANTED_BYPASS_SECRET in project["protectionBypass"]
    assert project["link"]["deployHooks"][0]["url"] == PLANTED_HOOK_URL


def test_the_deployment_list_filters_and_pages(play, vercel) -> None:
    play("code-not-deployed")
    everything = vercel.get("/v7/deployments", params={"limit": 100}).json()["deployments"]
    seen, until = [], None
    while True:
        page = vercel.get("/v6/deployments", params={"limit": 4} | ({"until": until} if until else {})).json()
        seen += [row["uid"] for row in page["deployments"]]
        until = page["pagination"]["next"]
        if until is None:
            break
    assert seen == [row["uid"] for row in everything]
    of_the_fix = vercel.get("/v7/deployments", params={"sha": FIX, "state": "ERROR"}).json()["deployments"]
    assert [row["meta"]["githubCommitSha"] for row in of_the_fix] == [FIX]
    assert not vercel.get("/v7/deployments", params={"projectId": "prj_other"}).json()["deployments"]


def test_a_redeploy_with_the_latest_commit_builds_and_then_takes_the_hostname(sandbox, play, vercel) -> None:
    play("code-not-deployed")
    build_quickly(sandbox, 1.0)
    newest = vercel.get("/v7/deployments", params={"limit": 1}).json()["deployments"][0]
    before = serving(sandbox, vercel)["sha"]
    build = vercel.post(
        "/v13/deployments",
        params={"forceNew": 1},
        json={"deploymentId": newest["uid"], "name": "booking", "target": "production", "withLatestCommit": True},
    ).json()
    assert build["readyState"] in ("QUEUED", "INITIALIZING", "BUILDING")
    assert serving(sandbox, vercel)["sha"] == before
    wait_until(lambda: vercel.get(f"/v13/deployments/{build['id']}").json()["readyState"] == "READY")
    assert serving(sandbox, vercel)["sha"] == build["gitSource"]["sha"] != before
    assert vercel.get(f"/v13/deployments/{build['id']}").json()["readySubstate"] == "PROMOTED"


def test_a_build_that_cannot_succeed_ends_in_error_with_the_reason_in_its_log(sandbox, play, vercel) -> None:
    play("build-failing")
    build_quickly(sandbox)
    failed = vercel.get("/v7/deployments", params={"limit": 1}).json()["deployments"][0]
    again = vercel.post(
        "/v13/deployments", json={"deploymentId": failed["uid"], "name": "booking", "target": "production"}
    ).json()
    wait_until(lambda: vercel.get(f"/v13/deployments/{again['id']}").json()["readyState"] == "ERROR")
    log = vercel.get(f"/v3/deployments/{again['id']}/events", params={"limit": -1}).json()
    assert any("Type error" in line.get("text", "") and line["level"] == "error" for line in log)
    assert any("text" not in line and "text" in line["payload"] for line in log)  # the wrapped shape occurs too


def test_a_build_can_be_cancelled_while_it_builds_and_not_after(sandbox, play, vercel) -> None:
    play("healthy")
    build_quickly(sandbox, 60)
    newest = vercel.get("/v7/deployments", params={"limit": 1}).json()["deployments"][0]
    build = vercel.post("/v13/deployments", json={"deploymentId": newest["uid"], "name": "booking"}).json()
    assert vercel.patch(f"/v12/deployments/{build['id']}/cancel").json()["readyState"] == "CANCELED"
    assert vercel.patch(f"/v12/deployments/{build['id']}/cancel").status_code == 400


def test_promoting_moves_every_hostname_and_turns_automatic_assignment_on_again(sandbox, play, vercel) -> None:
    play("not-promoted")
    project = f"/v9/projects/{sandbox.world.credentials.vercel_project_id}"
    assert vercel.get(project).json()["autoAssignCustomDomains"] is False
    staged = vercel.get("/v7/deployments", params={"target": "production", "limit": 1}).json()["deployments"][0]
    assert (staged["readyState"], staged["readySubstate"]) == ("READY", "STAGED")
    promote = f"/v10/projects/{sandbox.world.credentials.vercel_project_id}/promote/{staged['uid']}"
    assert vercel.post(promote, json={}).status_code == 201
    assert vercel.post(promote, json={}).status_code == 409  # one at a time
    wait_until(lambda: vercel.get(project).json()["lastAliasRequest"]["jobStatus"] == "succeeded")
    after = vercel.get(project).json()
    assert after["autoAssignCustomDomains"] is True
    assert {alias["deploymentId"] for alias in vercel.get("/v4/aliases").json()["aliases"]} == {staged["uid"]}


def test_after_a_rollback_new_builds_stay_staged(sandbox, play, vercel) -> None:
    play("healthy")
    build_quickly(sandbox)
    project = sandbox.world.credentials.vercel_project_id
    candidates = vercel.get("/v7/deployments", params={"rollbackCandidate": "true"}).json()["deployments"]
    target = candidates[0]
    answer = vercel.post(f"/v1/projects/{project}/rollback/{target['uid']}", params={"description": "a test"})
    assert answer.status_code == 201
    wait_until(lambda: serving(sandbox, vercel)["sha"] == target["meta"]["githubCommitSha"])
    build = vercel.post(
        "/v13/deployments", json={"deploymentId": target["uid"], "name": "booking", "target": "production"}
    ).json()
    wait_until(lambda: vercel.get(f"/v13/deployments/{build['id']}").json()["readyState"] == "READY")
    assert vercel.get(f"/v13/deployments/{build['id']}").json()["readySubstate"] == "STAGED"
    types = [event["type"] for event in vercel.get("/v3/events").json()["events"]]
    assert "instant-rollback-created" in types


def test_an_older_build_that_ends_later_takes_the_hostname_from_a_newer_one(sandbox, play, vercel) -> None:
    play("healthy")
    older, newer = vercel.get("/v7/deployments", params={"limit": 3}).json()["deployments"][1:][::-1]

    def build(original: dict[str, str], seconds: float) -> str:
        build_quickly(sandbox, seconds)
        body = {"deploymentId": original["uid"], "name": "booking", "target": "production"}
        return str(vercel.post("/v13/deployments", json=body).json()["id"])

    slow, quick = build(older, 2.5), build(newer, 0.1)
    host = f"/v4/aliases/{sandbox.world.credentials.production_hostname}"
    wait_until(lambda: vercel.get(host).json()["deploymentId"] == quick)
    wait_until(lambda: vercel.get(host).json()["deploymentId"] == slow)


def test_a_hostname_nobody_knows_has_no_alias(play, vercel) -> None:
    play("healthy")
    answer = vercel.get("/v4/aliases/elsewhere.example")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
