"""How a document says a duration: exactly enough for people who were not there."""

from __future__ import annotations

from datetime import timedelta


def exact_duration(length: timedelta) -> str:
    """Return a duration in its two largest units: "2 h 5 min". Less than nothing counts as nothing."""
    seconds = max(0, round(length.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 1:
        return f"{seconds} s"
    if hours < 1:
        return _two(minutes, "min", seconds % 60, "s")
    if hours < 48:
        return _two(hours, "h", minutes % 60, "min")
    return _two(hours // 24, "days", hours % 24, "h")


def _two(whole: int, unit: str, rest: int, smaller: str) -> str:
    return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"
