"""SQL → statements, and each statement → its tree, by Postgres's own grammar (`pgparse`, which wraps libpg_query).

The grammar runs in C without bounds of its own: what is long or has very many operators is not given to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pgparse

_LONGEST = 200_000  # characters of one statement; the body of a function counts little
# Each operator or bracket can make the tree one level deeper; libpg_query fails hard somewhere above 50,000 levels.
_MOST_OPERATORS = 2_000
_OPERATOR = re.compile(
    r"[-+*/<>=~!@#%^&|?(\[]+|::|\b(?:and|or|not|is|in|case|when|join|union|intersect|except|select|collate)\b",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"""
    --[^\n]* | (?P<comment>/\*) | (?P<tag>\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$)
    | [eE]'(?:[^'\\]|\\.|'')*' | '(?:[^']|'')*' | "(?:[^"]|"")*" | (?P<end>;) | [\w$\u0080-\uffff]+
    """,
    re.VERBOSE | re.DOTALL,
)
_NOISE = re.compile(r"(?:\s+|--[^\n]*(?:\n|$))*")
_COMMENT_SIGN = re.compile(r"/\*|\*/")

Tree = dict[str, Any]


class Statement(NamedTuple):
    """One statement without its semicolon, and the line it begins on (from 1)."""

    sql: str
    line: int


class UnreadableStatementError(Exception):
    """Postgres's grammar does not take the statement. Its words are one sentence."""


def split(sql: str) -> Iterator[Statement]:
    """Yield the statements: semicolons inside of strings, comments, and dollar quotation end none."""
    for start, end in _pieces(sql):
        yield from _statement(sql, start, end)


def statements_with_comments(sql: str) -> Iterator[Statement]:
    """Yield the statements with the comments before each, as Supabase's command line splits a file.

    Comments that no statement follows are a piece of their own. `line` is where the statement begins, or the comments.
    """
    for start, end in _pieces(sql):
        text = sql[start:end].strip()
        if text:
            statement = next(_statement(sql, start, end), None)
            begins = sql.count("\n", 0, end - len(sql[start:end].lstrip())) + 1
            yield Statement(text, statement.line if statement is not None else begins)


def _pieces(sql: str) -> Iterator[tuple[int, int]]:
    """Yield where each statement begins and ends, with the space and the comments before it."""
    start = position = 0
    while position < len(sql):
        found = _TOKEN.search(sql, position)
        if found is None:
            break
        position = found.end()
        if found["comment"]:
            position = _end_of_comment(sql, position)
        elif found["tag"]:
            closing = sql.find(found["tag"], position)
            position = len(sql) if closing < 0 else closing + len(found["tag"])
        elif found["end"]:
            yield start, found.start()
            start = position
    yield start, len(sql)


def _end_of_comment(sql: str, position: int) -> int:
    """Comments nest in Postgres."""
    depth = 1
    for found in _COMMENT_SIGN.finditer(sql, position):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return len(sql)


def _statement(sql: str, start: int, end: int) -> Iterator[Statement]:
    while start < end:
        noise = _NOISE.match(sql, start, end)
        start = noise.end() if noise is not None else start
        if not sql.startswith("/*", start):
            break
        start = _end_of_comment(sql, start + 2)
    text = sql[start:end].strip()
    if text:
        yield Statement(text, sql.count("\n", 0, start) + 1)


def tree(sql: str) -> tuple[str, Tree]:
    """Return the kind of one statement (`AlterTableStmt`, …) and its tree. Raises `UnreadableStatementError`."""
    if len(sql) > _LONGEST:
        raise UnreadableStatementError("It is too long.")
    bare = re.sub(r"(\$\w*\$).*?\1", "''", sql, flags=re.DOTALL)
    if sum(1 for _ in _OPERATOR.finditer(bare)) > _MOST_OPERATORS:
        raise UnreadableStatementError("It is too large.")
    try:
        parsed = pgparse.parse(sql)
    except (pgparse.PGQueryError, RecursionError, ValueError, UnicodeError) as error:
        raise UnreadableStatementError("Postgres's grammar does not take it.") from error
    if len(parsed) != 1:
        raise UnreadableStatementError("It is not one statement.")
    kind, inside = next(iter(parsed[0]["stmt"].items()))
    return kind, inside


def is_comment(sql: str) -> bool:
    """Whether a text holds no statement, and no comment that goes on after it."""
    try:
        return not pgparse.parse(sql)
    except (pgparse.PGQueryError, RecursionError, ValueError, UnicodeError):
        return False


def expression(sql: str) -> Tree:
    """Return the tree of one expression. Raises `UnreadableStatementError`."""
    _, select = tree(f"select {sql}")
    targets = select.get("targetList", [])
    if len(targets) != 1:
        raise UnreadableStatementError("It is not one expression.")
    value: Tree = targets[0]["ResTarget"]["val"]
    return value


def text(node: Tree | None) -> str:
    """Return the text of a `String` node."""
    found = (node or {}).get("String", {}).get("sval", "")
    return found if isinstance(found, str) else ""


def check_text(sql: str, location: int) -> str | None:
    """Return `CHECK (…)` as it stands in a statement at or after `location` (in bytes), or None if it does not."""
    rest = sql.encode()[location:].decode("utf-8", "replace")
    found = re.search(r"\bcheck\s*\(", rest, re.IGNORECASE)
    if found is None:
        return None
    depth, position = 0, found.end() - 1
    while position < len(rest):
        sign = rest[position]
        depth += (sign == "(") - (sign == ")")
        if depth == 0:
            return f"CHECK {rest[found.end() - 1 : position + 1]}"
        token = _TOKEN.match(rest, position)
        position = token.end() if token is not None else position + 1
    return None
