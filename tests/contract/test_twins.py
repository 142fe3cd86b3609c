"""What the twins answer is what the vendors' own descriptions allow, with nothing missing and nothing made up."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from lib.sandbox.serve import Running
from tests.contract import documents
from tests.contract.closed import wrongs
from tests.contract.documents import Document

pytestmark = pytest.mark.sandbox


@dataclass(frozen=True)
class Answer:
    """One answer of a twin: `path` as it is asked for, and the description that it is held against.

    `{name}` in a path is filled in from what the sandbox has now.
    """

    twin: str
    path: str
    described: Callable[[], Document]
    params: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: Any = None
    form: Mapping[str, str] | None = None

    @property
    def name(self) -> str:
        return f"{self.twin} {self.method} {self.path}"


def vercel(path: str, model: str, method: str = "GET", body: Any = None, **params: str) -> Answer:
    return Answer("vercel", path, lambda: documents.vercel(model), params, method, body)


def github(path: str, described: str, method: str = "GET", status: str = "200", body: Any = None) -> Answer:
    return Answer(
        "github", f"/repos/{{repository}}{path}", lambda: documents.github(described, method.lower(), status), {},
        method, body,
    )  # fmt: skip


def twilio(path: str, answer: str, **more: Any) -> Answer:
    return Answer("twilio", path, lambda: documents.facts("twilio", answer), **more)


def management(path: str, answer: str, **params: str) -> Answer:
    return Answer("management", f"/v1/projects/{{ref}}{path}", lambda: documents.facts("supabase", answer), params)


ACCOUNT = "/2010-04-01/Accounts/{account}"
ANSWERS = (
    vercel("/v2/user", "GetAuthUserResponseBody"),
    vercel("/v2/teams", "GetTeamsResponseBody"),
    vercel("/v10/projects", "GetProjectsResponseBody"),
    vercel("/v9/projects/{project}", "GetProjectResponseBody"),
    vercel("/v9/projects/{project}/domains", "GetProjectDomainsResponseBody"),
    vercel("/v10/projects/{project}/env", "FilterProjectEnvsResponseBody"),
    vercel("/v1/projects/{project}/rolling-release", "GetRollingReleaseResponseBody"),
    vercel("/v1/projects/{project}/promote/aliases", "ListPromoteAliasesResponseBody"),
    vercel("/v4/aliases", "ListAliasesResponseBody"),
    vercel("/v4/aliases/{host}", "GetAliasResponseBody"),
    vercel("/v6/domains/{host}/config", "GetDomainConfigResponseBody"),
    vercel("/v3/events", "ListUserEventsResponseBody"),
    vercel("/v7/deployments", "GetDeploymentsResponseBody"),
    vercel("/v13/deployments/{deployment}", "GetDeploymentResponseBody"),
    vercel("/v3/deployments/{deployment}/events", "GetDeploymentEventsResponse"),
    vercel("/v9/projects/{project}", "UpdateProjectResponseBody", "PATCH", {"autoAssignCustomDomains": True}),
    vercel(
        "/v10/projects/{project}/env", "CreateProjectEnvResponseBody", "POST",
        {"key": "NEW_NAME", "value": "x", "type": "encrypted", "target": ["production"]},
    ),
    vercel(
        "/v13/deployments", "CreateDeploymentResponseBody", "POST", {"name": "booking", "deploymentId": "{deployment}"},
    ),
    vercel("/v12/deployments/{queued}/cancel", "CancelDeploymentResponseBody", "PATCH"),
    github("", ""),
    github("/branches/main", "/branches/{branch}"),
    github("/rules/branches/main", "/rules/branches/{branch}"),
    github("/commits", "/commits"),
    github("/commits/{sha}", "/commits/{ref}"),
    github("/commits/{sha}/status", "/commits/{ref}/status"),
    github("/commits/{sha}/check-runs", "/commits/{ref}/check-runs"),
    github("/commits/{sha}/check-suites", "/commits/{ref}/check-suites"),
    github("/compare/{older}...{sha}", "/compare/{basehead}"),
    github("/activity", "/activity"),
    github("/actions/runs", "/actions/runs"),
    github("/deployments", "/deployments"),
    github("/hooks", "/hooks"),
    github("/contents/vercel.json", "/contents/{path}"),
    github("/contents/supabase", "/contents/{path}"),
    github("/git/ref/heads/main", "/git/ref/{ref}"),
    github("/git/commits/{sha}", "/git/commits/{commit_sha}"),
    github("/git/trees/{sha}", "/git/trees/{tree_sha}"),
    github(
        "/git/commits", "/git/commits", "POST", "201", {"message": "x", "tree": "{tree}", "parents": ["{sha}"]},
    ),
    github("/git/refs/heads/main", "/git/refs/{ref}", "PATCH", body={"sha": "{sha}"}),
    twilio(f"{ACCOUNT}.json", "Account"),
    twilio(f"{ACCOUNT}/Messages.json", "Messages"),
    twilio(f"{ACCOUNT}/Messages/{{text}}.json", "Message"),
    twilio(f"{ACCOUNT}/Balance.json", "Balance"),
    twilio(f"{ACCOUNT}/Usage/Records/Today.json", "UsageToday"),
    twilio("/monitor/v1/Alerts", "Alerts"),
    twilio(
        f"{ACCOUNT}/Messages.json", "Message", method="POST",
        form={"To": "{mobile}", "From": "{sender}", "Body": "A text"},
    ),
    management("", "Project"),
    management("/health", "Health", services="db,rest"),
    management("/postgrest", "Postgrest"),
    management("/analytics/endpoints/logs", "Logs"),
)  # fmt: skip
# What the vendors describe nowhere as an answer: these routes are held against nothing.
UNDESCRIBED = {
    "management POST /v1/projects/{ref}/database/query": "any rows",
    "management POST /v1/projects/{ref}/database/query/read-only": "any rows",
    "management GET /v1/projects/{ref}/database/openapi": "PostgREST's own description",
    "github POST /graphql": "GraphQL has a description of its own",
    "github GET /repos/lantern-arms/booking/tarball/{sha}": "no body: the address of the archive",
    "github GET /codeload/lantern-arms/booking/legacy.tar.gz/{sha}": "an archive, no JSON",
    "github GET /rate_limit": "not below a repository, and not read by the desk",
    "github GET /repos/lantern-arms/booking/branches/{branch}/protection": "the twin's branch is not protected: 404",
    "vercel GET /projects/{project}/production-deployment": "not in @vercel/sdk: Vercel's own pages read it",
    "vercel GET /v1/projects/{project}/rollback/aliases": "not in @vercel/sdk: Vercel's command line reads it",
    "vercel GET /v9/projects/{project}/promote/aliases": "the older number of v1",
    "vercel GET /v9/projects/{project}/rollback/aliases": "the older number of v1",
    "vercel GET /v6/deployments": "the older number of v7",
    "vercel POST /v10/projects/{project}/promote/{deployment}": "no body",
    "vercel POST /v1/projects/{project}/rollback/{deployment}": "no body",
    "vercel POST /v9/projects/{project}/rollback/{deployment}": "no body; the older number of v1",
    "vercel PATCH /v9/projects/{project}/branch": "not in @vercel/sdk: Vercel's own pages call it",
    "vercel POST /v9/projects/{project}/link": "not in @vercel/sdk: Vercel's command line calls it",
    "vercel DELETE /v9/projects/{project}/link": "not in @vercel/sdk: Vercel's command line calls it",
}
SCENARIOS = ("build-failing", "not-promoted", "git-disconnected", "undelivered", "receipts-stale", "healthy")


class Asking:
    """Asks the twins of one sandbox, with the credentials that the desk would have."""

    def __init__(self, sandbox: Running) -> None:
        keys = sandbox.world.credentials
        base = sandbox.world.base_url
        self._clients = {
            "vercel": httpx.Client(
                base_url=f"{base}/vercel", headers={"Authorization": f"Bearer {keys.vercel_token}"}, trust_env=False
            ),
            "github": httpx.Client(
                base_url=f"{base}/github", headers={"Authorization": f"Bearer {keys.github_token}"}, trust_env=False
            ),
            "twilio": httpx.Client(
                base_url=f"{base}/twilio", auth=(keys.twilio_account_sid, keys.twilio_auth_token), trust_env=False
            ),
            "management": httpx.Client(
                base_url=f"{base}/management",
                headers={"Authorization": f"Bearer {keys.supabase_access_token}"},
                trust_env=False,
            ),
        }  # fmt: skip
        self._team = keys.vercel_team_id
        self.names = {
            "project": keys.vercel_project_id,
            "host": keys.production_hostname,
            "repository": keys.github_repository,
            "account": keys.twilio_account_sid,
            "ref": keys.project_ref,
            "mobile": keys.test_mobile_number,
            "sender": keys.sender_number,
        }

    def learn(self) -> None:
        """Learn what the sandbox has now: a deployment, the newest commits, a text."""
        repository = f"/repos/{self.names['repository']}"
        commits = self.get("github", f"{repository}/commits").json()
        texts = self.get("twilio", f"/2010-04-01/Accounts/{self.names['account']}/Messages.json").json()["messages"]
        self.names |= {
            "deployment": self.get("vercel", f"/v4/aliases/{self.names['host']}").json()["deploymentId"],
            "sha": commits[0]["sha"],
            "older": commits[1]["sha"],
            "tree": commits[0]["commit"]["tree"]["sha"],
            "text": texts[0]["sid"],
        }

    def get(self, twin: str, path: str) -> httpx.Response:
        return self._clients[twin].get(path, params={"teamId": self._team} if twin == "vercel" else {})

    def answer(self, one: Answer) -> httpx.Response:
        params = {**one.params, **({"teamId": self._team} if one.twin == "vercel" else {})}
        return self._clients[one.twin].request(
            one.method, self._filled(one.path), params=params, json=self._filled(one.body), data=self._filled(one.form)
        )

    def queue_a_build(self) -> None:
        made = self._clients["vercel"].post(
            "/v13/deployments", params={"teamId": self._team},
            json={"name": "booking", "deploymentId": self.names["deployment"]},
        )  # fmt: skip
        self.names["queued"] = made.json()["id"]

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return value.format(**self.names)
        if isinstance(value, Mapping):
            return {key: self._filled(item) for key, item in value.items()}
        return [self._filled(item) for item in value] if isinstance(value, list) else value

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


@pytest.fixture(scope="module")
def found(sandbox: Running, play: Callable[[str], dict[str, str]]) -> Iterator[dict[str, set[str]]]:
    """What is wrong with each answer, over some scenarios; the answers to writes in the last of them only."""
    asking = Asking(sandbox)
    wrong: dict[str, set[str]] = {one.name: set() for one in ANSWERS}
    for scenario in SCENARIOS:
        play(scenario)
        asking.learn()
        for one in ANSWERS:
            if one.method == "GET":
                wrong[one.name] |= _wrongs(one, asking.answer(one))
    asking.queue_a_build()
    for one in ANSWERS:
        if one.method != "GET":
            wrong[one.name] |= _wrongs(one, asking.answer(one))
    asking.close()
    yield wrong


def _wrongs(one: Answer, answer: httpx.Response) -> set[str]:
    if answer.status_code >= 400:
        return {f"the twin answers {answer.status_code}"}
    try:
        body = answer.json()
    except ValueError:
        return {f"the twin answers {answer.status_code} with no JSON: {answer.text[:40]!r}"}
    return wrongs(one.described(), body)


@pytest.mark.parametrize("one", ANSWERS, ids=lambda one: one.name)
def test_a_twin_answers_what_the_vendor_could(one: Answer, found: dict[str, set[str]]):
    assert sorted(found[one.name]) == []


def test_every_route_of_a_twin_is_held_against_a_description_or_named_as_undescribed(sandbox: Running):
    """A route that is added comes with its description, or with the reason why there is none."""
    held = {(one.twin, one.method, _pattern(one.twin, one.path, sandbox)) for one in ANSWERS}
    served = {
        (twin, method, _shape(path))
        for twin, routes in _routes(sandbox).items()
        for path, methods in routes
        for method in methods - {"HEAD"}
    }
    undescribed = {(twin, method, _shape(path)) for twin, method, path in map(str.split, UNDESCRIBED)}
    assert served - held - undescribed == set()
    assert undescribed <= served - held


def _routes(sandbox: Running) -> dict[str, list[tuple[str, set[str]]]]:
    mounts = {mount.path.strip("/"): mount for mount in sandbox._gate._app.routes}
    return {
        twin: [(route.path, set(route.methods)) for route in mounts[twin].routes]
        for twin in ("vercel", "github", "twilio", "management")
    }


def _pattern(twin: str, path: str, sandbox: Running) -> str:
    """Return the route that answers `path`, its parameters without their names."""
    names = {"repository": sandbox.world.credentials.github_repository}
    filled = path.format_map(_Blanks(names))
    for mount in sandbox._gate._app.routes:
        if mount.path.strip("/") == twin:
            for route in mount.routes:
                if route.path_regex.match(filled):
                    return _shape(route.path)
    return _shape(path)


class _Blanks(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "x"


def _shape(path: str) -> str:
    return re.sub(r"\{[^}]*\}", "{}", path)
