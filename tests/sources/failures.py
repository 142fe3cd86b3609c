"""What tests of failures share: the error that is raised, and the faults that a twin of the sandbox can have."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import pytest

from lib.model.reading import FailureKind, SourceError

# How the sandbox makes a twin fail, and what must come of it.
FAULTS: dict[str, tuple[dict[str, Any], FailureKind]] = {
    "too slow": ({"delay_ms": 5_000}, FailureKind.TIMEOUT),
    "refused": ({"refuse": True}, FailureKind.UNAVAILABLE),
    "401": ({"status": 401}, FailureKind.UNAUTHORIZED),
    "403": ({"status": 403}, FailureKind.FORBIDDEN),
    "404": ({"status": 404}, FailureKind.NOT_FOUND),
    "429": ({"status": 429, "retry_after": 120}, FailureKind.RATE_LIMITED),
    "500": ({"status": 500}, FailureKind.UNAVAILABLE),
    "503 in HTML": ({"status": 503, "body": "html"}, FailureKind.UNAVAILABLE),
    "544": ({"status": 544}, FailureKind.UNAVAILABLE),
    "HTML": ({"body": "html"}, FailureKind.BAD_DATA),
    "cut off": ({"body": "truncated"}, FailureKind.BAD_DATA),
    "wrong types": ({"body": "wrong_types"}, FailureKind.BAD_DATA),
}


def seconds_for(fault: str) -> float:
    """Return a deadline: what may pass is asked for four times, and a shorter one would make the last a timeout."""
    return 0.4 if fault == "too slow" else 10


def failure_of(ask: Callable[[], object]) -> SourceError:
    """Return the error that `ask` raises."""
    with pytest.raises(SourceError) as caught:
        ask()
    return caught.value


def refusal(ask: Callable[[], object], *secrets: str) -> SourceError:
    """Return the error that `ask` raises: a sentence and a hint, in which none of `secrets` is repeated."""
    error = failure_of(ask)
    assert error.failure.sentence.endswith(".") and error.failure.hint
    shown = "".join(traceback.format_exception(error))
    assert not [secret for secret in secrets if secret in shown]
    return error
