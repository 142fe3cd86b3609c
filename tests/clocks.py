"""A clock that moves only when told to."""

from __future__ import annotations

from datetime import datetime, timedelta


class Clock:
    """Says `now`, until it is advanced or set."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **length: float) -> None:
        self.now += timedelta(**length)
