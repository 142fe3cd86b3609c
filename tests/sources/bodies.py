"""Answers as the real systems give them, with secrets planted where the real ones have theirs."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from lib.model.window import Window, WindowSize
from lib.sources.booking_app import BookingApp
from lib.sources.github import GitHub
from lib.sources.http import Http
from lib.sources.twilio import Twilio
from lib.sources.vercel import Vercel
from tests.sources.fake_server import Scripted

NOW = datetime(2025, 11, 22, 12, 0, tzinfo=UTC)
WINDOW = Window.ending(NOW, WindowSize.DAY)

VERCEL_TOKEN = "Ab3dEf6hIj9lMn2pQr5tUv8x"  # the old form: nothing in it says what it is
GITHUB_TOKEN = "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuvwxyz0123456789"
TWILIO_TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT = "AC00000000000000000000000000000001"
PHONE = "+447700900123"
MAIL = "sam@lantern-arms.example"
BODY_WORDS = "Hi Alex, confirm your seats for Quiz Night"
LINK_CODE = "Xk29ab"
ENV_VALUE = "planted-env-value"
BYPASS = "plantedBypassKey0123456789abcdef"
HOOK = "https://api.vercel.com/v1/integrations/deploy/prj_1/plantedHook"
LOG_TOKEN = "npm_plantedTokenInALog0123456789"
BOOKING_TOKEN = "6f1c2f0e-8f55-4f0e-9d53-0a8a5c1f2b3c"
SECRETS = (
    VERCEL_TOKEN,
    GITHUB_TOKEN,
    TWILIO_TOKEN,
    PHONE,
    "07700 900123",
    MAIL,
    BODY_WORDS,
    ENV_VALUE,
    BYPASS,
    HOOK,
    LOG_TOKEN,
    BOOKING_TOKEN,
)

FIX = "3aee739" + "0" * 33
OLD = "91c0ffe" + "1" * 33
PROJECT = "prj_1"
TEAM = "team_lantern"
REPOSITORY = "lantern-arms/booking"
SID = "SM" + "1" * 32
SHOP, SHOP_2, BARE = "book.lantern-arms.example", "www.lantern-arms.example", "lantern-arms.example"


def ms(hour: int, minute: int = 0) -> int:
    return int(datetime(2025, 11, 22, hour, minute, tzinfo=UTC).timestamp() * 1000)


def vercel(base_url: str, http: Http) -> Vercel:
    return Vercel(http=http, base_url=base_url, token=SecretStr(VERCEL_TOKEN), project_id=PROJECT, team_id=TEAM)


def github(base_url: str, http: Http) -> GitHub:
    return GitHub(http=http, base_url=base_url, repository_name=REPOSITORY, token=SecretStr(GITHUB_TOKEN))


def twilio(base_url: str, http: Http) -> Twilio:
    return Twilio(http=http, base_url=base_url, account_sid=ACCOUNT, auth_token=SecretStr(TWILIO_TOKEN))


def booking_app(base_url: str, http: Http) -> BookingApp:
    return BookingApp(http=http, base_url=base_url, clock=lambda: NOW)


def listed(id: str, sha: str, at: int, **more: Any) -> dict[str, Any]:
    """A row of Vercel's deployment list."""
    return {
        "uid": id,
        "name": "booking",
        "projectId": PROJECT,
        "url": f"booking-{id[4:]}.vercel.app",
        "created": at,
        "createdAt": at,
        "buildingAt": at + 2000,
        "ready": at + 60000,
        "state": "READY",
        "readyState": "READY",
        "readySubstate": "PROMOTED",
        "target": "production",
        "source": "git",
        "creator": {"uid": "usr_1", "type": "user", "username": "sam-lantern", "email": MAIL},
        "meta": {
            "githubCommitSha": sha,
            "githubCommitRef": "main",
            "githubCommitMessage": f"Store the text in metadata\n\nCall {PHONE}",
            "githubCommitAuthorName": "Sam Porter",
        },
        "aliasAssigned": at + 61000,
        "aliasError": None,
        "checks": {"deployment-alias": {"state": "succeeded"}},
        "oomReport": None,
        "inspectorUrl": f"https://vercel.com/lantern-arms/booking/{id[4:]}",
        "isRollbackCandidate": False,
        **more,
    }


def single(id: str, sha: str, at: int, **more: Any) -> dict[str, Any]:
    """Vercel's answer for one deployment."""
    row = listed(id, sha, at, aliasAssigned=True)
    row["id"] = row.pop("uid")
    return row | {
        "gitSource": {"type": "github", "repoId": 7, "ref": "main", "sha": sha},
        "env": ["TWILIO_AUTH_TOKEN", f"LEAKED={ENV_VALUE}"],
        "project": {"id": PROJECT, "name": "booking"},
        **more,
    }


VERCEL: dict[str, Any] = {
    "/v2/user": {"user": {"id": "usr_1", "username": "sam-lantern", "email": MAIL}},
    "/v9/projects/prj_1": {
        "id": PROJECT,
        "name": "booking",
        "accountId": TEAM,
        "framework": "nextjs",
        "link": {
            "type": "github",
            "org": "lantern-arms",
            "repo": "booking",
            "repoId": 7,
            "productionBranch": "main",
            "deployHooks": [{"id": "h1", "name": "cms", "ref": "main", "url": HOOK}],
        },
        "autoAssignCustomDomains": False,
        "autoAssignCustomDomainsUpdatedBy": "sam-lantern",
        "commandForIgnoringBuildStep": "git diff --quiet HEAD^ HEAD",
        "gitProviderOptions": {"createDeployments": "enabled", "requireVerifiedCommits": False},
        "deploymentPolicy": {"deploymentSources": [{"sources": ["git", "cli"], "enabled": True}]},
        "env": [{"key": "TWILIO_AUTH_TOKEN", "value": ENV_VALUE}],
        "protectionBypass": {BYPASS: {"scope": "automation-bypass", "createdAt": ms(1)}},
        "paused": False,
        "live": True,
        "ssoProtection": {"deploymentType": "all_except_custom_domains"},
        "lastAliasRequest": {
            "type": "rollback",
            "fromDeploymentId": "dpl_new",
            "toDeploymentId": "dpl_old",
            "jobStatus": "succeeded",
            "requestedAt": ms(9),
        },
        "rollbackDescription": {"username": "sam", "description": f"ask {PHONE}", "createdAt": ms(9)},
        "rollingRelease": None,
        "targets": {"production": {"id": "dpl_old"}},
        "alias": [
            {"domain": SHOP, "environment": "production", "target": "PRODUCTION", "deployment": {"id": "dpl_old"}}
        ],
    },
    "/v9/projects/prj_1/domains": {
        "domains": [
            {"name": SHOP, "apexName": BARE, "projectId": PROJECT, "verified": True, "redirect": None},
            {"name": SHOP_2, "apexName": BARE, "projectId": PROJECT, "verified": True, "redirect": None},
            {"name": BARE, "apexName": BARE, "projectId": PROJECT, "verified": True, "redirect": SHOP},
            {"name": "dev.example", "projectId": PROJECT, "verified": True, "gitBranch": "develop"},
        ],
        "pagination": {"count": 4, "next": None, "prev": None},
    },
    f"/v4/aliases/{SHOP}": {
        "alias": SHOP,
        "deploymentId": "dpl_old",
        "projectId": PROJECT,
        "deployment": {"id": "dpl_old", "url": "booking-old.vercel.app"},
        "updatedAt": ms(9, 1),
        "protectionBypass": {BYPASS: {}},
    },
    f"/v4/aliases/{SHOP_2}": {"alias": SHOP_2, "deploymentId": "dpl_old", "projectId": PROJECT, "updatedAt": ms(9, 2)},
    "/v13/deployments/dpl_old": single("dpl_old", OLD, ms(8)),
    f"/v6/domains/{SHOP}/config": {"configuredBy": "CNAME", "misconfigured": False},
    f"/v6/domains/{SHOP_2}/config": {"configuredBy": None, "misconfigured": True},
    "/v7/deployments": {
        "deployments": [
            listed("dpl_old", OLD, ms(8)),
            listed(
                "dpl_new",
                FIX,
                ms(10),
                readyState="ERROR",
                readySubstate=None,
                aliasAssigned=None,
                errorCode="BUILD_FAILED",
                errorMessage=f"Command failed: TWILIO_AUTH_TOKEN={TWILIO_TOKEN}",
                oomReport="out-of-memory",
            ),
        ],
        "pagination": {"count": 2, "next": None, "prev": None},
    },
    "/v3/deployments/dpl_new/events": [
        {"type": "command", "created": ms(10, 1), "payload": {"text": "Running npm ci", "date": ms(10, 1), "id": "1"}},
        {"type": "stdout", "created": ms(10, 2), "text": f"//registry/:_authToken={LOG_TOKEN}", "id": "2"},
        {"type": "stdout", "created": ms(10, 2), "text": f"//registry/:_authToken={LOG_TOKEN}", "id": "2"},
        {"type": "stderr", "created": ms(10, 3), "text": "\x1b[33mnpm warn old\x1b[0m", "level": "warning", "id": "3"},
        {"type": "stderr", "created": ms(10, 4), "text": f"Error: mail {MAIL} or 07700 900123", "id": "4"},
        {"type": "alias-assigned", "date": ms(10, 5), "alias": [SHOP]},
    ],
    "/v10/projects/prj_1/env": {
        "envs": [
            {
                "id": "e1",
                "key": "TWILIO_AUTH_TOKEN",
                "value": ENV_VALUE,
                "type": "encrypted",
                "target": ["production"],
                "createdAt": ms(1),
                "updatedAt": ms(11),
            },
            {"id": "e2", "key": "PREVIEW_ONLY", "value": ENV_VALUE, "type": "plain", "target": "preview"},
        ]
    },
    "/v3/events": {
        "events": [
            {
                "id": "1",
                "type": "instant-rollback-created",
                "text": f"rolled back, {PHONE}",
                "createdAt": ms(9),
                "user": {"uid": "usr_1", "username": "sam-lantern", "email": MAIL},
                "payload": {"value": ENV_VALUE},
            },
            {"id": "2", "type": "git-integration-repo-push", "text": "push", "createdAt": ms(10), "user": None},
        ]
    },
}


def commit(sha: str, message: str, parent: str | None) -> dict[str, Any]:
    person = {"name": "Sam Porter", "email": MAIL, "date": "2025-11-22T10:00:00Z"}
    return {
        "sha": sha,
        "commit": {
            "message": message,
            "author": person,
            "committer": person,
            "verification": {"verified": True, "reason": "valid"},
        },
        "author": {"login": "sam-lantern"},
        "parents": [{"sha": parent}] if parent else [],
    }


def file_of(value: Any) -> dict[str, str]:
    """GitHub's answer for a JSON file of the repository."""
    return {"encoding": "base64", "content": base64.encodebytes(json.dumps(value).encode()).decode()}


_REPO = f"/repos/{REPOSITORY}"
GITHUB: dict[str, Any] = {
    _REPO: {
        "id": 7,
        "full_name": REPOSITORY,
        "default_branch": "main",
        "pushed_at": "2025-11-22T10:00:00Z",
        "archived": False,
        "permissions": {"admin": False, "push": True, "pull": True},
    },
    f"{_REPO}/commits": [commit(FIX, f"Store the text\n\nCall {PHONE}", OLD), commit(OLD, "First", None)],
    f"{_REPO}/branches/main": {
        "name": "main",
        "commit": {"sha": FIX},
        "protected": True,
        "protection": {"required_status_checks": {"contexts": ["test"]}},
    },
    f"{_REPO}/commits/main": commit(FIX, "Store the text", OLD),
    f"{_REPO}/commits/{FIX}": commit(FIX, "Store the text", OLD),
    f"{_REPO}/commits/{FIX[:7]}": commit(FIX, "Store the text", OLD),
    f"{_REPO}/compare/{OLD}...main": {"status": "ahead", "ahead_by": 1, "behind_by": 0, "files": []},
    f"{_REPO}/compare/{FIX[:7]}...main": {"status": "identical", "ahead_by": 0, "behind_by": 0, "files": []},
    f"{_REPO}/actions/runs": {
        "total_count": 1,
        "workflow_runs": [
            {
                "id": 5,
                "name": "test",
                "head_sha": FIX,
                "status": "completed",
                "conclusion": "success",
                "created_at": "2025-11-22T10:01:00Z",
                "html_url": "https://github.com/x/y/actions/runs/5",
            }
        ],
    },
    f"{_REPO}/rules/branches/main": [
        {"type": "pull_request"},
        {
            "type": "required_status_checks",
            "parameters": {"required_status_checks": [{"context": "test"}, {"context": "lint"}]},
        },
    ],
    f"{_REPO}/branches/main/protection": Scripted(b'{"message": "Branch not protected"}', 404),
    f"{_REPO}/commits/{FIX}/status": {
        "state": "failure",
        "total_count": 2,
        "statuses": [
            {"context": "ci/other", "state": "success", "description": "fine"},
            {"context": "Vercel – booking", "state": "failure", "description": f"Deployment failed, {MAIL}"},
        ],
    },
    f"{_REPO}/commits/{FIX}/check-suites": {"check_suites": [{"app": {"slug": "vercel"}}]},
    f"{_REPO}/contents/vercel.json": file_of(
        {"git": {"deploymentEnabled": {"main": False}}, "ignoreCommand": "exit 0"}
    ),
}

_ACCOUNT = f"/2010-04-01/Accounts/{ACCOUNT}"


def message(sid: str, created: str = "Sat, 22 Nov 2025 11:00:00 +0000", **more: Any) -> dict[str, Any]:
    return {
        "sid": sid,
        "account_sid": ACCOUNT,
        "status": "delivered",
        "direction": "outbound-api",
        "to": PHONE,
        "from": "LANTERN2024",
        "body": f"{BODY_WORDS}: https://l.example/b/{LINK_CODE}?u=1. Thanks",
        "num_segments": "2",
        "price": "-0.04000",
        "price_unit": "USD",
        "error_code": None,
        "error_message": None,
        "date_created": created,
        "date_sent": created,
        "date_updated": created,
        **more,
    }


TWILIO: dict[str, Any] = {
    f"{_ACCOUNT}.json": {"sid": ACCOUNT, "status": "active", "type": "Trial", "auth_token": TWILIO_TOKEN},
    f"{_ACCOUNT}/Balance.json": {"account_sid": ACCOUNT, "balance": "12.345", "currency": "USD"},
    f"{_ACCOUNT}/Messages.json": {"messages": [message(SID)], "next_page_uri": None},
    f"{_ACCOUNT}/Messages/{SID}.json": message(SID),
    "/monitor/v1/Alerts": {
        "alerts": [
            {
                "sid": "NO1",
                "error_code": "11200",
                "log_level": "error",
                "resource_sid": SID,
                "alert_text": "Msg=Bad+answer&To=%2B447700900123",
                "date_created": "2025-11-22T11:00:00Z",
            }
        ],
        "meta": {"next_page_url": None},
    },
}

PAGE = b'<!doctype html><html data-dpl-id="dpl_old"><h1>Confirm your booking</h1></html>'
BOOKING_APP: dict[str, Any] = {
    "/": Scripted(PAGE, headers={"X-Vercel-Id": "lhr1::abc", "X-Commit-Sha": OLD}),
    f"/l/{LINK_CODE}": Scripted(status=307, headers={"Location": f"/booking-confirmation/{BOOKING_TOKEN}"}),
    f"/booking-confirmation/{BOOKING_TOKEN}": Scripted(PAGE),
}
