"""What stands where in a file: the names that are declared at its top, and the functions of its classes and objects."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from tree_sitter import Node

from lib.served_code.syntax import FUNCTIONS, Syntax, bare, member

_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Span:
    """One declaration. `names` are all that it binds; the first stands for it. `parent` is the place of what it is in.

    A function of a class or of an object is a declaration of its own, `Class.method`. `instance_of` is the class that
    `const x = new Class()` makes at the top of the file.
    """

    start: int
    end: int
    names: tuple[str, ...]
    node: Node
    parent: int | None = None
    instance_of: str = ""


class Outline:
    """The declarations of one file, in the order of the text."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self.spans: list[Span] = []
        for statement in syntax.root.named_children:
            if len(self.spans) < _MOST:
                self._statement(statement)
        self._starts = [span.start for span in self.spans]

    def at(self, node: Node) -> int | None:
        """Return the place of the innermost declaration around a node, or None if it stands outside of all."""
        place: int | None = bisect_right(self._starts, node.start_byte) - 1
        while place is not None and place >= 0:
            if node.start_byte < self.spans[place].end:
                return place
            place = self.spans[place].parent
        return None

    def name_at(self, node: Node) -> str:
        """Return the name of the innermost declaration around a node, "" outside of all."""
        place = self.at(node)
        return self.spans[place].names[0] if place is not None else ""

    def _statement(self, statement: Node) -> None:
        node, is_default = statement, False
        if statement.type == "export_statement":
            is_default = any(child.type == "default" for child in statement.children)
            inside = statement.child_by_field_name("declaration") or statement.child_by_field_name("value")
            if inside is None or statement.child_by_field_name("source") is not None:
                return
            node = inside
        if node.type in ("lexical_declaration", "variable_declaration"):
            for declarator in node.named_children:
                self._declarator(declarator)
            return
        names = declared(node, self._syntax)
        if names:
            self._add(node, names, node)
        elif is_default and node.type != "identifier":
            self._add(node, ["default"], node)

    def _declarator(self, declarator: Node) -> None:
        pattern, value = declarator.child_by_field_name("name"), declarator.child_by_field_name("value")
        names = bound_names(pattern, self._syntax) if pattern is not None else []
        if not names:
            return
        value = bare(value) if value is not None else None
        instance = self._made_of(value) if value is not None and len(names) == 1 else ""
        self._add(declarator, names, value, instance)

    def _made_of(self, value: Node) -> str:
        """Return the class of `new Class()`, or of `Class.getInstance()`."""
        made = value.child_by_field_name("constructor") if value.type == "new_expression" else None
        if value.type == "call_expression":
            function = value.child_by_field_name("function")
            parts = member(function, self._syntax) if function is not None else None
            made = parts[0] if parts is not None and parts[1] == "getInstance" else None
        return self._syntax.text(made) if made is not None and made.type == "identifier" else ""

    def _add(self, node: Node, names: list[str], whole: Node | None, instance_of: str = "") -> None:
        place = len(self.spans)
        self.spans.append(Span(node.start_byte, node.end_byte, tuple(names), node, None, instance_of))
        if whole is None:
            return
        body = whole if whole.type == "object" else whole.child_by_field_name("body")
        if body is None or body.type not in ("object", "class_body"):
            return
        for child in body.named_children:
            name = _function_in(child, self._syntax)
            if name is not None and name != "constructor" and len(self.spans) < _MOST:
                self.spans.append(Span(child.start_byte, child.end_byte, (f"{names[0]}.{name}",), child, place))


def _function_in(node: Node, syntax: Syntax) -> str | None:
    """Return the name of a method, or of a field or pair whose value is a function."""
    name = node.child_by_field_name("name") or node.child_by_field_name("key")
    if name is None or name.type not in ("property_identifier", "private_property_identifier"):
        return None
    value = node.child_by_field_name("value")
    if node.type == "method_definition" or (value is not None and bare(value).type in FUNCTIONS):
        return syntax.text(name)
    return None


def declared(node: Node, syntax: Syntax) -> list[str]:
    """Return the name that a function, class or enum declares."""
    if node.type in ("type_alias_declaration", "interface_declaration") or not node.type.endswith("declaration"):
        return []
    name = node.child_by_field_name("name")
    return [syntax.text(name)] if name is not None else []


def bound_names(pattern: Node, syntax: Syntax) -> list[str]:
    """Return every name that a declarator binds."""
    if pattern.type == "identifier":
        return [syntax.text(pattern)]
    found = syntax.find("[(identifier) (shorthand_property_identifier_pattern)] @n", "n", pattern)
    return [syntax.text(node) for node in found]
