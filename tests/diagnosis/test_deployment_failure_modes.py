"""The known ways in which pushed code is not live: each answered as failing, in order, or "cannot tell"."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from lib.diagnosis.checks import ALL
from lib.diagnosis.facts import Facts, Terms
from lib.model.deployments import (
    AliasRequest,
    DeploymentState,
    EnvName,
    GitLink,
    RequiredCommit,
    RequiredFrom,
    RollbackNote,
    VercelSigns,
    WorkflowRun,
)
from lib.model.provider import AppHealth
from lib.model.reading import Failure, FailureKind
from lib.model.verdict import Check, CheckStatus
from tests.diagnosis.builders import (
    COMMITS,
    FIX,
    FIX_BUILD,
    HEAD,
    HEAD_BUILD,
    NOW,
    OLD_BUILD,
    PROJECT,
    ago,
    deployment,
    hostname,
    snapshot,
)

OK, WARN, FAIL = CheckStatus.OK, CheckStatus.WARN, CheckStatus.FAIL
CANNOT_TELL, NOT_APPLICABLE = CheckStatus.CANNOT_TELL, CheckStatus.NOT_APPLICABLE
AWAY = Failure(FailureKind.TIMEOUT, "It is away.")
TERMS = Terms(required_env_names=("TWILIO_AUTH_TOKEN",))

ABSENT = {"deployments": (FIX_BUILD, OLD_BUILD)}  # no deployment of the required commit
UNSEEN = VercelSigns(HEAD, None, None, False, None)


def answer(number: int, **changed: Any) -> Check:
    """The reason's answer while production serves the fix and the head is required."""
    facts = Facts(snapshot(**({"hostnames": (hostname(FIX_BUILD),)} | changed)), NOW, TERMS)
    (question,) = [question for question in ALL if question.id.startswith(f"reason_{number:02d}_")]
    return question(facts)


def newest(**fields: Any) -> dict[str, Any]:
    """The head's deployment, not live, with these fields."""
    build = dataclasses.replace(HEAD_BUILD, substate="STAGED", alias_assigned=False, **fields)
    return {"deployments": (build, FIX_BUILD, OLD_BUILD)}


def project(**fields: Any) -> dict[str, Any]:
    return {"project": dataclasses.replace(PROJECT, **fields)}


def wanted(commit: Any = COMMITS[0], on_branch: bool | None = True, **fields: Any) -> dict[str, Any]:
    return {"required_commit": RequiredCommit(HEAD, RequiredFrom.SETTING, commit, on_branch, **fields)}


def signs(**fields: Any) -> dict[str, Any]:
    return {"vercel_signs": dataclasses.replace(VercelSigns(HEAD, "success", None, True, True), **fields)}


def runs(status: str, conclusion: str | None) -> dict[str, Any]:
    return {"runs": (WorkflowRun(1, "ci", HEAD, status, conclusion, ago(hours=1), "https://example"),)}


def built(state: DeploymentState, **fields: Any) -> dict[str, Any]:
    return newest(state=state, ready_at=None, **fields)


CANCELED, ERROR, QUEUED = DeploymentState.CANCELED, DeploymentState.ERROR, DeploymentState.QUEUED
BUILDING, BLOCKED = DeploymentState.BUILDING, DeploymentState.BLOCKED
TOOK_BACK = hostname(OLD_BUILD, alias_moved_at=ago(days=1))
ALL_LIVE: dict[str, Any] = {"hostnames": (hostname(HEAD_BUILD),)}
ENV = EnvName("TWILIO_AUTH_TOKEN", ("production",), "encrypted", None, ago(days=30))

TABLE: list[tuple[int, CheckStatus, dict[str, Any]]] = [
    (0, OK, ALL_LIVE),
    (0, FAIL, {}),
    (0, CANNOT_TELL, {"hostnames": (hostname(None),)}),
    (0, CANNOT_TELL, {"hostnames": AWAY}),
    (1, OK, {}),
    (1, FAIL, wanted(None)),
    (1, CANNOT_TELL, {"required_commit": AWAY}),
    (2, OK, {}),
    (2, FAIL, wanted(on_branch=False, pulls_read=True)),
    (2, FAIL, wanted(None, on_branch=False)),
    (2, CANNOT_TELL, wanted(on_branch=False)),  # a squash merge may have taken it in
    (2, OK, wanted(on_branch=False, merged_as=FIX) | {"hostnames": (hostname(OLD_BUILD),)}),
    (2, FAIL, wanted(on_branch=False, merged_as="d" * 40, pulls_read=True)),
    (2, CANNOT_TELL, wanted(on_branch=None)),
    (3, OK, {}),
    (3, CANNOT_TELL, wanted(None)),
    (4, OK, {}),
    (4, WARN, wanted(on_branch=False) | runs("completed", "failure")),
    (4, WARN, wanted(on_branch=False) | runs("in_progress", None)),
    (4, CANNOT_TELL, wanted(on_branch=False) | runs("completed", "success")),
    (5, OK, newest()),
    (5, FAIL, ABSENT | {"vercel_signs": UNSEEN}),
    (5, WARN, ABSENT),
    (5, WARN, ABSENT | wanted(dataclasses.replace(COMMITS[0], committed_at=ago(minutes=1)))),
    (5, CANNOT_TELL, ABSENT | {"vercel_signs": AWAY}),
    # How old the push is is not known: Vercel may be about to hear of it.
    (5, CANNOT_TELL, ABSENT | wanted(dataclasses.replace(COMMITS[0], committed_at=None)) | {"vercel_signs": UNSEEN}),
    (6, OK, {}),
    (6, FAIL, project(link=None)),
    (6, FAIL, project(link=GitLink("github", "other", "booking", 8, "main", 0))),
    (6, CANNOT_TELL, project(link=GitLink("github", "inn", "booking", None, "main", 0))),
    (7, OK, {}),
    (7, FAIL, project(link=GitLink("github", "inn", "booking", 7, "production", 0))),
    (7, FAIL, newest(target=None)),
    (7, NOT_APPLICABLE, project(link=None)),
    (7, CANNOT_TELL, {"repository": AWAY}),
    (8, OK, {}),
    (8, FAIL, ABSENT | signs(git_deployments_enabled=False)),
    (8, OK, signs(git_deployments_enabled=False)),  # the push was built all the same
    (8, FAIL, ABSENT | project(policy_allows_git=False)),
    (8, CANNOT_TELL, ABSENT | project(policy_unclear=True)),
    (8, CANNOT_TELL, ABSENT | signs(git_deployments_enabled=None)),
    (9, OK, newest()),
    (9, FAIL, built(CANCELED, error_link="https://vercel.com/docs/ignored-build-step")),
    (9, NOT_APPLICABLE, ABSENT),
    (9, CANNOT_TELL, {"deployments": AWAY}),
    (10, OK, newest()),
    (10, OK, ABSENT),
    (10, WARN, ABSENT | project(skips_unaffected=True)),
    (10, CANNOT_TELL, ABSENT | project(skips_unaffected=None)),
    (11, OK, newest()),
    (11, FAIL, built(BLOCKED, seat_block="COMMIT_AUTHOR_REQUIRED")),
    (11, CANNOT_TELL, {"deployments": AWAY}),
    (12, OK, newest()),
    (12, FAIL, built(CANCELED, error_message="The commit is not verified")),
    (12, CANNOT_TELL, {"deployments": AWAY}),
    (13, OK, newest()),
    (13, OK, built(CANCELED, error_message="Skipped by the ignored build step")),
    (13, FAIL, built(CANCELED)),
    (13, CANNOT_TELL, {"deployments": AWAY}),
    (14, OK, newest()),
    (14, FAIL, built(QUEUED)),
    (14, FAIL, built(QUEUED, waits_for_platform=True)),
    (14, CANNOT_TELL, {"deployments": AWAY}),
    (15, OK, newest()),
    (15, OK, built(BUILDING, building_at=ago(minutes=3))),
    (15, FAIL, built(BUILDING, building_at=ago(minutes=5))),  # two minutes are usual
    (15, CANNOT_TELL, {"deployments": AWAY}),
    (16, OK, newest()),
    (16, FAIL, built(ERROR, error_message="Type error.")),
    (16, CANNOT_TELL, {"deployments": AWAY}),
    (17, OK, newest()),
    (17, FAIL, ABSENT | signs(status_description="Deployment rate limit reached")),
    (17, CANNOT_TELL, ABSENT),
    (18, OK, newest()),
    (18, FAIL, newest(alias_check_state="pending")),
    (18, FAIL, newest(checks_state="running")),
    (18, CANNOT_TELL, {"deployments": AWAY}),
    (19, OK, {}),
    (19, FAIL, project(auto_assign_custom_domains=False, rollback_note=RollbackNote("sam", None, ago(hours=3)))),
    (19, OK, project(auto_assign_custom_domains=False)),
    (19, CANNOT_TELL, project(auto_assign_custom_domains=False) | {"vercel_events": AWAY}),
    (19, CANNOT_TELL, project(auto_assign_custom_domains=None)),
    (20, OK, {}),
    (20, FAIL, project(auto_assign_custom_domains=False, auto_assign_updated_by="sam")),
    (20, CANNOT_TELL, project(auto_assign_custom_domains=None)),
    (21, OK, newest()),
    (21, FAIL, newest(alias_error="certificate missing")),
    (21, FAIL, newest() | project(last_alias_request=AliasRequest("promote", None, "dpl_head", "failed", None))),
    (21, CANNOT_TELL, {"deployments": AWAY}),
    (22, OK, newest()),
    (22, FAIL, {"deployments": (dataclasses.replace(HEAD_BUILD, alias_assigned=False), FIX_BUILD)}),
    (22, CANNOT_TELL, {"deployments": AWAY}),
    (23, OK, {}),
    (23, FAIL, {"hostnames": (TOOK_BACK,)}),
    (23, CANNOT_TELL, {"hostnames": AWAY}),
    (24, OK, {}),
    (24, WARN, project(rolling_release_active=True)),
    (24, CANNOT_TELL, project(rolling_release_active=None)),
    (25, OK, {}),
    (25, FAIL, {"hostnames": (hostname(FIX_BUILD, alias_project_id="other"),)}),
    (25, FAIL, {"hostnames": (hostname(None, failure=Failure(FailureKind.NOT_FOUND, "gone")),)}),
    (25, CANNOT_TELL, {"hostnames": (hostname(FIX_BUILD, alias_project_id=None),)}),
    (26, OK, {}),
    (26, FAIL, {"hostnames": (hostname(FIX_BUILD, dns_misconfigured=True),)}),
    (26, CANNOT_TELL, {"hostnames": (hostname(FIX_BUILD, dns_misconfigured=None),)}),
    (27, OK, {}),
    (27, FAIL, {"project": Failure(FailureKind.NOT_FOUND, "Vercel knows no such project.")}),
    (27, CANNOT_TELL, {"project": AWAY}),
    (28, OK, {}),
    (28, FAIL, project(paused=True)),
    (28, OK, project(paused=None)),  # its front door answers
    (28, CANNOT_TELL, project(paused=None) | {"app_health": AWAY}),
    (29, OK, {}),
    (29, FAIL, {"env_names": ()}),
    (29, FAIL, {"env_names": (dataclasses.replace(ENV, updated_at=ago(hours=1)),)}),
    (29, FAIL, {"env_names": (dataclasses.replace(ENV, targets=("preview",)),)}),
    (29, OK, {"env_names": (ENV, dataclasses.replace(ENV, targets=("preview",)))}),
    (29, FAIL, {"hostnames": (hostname(dataclasses.replace(FIX_BUILD, env_names=())),)}),
    (29, CANNOT_TELL, {"hostnames": (hostname(dataclasses.replace(FIX_BUILD, env_names=None)),)}),
    (29, CANNOT_TELL, {"env_names": AWAY}),
    (30, OK, {"app_health": AppHealth("booking.example", 200, FIX[:9], None, True)}),
    (30, FAIL, {}),  # the app says the head, and its hostname serves the fix
    (30, CANNOT_TELL, {"app_health": AppHealth("booking.example", 200, None, None, True)}),
    (31, OK, {}),
    (31, FAIL, {"hostnames": (hostname(deployment("dpl_cli", None, ago(days=1), source="cli")),)}),
    (31, CANNOT_TELL, {"hostnames": (hostname(None),)}),
    (32, CANNOT_TELL, {}),
]


@pytest.mark.parametrize(("number", "status", "changed"), TABLE)
def test_each_way_is_told_by_its_own_signs(number: int, status: CheckStatus, changed: dict[str, Any]) -> None:
    check = answer(number, **changed)
    assert check.status is status, check
    assert check.summary


def test_every_way_is_in_the_table_with_what_makes_it_fail() -> None:
    numbers = {int(question.id.split("_")[1]) for question in ALL if question.id.startswith("reason_")}
    assert numbers == set(range(33))
    unfailing = numbers - {number for number, status, _ in TABLE if status in (FAIL, WARN)}
    assert unfailing == {3, 32}  # what they need is out of the desk's sight


@pytest.mark.parametrize(
    "number", [n for n in range(33) if n not in (0, 6, 7, 19, 20, 24, 25, 26, 27, 28, 29, 30, 31, 32)]
)
def test_code_that_is_live_has_nothing_in_its_way(number: int) -> None:
    assert answer(number, **ALL_LIVE).status is NOT_APPLICABLE
