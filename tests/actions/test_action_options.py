"""What is offered on a deployment, and why not: from the same rules by which the executor refuses."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from lib.actions.deployment_actions import action_options
from lib.model.deployments import AliasRequest, Deployment, DeploymentState, GitLink, Project

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LINK = GitLink("github", "lantern-arms", "booking", 1, "main", 0)
PROJECT = Project("prj_1", "booking", None, LINK, True)
READY = Deployment("dpl_1", "a.example", DeploymentState.READY, NOW, target="production", sha="a" * 40)
NONE: frozenset[str] = frozenset()
EVERY = {"promote", "roll_back", "deploy_commit", "cancel_build"}


def refusals(
    deployment: Deployment = READY, project: Project | None = PROJECT, live: frozenset[str] = NONE
) -> dict[str, str]:
    found = action_options(deployment, project, live)
    assert {one.action for one in found} == EVERY
    return {one.action: one.refusal for one in found if one.refusal}


def changed(**fields: Any) -> Deployment:
    return dataclasses.replace(READY, **fields)


def test_a_ready_build_that_is_not_live_can_be_moved_to_and_built_again_and_not_cancelled():
    assert set(refusals()) == {"cancel_build"}
    assert "over" in refusals()["cancel_build"]


@pytest.mark.parametrize(
    ("deployment", "live", "refused", "why"),
    [
        (READY, frozenset({"dpl_1"}), {"promote", "roll_back", "cancel_build"}, "live already"),
        (READY, frozenset({"dpl_1", "dpl_2"}), {"cancel_build"}, None),
        (changed(state=DeploymentState.ERROR), NONE, {"promote", "roll_back", "cancel_build"}, "did not succeed"),
        (changed(state=DeploymentState.BUILDING), NONE, {"promote", "roll_back"}, "not over yet"),
        (changed(state=DeploymentState.UNKNOWN), NONE, {"promote", "roll_back", "cancel_build"}, "is not known"),
        (changed(state=DeploymentState.DELETED), NONE, {"promote", "roll_back", "cancel_build"}, "was deleted"),
        (changed(target=None), NONE, {"promote", "roll_back", "cancel_build"}, "preview"),
        (changed(is_rollback_candidate=False), NONE, {"roll_back", "cancel_build"}, None),
        (changed(sha=None), NONE, {"deploy_commit", "cancel_build"}, None),
        (changed(git_dirty=True), NONE, {"deploy_commit", "cancel_build"}, None),
    ],
)
def test_what_is_not_possible_says_why(
    deployment: Deployment, live: frozenset[str], refused: set[str], why: str | None
):
    found = refusals(deployment, live=live)
    assert set(found) == refused
    if why is not None:
        assert why in found["promote"]


@pytest.mark.parametrize(
    ("project", "why"),
    [
        ({"paused": True}, "paused"),
        ({"rolling_release_active": True}, "rolling release"),
        ({"last_alias_request": AliasRequest("promote", None, "dpl_2", "pending", NOW)}, "under way"),
    ],
)
def test_what_stands_against_all_of_them_stands_against_each(project: dict[str, Any], why: str):
    found = refusals(project=dataclasses.replace(PROJECT, **project))
    assert set(found) == EVERY and all(why in one for one in found.values())


def test_a_project_that_could_not_be_read_refuses_nothing_by_itself():
    assert set(refusals(project=None)) == {"cancel_build"}


def test_a_project_without_a_repository_builds_no_commit():
    assert set(refusals(project=dataclasses.replace(PROJECT, link=None))) == {"deploy_commit", "cancel_build"}


def test_each_option_names_what_its_action_asks_for():
    args = {one.action: one.args for one in action_options(READY, PROJECT, NONE)}
    assert args["deploy_commit"] == {"sha": "a" * 40}
    assert all(args[action] == {"deployment": "dpl_1"} for action in EVERY - {"deploy_commit"})
