"""Instants and durations as people read them: in the business's time zone, with how long ago."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

UNKNOWN = "—"


def local(at: datetime | None, zone: ZoneInfo, now: datetime) -> str:
    """Return `at` in `zone`: the time alone for today, with the day before that."""
    if at is None:
        return UNKNOWN
    there = at.astimezone(zone)
    if there.date() == now.astimezone(zone).date():
        return f"{there:%H:%M}"
    return f"{there.day} {there:%b, %H:%M}"


def span(length: timedelta) -> str:
    """Return a duration in its largest sensible unit; never negative (two clocks may differ a little)."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86400:.0f} days"


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago `at` was, as in "3 min ago"."""
    return UNKNOWN if at is None else f"{span(now - at)} ago"


def when(at: datetime | None, zone: ZoneInfo, now: datetime) -> str:
    """Return both: "14:05 (3 min ago)"."""
    return UNKNOWN if at is None else f"{local(at, zone, now)} ({ago(at, now)})"
