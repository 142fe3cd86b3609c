"""Which name in a file stands for what: where it is bound, in which block it is seen, and where it is mentioned."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from tree_sitter import Node

from lib.served_code.syntax import BLOCKS, Syntax, ancestors, bare

_PATTERNS = frozenset(
    {
        "object_pattern", "array_pattern", "pair_pattern", "rest_pattern", "object_assignment_pattern",
        "assignment_pattern",
    }
)  # fmt: skip
_REFERENCES = frozenset({"identifier", "shorthand_property_identifier"})
_BOUND = _REFERENCES | {"shorthand_property_identifier_pattern", "type_identifier"}


class NameKind(Enum):
    """What binds a name."""

    VARIABLE = auto()
    PARAMETER = auto()
    FUNCTION = auto()
    CLASS = auto()
    ENUM = auto()
    IMPORT = auto()
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Binding:
    """A name, where it is bound. `value` is what the whole name is set to; None where it is a part of something."""

    name: str
    node: Node
    kind: NameKind
    block: Node
    value: Node | None = None


class Names:
    """The names of one file; each is looked up once."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
        self._known: dict[str, _Known] = {}

    def resolve(self, node: Node) -> Binding | None:
        """Return what the name that `node` is was bound by, or None if nothing in this file did."""
        return self._name(self._syntax.text(node)).resolve(node)

    def at(self, node: Node) -> Binding | None:
        """Return the binding whose own word is `node`."""
        known = self._name(self._syntax.text(node))
        return next((binding for binding in known.bindings if binding.node == node), None)

    def references(self, binding: Binding) -> list[Node]:
        """Return every mention of a bound name but the binding itself, in the order of the text."""
        return self._name(binding.name).references.get(binding.node.id, [])

    def is_constant(self, binding: Binding) -> bool:
        """Whether a variable has one value only: nothing assigns to it again."""
        return not any(is_assigned(node) for node in self.references(binding))

    def _name(self, name: str) -> _Known:
        if name not in self._known:
            self._known[name] = _Known.read(name, self._syntax)
        return self._known[name]


@dataclass(slots=True)
class _Known:
    """All bindings of one name, the innermost last, and who mentions each."""

    bindings: list[Binding]
    blocks: list[tuple[int, int]]
    references: dict[int, list[Node]]

    @classmethod
    def read(cls, name: str, syntax: Syntax) -> _Known:
        mentions: list[Node] = []
        bindings: list[Binding] = []
        for node in syntax.occurrences(name, syntax.root):
            if node.type not in _BOUND:
                continue
            binding = _binding(name, node)
            if binding is not None:
                bindings.append(binding)
            elif node.type != "type_identifier":
                mentions.append(node)
        bindings.sort(key=lambda binding: binding.block.start_byte)
        known = cls(bindings, [binding.block.byte_range for binding in bindings], {})
        for node in mentions:
            found = known.resolve(node)
            if found is not None:
                known.references.setdefault(found.node.id, []).append(node)
        return known

    def resolve(self, node: Node) -> Binding | None:
        start, end = node.byte_range
        around = (
            binding
            for binding, (first, last) in zip(reversed(self.bindings), reversed(self.blocks), strict=True)
            if first <= start and end <= last
        )
        return next(around, None)


def is_assigned(node: Node) -> bool:
    """Whether a name is set here, by itself or as part of a pattern."""
    inner, above = _out_of_pattern(node)
    if above is None:
        return False
    if above.type in ("assignment_expression", "augmented_assignment_expression"):
        return above.child_by_field_name("left") == inner
    return above.type == "update_expression"


def _out_of_pattern(node: Node) -> tuple[Node, Node | None]:
    above = node.parent
    while above is not None and above.type in _PATTERNS:
        # `{ key = value }` and `{ [key]: name }`: only the left side of one, and the right side of the other, is set.
        side = {"pair_pattern": "value", "object_assignment_pattern": "left", "assignment_pattern": "left"}
        if above.type in side and above.child_by_field_name(side[above.type]) != node:
            return node, None
        node, above = above, above.parent
    return node, above


def _binding(name: str, node: Node) -> Binding | None:
    inner, above = _out_of_pattern(node)
    if above is None:
        return None
    whole = inner == node
    match above.type:
        case "variable_declarator" if above.child_by_field_name("name") == inner:
            return Binding(
                name, node, NameKind.VARIABLE, _block(above), above.child_by_field_name("value") if whole else None
            )
        case "required_parameter" | "optional_parameter" if above.child_by_field_name("pattern") == inner:
            return Binding(name, node, NameKind.PARAMETER, _block(above))
        case "arrow_function" if above.child_by_field_name("parameter") == inner:
            return Binding(name, node, NameKind.PARAMETER, above)
        case "function_declaration" | "generator_function_declaration" | "function_signature":
            return Binding(name, node, NameKind.FUNCTION, _block(above), above) if _is_named(above, node) else None
        case "class_declaration" | "abstract_class_declaration":
            return Binding(name, node, NameKind.CLASS, _block(above), above) if _is_named(above, node) else None
        case "enum_declaration":
            return Binding(name, node, NameKind.ENUM, _block(above), above) if _is_named(above, node) else None
        case "import_clause" | "namespace_import" | "import_require_clause":
            return Binding(name, node, NameKind.IMPORT, _block(above))
        case "import_specifier":
            return Binding(name, node, NameKind.IMPORT, _block(above)) if above.named_children[-1] == node else None
        case "catch_clause" if above.child_by_field_name("parameter") == inner:
            return Binding(name, node, NameKind.OTHER, above)
        case "for_in_statement" if above.child_by_field_name("left") == inner:
            return Binding(name, node, NameKind.OTHER, above)
    return None


def _is_named(declaration: Node, node: Node) -> bool:
    return declaration.child_by_field_name("name") == node


def _block(node: Node) -> Node:
    """Return the block in which what `node` declares is seen."""
    last = node
    for above in ancestors(node):
        if above.type in BLOCKS:
            return above
        last = above
    return last


def constant(node: Node, names: Names) -> Node | None:
    """Return what a name stands for if it is set once, in this file, as a whole. Follows a few names in turn."""
    for _ in range(8):
        node = bare(node)
        if node.type not in _REFERENCES:
            return node
        binding = names.resolve(node)
        if binding is None or binding.kind is not NameKind.VARIABLE or binding.value is None:
            return None
        if not names.is_constant(binding):
            return None
        node = binding.value
    return None
