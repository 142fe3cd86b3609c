"""How counts, durations, instants and text from outside are written: for pages, messages, reports and commands."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

UNKNOWN = "—"

# Up to so many seconds a duration is told in this unit: its short and its long name, and its length in seconds.
_UNITS = (("s", "second", 1, 90), ("min", "minute", 60, 90 * 60), ("h", "hour", 3600, 36 * 3600))
_DAY = 86400


def counted(count: int, one: str, many: str | None = None) -> str:
    """Return "1 text" or "3 texts"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def local_time(at: datetime | None, zone: ZoneInfo, now: datetime) -> str:
    """Return `at` in `zone`: the time alone for today, with the day before that."""
    if at is None:
        return UNKNOWN
    there = at.astimezone(zone)
    if there.date() == now.astimezone(zone).date():
        return f"{there:%H:%M}"
    return f"{there.day} {there:%b, %H:%M}"


def weekday_time(at: datetime, zone: tzinfo) -> str:
    """Return `at` in `zone` with its day: "Wed 18 Nov 15:00"."""
    there = at.astimezone(zone)
    return f"{there:%a} {there.day} {there:%b %H:%M}"


def duration(length: timedelta) -> str:
    """Return a duration in its largest sensible unit; never negative (two clocks may differ a little)."""
    seconds = max(0.0, length.total_seconds())
    for unit, _, size, most in _UNITS:
        if seconds < most:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / _DAY:.0f} days"


def long_duration(length: timedelta) -> str:
    """Return the same with the unit's full name, as in "12 minutes"."""
    seconds = max(0.0, length.total_seconds())
    for _, unit, size, most in _UNITS:
        if seconds < most:
            return counted(round(seconds / size), unit)
    return counted(round(seconds / _DAY), "day")


def exact_duration(length: timedelta) -> str:
    """Return a duration in its two largest units: "2 h 5 min". Less than nothing counts as nothing."""
    seconds = max(0, round(length.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 1:
        return f"{seconds} s"
    if hours < 1:
        return _two_units(minutes, "min", seconds % 60, "s")
    if hours < 48:
        return _two_units(hours, "h", minutes % 60, "min")
    return _two_units(hours // 24, "days", hours % 24, "h")


def _two_units(whole: int, unit: str, rest: int, smaller: str) -> str:
    return f"{whole} {unit} {rest} {smaller}" if rest else f"{whole} {unit}"


# Two machines' clocks may differ so much: what seems to come so soon is now.
_CLOCKS_DIFFER = timedelta(seconds=5)


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago `at` was, as in "3 min ago"; "in 3 min" for what is still to come."""
    if at is None:
        return UNKNOWN
    return f"in {duration(at - now)}" if at - now > _CLOCKS_DIFFER else f"{duration(now - at)} ago"


def time_and_age(at: datetime | None, zone: ZoneInfo, now: datetime) -> str:
    """Return both: "14:05 (3 min ago)"."""
    return UNKNOWN if at is None else f"{local_time(at, zone, now)} ({ago(at, now)})"


def both_times(at: datetime, zone: ZoneInfo) -> str:
    """Return `at` in the business's zone with UTC beside it."""
    return f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S} ({at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC)"


def json_text(document: Any) -> str:
    """Return a JSON document for a file: indented, instants in ISO 8601, ids and amounts of money as text."""
    return json.dumps(document, indent=2, ensure_ascii=False, default=_json_value) + "\n"


def _json_value(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID | Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


# What has a meaning within a line, in CommonMark, in GitHub's tables, links and mentions, and in Streamlit's colours.
_IN_LINE = re.compile(r"([\\`*_\[\]{}<>&|~!$^@]|:(?=[^\s\d]))|(?<=www)(\.)|(?<=WWW)(\.)")
# What makes a heading, a list, a quote or a rule of a line that begins with it.
_AT_LINE_START = re.compile(r"^(?:\d{1,9}(?=[.)])|(?=[#+=-]))")


def in_markdown(text: str) -> str:
    """Return `text` so that Markdown shows it as it stands, in one line."""
    escaped = _IN_LINE.sub(r"\\\g<0>", " ".join(text.split()))
    return _AT_LINE_START.sub(r"\g<0>\\", escaped)


# With any of these a spreadsheet takes a cell for a formula; the wide ones where full-width input is usual.
_FORMULA_START = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


def in_csv(cell: str) -> str:
    """Return `cell` so that a spreadsheet shows it as text."""
    return f"'{cell}" if cell.startswith(_FORMULA_START) else cell
