"""Reads single values out of an API's answer, which may be anything.

An optional field of the wrong type is None (unknown); an identifying field goes through `need`, which raises
`bad_data`. Nothing here raises anything else, whatever the other side sent.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from lib.model.reading import FailureKind, SourceError

T = TypeVar("T")

# Instants outside these years are a misread unit or junk, not facts.
_FIRST_YEAR = 2000
_LAST_YEAR = 2200
# Postgres and pandas keep 64-bit integers; nothing we read is larger.
_LARGEST = 2**63


def at(value: Any, *path: str) -> Any:
    """Return what stands at `path` in nested objects, or None where the way ends early."""
    for key in path:
        if not isinstance(value, dict):
            return None
        value = value.get(key)
    return value


def need(value: T | None, system: str, what: str) -> T:
    """Return `value`, or raise `bad_data`: without `what` the answer cannot be understood."""
    if value is None:
        raise SourceError(
            FailureKind.BAD_DATA,
            f"{system} answered without {what}, or in a form that cannot be read.",
            f"{system} may have changed its answers, or the address in the settings is another system's.",
        )
    return value


def mapping(value: Any, system: str) -> dict[str, Any]:
    """Return `value` if it is an object, else raise `bad_data`."""
    return need(value if isinstance(value, dict) else None, system, "the object we asked for")


def rows(value: Any, system: str) -> list[dict[str, Any]]:
    """Return `value` if it is a list of objects, else raise `bad_data`: a skipped row would be a false zero."""
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        return need(None, system, "the list we asked for")
    return value


def items(value: Any, *path: str) -> list[dict[str, Any]]:
    """Return the objects of an optional list, or none."""
    found = at(value, *path)
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def text(value: Any, *path: str) -> str | None:
    """Return a non-empty text without half characters (they cannot be stored or sent on), or None."""
    found = at(value, *path)
    if not isinstance(found, str) or not found:
        return None
    return found if found.isascii() else found.encode("utf-8", "replace").decode("utf-8")


def texts(value: Any, *path: str) -> tuple[str, ...]:
    """Return the texts of an optional list; a single text counts as a list of one."""
    found = at(value, *path)
    listed = found if isinstance(found, list) else [found]
    return tuple(clean for item in listed if (clean := text(item)) is not None)


def integer(value: Any, *path: str) -> int | None:
    """Return a whole number, also where it was sent as a text ("2") or as 2.0, or None."""
    found = at(value, *path)
    if isinstance(found, str):
        try:
            found = int(found)
        except ValueError:
            return None
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    # Its size first: whether a whole number of thousands of digits is finite cannot even be asked.
    if not abs(found) < _LARGEST or found != int(found):
        return None
    return int(found)


def boolean(value: Any, *path: str) -> bool | None:
    """Return True or False, or None for anything else (0, "true" …)."""
    found = at(value, *path)
    return found if isinstance(found, bool) else None


def decimal(value: Any, *path: str) -> Decimal | None:
    """Return a finite amount, sent as a text or as a number, or None."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        amount = Decimal(str(found).strip())
    except (InvalidOperation, ValueError):
        return None
    return amount if amount.is_finite() and abs(amount) < _LARGEST else None


def epoch_ms(value: Any, *path: str) -> datetime | None:
    """Return the instant of milliseconds since 1970 (Vercel), in UTC, or None."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    try:
        return _sane(datetime.fromtimestamp(found / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def iso_time(value: Any, *path: str) -> datetime | None:
    """Return the instant of an ISO 8601 text, in UTC (which it is taken for if it names no zone), or None."""
    found = at(value, *path)
    if not isinstance(found, str):
        return None
    try:
        return _in_utc(datetime.fromisoformat(found))
    except (ValueError, OverflowError):
        return None


def rfc2822(value: Any, *path: str) -> datetime | None:
    """Return the instant of an e-mail style date (Twilio), in UTC, or None."""
    found = at(value, *path)
    if not isinstance(found, str):
        return None
    try:
        return _in_utc(parsedate_to_datetime(found))
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _in_utc(instant: datetime) -> datetime | None:
    return _sane(instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC))


def _sane(instant: datetime) -> datetime | None:
    return instant if _FIRST_YEAR <= instant.year < _LAST_YEAR else None
