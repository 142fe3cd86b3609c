"""The time window that a snapshot covers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class WindowSize(StrEnum):
    """The windows a person can choose; the value is what stands in links and on the command line."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"

    @property
    def length(self) -> timedelta:
        return _LENGTH[self]

    @classmethod
    def reaching(cls, since: datetime, now: datetime) -> WindowSize:
        """Return the shortest window ending `now` that holds `since`; the longest, if none does."""
        return next((size for size in cls if since >= now - size.length), cls.MONTH)

    @property
    def bucket(self) -> timedelta:
        """The width of one bar of a timeline over this window."""
        return _BUCKET[self]

    @property
    def message(self) -> str:
        """The window in a sentence, as in "in the last 24 hours"."""
        return _LABELS[self]


_LENGTH = {
    WindowSize.HOUR: timedelta(hours=1),
    WindowSize.DAY: timedelta(hours=24),
    WindowSize.WEEK: timedelta(days=7),
    WindowSize.MONTH: timedelta(days=30),
}
_BUCKET = {
    WindowSize.HOUR: timedelta(minutes=2),
    WindowSize.DAY: timedelta(hours=1),
    WindowSize.WEEK: timedelta(hours=6),
    WindowSize.MONTH: timedelta(days=1),
}
_LABELS = {
    WindowSize.HOUR: "the last hour",
    WindowSize.DAY: "the last 24 hours",
    WindowSize.WEEK: "the last 7 days",
    WindowSize.MONTH: "the last 30 days",
}


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open stretch of time `[start, end)` in UTC."""

    size: WindowSize
    start: datetime
    end: datetime

    @classmethod
    def ending(cls, end: datetime, size: WindowSize) -> Window:
        return cls(size, end - size.length, end)

    @property
    def hours(self) -> float:
        return (self.end - self.start) / timedelta(hours=1)
