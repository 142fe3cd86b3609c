"""The small languages inside the strings that supabase-js takes: `select`, `or`, and the names of columns.

Grammar: PostgREST's documentation, "Tables and Views" and "Resource Embedding". A place in a template where the code
puts something in stands as `HOLE`; what holds one is unknown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from lib.model.served_code import Embed

HOLE = "\0"
_DEEPEST = 12
_LONGEST = 20_000
_AGGREGATES = frozenset({"count", "sum", "avg", "min", "max"})
_OPERATORS = frozenset(
    {
        "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "in", "is", "isdistinct", "fts",
        "plfts", "phfts", "wfts", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj", "not",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Selected:
    """What a select names. `complete` is False where a part of it is put in while the code runs."""

    columns: tuple[str, ...] = ()
    embeds: tuple[Embed, ...] = ()
    complete: bool = True


def select(text: str, depth: int = 0) -> Selected:
    """Read `a, alias:b::text, c->>key, other!fk(d, e), ...spread(f), count()`."""
    if depth > _DEEPEST or len(text) > _LONGEST:
        return Selected(complete=False)
    columns: list[str] = []
    embeds: list[Embed] = []
    complete = True
    for item in split(text):
        if not item:
            continue
        if HOLE in item:
            complete = False
            continue
        inner = _inner(item)
        head = item if inner is None else item[: item.index("(")].strip()
        head = _without_alias(head)
        if inner is None:
            if head != "*":
                columns.append(column(head))
            continue
        if not inner.strip() and head.rpartition(".")[2] in _AGGREGATES:
            if "." in head:  # `count()` alone counts rows
                columns.append(column(head.rpartition(".")[0]))
            continue
        name, _, hint = head.removeprefix("...").strip().partition("!")
        inside = select(inner, depth + 1)
        complete = complete and inside.complete
        how = hint.partition("!")[0] if hint not in ("inner", "left") else ""
        embeds.append(Embed(_unquoted(name.strip()), inside.columns, inside.embeds, how or None))
    return Selected(tuple(dict.fromkeys(columns)), tuple(embeds), complete)


def column(text: str) -> str:
    """Return the column that an item stands for, without cast and without the way into its JSON."""
    text = text.strip()
    if text.startswith('"'):
        end = text.find('"', 1)
        return text[1:end] if end > 0 else text.strip('"')
    return re.split(r"::|->", text, maxsplit=1)[0].strip()


def conditions(text: str, depth: int = 0) -> Iterator[tuple[str, str, str]]:
    """Yield (column, operator, value) of an `or` filter: `a.eq.1,and(b.is.null,c.gt.2)`. The unknown is left out."""
    if depth > _DEEPEST or len(text) > _LONGEST:
        return
    for item in split(text):
        found = re.match(r"(?:not\.)?(?:or|and)\((.*)\)$", item.strip(), re.DOTALL)
        if found:
            yield from conditions(found[1], depth + 1)
            continue
        parts = _path(item.strip().removeprefix("not."))
        where = next((number for number, part in enumerate(parts[1:], start=1) if _operator(part)), None)
        if where is None or HOLE in ".".join(parts[:where]):
            continue
        operator = parts[where]
        rest = parts[where + 1 :]
        if operator == "not" and rest:
            operator, rest = f"not.{rest[0]}", rest[1:]
        yield ".".join(parts[:where]), operator, ".".join(rest)


def _operator(part: str) -> bool:
    return re.sub(r"\(.*\)$", "", part) in _OPERATORS


def _path(text: str) -> list[str]:
    """Split at the points that stand outside of quotation marks."""
    return re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^."])+', text, re.DOTALL)


def split(text: str) -> list[str]:
    """Split at the commas that stand outside of brackets and quotation marks."""
    parts, depth, start, quoted = [], 0, 0, False
    for number, sign in enumerate(text):
        if sign == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif sign in "({[":
            depth += 1
        elif sign in ")}]":
            depth -= 1
        elif sign == "," and depth <= 0:
            parts.append(text[start:number].strip())
            start = number + 1
    parts.append(text[start:].strip())
    return parts


def _inner(item: str) -> str | None:
    """Return what stands in the brackets of an item, or None if it has none."""
    start = item.find("(")
    if start < 0:
        return None
    end = item.rfind(")")
    return item[start + 1 : end if end > start else len(item)]


def _without_alias(head: str) -> str:
    found = re.match(r'\s*(?:"[^"]*"|[^:"]+):(?!:)\s*(.*)$', head, re.DOTALL)
    return found[1] if found else head.strip()


def _unquoted(name: str) -> str:
    return name[1:-1] if len(name) > 1 and name[0] == name[-1] == '"' else name
