"""Reads another system's answer, which may hold anything, into values of ours.

`Answer` is the pydantic model of one JSON object. Its fields have lenient types: a wrong value is None (unknown), and
only what an answer means nothing without raises `SourceError(bad_data)`. Nothing here raises anything else.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from types import NoneType
from typing import Annotated, Any, ClassVar, Self, TypeVar, get_args, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model, model_validator

from lib.model.reading import Caveat, CaveatKind, FailureKind, SourceError
from lib.redaction import redact

T = TypeVar("T")
R = TypeVar("R")
Read = Callable[[Any], Any]

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


def rows(value: Any, system: str, *path: str) -> list[dict[str, Any]]:
    """Return the list at `path` if it holds objects only, else raise `bad_data`: a row passed over is a false zero."""
    listed = _listed(value, system, *path)
    return listed if all(isinstance(row, dict) for row in listed) else need(None, system, "the list we asked for")


def readable_rows(
    value: Any, system: str, what: str, read: Callable[[Any], R], *path: str
) -> tuple[list[R], tuple[Caveat, ...]]:
    """Return what `read` makes of each row of the list at `path`, and a caveat that counts the rows it refused.

    Raises `bad_data` where it refused all of them: then this is not the list that was asked for.
    """
    listed = _listed(value, system, *path)
    found: list[R] = []
    refused: SourceError | None = None
    for row in listed:
        try:
            found.append(read(row))
        except SourceError as error:
            refused = error
    if refused is None:
        return found, ()
    if not found:
        raise refused
    left_out = f"{len(listed) - len(found)} of {len(listed)} {what} are left out"
    sentence = f"{left_out}: {system} sent them in a form that cannot be read."
    return found, (Caveat(CaveatKind.TRUNCATED, what, sentence),)


def _listed(value: Any, system: str, *path: str) -> list[Any]:
    listed = at(value, *path)
    return need(listed if isinstance(listed, list) else None, system, "the list we asked for")


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


def clean(longest: int) -> Callable[[Any], str | None]:
    """Return the reader of a text that others wrote: without secrets, and at most so long."""
    return lambda value: redact(known[:longest]) or None if (known := text(value)) else None


def web_address(value: Any) -> str | None:
    """Return an address that a page may link to, or None."""
    return url if (url := text(value)) and url.startswith("https://") else None


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


def decimal(value: Any) -> Decimal | None:
    """Return a finite amount, sent as a text or as a number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        amount = Decimal(str(value).strip())
    except (InvalidOperation, ValueError):
        return None
    return amount if amount.is_finite() and abs(amount) < _LARGEST else None


def epoch_ms(value: Any) -> datetime | None:
    """Return the instant of milliseconds since 1970 (Vercel), in UTC, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return _sane(datetime.fromtimestamp(value / 1000, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def iso_time(value: Any) -> datetime | None:
    """Return the instant of an ISO 8601 text, in UTC (which it is taken for if it names no zone), or None."""
    try:
        return _in_utc(datetime.fromisoformat(value)) if isinstance(value, str) else None
    except (ValueError, OverflowError):
        return None


def rfc2822(value: Any) -> datetime | None:
    """Return the instant of an e-mail style date (Twilio), in UTC, or None."""
    try:
        return _in_utc(parsedate_to_datetime(value)) if isinstance(value, str) else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def _in_utc(instant: datetime) -> datetime | None:
    return _sane(instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC))


def _sane(instant: datetime) -> datetime | None:
    return instant if _FIRST_YEAR <= instant.year < _LAST_YEAR else None


class _Places(tuple[Any, ...]):
    """What stands at each of the places where one field may be."""


def lenient(read: Read, otherwise: Any = None) -> BeforeValidator:
    """Make a type lenient: its value is the first that `read` does not turn into None, from the field's places."""

    def first(value: Any) -> Any:
        for place in value if isinstance(value, _Places) else (value,):
            if (known := read(place)) is not None:
                return known
        return otherwise

    return BeforeValidator(first)


Text = Annotated[str | None, lenient(text)]
TextOrEmpty = Annotated[str, lenient(text, "")]
Integer = Annotated[int | None, lenient(integer)]
Boolean = Annotated[bool | None, lenient(boolean)]
EpochMs = Annotated[datetime | None, lenient(epoch_ms)]
IsoTime = Annotated[datetime | None, lenient(iso_time)]
MailTime = Annotated[datetime | None, lenient(rfc2822)]

# The place of a field that is read from the whole object: whether a name is there at all may say something.
WHOLE = ""


def found(*places: str, read: Read | None = None, otherwise: Any = None, need: str = "") -> Any:
    """Declare where a field stands: at the first of `places` that holds a usable value, else it is `otherwise`.

    A place is a path such as "meta.action"; without any, it is the field's own name. With `need`, which names the
    thing ("a deployment's id"), an answer without it raises `bad_data`. `read` is for `reader`: how the value is read.
    """
    extra = {"places": list(places), "read": read, "otherwise": otherwise, "need": need}
    return Field(default=None, json_schema_extra=extra)


class Answer(BaseModel):
    """One JSON object of the system `SYSTEM`, with the fields that we read and no other.

    `Model.model_validate(raw)` raises `SourceError(bad_data)` where `raw` is no object or lacks what is needed.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)
    SYSTEM: ClassVar[str]
    _PLACES: ClassVar[dict[str, tuple[tuple[str, ...], ...]]]
    _NEEDS: ClassVar[dict[str, str]]

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        declared: dict[str, Any] = {name: field.json_schema_extra or {} for name, field in cls.model_fields.items()}
        cls._PLACES = {
            name: tuple(tuple(filter(None, place.split("."))) for place in extra.get("places") or [name])
            for name, extra in declared.items()
        }
        cls._NEEDS = {name: extra["need"] for name, extra in declared.items() if extra.get("need")}

    @model_validator(mode="before")
    @classmethod
    def _find(cls, raw: Any) -> dict[str, Any]:
        whole = mapping(raw, cls.SYSTEM)
        return {
            # A text log has very many rows, and most fields stand at one place: that is the short way.
            name: at(whole, *paths[0]) if len(paths) == 1 else _Places(at(whole, *path) for path in paths)
            for name, paths in cls._PLACES.items()
        }

    @model_validator(mode="after")
    def _hold_what_is_needed(self) -> Self:
        for name, what in self._NEEDS.items():
            need(getattr(self, name), self.SYSTEM, what)
        return self


_READS: dict[Any, Read] = {
    str: text,
    int: integer,
    bool: boolean,
    Decimal: decimal,
    datetime: iso_time,
    tuple[str, ...]: texts,
}


def reader(
    result: type[R],
    system: str,
    what: str,
    *,
    times: Read = iso_time,
    case: Callable[[str], str] = str,
    **declared: Any,
) -> Callable[[Any], R]:
    """Return the function that reads an object of `system` as `result`, a dataclass of the model.

    The fields of the dataclass say what is read: one that may be None or has a default is lenient, every other is
    needed. `declared` (`found`) is for those that stand elsewhere than under their own name in the system's `case`,
    or are no plain value. `times` reads instants. Fields that nothing can read are not in the answer.
    Text that others wrote is to be declared with `clean`: a field that is not declared is read as it stands.
    """
    hints, fields, defaults = get_type_hints(result), {}, set[str]()
    for field in dataclasses.fields(result):  # type: ignore[arg-type]
        given = (declared.get(field.name) or found(case(field.name))).json_schema_extra
        kinds = [kind for kind in (get_args(hints[field.name]) or [hints[field.name]]) if kind is not NoneType]
        plain = times if kinds == [datetime] else _READS.get(hints[field.name]) or _READS.get(kinds[0])
        if (read := given["read"] or plain) is None:
            continue
        if field.default is not dataclasses.MISSING:
            defaults.add(field.name)
        elif NoneType not in get_args(hints[field.name]) and not given["need"]:
            given["need"] = f"{what}'s {'time' if kinds == [datetime] else field.name}"
        kind = Annotated[hints[field.name] | None, lenient(read, given["otherwise"])]  # type: ignore[valid-type,name-defined]
        fields[field.name] = (kind, found(*given["places"] or [case(field.name)], need=given["need"]))
    model = create_model(f"{result.__name__}Answer", __base__=Answer, **fields)  # type: ignore[call-overload]
    model.SYSTEM = system

    def read_as_result(raw: Any) -> R:
        values = dict(model.model_validate(raw))
        return result(**{name: value for name, value in values.items() if value is not None or name not in defaults})

    return read_as_result


def or_none(read: Callable[[Any], R]) -> Callable[[Any], R | None]:
    """Return `read` for an optional part of an answer: what cannot be read is None."""

    def read_if_readable(raw: Any) -> R | None:
        try:
            return read(raw)
        except SourceError:
            return None

    return read_if_readable
