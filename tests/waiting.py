"""Waiting for a condition, for tests of what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.02


def wait_until(condition: Callable[[], T], seconds: float = 30, otherwise: str = "it never became true") -> T:
    """Return what `condition` gives once that is true. Fails with the message `otherwise` after `seconds`."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, otherwise
        time.sleep(PAUSE_SECONDS)
    return found
