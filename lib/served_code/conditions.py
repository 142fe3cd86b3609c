"""Whether a CHECK refuses a value: only *refused* where that is certain, whatever else the row holds.

A CHECK refuses only what makes it false; null lets the row pass. All but the one column is unknown here, so the
condition is worked out in three values with "not known" for whatever rests on the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import Enum, auto
from functools import lru_cache
from typing import Any

from lib.model.database import CheckConstraint
from lib.model.served_code import Scalar
from lib.served_code.statements import Tree, UnreadableStatementError, expression, text

_DEEPEST = 60
_COMPARED = {"=", "<>", "!=", "<", "<=", ">", ">="}
_TEXT_TYPES = frozenset({"text", "varchar"})
_NUMBER_TYPES = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
# Types whose words can stand for one value in several ways: what is equal there is not told from the words.
_MANY_WORDS = frozenset(
    {
        "date", "time", "timetz", "timestamp", "timestamptz", "interval", "uuid", "json", "jsonb", "bytea", "inet",
        "cidr", "citext", "bpchar", "money", "xml", "",
    }
)  # fmt: skip


class Truth(Enum):
    """A condition's value; OPEN where it rests on something that is not known."""

    TRUE = auto()
    FALSE = auto()
    NULL = auto()
    OPEN = auto()


class _Open:
    """A value that is not known."""


_OPEN = _Open()
_Item = Scalar | Decimal | None | _Open


@dataclass(frozen=True, slots=True)
class _Row:
    column: str
    value: Scalar | None


def refuses(check: CheckConstraint, column: str, value: Scalar | None) -> bool:
    """Whether the check is false for every row that holds `value` in `column`."""
    try:
        condition = _condition(check.definition)
    except UnreadableStatementError:
        return False
    return condition is not None and _truth(condition, _Row(column, value), 0) is Truth.FALSE


@lru_cache(maxsize=2048)
def _condition(definition: str) -> Tree | None:
    found = re.match(
        r"^\s*CHECK\s*(\(.*\))(?:\s+NO INHERIT)?(?:\s+NOT VALID)?\s*(?:NOT ENFORCED)?$",
        definition,
        re.DOTALL | re.IGNORECASE,
    )
    return None if found is None or "NOT ENFORCED" in definition[-20:] else expression(found[1])


def _truth(node: Tree, row: _Row, depth: int) -> Truth:
    if depth > _DEEPEST:
        return Truth.OPEN
    kind, inside = _first(node)
    if kind == "BoolExpr":
        return _boolean(inside, row, depth)
    if kind == "NullTest":
        item = _item(inside["arg"], row, depth + 1)
        if isinstance(item, _Open):
            return Truth.OPEN
        return _of((item is None) == (inside["nulltesttype"] == "IS_NULL"))
    if kind == "A_Expr":
        return _comparison(inside, row, depth)
    if kind == "TypeCast":
        return _truth(inside["arg"], row, depth + 1) if _type_name(inside) == "bool" else Truth.OPEN
    item = _item(node, row, depth + 1)
    if isinstance(item, bool):
        return _of(item)
    return Truth.NULL if item is None else Truth.OPEN


def _first(node: Tree) -> tuple[str, Tree]:
    """Return the kind of a node and what it holds."""
    return next(iter(node.items()), ("", {}))


def _boolean(inside: Tree, row: _Row, depth: int) -> Truth:
    parts = [_truth(part, row, depth + 1) for part in inside["args"]]
    if inside["boolop"] == "NOT_EXPR":
        return {Truth.TRUE: Truth.FALSE, Truth.FALSE: Truth.TRUE}.get(parts[0], parts[0])
    return _fold(parts, any_of=inside["boolop"] == "OR_EXPR")


def _comparison(inside: Tree, row: _Row, depth: int) -> Truth:
    operator = text(inside["name"][-1]) if inside.get("name") else ""
    kind = inside.get("kind")
    left = _item(inside["lexpr"], row, depth + 1) if "lexpr" in inside else _OPEN
    if kind == "AEXPR_OP":
        return _pattern_or_compare(operator, left, _item(inside["rexpr"], row, depth + 1))
    if kind in ("AEXPR_OP_ANY", "AEXPR_OP_ALL", "AEXPR_IN"):
        items = _list(inside["rexpr"], row, depth)
        if items is None:
            return Truth.OPEN
        any_of = kind == "AEXPR_OP_ANY" or (kind == "AEXPR_IN" and operator == "=")
        parts = [_pattern_or_compare(operator, left, item) for item in items]
        return _fold(parts, any_of)
    if kind == "AEXPR_BETWEEN":
        low, high = (_item(one, row, depth + 1) for one in inside["rexpr"]["List"]["items"])
        return _fold([_compare(">=", left, low), _compare("<=", left, high)], any_of=False)
    return Truth.OPEN


def _fold(parts: list[Truth], any_of: bool) -> Truth:
    decides, other = (Truth.TRUE, Truth.FALSE) if any_of else (Truth.FALSE, Truth.TRUE)
    if decides in parts:
        return decides
    if Truth.OPEN in parts:
        return Truth.OPEN
    return Truth.NULL if Truth.NULL in parts else other


def _pattern_or_compare(operator: str, left: _Item, right: _Item) -> Truth:
    return _compare(operator, left, right) if operator in _COMPARED else Truth.OPEN


def _compare(operator: str, left: _Item, right: _Item) -> Truth:
    if isinstance(left, _Open) or isinstance(right, _Open):
        return Truth.OPEN
    if left is None or right is None:
        return Truth.NULL
    pair = _comparable(left, right)
    if pair is None:
        return Truth.OPEN
    one, other = pair
    if operator == "=":
        return _of(one == other)
    if operator in ("<>", "!="):
        return _of(one != other)
    if isinstance(one, str) or isinstance(other, str):
        return Truth.OPEN  # the order of texts is the collation's
    return _of({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[operator])


def _comparable(left: Any, right: Any) -> tuple[Any, Any] | None:
    """Return both as values of one type, or None where Postgres's own reading of one is not known here."""
    if isinstance(left, bool) or isinstance(right, bool):
        return (left, right) if isinstance(left, bool) and isinstance(right, bool) else None
    if isinstance(left, str) and isinstance(right, str):
        return left, right
    try:
        one, other = Decimal(str(left)), Decimal(str(right))
    except InvalidOperation:
        return None
    return (one, other) if one.is_finite() and other.is_finite() else None


def _of(value: bool) -> Truth:
    return Truth.TRUE if value else Truth.FALSE


def _list(node: Tree, row: _Row, depth: int) -> list[_Item] | None:
    """Return the items of `ARRAY[…]` or of `IN (…)`, or None for anything else."""
    while "TypeCast" in node and depth < _DEEPEST:
        node, depth = node["TypeCast"]["arg"], depth + 1
    if "A_ArrayExpr" in node:
        items = node["A_ArrayExpr"].get("elements", [])
    elif "List" in node:
        items = node["List"].get("items", [])
    else:
        return None
    return [_item(item, row, depth + 1) for item in items]


def _item(node: Tree, row: _Row, depth: int) -> _Item:
    if depth > _DEEPEST:
        return _OPEN
    kind, inside = _first(node)
    if kind == "ColumnRef":
        return row.value if text(inside["fields"][-1]) == row.column else _OPEN
    if kind == "A_Const":
        return _constant(inside)
    if kind == "TypeCast":
        return _cast(inside, row, depth)
    if kind == "FuncCall":
        return _call(inside, row, depth)
    if (
        kind == "A_Expr"
        and "lexpr" not in inside
        and inside.get("kind") == "AEXPR_OP"
        and text(inside["name"][-1]) == "-"
    ):
        item = _item(inside["rexpr"], row, depth + 1)
        return -item if isinstance(item, int | float | Decimal) and not isinstance(item, bool) else _OPEN
    return _OPEN


def _constant(inside: Tree) -> _Item:
    if inside.get("isnull"):
        return None
    if "sval" in inside:
        return str(inside["sval"].get("sval", ""))
    if "ival" in inside:
        return int(inside["ival"].get("ival", 0))
    if "boolval" in inside:
        return bool(inside["boolval"].get("boolval", False))
    if "fval" in inside:
        return Decimal(inside["fval"]["fval"])
    return _OPEN


def _type_name(inside: Tree) -> str:
    names = inside["typeName"].get("names", [])
    return text(names[-1]) if names and not inside["typeName"].get("arrayBounds") else ""


def _cast(inside: Tree, row: _Row, depth: int) -> _Item:
    item = _item(inside["arg"], row, depth + 1)
    if item is None or isinstance(item, _Open):
        return item
    name = _type_name(inside)
    if name in _TEXT_TYPES and not inside["typeName"].get("typmods"):
        return item if isinstance(item, str) else _OPEN
    if name in _NUMBER_TYPES and not isinstance(item, bool):
        try:
            return Decimal(str(item))
        except InvalidOperation:
            return _OPEN
    if name == "bool" and isinstance(item, bool):
        return item
    # `'a'::kind`, an enum of the database: its word is its value.
    if "A_Const" in inside["arg"] and isinstance(item, str) and name not in _TEXT_TYPES | _NUMBER_TYPES | _MANY_WORDS:
        return item
    return _OPEN


def _call(inside: Tree, row: _Row, depth: int) -> _Item:
    """Work out the few functions that checks on text use."""
    name, given = text(inside["funcname"][-1]), inside.get("args", [])
    if len(given) != 1 or name not in ("length", "char_length", "character_length", "lower", "upper"):
        return _OPEN
    item = _item(given[0], row, depth + 1)
    if item is None or not isinstance(item, str):
        return None if item is None else _OPEN
    if name in ("lower", "upper"):
        return (item.lower() if name == "lower" else item.upper()) if item.isascii() else _OPEN
    return len(item)
