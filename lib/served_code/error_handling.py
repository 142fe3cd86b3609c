"""Whether the code looks at the error of a result. supabase-js gives errors back and throws none.

Looked at: its `error` is bound and used, `throwOnError()` stands in the chain, or the whole result is returned or
handed on. Ignored: the chain is a bare statement, or only `data` is taken from it. Everything else: not known.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tree_sitter import Node

from lib.model.served_code import ErrorHandling
from lib.served_code.names import Binding, Names, is_assigned
from lib.served_code.syntax import FUNCTIONS, Syntax, arguments, bare, member, outside

_LOOKED_AT, _IGNORED, _UNKNOWN = ErrorHandling.LOOKED_AT, ErrorHandling.IGNORED, ErrorHandling.UNKNOWN
# What a result holds beside its error.
_NO_ERROR = frozenset({"data", "count"})
_TOGETHER = frozenset({"all", "allSettled", "race", "any"})
_DEEPEST = 12


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a chain: `.name(arguments)`. `node` is the chain up to and with it."""

    name: str
    arguments: tuple[Node, ...]
    node: Node


@dataclass(frozen=True, slots=True)
class ResultUse:
    """What becomes of a request: whether its error is checked, and whether it is sent at all."""

    error: ErrorHandling
    sent: bool = True


def chain(node: Node, syntax: Syntax) -> tuple[list[Call], Node]:
    """Return the calls that follow on `node`, and the whole chain: of `x` in `x.a(1).b(2)` the calls a and b."""
    calls: list[Call] = []
    while True:
        inner, above = outside(node)
        parts = member(above, syntax) if above is not None else None
        call = above.parent if above is not None else None
        if parts is None or call is None or parts[0] != inner or call.type != "call_expression":
            return calls, node
        if call.child_by_field_name("function") != above:
            return calls, node
        calls.append(Call(parts[1], tuple(arguments(call)), call))
        node = call


class ResultUses:
    """Follows results through one file."""

    def __init__(self, syntax: Syntax, names: Names) -> None:
        self._syntax = syntax
        self._names = names

    def of(self, calls: Iterable[Call], top: Node) -> ResultUse:
        """Return what becomes of the request that a chain of `calls` with the whole `top` makes."""
        for call in calls:
            if call.name == "throwOnError":
                return ResultUse(_LOOKED_AT, self._request(top).sent)
        for call in calls:
            if call.name == "then":
                return ResultUse(self._then(call))
        return self._request(top)

    # --- the request, before it is awaited

    def _request(self, node: Node, depth: int = 0) -> ResultUse:
        inner, above = outside(node)
        if above is None or depth > _DEEPEST:
            return ResultUse(_UNKNOWN)
        match above.type:
            case "await_expression":
                return ResultUse(self._result(above, depth + 1))
            case "expression_statement":
                return ResultUse(_IGNORED, sent=False)
            case "unary_expression":
                return ResultUse(_IGNORED, sent=False)
            case "return_statement":
                return ResultUse(_LOOKED_AT)
            case "arrow_function":
                return ResultUse(self._returned(above, depth))
            case "variable_declarator":
                name = above.child_by_field_name("name")
                binding = self._names.at(name) if name is not None and name.type == "identifier" else None
                return self._kept(binding, depth) if binding is not None else ResultUse(_UNKNOWN)
            case "assignment_expression":
                left = above.child_by_field_name("left")
                binding = self._names.resolve(left) if left is not None and left.type == "identifier" else None
                return self._kept(binding, depth) if binding is not None and left != inner else ResultUse(_UNKNOWN)
            case "arguments":
                return ResultUse(_LOOKED_AT)
            case "array":
                return ResultUse(self._together(above, inner, depth))
            case "ternary_expression" | "binary_expression":
                return self._request(above, depth + 1)
        return ResultUse(_UNKNOWN)

    def _kept(self, binding: Binding, depth: int) -> ResultUse:
        """A request that a variable holds: it is sent where that is awaited."""
        found: list[ResultUse] = []
        for reference in self._names.references(binding):
            if is_assigned(reference):
                continue
            calls, top = chain(reference, self._syntax)
            _, above = outside(top)
            if above is not None and above.type == "assignment_expression":
                left = above.child_by_field_name("left")
                if left is not None and self._syntax.text(left) == binding.name:
                    continue
            if calls and calls[-1].name in ("then", "throwOnError"):
                found.append(self.of(calls, top))
            elif above is not None and above.type != "expression_statement":
                found.append(self._request(top, depth + 3))
        sent = [outcome for outcome in found if outcome.sent]
        if not sent:
            return ResultUse(_IGNORED, sent=False) if not found else ResultUse(_UNKNOWN)
        return ResultUse(_together([outcome.error for outcome in sent]))

    def _returned(self, function: Node, depth: int) -> ErrorHandling:
        """A request that an arrow function gives back; `Promise.all(list.map(…))` may drop all of them."""
        _, above = outside(function)
        call = above.parent if above is not None and above.type == "arguments" else None
        called = call.child_by_field_name("function") if call is not None else None
        parts = member(called, self._syntax) if called is not None else None
        if call is None or parts is None or parts[1] not in ("map", "flatMap"):
            return _LOOKED_AT
        _, around = outside(call)
        whole = around.parent if around is not None and around.type == "arguments" else None
        if whole is None or not self._is_together(whole):
            return _LOOKED_AT
        return self._all_of(whole, depth)

    def _all_of(self, whole: Node, depth: int) -> ErrorHandling:
        """What becomes of the list of results of `Promise.all`."""
        _, above = outside(whole)
        if above is not None and above.type == "await_expression":
            _, above = outside(above)
        if above is None or depth > _DEEPEST:
            return _UNKNOWN
        if above.type == "expression_statement":
            return _IGNORED
        if above.type in ("return_statement", "arrow_function", "arguments"):
            return _LOOKED_AT
        if above.type == "variable_declarator":
            name = above.child_by_field_name("name")
            binding = self._names.at(name) if name is not None and name.type == "identifier" else None
            if binding is not None and not self._names.references(binding):
                return _IGNORED
        return _UNKNOWN

    def _is_together(self, call: Node) -> bool:
        function = call.child_by_field_name("function") if call.type == "call_expression" else None
        parts = member(function, self._syntax) if function is not None else None
        return parts is not None and parts[1] in _TOGETHER and self._syntax.text(parts[0]) == "Promise"

    def _together(self, array: Node, inner: Node, depth: int) -> ErrorHandling:
        """A request in `Promise.all([…])`: its result stands at the same place of the list."""
        _, above = outside(array)
        whole = above.parent if above is not None and above.type == "arguments" else None
        if whole is None or not self._is_together(whole):
            return _UNKNOWN
        items = [child for child in array.named_children if child.type != "comment"]
        if inner not in items or any(item.type == "spread_element" for item in items):
            return _UNKNOWN
        _, around = outside(whole)
        if around is not None and around.type == "await_expression":
            _, around = outside(around)
        pattern = None
        if around is not None and around.type == "variable_declarator":
            pattern = around.child_by_field_name("name")
        if (
            pattern is None
            or pattern.type != "array_pattern"
            or not self._syntax.text(whole).startswith("Promise.all(")
        ):
            return self._all_of(whole, depth)
        return self._target(_item(pattern, items.index(inner)), depth)

    # --- the result, once it is there

    def _result(self, node: Node, depth: int = 0) -> ErrorHandling:
        _, above = outside(node)
        if above is None or depth > _DEEPEST:
            return _UNKNOWN
        match above.type:
            case "expression_statement":
                return _IGNORED
            case "variable_declarator":
                return self._target(above.child_by_field_name("name"), depth)
            case "assignment_expression":
                return self._target(above.child_by_field_name("left"), depth)
            case "return_statement" | "arrow_function" | "arguments" | "spread_element":
                return _LOOKED_AT
            case "member_expression":
                parts = member(above, self._syntax)
                return self._part(parts[1]) if parts is not None else _UNKNOWN
            case "await_expression" | "ternary_expression" | "binary_expression":
                return self._result(above, depth + 1)
        return _UNKNOWN

    @staticmethod
    def _part(name: str) -> ErrorHandling:
        if name == "error":
            return _LOOKED_AT
        return _IGNORED if name in _NO_ERROR else _UNKNOWN

    def _target(self, target: Node | None, depth: int) -> ErrorHandling:
        """What a result is set to: a name, or a pattern that takes parts of it."""
        if target is None:
            return _IGNORED
        if target.type == "object_pattern":
            return self._pattern(target, depth)
        if target.type == "identifier":
            binding = self._names.resolve(target)
            return self._held(binding, depth) if binding is not None else _UNKNOWN
        return _UNKNOWN

    def _pattern(self, pattern: Node, depth: int) -> ErrorHandling:
        """`{ data, error }` and its like."""
        rest: Node | None = None
        for child in pattern.named_children:
            key, value = child, child
            if child.type == "rest_pattern":
                rest = child.named_children[0] if child.named_children else None
                continue
            if child.type == "pair_pattern":
                key, value = child.child_by_field_name("key") or child, child.child_by_field_name("value") or child
            elif child.type == "object_assignment_pattern":
                key = value = child.child_by_field_name("left") or child
            if self._syntax.text(key) != "error":
                continue
            if value.type == "assignment_pattern":
                value = value.child_by_field_name("left") or value
            if value.type not in ("identifier", "shorthand_property_identifier_pattern"):
                return _LOOKED_AT  # taken apart
            binding = self._names.resolve(value)
            if binding is None:
                return _UNKNOWN
            used = [reference for reference in self._names.references(binding) if not is_assigned(reference)]
            return _LOOKED_AT if used else _IGNORED
        if rest is not None:
            return self._target(rest, depth)
        return _IGNORED

    def _held(self, binding: Binding, depth: int) -> ErrorHandling:
        """A result that a variable holds."""
        found = [
            self._mention(reference, depth)
            for reference in self._names.references(binding)
            if not is_assigned(reference)
        ]
        return _together([one for one in found if one is not None])

    def _mention(self, reference: Node, depth: int) -> ErrorHandling | None:
        """What one mention of a result looks at; None for nothing."""
        inner, above = outside(reference)
        if above is None or depth > _DEEPEST or reference.type == "shorthand_property_identifier":
            return _LOOKED_AT if above is not None and depth <= _DEEPEST else _UNKNOWN
        match above.type:
            case "member_expression":
                parts = member(above, self._syntax)
                return self._part(parts[1]) if parts is not None and parts[0] == inner else _UNKNOWN
            case "variable_declarator":
                return self._target(above.child_by_field_name("name"), depth + 1)
            case "return_statement" | "arrow_function" | "arguments" | "spread_element" | "pair" | "array":
                return _LOOKED_AT
            case "binary_expression" | "unary_expression" | "if_statement" | "parenthesized_expression":
                return None
        return _UNKNOWN

    def _then(self, call: Call) -> ErrorHandling:
        """`.then(result => …)`."""
        if not call.arguments:
            return _IGNORED
        function = bare(call.arguments[0])
        if function.type not in FUNCTIONS:
            return _LOOKED_AT  # handed on
        parameter = function.child_by_field_name("parameter")
        if parameter is None:
            parameters = function.child_by_field_name("parameters")
            first = parameters.named_children[:1] if parameters is not None else []
            if not first:
                return _IGNORED
            parameter = first[0].child_by_field_name("pattern")
        if parameter is None:
            return _UNKNOWN
        if parameter.type == "identifier":
            binding = self._names.at(parameter)
            return self._held(binding, 0) if binding is not None else _UNKNOWN
        return self._target(parameter, 0)


def _item(pattern: Node, index: int) -> Node | None:
    """Return the item at a place of `[a, , b]`."""
    place = 0
    for child in pattern.children:
        if child.type == ",":
            place += 1
        elif child.is_named and child.type != "comment" and place == index:
            return child.child_by_field_name("left") if child.type == "assignment_pattern" else child
    return None


def _together(found: list[ErrorHandling]) -> ErrorHandling:
    """What several mentions come to: one look is enough, and what is not known leaves it open."""
    if _LOOKED_AT in found:
        return _LOOKED_AT
    return _UNKNOWN if _UNKNOWN in found else _IGNORED
