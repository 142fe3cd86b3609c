"""Whether a column's type takes a literal; only *no* where Postgres certainly refuses it.

The Data API hands every literal on as text, and the type's own input function reads it. Facts: PostgreSQL
documentation, "Data Types"; codes: its appendix "Error Codes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from lib.model.served_code import Scalar

_INVALID_TEXT = "22P02"
_INVALID_TIME = "22007"
_OUT_OF_RANGE = "22003"
_TOO_LONG = "22001"
_WHOLE = {"smallint": 15, "integer": 31, "bigint": 63}
_FRACTIONS = frozenset({"numeric", "real", "double precision"})
_TIMES = re.compile(r"^(?:date|timestamp|time)\b")
_SPECIAL_TIMES = frozenset(
    {"now", "today", "tomorrow", "yesterday", "epoch", "infinity", "-infinity", "allballs", "noon", "midnight"}
)
_LIMITED = re.compile(r"^character(?: varying)?\((\d+)\)$")


class LiteralRefusal(NamedTuple):
    """The code that the database answers, and whether the type is an enum that lacks the word."""

    code: str
    by_enum: bool = False


def refusal(type_: str, literal: Scalar, enums: Mapping[str, tuple[str, ...]]) -> LiteralRefusal | None:
    """Return how a type refuses a literal, or None if it takes it, or may."""
    text = _as_text(literal)
    if type_ in enums:
        return None if text in enums[type_] else LiteralRefusal(_INVALID_TEXT, by_enum=True)
    base = re.sub(r"\(.*?\)", "", type_).strip()
    if type_.endswith("[]"):
        return (
            None if isinstance(literal, str) and text.lstrip().startswith(("{", "[")) else LiteralRefusal(_INVALID_TEXT)
        )
    if base == "uuid":
        return None if re.fullmatch(r"\{?[0-9a-fA-F]{32}\}?", text.replace("-", "")) else LiteralRefusal(_INVALID_TEXT)
    if base in _WHOLE:
        return _whole(text, _WHOLE[base])
    if base in _FRACTIONS:
        return None if _is_number(text) else LiteralRefusal(_INVALID_TEXT)
    if base == "boolean":
        return None if _is_boolean(text) else LiteralRefusal(_INVALID_TEXT)
    if _TIMES.match(base):
        if any(sign.isdigit() for sign in text) or text.strip().lower() in _SPECIAL_TIMES:
            return None
        return LiteralRefusal(_INVALID_TIME)
    limited = _LIMITED.match(type_)
    if limited is not None and len(text.rstrip(" ")) > int(limited[1]):
        return LiteralRefusal(_TOO_LONG)
    return None


def stored(type_: str, literal: Scalar) -> Scalar:
    """Return what a column holds after a literal was written to it: columns of text hold text."""
    return _as_text(literal) if re.match(r"^(?:text|character)\b", type_) and not type_.endswith("[]") else literal


def refuses_json(type_: str, enums: Mapping[str, tuple[str, ...]]) -> LiteralRefusal | None:
    """Return how a type refuses an object or a list, or None if it takes one, or may."""
    base = re.sub(r"\(.*?\)", "", type_).strip()
    if type_ in enums or base in ("uuid", "boolean", *_WHOLE, *_FRACTIONS):
        return LiteralRefusal(_INVALID_TEXT)
    return LiteralRefusal(_INVALID_TIME) if _TIMES.match(base) and not type_.endswith("[]") else None


def _as_text(literal: Scalar) -> str:
    if isinstance(literal, bool):
        return "true" if literal else "false"
    if isinstance(literal, float) and literal.is_integer() and abs(literal) < 1e15:
        return str(int(literal))  # JavaScript has one kind of number
    return str(literal)


def _whole(text: str, bits: int) -> LiteralRefusal | None:
    text = text.strip().replace("_", "")
    if re.fullmatch(r"[+-]?0[xXoObB][0-9a-fA-F]+", text):
        return None
    if not re.fullmatch(r"[+-]?\d+", text):
        return LiteralRefusal(_INVALID_TEXT)
    if len(text) > 40:
        return LiteralRefusal(_OUT_OF_RANGE)
    return None if -(1 << bits) <= int(text) < 1 << bits else LiteralRefusal(_OUT_OF_RANGE)


def _is_number(text: str) -> bool:
    try:
        float(text.replace("_", ""))
    except ValueError:
        return bool(re.fullmatch(r"\s*[+-]?0[xXoObB][0-9a-fA-F_]+\s*", text))
    return True


def _is_boolean(text: str) -> bool:
    word = text.strip().lower()
    if not word:
        return False
    return any(full.startswith(word) for full in ("true", "false", "yes", "no")) or word in (
        "on",
        "of",
        "off",
        "1",
        "0",
    )
