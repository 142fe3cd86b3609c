"""Waiting for a condition, for tests of what happens in another thread or process."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PAUSE_SECONDS = 0.02


def wait_until(
    condition: Callable[[], T],
    seconds: float = 30,
    otherwise: str = "it never became true",
    pause: Callable[[float], object] = time.sleep,
) -> T:
    """Return what `condition` gives once that is true. Fails with the message `otherwise` after `seconds`.

    `pause` waits between two questions. In a browser test it is Playwright's own, which handles events meanwhile.
    """
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, otherwise
        pause(PAUSE_SECONDS)
    return found
