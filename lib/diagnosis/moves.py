"""Whether Vercel is moving the hostnames just now: a promotion or rollback under way, or a rolling release."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lib.diagnosis.facts import Facts
from lib.model.deployments import Deployment, DeploymentState

_KINDS = {"promote": "promotion", "rollback": "rollback"}
ROLLING_RELEASE = "rolling release"


@dataclass(frozen=True, slots=True)
class Move:
    """One move of the hostnames. `percent` is the share of visitors that the new deployment gets, where known."""

    kind: str
    deployment_id: str | None
    since: datetime | None = None
    percent: float | None = None

    @property
    def message(self) -> str:
        share = "" if self.percent is None else f": the new deployment is serving {self.percent:g} % of visitors"
        return f"A {self.kind} is under way{share}."


def under_way(facts: Facts) -> Move | None:
    """Return the move that is under way; None without one, or where Vercel does not say."""
    project = facts.value(facts.snapshot.project)
    if project is None:
        return None
    request = project.last_alias_request
    if request is not None and request.under_way:
        kind = _KINDS.get(request.type, "move of the hostnames")
        return Move(kind, request.to_deployment_id, request.requested_at)
    rolling = _rolling(facts)
    if project.rolling_release_active or (project.rolling_release_active is None and rolling):
        id_ = project.rolling_release_deployment_id or (rolling.id if rolling else None)
        return Move(ROLLING_RELEASE, id_, percent=project.rolling_release_percent)
    return None


def target(facts: Facts, move: Move) -> Deployment | None:
    """Return the deployment that the move leads to, if it is among those that were read."""
    found = facts.value(facts.snapshot.deployments) or ()
    return next((one for one in found if one.id == move.deployment_id), None)


def _rolling(facts: Facts) -> Deployment | None:
    """Return the deployment that says of itself that it is being rolled out."""
    found = facts.value(facts.snapshot.deployments) or ()
    ready = (one for one in found if one.target == "production" and one.state is DeploymentState.READY)
    return next((one for one in ready if one.substate == "ROLLING"), None)
