"""What the desk may change on Vercel. Only guarded actions call this; each call is sent exactly once.

Facts: `POST /v13/deployments`, `/v10/…/promote`, `/v1/…/rollback` and `/v12/…/cancel` of https://vercel.com/docs/rest-api,
and what Vercel's CLI sends. `OutcomeUnknownError` means that it may have happened: then `Vercel.made_for` and
`Vercel.move_since` find out. Any other `SourceError` means that nothing happened.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from lib.model.deployments import DeploymentState
from lib.model.reading import FailureKind
from lib.sources import parse
from lib.sources.http import Deadline, HttpResponse, Json, join, understood
from lib.sources.vercel import COMMIT_PLACES, REQUEST_META, SYSTEM, Vercel, read_state
from lib.sources.vercel import HINTS as READ_HINTS

MAX_DESCRIPTION_LENGTH = 250
# Links of which Vercel takes a repository's id and a commit. GitLab and Bitbucket take other fields.
DEPLOYABLE_LINKS = frozenset({"github", "github-limited"})

HINTS: Mapping[FailureKind, str] = {
    **READ_HINTS,
    FailureKind.FORBIDDEN: "The token, its owner's role or the plan does not allow this: ask the team's owner.",
    FailureKind.NOT_FOUND: "The deployment may have been deleted, or belong to another project or team.",
    FailureKind.RATE_LIMITED: "Too many deployments or builds: wait until the limit ends.",
    FailureKind.BAD_DATA: "Something has changed there: look at the deployments again.",
}


@dataclass(frozen=True, slots=True)
class Accepted:
    """What Vercel took on. It says nothing about what visitors get: that is read through the aliases.

    `id` is the deployment that was made, or that production is to move to. `queued` says that it waits its turn:
    for a build slot, or behind a rolling release. `sha` and `state` are None where the answer does not say.
    """

    id: str
    queued: bool
    state: DeploymentState | None = None
    sha: str | None = None


@dataclass(frozen=True, slots=True)
class VercelWrites:
    """The writes to one Vercel project."""

    vercel: Vercel

    def redeploy(
        self,
        deployment_id: str,
        project_name: str,
        deadline: Deadline,
        *,
        request_id: str,
        target: str | None = "production",
    ) -> Accepted:
        """Build a deployment again: the same commit, so that it never ships one that the deployment did not have.

        `target` is the deployment's own, None for a preview. For the newest commit see `deploy_commit`: Vercel's
        `withLatestCommit` takes that of the deployment's branch, which nobody has seen.
        """
        body = {"deploymentId": deployment_id, "name": project_name, **_meta(request_id, action="redeploy")}
        return self._deploy(body | ({"target": target} if target else {}), deadline)

    def deploy_commit(
        self,
        sha: str,
        branch: str,
        repo_id: int,
        project_name: str,
        deadline: Deadline,
        *,
        request_id: str,
        link_type: str = "github",
    ) -> Accepted:
        """Build exactly `sha` of `branch` for production, without a push.

        `repo_id` and `link_type` (one of `DEPLOYABLE_LINKS`) are the project's link's.
        """
        body = {
            "name": project_name,
            "project": self.vercel.project_id,
            "target": "production",
            "gitSource": {"type": link_type, "repoId": repo_id, "ref": branch, "sha": sha},
            **_meta(request_id),
        }
        return self._deploy(body, deadline)

    def promote(self, deployment_id: str, deadline: Deadline) -> Accepted:
        """Move production to a READY production deployment, without a build.

        Vercel then turns the automatic assignment of hostnames on again, whoever had turned it off.
        """
        answer = self._send(
            "POST", deadline, "v10", "projects", self.vercel.project_id, "promote", deployment_id, body={}
        )
        # 202: it waits behind a rolling release.
        return Accepted(deployment_id, queued=answer.status == 202)

    def roll_back(self, deployment_id: str, description: str, deadline: Deadline) -> Accepted:
        """Move production back to a deployment that has served it, at once and without a build.

        Environment and crons go back with it, and new builds of the branch no longer take the hostnames until
        something is promoted. `description` is shown to everyone on Vercel, cut at 250 characters.
        """
        answer = self._send(
            "POST",
            deadline,
            "v1",
            "projects",
            self.vercel.project_id,
            "rollback",
            deployment_id,
            body={},
            description=description[:MAX_DESCRIPTION_LENGTH],
        )
        return Accepted(deployment_id, queued=answer.status == 202)

    def cancel(self, deployment_id: str, deadline: Deadline) -> Accepted:
        """Cancel a build that is queued or under way."""
        answer = self._send("PATCH", deadline, "v12", "deployments", deployment_id, "cancel")
        return _made(answer)

    def _deploy(self, body: Json, deadline: Deadline) -> Accepted:
        # forceNew: without it Vercel may answer with a deployment that it has, and build nothing.
        answer = self._send(
            "POST", deadline, "v13", "deployments", body=body, forceNew=1, skipAutoDetectionConfirmation=1
        )
        return _made(answer)

    def _send(
        self, method: str, deadline: Deadline, *segments: str, body: Json = None, **params: str | int
    ) -> HttpResponse:
        return self.vercel.http.send_json(
            method,
            join(self.vercel.base_url, *segments),
            body,
            system=SYSTEM,
            deadline=deadline,
            params=self.vercel.scope | params,
            headers=self.vercel.headers,
            hints=HINTS,
        )


class _Made(parse.Answer):
    """A deployment as the call that made or canceled it answers. The short answer has an id and a state alone."""

    SYSTEM = SYSTEM
    id: parse.Text = parse.found("id", "uid", need="a deployment's id")
    state: Annotated[DeploymentState | None, parse.lenient(read_state)] = parse.found("readyState", "state")
    sha: parse.Text = parse.found(*COMMIT_PLACES)


def _meta(request_id: str, **more: str) -> dict[str, Json]:
    """Mark what we make, so that it can be found again whatever the answer was."""
    return {"meta": {**more, REQUEST_META: request_id}}


def _made(answer: HttpResponse) -> Accepted:
    made = understood(SYSTEM, lambda: _Made.model_validate(answer.json(SYSTEM)))
    return Accepted(made.id or "", made.state is DeploymentState.QUEUED, made.state, made.sha)
