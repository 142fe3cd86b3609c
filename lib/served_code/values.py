"""What an expression can be, and which columns an object or a list of objects sends, as far as the file itself says.

Never guessed: what comes from elsewhere, or may have been changed on its way, is said to be unread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from lib.model.served_code import Presence, Scalar, Value, Written
from lib.served_code.names import Binding, NameKind, Names, constant
from lib.served_code.syntax import FUNCTIONS, Syntax, ancestors, arguments, bare, line, member, outside, string

_DEEPEST = 12
_MOST_ROWS = 200
UNKNOWN = Value()
_NULL = Value(null=Presence.ALWAYS, complete=True)
_JSON = Value(complete=True, json=True)
# Calls that read an object and leave it as it is.
_HARMLESS = frozenset(
    {
        "insert", "update", "upsert", "rpc", "push", "log", "error", "warn", "info", "debug", "stringify", "keys",
        "values", "entries", "json", "structuredClone", "toEqual",
    }
)  # fmt: skip
# Where a value decides what the code does next.
_ASKS = frozenset(
    {
        "binary_expression", "unary_expression", "ternary_expression", "if_statement", "switch_statement",
        "while_statement", "do_statement", "for_statement",
    }
)  # fmt: skip
_CHANGES_LIST = frozenset({"unshift", "splice", "sort", "fill", "reverse", "pop", "shift", "copyWithin"})


@dataclass(frozen=True, slots=True)
class Possible:
    """What an expression can be; `absent` says whether it can be `undefined`, which is never sent."""

    value: Value
    absent: Presence = Presence.NEVER


@dataclass(slots=True)
class Columns:
    """The columns that are sent, by name. `complete`: no others are. `unread` says why not."""

    written: dict[str, Written] = field(default_factory=dict)
    complete: bool = True
    unread: list[str] = field(default_factory=list)

    def leave(self, reason: str) -> None:
        self.complete = False
        if reason not in self.unread:
            self.unread.append(reason)

    def add(self, written: Written) -> None:
        self.written[written.column] = written

    def cover(self) -> None:
        """Something unknown was laid over: the columns stay, their values may be others."""
        for name, written in self.written.items():
            self.written[name] = replace(written, value=UNKNOWN)


def elsewhere() -> Columns:
    columns = Columns()
    columns.leave("The columns come from elsewhere.")
    return columns


class Values:
    """Reads expressions of one file."""

    def __init__(self, syntax: Syntax, names: Names) -> None:
        self._syntax = syntax
        self._names = names

    # --- single values

    def text(self, node: Node) -> str | None:
        """Return the text that an expression always is, or None: a string, a constant, or strings put together."""
        value = self.possible(node).value
        if value.complete and len(value.literals) == 1 and value.null is Presence.NEVER:
            return value.literals[0] if isinstance(value.literals[0], str) else None
        return None

    def template(self, node: Node, hole: str) -> str | None:
        """Return the text of a string, or of a template with `hole` for each substitution."""
        found = constant(node, self._names)
        return string(found, self._syntax, hole) if found is not None else None

    def possible(self, node: Node, depth: int = 0) -> Possible:
        """Return what an expression can be."""
        node = bare(node)
        if depth > _DEEPEST:
            return Possible(UNKNOWN)
        match node.type:
            case "string" | "template_string":
                text = string(node, self._syntax)
                return Possible(UNKNOWN if text is None else _literal(text))
            case "number":
                return Possible(_number(self._syntax.text(node)))
            case "true" | "false":
                return Possible(_literal(node.type == "true"))
            case "null":
                return Possible(_NULL)
            case "undefined":
                return Possible(Value(complete=True), Presence.ALWAYS)
            case "object" | "array":
                return Possible(_JSON)
            case "unary_expression":
                return self._unary(node)
            case "ternary_expression":
                sides = (node.child_by_field_name("consequence"), node.child_by_field_name("alternative"))
                return _either([self.possible(side, depth + 1) for side in sides if side is not None])
            case "binary_expression":
                return self._binary(node, depth)
            case "identifier" | "shorthand_property_identifier":
                found = constant(node, self._names)
                if found is None:
                    return Possible(UNKNOWN)
                held = self.possible(found, depth + 1)
                return held if _is_single(held) or not self._may_be_guarded(node) else Possible(UNKNOWN)
            case "member_expression":
                return self._member(node, depth)
        return Possible(UNKNOWN)

    def _may_be_guarded(self, node: Node) -> bool:
        """Whether the code asks what a variable of several possible values is: then not all of them get further."""
        binding = self._names.resolve(node)
        for reference in self._names.references(binding) if binding is not None else ():
            inner, above = outside(reference)
            if above is None or reference == node:
                continue
            if above.type in _ASKS or (above.type == "arguments" and not self._is_harmless(inner, above)):
                return True
        return False

    def _unary(self, node: Node) -> Possible:
        argument, operator = node.child_by_field_name("argument"), node.child_by_field_name("operator")
        if operator is not None and operator.type == "void":
            return Possible(Value(complete=True), Presence.ALWAYS)
        if operator is not None and operator.type == "-" and argument is not None and argument.type == "number":
            value = _number(self._syntax.text(argument))
            return Possible(Value(tuple(-n for n in value.literals if not isinstance(n, str)), complete=value.complete))
        return Possible(UNKNOWN)

    def _binary(self, node: Node, depth: int) -> Possible:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        operator = node.child_by_field_name("operator")
        if left is None or right is None or operator is None:
            return Possible(UNKNOWN)
        if operator.type == "+":
            texts = self.possible(left, depth + 1).value, self.possible(right, depth + 1).value
            if all(text.complete and len(text.literals) == 1 and isinstance(text.literals[0], str) for text in texts):
                return Possible(_literal(f"{texts[0].literals[0]}{texts[1].literals[0]}"))
        if operator.type in ("||", "??"):
            first, second = self.possible(left, depth + 1), self.possible(right, depth + 1)
            kept = tuple(item for item in first.value.literals if operator.type == "??" or item)
            known = first.value.complete
            if known and first.absent is Presence.NEVER and first.value.null is Presence.NEVER and first.value.literals:
                if len(kept) == len(first.value.literals):
                    return first
            elif known and not kept and not first.value.json:
                return second
            return _either([Possible(Value(kept, complete=known, json=first.value.json)), second])
        return Possible(UNKNOWN)

    def _member(self, node: Node, depth: int) -> Possible:
        """Read `CONSTANT.key` and `Enum.Key` of this file."""
        parts = member(node, self._syntax)
        if parts is None or bare(parts[0]).type != "identifier":
            return Possible(UNKNOWN)
        binding = self._names.resolve(bare(parts[0]))
        if binding is None or binding.value is None:
            return Possible(UNKNOWN)
        if binding.kind is NameKind.ENUM:
            return Possible(self._enum_value(binding.value, parts[1]))
        whole = constant(bare(parts[0]), self._names)
        if whole is None or whole.type != "object" or not self._is_left_alone(binding):
            return Possible(UNKNOWN)
        for pair in whole.named_children:
            if pair.type == "spread_element":
                return Possible(UNKNOWN)
            key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
            if pair.type == "pair" and key is not None and value is not None and self._key(key) == parts[1]:
                return self.possible(value, depth + 1)
        return Possible(UNKNOWN)

    def _enum_value(self, declaration: Node, name: str) -> Value:
        body = declaration.child_by_field_name("body")
        for item in body.named_children if body is not None else ():
            key, value = item.child_by_field_name("name"), item.child_by_field_name("value")
            if item.type == "enum_assignment" and key is not None and value is not None and self._key(key) == name:
                text = string(value, self._syntax)
                return UNKNOWN if text is None else _literal(text)
        return UNKNOWN

    def _is_left_alone(self, binding: Binding) -> bool:
        """Whether a constant object is only ever read by its keys."""
        for reference in self._names.references(binding):
            inner, above = outside(reference)
            if above is None or above.type == "export_specifier":
                continue
            if above.type in ("member_expression", "subscript_expression"):
                outer, beyond = outside(above)
                if beyond is None or not _sets(beyond, outer):
                    continue
            elif self._is_harmless(inner, above):
                continue
            return False
        return True

    # --- objects

    def columns(self, node: Node, depth: int = 0) -> Columns:
        """Return the columns of one object: written here, or held by a variable of this file."""
        node = bare(node)
        if depth > _DEEPEST:
            return elsewhere()
        match node.type:
            case "object":
                return self._object(node, depth)
            case "ternary_expression":
                sides = (node.child_by_field_name("consequence"), node.child_by_field_name("alternative"))
                return _merged([self.columns(side, depth + 1) for side in sides if side is not None])
            case "identifier" | "shorthand_property_identifier":
                return self._held(node, depth)
        return elsewhere()

    def _object(self, node: Node, depth: int) -> Columns:
        columns = Columns()
        for child in node.named_children:
            match child.type:
                case "pair":
                    self._pair(child, columns)
                case "shorthand_property_identifier":
                    self._add(columns, self._syntax.text(child), child, child)
                case "spread_element":
                    self._spread(child.named_children[0], columns, depth)
                case "method_definition":
                    columns.leave("A function stands where a value should.")
                case "comment":
                    continue
                case _:
                    columns.leave("Part of the object is not understood.")
        return columns

    def _pair(self, pair: Node, columns: Columns) -> None:
        key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
        name = self._key(key) if key is not None else None
        if name is None or value is None or key is None:
            columns.leave("A column is named by a variable.")
            return
        self._add(columns, name, value, key)

    def _key(self, key: Node) -> str | None:
        if key.type == "computed_property_name":
            return self.text(key.named_children[0]) if key.named_children else None
        text = string(key, self._syntax)
        return text if text is not None else self._syntax.text(key)

    def _add(self, columns: Columns, name: str, value: Node, place: Node, presence: Presence = Presence.ALWAYS) -> None:
        found = self.possible(value)
        if found.absent is Presence.ALWAYS:
            return
        if found.absent is Presence.SOMETIMES:
            presence = Presence.SOMETIMES
        columns.add(Written(name, found.value, line(place), presence))

    def _spread(self, node: Node, columns: Columns, depth: int) -> None:
        node = bare(node)
        conditional = False
        if node.type == "binary_expression":
            operator, right = node.child_by_field_name("operator"), node.child_by_field_name("right")
            if operator is not None and operator.type == "&&" and right is not None:
                node, conditional = bare(right), True
        found = self.columns(node, depth + 1)
        if not found.complete:
            columns.cover()
            columns.leave("Columns are spread into the object from elsewhere.")
        for name, written in found.written.items():
            before = columns.written.get(name)
            if conditional or written.presence is Presence.SOMETIMES:
                if before is None:
                    written = replace(written, presence=Presence.SOMETIMES)
                else:
                    value = _either([Possible(before.value), Possible(written.value)]).value
                    written = replace(written, value=value, presence=before.presence)
            columns.add(written)

    def _held(self, node: Node, depth: int) -> Columns:
        """Read an object that a variable of this file holds, with what is added to it afterwards."""
        binding = self._names.resolve(node)
        if binding is None or binding.kind is not NameKind.VARIABLE or binding.value is None:
            return elsewhere()
        columns = self.columns(binding.value, depth + 1)
        for reference in self._names.references(binding):
            if reference.end_byte <= node.start_byte:  # what comes after it is not sent
                self._follow(reference, binding, columns)
        return columns

    def _follow(self, reference: Node, binding: Binding, columns: Columns) -> None:
        """Account for what one mention of a variable may do to the object that it holds."""
        inner, above = outside(reference)
        if above is None:
            return
        if above.type in ("member_expression", "subscript_expression") and above.child_by_field_name("object") == inner:
            outer, beyond = outside(above)
            if beyond is None or not _sets(beyond, outer):
                return
            self._set(above, beyond, binding, columns)
        elif _sets(above, inner) or not self._is_harmless(inner, above):
            columns.cover()
            columns.leave("The object may be changed before it is sent.")

    def _set(self, place: Node, by: Node, binding: Binding, columns: Columns) -> None:
        name: str | None = None
        parts = member(place, self._syntax)
        index = place.child_by_field_name("index")
        if parts is not None:
            name = parts[1]
        elif index is not None:
            name = self.text(index)
        right = by.child_by_field_name("right")
        if name is None:
            columns.cover()
            columns.leave("A column is named by a variable.")
        elif by.type != "assignment_expression" or right is None:  # delete, +=, ++
            if name in columns.written:
                columns.add(replace(columns.written[name], value=UNKNOWN, presence=Presence.SOMETIMES))
        else:
            always = _block_of(by) == binding.block
            before = columns.written.get(name)
            self._add(columns, name, right, place, Presence.ALWAYS if always or before else Presence.SOMETIMES)
            if before is not None and not always:
                after = columns.written[name]
                value = _either([Possible(before.value), Possible(after.value)]).value
                columns.add(replace(after, value=value, presence=before.presence))

    def _is_harmless(self, inner: Node, above: Node) -> bool:
        """Whether a mention of an object only reads it."""
        if above.type == "arguments":
            call = above.parent
            function = call.child_by_field_name("function") if call is not None else None
            if function is None:
                return False
            parts = member(function, self._syntax)
            return (parts[1] if parts is not None else self._syntax.text(function)) in _HARMLESS
        return above.type in (
            "spread_element", "template_substitution", "binary_expression", "unary_expression", "if_statement",
            "return_statement", "ternary_expression", "expression_statement",
        ) and not (above.type == "unary_expression" and self._syntax.text(above).startswith("delete"))  # fmt: skip

    # --- lists of objects

    def rows(self, node: Node, missing_is_null: bool = True, depth: int = 0) -> Columns:
        """Return the columns of what an insert is given: one object, or a list of them.

        supabase-js names every column of a list, so that a row without one sends null there; with
        `defaultToNull: false` (`missing_is_null` False) the default holds instead.
        """
        node = bare(node)
        if depth > _DEEPEST:
            return elsewhere()
        match node.type:
            case "array":
                items = [child for child in node.named_children if child.type != "comment"]
                if not items:
                    return Columns()
                if len(items) > _MOST_ROWS or any(item.type == "spread_element" for item in items):
                    return elsewhere()
                return _merged([self.columns(item, depth + 1) for item in items], missing_is_null)
            case "call_expression":
                return self._mapped(node, depth)
            case "identifier":
                binding = self._names.resolve(node)
                if binding is None or binding.kind is not NameKind.VARIABLE or binding.value is None:
                    return elsewhere()
                value = bare(binding.value)
                if value.type == "array":
                    return self._pushed(node, value, binding, missing_is_null, depth)
                if value.type == "call_expression":
                    if any(self._changes_list(reference) for reference in self._names.references(binding)):
                        return elsewhere()
                    return self._mapped(value, depth)
        return self.columns(node, depth)

    def _pushed(self, node: Node, value: Node, binding: Binding, missing_is_null: bool, depth: int) -> Columns:
        """Read a list that is built by `push`."""
        found = [self.rows(value, missing_is_null, depth + 1)] if value.named_children else []
        for reference in self._names.references(binding):
            if reference.start_byte >= node.start_byte:
                continue
            if self._changes_list(reference):
                return elsewhere()
            found += [
                elsewhere() if item.type == "spread_element" else self.columns(item, depth + 1)
                for item in self._pushes(reference)
            ]
        return _merged(found) if found else elsewhere()

    def _pushes(self, reference: Node) -> list[Node]:
        call = self._method_on(reference)
        return arguments(call[1]) if call is not None and call[0] == "push" else []

    def _method_on(self, reference: Node) -> tuple[str, Node] | None:
        """Return the method that is called on a mention, and the call."""
        inner, above = outside(reference)
        parts = member(above, self._syntax) if above is not None else None
        call = above.parent if above is not None else None
        if parts is None or call is None or parts[0] != inner or call.type != "call_expression":
            return None
        return (parts[1], call) if call.child_by_field_name("function") == above else None

    def _changes_list(self, reference: Node) -> bool:
        """Whether a mention of a list may change it in another way than by `push`."""
        called = self._method_on(reference)
        if called is not None:
            return called[0] in _CHANGES_LIST
        inner, above = outside(reference)
        if above is None or above.type == "for_in_statement":
            return False
        if above.type in ("member_expression", "subscript_expression"):
            outer, beyond = outside(above)
            return beyond is not None and (beyond.type == "arguments" or _sets(beyond, outer))
        return _sets(above, inner) or not self._is_harmless(inner, above)

    def _mapped(self, call: Node, depth: int) -> Columns:
        """Read `list.map(item => ({…}))`."""
        function = call.child_by_field_name("function")
        parts = member(function, self._syntax) if function is not None else None
        given = arguments(call)
        if parts is None or parts[1] not in ("map", "flatMap") or not given:
            return elsewhere()
        callback = bare(given[0])
        if callback.type not in ("arrow_function", "function_expression"):
            return elsewhere()
        returned = list(self._returned(callback))
        return _merged([self.columns(item, depth + 1) for item in returned]) if returned else elsewhere()

    def _returned(self, function: Node) -> Iterator[Node]:
        body = function.child_by_field_name("body")
        if body is None:
            return
        if body.type != "statement_block":
            yield body
            return
        for node in self._syntax.find("(return_statement (_) @value)", "value", body):
            nearest = next((above for above in ancestors(node) if above.type in FUNCTIONS), None)
            if nearest == function:
                yield node


def _sets(above: Node, inner: Node) -> bool:
    """Whether `above` sets or deletes what `inner` stands for."""
    if above.type in ("assignment_expression", "augmented_assignment_expression"):
        return above.child_by_field_name("left") == inner
    if above.type == "update_expression":
        return True
    operator = above.child_by_field_name("operator") if above.type == "unary_expression" else None
    return operator is not None and operator.type == "delete"


def _block_of(node: Node) -> Node | None:
    """Return the block that a statement stands in directly: only there does it run each time."""
    above = node.parent
    return above.parent if above is not None and above.type == "expression_statement" else None


def _is_single(possible: Possible) -> bool:
    """Whether an expression is always the same, or nothing is known of it."""
    value = possible.value
    if not value.literals and not value.json and value.null is Presence.NEVER and possible.absent is Presence.NEVER:
        return True
    several = len(value.literals) + value.json + (value.null is not Presence.NEVER) > 1
    return value.complete and not several and Presence.SOMETIMES not in (value.null, possible.absent)


def _literal(item: Scalar) -> Value:
    return Value((item,), complete=True)


def _number(text: str) -> Value:
    text = text.replace("_", "").lower().removesuffix("n")
    try:
        return _literal(int(text, 0) if text[:2] in ("0x", "0o", "0b") else int(text))
    except ValueError:
        try:
            number = float(text)
        except ValueError:
            return UNKNOWN
        return _literal(number) if math.isfinite(number) else UNKNOWN


def _both(first: Presence, second: Presence) -> Presence:
    return first if first is second else Presence.SOMETIMES


def _either(sides: Iterable[Possible]) -> Possible:
    """Return what is possible where one of several expressions decides."""
    sides = list(sides)
    found = sides[0]
    for side in sides[1:]:
        one, other = found.value, side.value
        # A side that is never sent says nothing of what is sent.
        if found.absent is Presence.ALWAYS or side.absent is Presence.ALWAYS:
            value = other if found.absent is Presence.ALWAYS else one
            both = found.absent is side.absent
            found = Possible(value, Presence.ALWAYS if both else Presence.SOMETIMES)
            continue
        literals = one.literals + tuple(
            item
            for item in other.literals
            if (type(item), item) not in [(type(known), known) for known in one.literals]
        )
        value = Value(literals, _both(one.null, other.null), one.complete and other.complete, one.json or other.json)
        found = Possible(value, _both(found.absent, side.absent))
    return found


def _merged(found: list[Columns], missing_is_null: bool = False) -> Columns:
    """Return the columns of several objects, of which any may be sent; `missing_is_null` where all are sent at once."""
    if len(found) == 1:
        return found[0]
    columns = Columns()
    for one in found:
        for reason in one.unread:
            columns.leave(reason)
        columns.complete = columns.complete and one.complete
    for name in dict.fromkeys(name for one in found for name in one.written):
        held = [one.written[name] for one in found if name in one.written]
        value = _either([Possible(written.value) for written in held]).value
        everywhere = len(held) == len(found) and all(written.presence is Presence.ALWAYS for written in held)
        if len(held) < len(found) and missing_is_null and all(one.complete for one in found):
            value = replace(value, null=_both(value.null, Presence.ALWAYS))
            everywhere = True
        columns.add(Written(name, value, held[0].line, Presence.ALWAYS if everywhere else Presence.SOMETIMES))
    return columns
