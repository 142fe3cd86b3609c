"""One file of TypeScript or JavaScript as a syntax tree, and the few moves over it that the readers share.

Nothing here recurses over the tree: a file can be nested as deep as somebody likes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from itertools import accumulate
from time import thread_time

import tree_sitter_typescript
from tree_sitter import Language, Node, Parser, Query, QueryCursor, Tree

# Deeper than any code that a person wrote; beyond it, finding what a node stands in takes too long.
DEEPEST = 400
_LONGEST_LINE = 100_000
_MOST_WORDS = 5_000
_SAMPLES = 250
_MOST_OPEN = 1_024  # matches that are begun and not finished; in code they are few
_REPAIRS = 4
_AWAITED_TYPES = "(call_expression function: (await_expression) type_arguments: (type_arguments) @types)"
_PIECE = 64 * 1024
_LONGEST_PARSE = 1.5  # seconds; half a megabyte of code takes 0.2
_SHORT = 50_000  # bytes; a file of fewer cannot be so deep that it takes long
# What may stand around an expression and changes nothing of its value.
_WRAPPERS = frozenset(
    {"parenthesized_expression", "as_expression", "satisfies_expression", "non_null_expression", "type_assertion"}
)
FUNCTIONS = frozenset(
    {
        "function_declaration", "function_expression", "arrow_function", "method_definition", "generator_function",
        "generator_function_declaration",
    }
)  # fmt: skip
# Where a `const` or `let` is seen.
BLOCKS = FUNCTIONS | {
    "statement_block", "program", "for_statement", "for_in_statement", "catch_clause", "switch_body",
    "class_static_block",
}  # fmt: skip
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0"}
_ESCAPE = re.compile(r"\\(u\{[0-9a-fA-F]{1,6}\}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|\r\n|.)", re.DOTALL)


_IN_WORDS = frozenset(bytes([sign]) for sign in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_$")
_NO_BRACKETS = bytes(set(range(256)) - set(b"()[]{}"))


class UnreadableError(Exception):
    """The file cannot be read as code. Its words are one sentence."""


@cache
def _language(with_tags: bool) -> Language:
    pointer = tree_sitter_typescript.language_tsx() if with_tags else tree_sitter_typescript.language_typescript()
    return Language(pointer)


@cache
def _query(with_tags: bool, pattern: str) -> Query:
    return Query(_language(with_tags), pattern)


class Syntax:
    """The tree of one file, with the text that it was made of.

    Raises `UnreadableError` for what is not UTF-8, or was not written by a person (one endless line).
    """

    def __init__(self, path: str, source: bytes) -> None:
        self.path = path
        # `<T>x` is a type assertion in .ts and a tag elsewhere; JavaScript is read as the language that holds it.
        self._with_tags = not path.endswith((".ts", ".mts", ".cts"))
        try:
            source.decode("utf-8")
        except UnicodeDecodeError:
            raise UnreadableError("It is not UTF-8.") from None
        if b"\0" in source:
            raise UnreadableError("It is no text.")
        if len(source) > _LONGEST_LINE and max(map(len, source.split(b"\n"))) > _LONGEST_LINE:
            raise UnreadableError("It was made by a machine: one of its lines has no end.")
        if _depth(source) > DEEPEST:
            raise UnreadableError("It is nested too deeply.")
        self.source = source
        self.tree = self._parsed(source)
        self._repair()
        if len(source) > _SHORT and self._is_too_deep():
            raise UnreadableError("It is nested too deeply.")

    def _parsed(self, source: bytes) -> Tree:
        """Parse; a long file only for so much of this thread's own time: what is no code takes far longer than code."""
        parser = Parser(_language(self._with_tags))
        if len(source) <= _SHORT:
            return parser.parse(source)
        over = thread_time() + _LONGEST_PARSE
        try:
            return parser.parse(
                lambda offset, _: source[offset : offset + _PIECE], progress_callback=lambda *_: thread_time() > over
            )
        except ValueError:  # it was stopped
            raise UnreadableError("It takes too long to read.") from None

    @property
    def root(self) -> Node:
        return self.tree.root_node

    def find(self, pattern: str, name: str, within: Node | None = None) -> list[Node]:
        """Return the nodes that `pattern` captures as `name`, in the order of the text."""
        cursor = QueryCursor(_query(self._with_tags, pattern), match_limit=_MOST_OPEN)
        found = cursor.captures(within or self.root).get(name, [])
        if cursor.did_exceed_match_limit:  # then some would be missing
            raise UnreadableError("It is too tangled.")
        return found

    def text(self, node: Node) -> str:
        return self.source[node.start_byte : node.end_byte].decode("utf-8", "replace")

    def occurrences(self, name: str, within: Node) -> Iterator[Node]:
        """Yield every node in `within` that is the word `name`. Raises `UnreadableError` for thousands of them."""
        word, source, number = name.encode(), self.source, 0
        # Where the grammar puts in a name that is missing, the name is empty.
        start = source.find(word, within.start_byte, within.end_byte) if word else -1
        while start >= 0:
            end = start + len(word)
            if source[start - 1 : start] not in _IN_WORDS and source[end : end + 1] not in _IN_WORDS:
                number += 1
                if number > _MOST_WORDS:
                    raise UnreadableError("It was made by a machine: it says one word without end.")
                found = self.root.descendant_for_byte_range(start, end)
                if found is not None and found.start_byte == start and found.end_byte == end:
                    yield found
            start = source.find(word, end, within.end_byte)

    def _repair(self) -> None:
        """Blank the type arguments of awaited calls: the grammar takes `await a.b<T>(c)` for `(await a.b)<T>(c)`."""
        for _ in range(_REPAIRS if b"await" in self.source else 0):
            wrong = self.find(_AWAITED_TYPES, "types")
            if not wrong:
                return
            repaired = bytearray(self.source)
            for node in wrong:
                inside = repaired[node.start_byte : node.end_byte]
                repaired[node.start_byte : node.end_byte] = bytes(sign if sign in b"\r\n" else 32 for sign in inside)
            self.source = bytes(repaired)
            self.tree = self._parsed(self.source)

    def _is_too_deep(self) -> bool:
        """Look at nodes spread over the whole tree: a deep place has many."""
        count = self.root.descendant_count
        cursor = self.tree.walk()
        for number in range(_SAMPLES):
            cursor.goto_descendant(count * number // _SAMPLES)
            if cursor.depth > DEEPEST:
                return True
        return False


def _depth(source: bytes) -> int:
    """Return how deep brackets nest, wherever they stand: words in strings seldom open hundreds."""
    steps = (1 if sign in b"([{" else -1 for sign in source.translate(None, delete=_NO_BRACKETS))
    return max(accumulate(steps), default=0)


def ancestors(node: Node) -> Iterator[Node]:
    """Yield what `node` stands in, its parent first. Raises `UnreadableError` past `DEEPEST`."""
    above = node.parent
    for _ in range(DEEPEST):
        if above is None:
            return
        yield above
        above = above.parent
    raise UnreadableError("It is nested too deeply.")


def outside(node: Node) -> tuple[Node, Node | None]:
    """Return `node` with the brackets and assertions around it, and what that stands in."""
    above = node.parent
    for _ in range(DEEPEST):
        if above is None or above.type not in _WRAPPERS:
            return node, above
        node, above = above, above.parent
    raise UnreadableError("It is nested too deeply.")


def line(node: Node) -> int:
    """Return the line on which a node begins, from 1."""
    return node.start_point[0] + 1


def bare(node: Node) -> Node:
    """Take off brackets, `as …`, `satisfies …` and `!`."""
    for _ in range(DEEPEST):
        if node.type not in _WRAPPERS:
            return node
        children = node.named_children
        inner = children[-1] if node.type == "type_assertion" else (children[0] if children else None)
        if inner is None:
            return node
        node = inner
    return node


def arguments(call: Node) -> list[Node]:
    """Return the arguments of a call."""
    found = call.child_by_field_name("arguments")
    if found is None or found.type != "arguments":
        return []
    return [child for child in found.named_children if child.type != "comment"]


def member(node: Node, syntax: Syntax) -> tuple[Node, str] | None:
    """Return what `object.name` (or `object?.name`) is made of, or None for anything else."""
    if node.type != "member_expression":
        return None
    whole, name = node.child_by_field_name("object"), node.child_by_field_name("property")
    if whole is None or name is None:
        return None
    return whole, syntax.text(name)


def string(node: Node, syntax: Syntax, hole: str | None = None) -> str | None:
    """Return the text of a string or template, or None for anything else.

    A template with substitutions is None too, unless `hole` says what to put for each.
    """
    if node.type not in ("string", "template_string"):
        return None
    parts: list[str] = []
    start = node.start_byte + 1
    for child in node.named_children:
        if child.type == "template_substitution":
            if hole is None:
                return None
            parts += [_unescaped(syntax.source[start : child.start_byte]), hole]
            start = child.end_byte
    parts.append(_unescaped(syntax.source[start : max(start, node.end_byte - 1)]))
    return "".join(parts)


def _unescaped(raw: bytes) -> str:
    text = raw.decode("utf-8", "replace")
    if "\\" not in text:
        return text

    def one(match: re.Match[str]) -> str:
        inside = match[1]
        if inside[0] in "ux" and len(inside) > 1:
            point = int(inside.strip("ux{}"), 16)
            return chr(point) if point < 0x110000 and not 0xD800 <= point < 0xE000 else "\N{REPLACEMENT CHARACTER}"
        if inside in ("\n", "\r\n"):
            return ""
        return _ESCAPES.get(inside, inside)

    return _ESCAPE.sub(one, text)
