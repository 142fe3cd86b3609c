"""What Vercel says of a build that ended: whether to try again, and who or what stopped it."""

from __future__ import annotations

import re
from enum import StrEnum

from lib.model.deployments import Deployment, DeploymentState

# The network, a registry or the platform failed, not the code: the same build may pass the next time.
_TRANSIENT = re.compile(
    r"ECONNRESET|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ENOTFOUND|ERR_SOCKET_TIMEOUT|socket hang up|network timeout"
    r"|fetch failed|50[234] (?:Bad Gateway|Service Unavailable|Gateway Time-?out)|registry .*unavailable"
    r"|no space left on device|internal error.*try again",
    re.IGNORECASE,
)


def is_transient(error: str) -> bool:
    """Whether the first error of a build points outside the code, so that building again may succeed."""
    return bool(_TRANSIENT.search(error))


# A build that ended by itself: one that was skipped, cancelled or refused never tried.
BUILT = (DeploymentState.READY, DeploymentState.ERROR)


def newest_first(deployments: tuple[Deployment, ...]) -> list[Deployment]:
    """Return the production deployments, the newest first, however they are listed."""
    production = (one for one in deployments if one.target == "production")
    return sorted(production, key=lambda one: one.created_at, reverse=True)


class Stop(StrEnum):
    """What kept Vercel from building a commit that it heard of."""

    IGNORED_STEP = "ignored_step"
    UNVERIFIED = "unverified"
    AUTHOR = "author"


_STOPPED = (DeploymentState.CANCELED, DeploymentState.BLOCKED, DeploymentState.ERROR)
# Vercel's words in errorMessage, errorLink and readyStateReason, as people quoted them in public issues.
_WORDS = (
    (Stop.IGNORED_STEP, re.compile(r"ignored[ -]build[ -]step", re.IGNORECASE)),
    (Stop.UNVERIFIED, re.compile(r"unverified commit|\bnot verified\b", re.IGNORECASE)),
    (
        Stop.AUTHOR,
        re.compile(r"(?:git|commit) author\b|must have access to the (?:project|team)|not a member", re.IGNORECASE),
    ),
)


def words_of_vercel(deployment: Deployment) -> str:
    """Return why the deployment is in its state in Vercel's own words; empty where it does not say."""
    said = (deployment.ready_state_reason, deployment.error_message)
    return " ".join(dict.fromkeys(words.strip().rstrip(".") for words in said if words and words.strip()))


def why_stopped(deployment: Deployment) -> Stop | None:
    """Return what stopped a deployment that was cancelled or refused; None where Vercel says nothing that is known.

    The list of deployments does not carry the reason of a cancelled one: a reason that is not there is not known.
    """
    if deployment.state not in _STOPPED:
        return None
    if deployment.seat_block:
        return Stop.AUTHOR
    said = f"{words_of_vercel(deployment)} {deployment.error_link or ''}"
    return next((stop for stop, pattern in _WORDS if pattern.search(said)), None)
