"""The vendors' own descriptions of their answers, as JSON Schema.

Vercel's are told by the models of `@vercel/sdk`, GitHub's by `@octokit/openapi`: both are development dependencies
(`tests/contract/node`). Twilio and Supabase publish theirs in no package: `facts/` holds the names and types of
what is used here, reduced from their published OpenAPI descriptions.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from lib.sandbox.lite import find_node

HERE = Path(__file__).resolve().parent
NODE = HERE / "node"
FACTS = HERE / "facts"
GITHUB_DESCRIPTION = NODE / "node_modules/@octokit/openapi/generated/api.github.com.json"

Schema = dict[str, Any]

# The models of @vercel/sdk that describe an answer, by the file they are in.
VERCEL_MODELS: Mapping[str, str] = {
    "CancelDeploymentResponseBody": "canceldeploymentresponsebody",
    "CreateDeploymentResponseBody": "createdeploymentresponsebody",
    "CreateProjectEnvResponseBody": "createprojectenvop",
    "FilterProjectEnvsResponseBody": "filterprojectenvsop",
    "GetAliasResponseBody": "getaliasop",
    "GetAuthUserResponseBody": "getauthuserop",
    "GetDeploymentEventsResponse": "getdeploymenteventsop",
    "GetDeploymentResponseBody": "getdeploymentresponsebody",
    "GetDeploymentsResponseBody": "getdeploymentsop",
    "GetDomainConfigResponseBody": "getdomainconfigop",
    "GetProjectDomainsResponseBody": "getprojectdomainsop",
    "GetProjectResponseBody": "getprojectresponsebody",
    "GetProjectsResponseBody": "getprojectsresponsebody",
    "GetRollingReleaseResponseBody": "getrollingreleaseop",
    "GetTeamsResponseBody": "getteamsop",
    "ListAliasesResponseBody": "listaliasesop",
    "ListPromoteAliasesResponseBody": "listpromotealiasesop",
    "ListUserEventsResponseBody": "listusereventsop",
    "UpdateProjectResponseBody": "updateprojectresponsebody",
}
# The models that describe a question, for the names of its parameters.
VERCEL_QUESTIONS: Mapping[str, str] = {
    "FilterProjectEnvsRequest": "filterprojectenvsop",
    "GetAliasRequest": "getaliasop",
    "GetDeploymentEventsRequest": "getdeploymenteventsop",
    "GetDeploymentRequest": "getdeploymentgitsourcedeploymentsresponse200applicationjsonresponsebody215type",
    "GetDeploymentsRequest": "getdeploymentsop",
    "GetDomainConfigRequest": "getdomainconfigop",
    "GetProjectDomainsRequest": "getprojectdomainsop",
    "GetProjectRequest": "getprojecthas2",
    "GetRollingReleaseRequest": "getrollingreleaseop",
    "ListAliasesRequest": "listaliasesop",
    "ListUserEventsRequest": "listusereventsop",
    "RequestPromoteRequest": "requestpromoteop",
    "RequestRollbackRequest": "requestrollbackop",
}


@dataclass(frozen=True)
class Document:
    """A description with the definitions that its `$ref`s point into."""

    schema: Schema
    root: Schema

    def at(self, schema: Schema) -> Document:
        return Document(schema, self.root)

    @property
    def resolved(self) -> Schema:
        """The schema itself, behind all references to it."""
        schema = self.schema
        while "$ref" in schema:
            found: Any = self.root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                found = found[step.replace("~1", "/").replace("~0", "~")]
            schema = found
        return schema


class NotInstalledError(Exception):
    """The development dependencies of Node are not there."""


@cache
def _vercel() -> Schema:
    if not (NODE / "node_modules").is_dir():
        raise NotInstalledError("run scripts/setup --dev: tests/contract/node has no node_modules")
    models = {**VERCEL_MODELS, **VERCEL_QUESTIONS}
    told = subprocess.run(
        [find_node(), NODE / "describe_vercel.mjs", *(f"{file}:{model}" for model, file in models.items())],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    return dict(json.loads(told.stdout))


def vercel(model: str) -> Document:
    """Return what @vercel/sdk's `model` describes."""
    told = _vercel()
    return Document(told["models"][model], told)


@cache
def _github() -> Schema:
    if not GITHUB_DESCRIPTION.is_file():
        raise NotInstalledError("run scripts/setup --dev: tests/contract/node has no node_modules")
    return dict(json.loads(GITHUB_DESCRIPTION.read_text(encoding="utf-8")))


def github(path: str, method: str = "get", status: str = "200") -> Document:
    """Return what GitHub's description says of the answer to `method` at `path`, as below /repos/{owner}/{repo}."""
    operation = _github_operation(path, method)
    return Document(operation["responses"][status]["content"]["application/json"]["schema"], _github())


def github_parameters(path: str, method: str = "get") -> frozenset[str]:
    """Return the names of the parameters in the query that GitHub's description knows at `path`."""
    described = (Document(one, _github()).resolved for one in _github_operation(path, method).get("parameters", []))
    return frozenset(one["name"] for one in described if one["in"] == "query")


def _github_operation(path: str, method: str) -> Schema:
    return dict(_github()["paths"][f"/repos/{{owner}}/{{repo}}{path}"][method])


@cache
def _facts(name: str) -> Schema:
    return dict(json.loads((FACTS / f"{name}.json").read_text(encoding="utf-8")))


def facts(vendor: str, answer: str) -> Document:
    """Return the description of `answer` in our reduced facts about `vendor`."""
    known = _facts(vendor)
    return Document(known["answers"][answer], known)


def fact_names(vendor: str) -> Iterator[str]:
    yield from _facts(vendor)["answers"]
