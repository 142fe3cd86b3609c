"""What Vercel says, read: the project's switches, hostnames to commits, logs without secrets."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from lib.model.deployments import DeploymentState, LogLevel
from lib.model.reading import CaveatKind, FailureKind
from lib.sources.http import Deadline, Http
from lib.sources.vercel import Vercel
from tests.sources import bodies
from tests.sources.bodies import BARE, FIX, NOW, OLD, PROJECT, SHOP, SHOP_2, TEAM, WINDOW, listed, ms, single
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json


@pytest.fixture
def vercel(server: FakeServer, http: Http) -> Vercel:
    server.tell_all(bodies.VERCEL)
    return bodies.vercel(server.url, http)


def test_the_project_has_the_switches_that_decide_what_is_live(vercel: Vercel, soon: Deadline):
    project = vercel.project(soon).value
    assert project.link is not None
    assert (project.link.full_name, project.link.repo_id, project.link.production_branch) == (
        "lantern-arms/booking",
        7,
        "main",
    )
    assert project.link.deploy_hook_count == 1
    assert project.auto_assign_custom_domains is False
    assert project.creates_git_deployments is True
    assert project.policy_allows_git is True
    assert project.rolling_release_active is False
    assert project.last_alias_request is not None
    assert (project.last_alias_request.type, project.last_alias_request.job_status) == ("rollback", "succeeded")
    assert project.rollback_note is not None
    assert project.rollback_note.created_at == datetime(2025, 11, 22, 9, tzinfo=UTC)


def test_what_the_project_does_not_say_is_unknown_not_fine(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v9/projects/prj_1", as_json({"id": PROJECT, "name": "booking"}))
    project = vercel.project(soon).value
    assert project.link is None  # only here absence says something: the project is disconnected
    assert project.auto_assign_custom_domains is None
    assert project.rolling_release_active is None
    assert project.policy_allows_git is None
    assert project.paused is None


@pytest.mark.parametrize(("said", "read"), [("apps/booking", "apps/booking"), (None, None)])
def test_the_folder_that_is_built_is_read_where_it_is_said(
    vercel: Vercel, server: FakeServer, soon: Deadline, said: str | None, read: str | None
):
    server.tell("/v9/projects/prj_1", as_json({"id": PROJECT, "name": "booking", "rootDirectory": said}))
    assert vercel.project(soon).value.root_directory == read


PRODUCTION = [{"type": "system", "target": "production"}]


def rule(*sources: str, enabled: bool = True, target: str = "production") -> dict[str, object]:
    return {"enabled": enabled, "sources": list(sources), "environments": [{"type": "system", "target": target}]}


@pytest.mark.parametrize(
    ("policy", "allows"),
    [
        (None, None),
        ({"deploymentSources": [rule("git", "cli")]}, True),
        ({"deploymentSources": [rule("cli")]}, False),
        ({"deploymentSources": [rule()]}, False),  # on, and it lists nothing
        ({"deploymentSources": [rule("cli", enabled=False)]}, True),
        ({"deploymentSources": [rule("cli", target="preview")]}, True),
        ({"deploymentSources": [{"enabled": True, "sources": ["cli"]}]}, None),
        ({"gitSources": [{"enabled": True, "sources": [{"org": "other"}], "environments": PRODUCTION}]}, None),
    ],
)
def test_a_rule_of_the_deployment_policy_lists_what_it_lets_in(
    policy: object, allows: bool | None, vercel: Vercel, server: FakeServer, soon: Deadline
):
    body = {"id": PROJECT, "name": "booking", "deploymentPolicy": policy}
    server.tell("/v9/projects/prj_1", as_json(body))
    assert vercel.project(soon).value.policy_allows_git is allows


def test_a_link_that_cannot_be_read_does_not_count_as_disconnected(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v9/projects/prj_1", as_json({"id": PROJECT, "name": "booking", "link": "github"}))
    assert failure_of(lambda: vercel.project(soon)).kind is FailureKind.BAD_DATA


@pytest.mark.parametrize(
    ("answer", "active"),
    [
        ({"rollingRelease": {"state": "ACTIVE"}}, True),
        ({"rollingRelease": {"state": "COMPLETE"}}, False),
        ({"rollingRelease": None}, False),
        ({"state": "ACTIVE"}, True),
        ([], None),
    ],
)
def test_a_project_that_rolls_out_gradually_is_asked_how_far_it_is(
    answer: object, active: bool | None, vercel: Vercel, server: FakeServer, soon: Deadline
):
    server.tell(
        "/v9/projects/prj_1", as_json(bodies.VERCEL["/v9/projects/prj_1"] | {"rollingRelease": {"target": "p"}})
    )
    server.tell("/v1/projects/prj_1/rolling-release", as_json(answer))
    assert vercel.project(soon).value.rolling_release_active is active


def test_a_wrong_project_and_a_bad_token_are_different(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v9/projects/prj_1", as_json({"error": {"code": "not_found", "message": "Project not found"}}, 404))
    caught = failure_of(lambda: vercel.project(soon))
    assert caught.kind is FailureKind.NOT_FOUND
    assert "accepts our token" in str(caught) and "Right team?" in caught.failure.hint
    server.tell("/v2/user", as_json({"error": {"code": "forbidden", "invalidToken": True}}, 403))
    caught = failure_of(lambda: vercel.project(soon))
    assert caught.kind is FailureKind.UNAUTHORIZED
    assert "VERCEL_TOKEN" in caught.failure.hint


def test_a_token_that_vercel_does_not_know_is_unauthorized_though_it_says_403(
    vercel: Vercel, server: FakeServer, soon: Deadline
):
    server.everything = as_json(
        {"error": {"code": "forbidden", "message": "Not authorized", "invalidToken": True}}, 403
    )
    assert failure_of(lambda: vercel.deployments(soon)).kind is FailureKind.UNAUTHORIZED


def test_every_production_hostname_is_resolved_to_the_commit_it_serves(
    vercel: Vercel, server: FakeServer, soon: Deadline
):
    shop, second, bare = vercel.hostnames(soon).value
    assert (shop.name, shop.serving_commit, shop.alias_project_id) == (SHOP, OLD, PROJECT)
    assert shop.alias_moved_at == datetime(2025, 11, 22, 9, 1, tzinfo=UTC)
    assert (shop.dns_configured_by, shop.dns_misconfigured) == ("CNAME", False)
    assert (second.name, second.serving_commit, second.dns_misconfigured) == (SHOP_2, OLD, True)
    assert (bare.name, bare.redirect_to, bare.deployment, bare.failure) == (BARE, SHOP, None, None)
    assert len(server.asked_for("/v13/deployments/dpl_old")) == 1, "one deployment is read once for all its hostnames"


def test_a_branch_domain_is_no_production_hostname(vercel: Vercel, soon: Deadline):
    assert "dev.example" not in {host.name for host in vercel.hostnames(soon).value}


def test_one_hostname_that_lags_is_seen(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell(
        f"/v4/aliases/{SHOP_2}", as_json({"deploymentId": "dpl_new", "projectId": "prj_2", "updatedAt": ms(10)})
    )
    server.tell("/v13/deployments/dpl_new", as_json(single("dpl_new", FIX, ms(10))))
    assert [host.serving_commit for host in vercel.hostnames(soon).value] == [OLD, FIX, None]


def test_a_hostname_whose_alias_is_gone_is_unknown_not_fine(vercel: Vercel, server: FakeServer, soon: Deadline):
    del server.answers[f"/v4/aliases/{SHOP_2}"]
    shop, second, _ = vercel.hostnames(soon).value
    assert shop.serving_commit == OLD
    assert second.serving_commit is None and second.failure is not None
    assert second.failure.kind is FailureKind.NOT_FOUND
    assert SHOP_2 in second.failure.sentence


def test_a_hostname_without_alias_is_resolved_by_asking_for_its_deployment(
    vercel: Vercel, server: FakeServer, soon: Deadline
):
    del server.answers[f"/v4/aliases/{SHOP_2}"]
    server.tell(f"/v13/deployments/{SHOP_2}", as_json(single("dpl_new", FIX, ms(10))))
    assert vercel.hostnames(soon).value[1].serving_commit == FIX


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        (f"/v4/aliases/{SHOP_2}", as_json({"error": {"message": "no"}}, 403)),
        (f"/v4/aliases/{SHOP_2}", as_json({"alias": SHOP_2})),
        (f"/v4/aliases/{SHOP_2}", Scripted(b"<html>")),
        (f"/v4/aliases/{SHOP_2}", as_json({"deploymentId": "../../v2/user"})),
    ],
)
def test_one_bad_hostname_is_not_the_end_of_the_others(
    path: str, answer: Scripted, vercel: Vercel, server: FakeServer, soon: Deadline
):
    server.tell(path, answer)
    shop, second, _ = vercel.hostnames(soon).value
    assert shop.serving_commit == OLD
    assert second.deployment is None and second.failure is not None


def test_a_deployment_that_cannot_be_read_leaves_when_the_alias_moved(
    vercel: Vercel, server: FakeServer, soon: Deadline
):
    del server.answers["/v13/deployments/dpl_old"]
    shop = vercel.hostnames(soon).value[0]
    assert shop.alias_moved_at is not None and shop.failure is not None


def test_dns_that_cannot_be_read_costs_nothing_but_itself(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell(f"/v6/domains/{SHOP}/config", Scripted(b"{}", 500))
    shop = vercel.hostnames(soon).value[0]
    assert (shop.serving_commit, shop.failure, shop.dns_misconfigured) == (OLD, None, None)


def test_domains_that_may_not_be_read_are_taken_from_the_project(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v9/projects/prj_1/domains", as_json({"error": {"message": "no"}}, 403))
    observed = vercel.hostnames(soon)
    assert [(host.name, host.serving_commit) for host in observed.value] == [(SHOP, OLD)]
    assert observed.caveats[0].kind is CaveatKind.PARTIAL


def test_more_hostnames_than_one_page_are_a_caveat(vercel: Vercel, server: FakeServer, soon: Deadline):
    domains = bodies.VERCEL["/v9/projects/prj_1/domains"] | {"pagination": {"count": 100, "next": ms(1)}}
    server.tell("/v9/projects/prj_1/domains", as_json(domains))
    assert vercel.hostnames(soon).caveats[0].kind is CaveatKind.TRUNCATED


def test_deployments_come_once_each_newest_first_with_previews(vercel: Vercel, server: FakeServer, soon: Deadline):
    preview = listed("dpl_pre", FIX, ms(11), target=None)
    both = bodies.VERCEL["/v7/deployments"]
    server.tell("/v7/deployments", as_json({"deployments": [preview, *both["deployments"]]}))
    found = vercel.deployments(soon).value
    assert [(d.id, d.target) for d in found] == [
        ("dpl_pre", None),
        ("dpl_new", "production"),
        ("dpl_old", "production"),
    ]
    assert sorted(asked.query.get("target", "all") for asked in server.asked) == ["all", "production"]
    failed = found[1]
    assert (failed.state, failed.sha, failed.alias_assigned, failed.out_of_memory) == (
        DeploymentState.ERROR,
        FIX,
        False,
        True,
    )
    assert found[2].alias_assigned is True and found[2].alias_check_state == "succeeded"
    assert found[2].commit_message == "Store the text in metadata"


def test_half_of_the_deployments_is_a_partial_answer(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v7/deployments", as_json(bodies.VERCEL["/v7/deployments"]), Scripted(b"{}", 500))
    observed = vercel.deployments(soon)
    assert len(observed.value) == 2
    assert [caveat.kind for caveat in observed.caveats] == [CaveatKind.PARTIAL]


def test_an_upload_without_git_has_no_commit_and_an_unheard_of_state_is_unknown(
    vercel: Vercel, server: FakeServer, soon: Deadline
):
    row = {"uid": "dpl_x", "created": ms(9), "readyState": "PONDERING", "source": "cli", "meta": {"gitDirty": "1"}}
    server.tell("/v7/deployments", as_json({"deployments": [row]}))
    upload = vercel.deployments(soon).value[0]
    assert (upload.sha, upload.state, upload.alias_assigned) == (None, DeploymentState.UNKNOWN, None)


def test_a_build_keeps_the_names_of_its_environment_only(vercel: Vercel, soon: Deadline):
    deployment = vercel.hostnames(soon).value[0].deployment
    assert deployment is not None and deployment.env_names == ("TWILIO_AUTH_TOKEN",)


def test_a_build_log_is_read_in_all_three_shapes_without_colours_and_secrets(vercel: Vercel, soon: Deadline):
    log = vercel.build_log("dpl_new", soon).value
    assert [(line.text, line.level) for line in log.lines] == [
        ("Running npm ci", LogLevel.INFO),
        ("//registry/:_authToken=…", LogLevel.INFO),
        ("npm warn old", LogLevel.WARNING),
        ("Error: mail … or …", LogLevel.ERROR),
    ]
    assert log.first_error is not None and log.first_error.at == datetime(2025, 11, 22, 10, 4, tzinfo=UTC)


def test_a_log_without_lines_is_empty_not_broken(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v3/deployments/dpl_new/events", Scripted(b"null"))
    assert vercel.build_log("dpl_new", soon).value.lines == ()


def test_environment_names_come_without_values(vercel: Vercel, soon: Deadline):
    token, preview = vercel.env_names(soon).value
    assert (token.key, token.in_production, token.updated_at) == (
        "TWILIO_AUTH_TOKEN",
        True,
        datetime(2025, 11, 22, 11, tzinfo=UTC),
    )
    assert (preview.targets, preview.in_production, preview.updated_at) == (("preview",), False, None)


def test_activity_says_what_when_and_who_within_the_window(vercel: Vercel, server: FakeServer, soon: Deadline):
    early = int((WINDOW.start - timedelta(hours=1)).timestamp() * 1000)
    rows = [*bodies.VERCEL["/v3/events"]["events"], {"id": "3", "type": "aliases-assigned", "createdAt": early}]
    server.tell("/v3/events", as_json({"events": rows}))
    events = vercel.activity(WINDOW, soon).value
    assert [(event.type, event.actor) for event in events] == [
        ("git-integration-repo-push", None),
        ("instant-rollback-created", "sam-lantern"),
    ]
    assert events[1].sentence == "production was rolled back"
    assert server.asked[0].query["until"] == NOW.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def test_the_team_is_named_on_every_call_and_a_personal_account_on_none(server: FakeServer, http: Http, soon: Deadline):
    server.tell_all(bodies.VERCEL)
    bodies.vercel(server.url, http).hostnames(soon)
    assert {asked.query.get("teamId") for asked in server.asked} == {TEAM}
    server.asked.clear()
    replace(bodies.vercel(server.url, http), team_id="gQ7nXo2LkP4rTzB9mWcY1aVd").project(soon)
    assert {(asked.query.get("teamId"), asked.query.get("slug")) for asked in server.asked} == {(None, None)}


def test_a_team_may_be_named_by_its_slug(server: FakeServer, http: Http, soon: Deadline):
    server.tell_all(bodies.VERCEL)
    replace(bodies.vercel(server.url, http), team_id="lantern-arms").project(soon)
    assert {(asked.query.get("teamId"), asked.query.get("slug")) for asked in server.asked} == {(None, "lantern-arms")}


@pytest.mark.parametrize(
    ("link", "org", "repo", "repo_id"),
    [
        ({"org": "lantern-arms", "repo": "booking", "repoId": 7}, "lantern-arms", "booking", 7),
        ({"repo": "lantern-arms/booking", "repoId": 0}, "lantern-arms", "booking", None),
        ({"org": "a-fork", "repo": "lantern-arms/booking", "repoId": -1}, "lantern-arms", "booking", None),
        ({"org": "lantern-arms", "repoId": 7}, "", "", 7),
        ({"repo": "booking", "repoId": "7"}, "", "", 7),
    ],
)
def test_a_link_names_its_repository_by_owner_and_name_or_not_at_all(
    link: object, org: str, repo: str, repo_id: int | None, vercel: Vercel, server: FakeServer, soon: Deadline
):
    body = {"id": PROJECT, "name": "booking", "link": {"type": "github", **link}}  # type: ignore[dict-item]
    server.tell("/v9/projects/prj_1", as_json(body))
    read = vercel.project(soon).value.link
    assert read is not None and (read.org, read.repo, read.repo_id) == (org, repo, repo_id)


def test_a_project_without_a_domain_serves_the_names_that_vercel_gave_it(
    vercel: Vercel, server: FakeServer, soon: Deadline
):
    own, team = "booking.vercel.app", "booking-lantern-arms.vercel.app"
    target = {"id": "dpl_old", "alias": [team, "booking-git-main-lantern-arms.vercel.app", own]}
    alias = [{"domain": own, "target": "PRODUCTION"}, {"domain": "booking-dev.vercel.app", "target": "STAGING"}]
    project = {"id": PROJECT, "name": "booking", "alias": alias, "targets": {"production": target}}
    server.tell("/v9/projects/prj_1", as_json(project))
    server.tell("/v9/projects/prj_1/domains", as_json({"domains": [], "pagination": {"count": 0, "next": None}}))
    # Production was rolled back: what the project lists as its target is not what its name serves.
    server.tell(f"/v4/aliases/{own}", as_json({"deploymentId": "dpl_new", "projectId": PROJECT}))
    server.tell(f"/v4/aliases/{team}", as_json({"deploymentId": "dpl_old", "projectId": PROJECT}))
    server.tell("/v13/deployments/dpl_new", as_json(single("dpl_new", FIX, ms(10))))
    served = [(host.name, host.serving_commit) for host in vercel.hostnames(soon).value]
    assert served == [(own, FIX), (team, OLD)]


def test_a_hostname_that_serves_somebody_elses_deployment_says_so(vercel: Vercel, server: FakeServer, soon: Deadline):
    short = {"id": "dpl_theirs", "name": "theirs", "readyState": "READY", "url": "theirs.vercel.app"}
    server.tell(f"/v4/aliases/{SHOP_2}", as_json({"deploymentId": "dpl_theirs", "projectId": "prj_9"}))
    server.tell("/v13/deployments/dpl_theirs", as_json(short))
    failure = vercel.hostnames(soon).value[1].failure
    assert failure is not None and failure.kind is FailureKind.FORBIDDEN
    assert "another account or team" in failure.sentence


def test_a_single_variable_is_read_as_a_list_of_one(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v10/projects/prj_1/env", as_json({"key": "TWILIO_AUTH_TOKEN", "target": ["production"]}))
    assert [name.key for name in vercel.env_names(soon).value] == ["TWILIO_AUTH_TOKEN"]
    server.tell("/v10/projects/prj_1/env", as_json({"something": "else"}))
    assert failure_of(lambda: vercel.env_names(soon)).kind is FailureKind.BAD_DATA


def test_variables_that_vercel_hides_make_the_list_incomplete(vercel: Vercel, server: FakeServer, soon: Deadline):
    server.tell("/v10/projects/prj_1/env", as_json({"envs": [], "hiddenProductionEnvCount": 2}))
    (caveat,) = vercel.env_names(soon).caveats
    assert caveat.kind is CaveatKind.TRUNCATED and "hides 2" in caveat.sentence


@pytest.mark.parametrize(("flag", "dirty"), [("1", True), ("0", False), (None, None), (1, None)])
def test_an_upload_says_whether_it_holds_changes_that_no_commit_has(
    flag: object, dirty: bool | None, vercel: Vercel, server: FakeServer, soon: Deadline
):
    meta = {"gitCommitSha": FIX, "gitDirty": flag}
    row = {"id": "dpl_x", "created": ms(9), "readyStateReason": f"Skipped by {bodies.MAIL}", "meta": meta}
    server.tell("/v13/deployments/dpl_x", as_json(row))
    deployment = vercel.deployment("dpl_x", soon)
    assert (deployment.git_dirty, deployment.commit) == (dirty, None if dirty else FIX)
    assert deployment.ready_state_reason == "Skipped by …"
