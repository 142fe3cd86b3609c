"""What a build log's first error says about trying again."""

from __future__ import annotations

import re

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
