"""What one file takes from others, gives out, and declares at its top, and what each declaration mentions."""

from __future__ import annotations

from dataclasses import replace

from tree_sitter import Node

from lib.model.served_code import Declaration, Exported, Imported
from lib.served_code.outline import Outline, bound_names, declared
from lib.served_code.selects import HOLE
from lib.served_code.syntax import Syntax, arguments, bare, line, member, outside, string

_MENTIONED = frozenset({"identifier", "shorthand_property_identifier", "this"})
# Where a name only passes through.
_NAMES_ONLY = frozenset(
    {"import_specifier", "import_clause", "namespace_import", "import_require_clause", "export_specifier", "type_query"}
)
# How a class of which there is one hands it out.
_INSTANCE = frozenset({"getInstance", "instance"})
_LOADS = """
(call_expression function: (import) arguments: (arguments . [(string) (template_string)] @dynamic))
(call_expression function: (identifier) @name arguments: (arguments . (string) @dynamic) (#eq? @name "require"))
"""
_FETCHES = "(call_expression arguments: (arguments . [(string) (template_string)] @address))"
_LONGEST_ADDRESS = 300


class Modules:
    """Reads one file."""

    def __init__(self, syntax: Syntax, outline: Outline) -> None:
        self._syntax = syntax
        self._outline = outline
        self._statements = [node for node in syntax.root.named_children if node.type != "comment"]

    def directive(self) -> str | None:
        """Return "use server" or "use client" where the file begins with it."""
        for statement in self._statements:
            text = string(bare(statement.named_children[0]), self._syntax) if _is_words(statement) else None
            if text is None:
                return None
            if text in ("use server", "use client"):
                return text
        return None

    def imports(self) -> tuple[Imported, ...]:
        found = (self._import(node) for node in self._statements if node.type == "import_statement")
        return tuple(one for one in found if one is not None)

    def _import(self, node: Node) -> Imported | None:
        if any(child.type in ("type", "typeof") for child in node.children):
            return None
        clause = next((child for child in node.named_children if child.type.endswith("clause")), None)
        source = node.child_by_field_name("source")
        if source is None and clause is not None:
            source = clause.child_by_field_name("source")
        module = string(source, self._syntax) if source is not None else None
        if module is None:
            return None
        names: list[tuple[str, str]] = []
        for child in clause.named_children if clause is not None else ():
            if child.type == "identifier":
                whole = clause is not None and clause.type == "import_require_clause"
                names.append(("*" if whole else "default", self._syntax.text(child)))
            elif child.type == "namespace_import":
                names.append(("*", self._syntax.text(child.named_children[0])))
            elif child.type == "named_imports":
                names += [pair for item in child.named_children if (pair := self._specifier(item)) is not None]
        return Imported(module, tuple(names))

    def _specifier(self, item: Node) -> tuple[str, str] | None:
        """Return (name there, name here)."""
        name, alias = item.child_by_field_name("name"), item.child_by_field_name("alias")
        if name is None or any(child.type == "type" for child in item.children):
            return None
        there = self._syntax.text(name)
        return there, self._syntax.text(alias) if alias is not None else there

    def exports(self) -> tuple[Exported, ...]:
        return tuple(one for node in self._statements if node.type == "export_statement" for one in self._export(node))

    def _export(self, node: Node) -> list[Exported]:
        if any(child.type == "type" for child in node.children):
            return []
        source = node.child_by_field_name("source")
        module = string(source, self._syntax) if source is not None else None
        is_default = any(child.type == "default" for child in node.children)
        found: list[Exported] = []
        for child in node.named_children:
            if child.type == "export_clause":
                for item in child.named_children:
                    pair = self._specifier(item)
                    if pair is not None:
                        found.append(Exported(pair[1], pair[0], module))
            elif child.type == "namespace_export" and child.named_children:
                found.append(Exported(self._syntax.text(child.named_children[0]), "*", module))
        if found:
            return found
        if module is not None:
            return [Exported("*", "*", module)]
        declaration, value = node.child_by_field_name("declaration"), node.child_by_field_name("value")
        if is_default:
            inside = declaration or value
            name = inside.child_by_field_name("name") if inside is not None and declaration is not None else None
            if value is not None and value.type == "identifier":
                return [Exported("default", self._syntax.text(value))]
            return [Exported("default", self._syntax.text(name) if name is not None else "default")]
        return [Exported(name, names[0]) for names in self._declared(declaration) for name in names]

    def _declared(self, node: Node | None) -> list[list[str]]:
        """Return the names that a statement declares, those of one declarator together."""
        if node is None:
            return []
        if node.type in ("lexical_declaration", "variable_declaration"):
            patterns = [child.child_by_field_name("name") for child in node.named_children]
            return [names for one in patterns if one is not None and (names := bound_names(one, self._syntax))]
        names = declared(node, self._syntax)
        return [names] if names else []

    def declarations(self, imports: tuple[Imported, ...]) -> tuple[Declaration, ...]:
        """Return what the file declares at its top, and "" for the rest, which runs when the file is imported."""
        spans = self._outline.spans
        known = {local for one in imports for _, local in one.names}
        known |= {name for span in spans if span.parent is None for name in span.names}
        loads: dict[int | None, list[Imported]] = {}
        for node in self._syntax.find(_LOADS, "dynamic"):
            module = string(node, self._syntax)
            if module is not None:
                loads.setdefault(self._outline.at(node), []).append(Imported(module, self._loaded(node)))
        known |= {local for several in loads.values() for one in several for _, local in one.names}
        mentions: dict[int | None, dict[str, None]] = {}
        if any(span.parent is not None for span in spans):
            known.add("this")
        for name in known:
            for node in self._syntax.occurrences(name, self._syntax.root):
                for mention in self._mentions(node, name):
                    mentions.setdefault(self._outline.at(node), {})[mention] = None
        fetches: dict[int | None, list[str]] = {}
        for node in self._syntax.find(_FETCHES, "address") if b"api/" in self._syntax.source else ():
            address = (string(node, self._syntax, HOLE) or "").lstrip(HOLE)
            if address.startswith("/api/") and len(address) < _LONGEST_ADDRESS:
                fetches.setdefault(self._outline.at(node), []).append(address)
        declarations = [] if None not in {*mentions, *loads, *fetches} else [Declaration("", 1, 1)]
        declarations += [
            Declaration(span.names[0], line(span.node), span.node.end_point[0] + 1, instance_of=span.instance_of)
            for span in spans
        ]
        places: list[int | None] = ([None] if len(declarations) > len(spans) else []) + [*range(len(spans))]
        return tuple(
            replace(
                declaration,
                mentions=tuple(sorted(name for name in mentions.get(place, {}) if name != declaration.name)),
                loads=tuple(loads.get(place, ())),
                fetches=tuple(dict.fromkeys(fetches.get(place, ()))),
            )
            for place, declaration in zip(places, declarations, strict=True)
        )

    def _mentions(self, node: Node, name: str) -> list[str]:
        """Return `name`, or `name.part` where only a part of it is used; of `this` in a class the class's own."""
        above = node.parent
        if node.type not in _MENTIONED or above is None or above.type in _NAMES_ONLY:
            return []
        parts = member(above, self._syntax)
        part = parts[1] if parts is not None and parts[0] == node else None
        place = self._outline.at(node)
        span = self._outline.spans[place] if place is not None else None
        owner = self._outline.spans[span.parent] if span is not None and span.parent is not None else span
        if node.type == "this":
            return [f"{owner.names[0]}.{part}"] if owner is not None and part is not None else []
        if above.type == "new_expression" and above.child_by_field_name("constructor") == node:
            # At the top of a file the parts are followed from the name; in a class of one instance from its users.
            known = owner is not None and name in (owner.instance_of, owner.names[0])
            return [f"{name}.constructor"] if known else [name]
        if part not in _INSTANCE:
            return [name if part is None else f"{name}.{part}"]
        if owner is not None and name in (owner.instance_of, owner.names[0]):
            return [f"{name}.{part}"]
        used = self._used_of_instance(above)
        return [f"{name}.{part}", f"{name}.{used}"] if used is not None else [f"{name}.{part}", name]

    def _used_of_instance(self, whole: Node) -> str | None:
        """Return `part` of `Class.getInstance().part`, or of `Class.instance.part`."""
        call = whole.parent if whole.parent is not None and whole.parent.type == "call_expression" else whole
        _, above = outside(call)
        parts = member(above, self._syntax) if above is not None else None
        return parts[1] if parts is not None else None

    def _loaded(self, node: Node) -> tuple[tuple[str, str], ...]:
        """Return the names that are taken from a file which the code loads while it runs; "*" where that is open."""
        call = node.parent.parent if node.parent is not None else None
        if call is None:
            return (("*", "*"),)
        _, above = outside(call)
        if above is not None and above.type == "await_expression":
            _, above = outside(above)
        if above is not None and above.type == "variable_declarator":
            pattern = above.child_by_field_name("name")
            if pattern is not None and pattern.type == "object_pattern":
                names = [self._taken(child) for child in pattern.named_children]
                return tuple(pair for pair in names if pair is not None) if None not in names else (("*", "*"),)
        if above is not None and above.type == "member_expression":
            parts = member(above, self._syntax)
            if parts is not None and parts[1] == "then":
                return self._then(above)
            if parts is not None:
                return ((parts[1], parts[1]),)
        return (("*", "*"),)

    def _taken(self, child: Node) -> tuple[str, str] | None:
        """Return (name there, name here) of one part of `{ a, b: c }`; None for a part that takes the rest."""
        if child.type == "shorthand_property_identifier_pattern":
            return self._syntax.text(child), self._syntax.text(child)
        key, value = child.child_by_field_name("key"), child.child_by_field_name("value")
        if child.type != "pair_pattern" or key is None or value is None or value.type != "identifier":
            return None
        return self._syntax.text(key), self._syntax.text(value)

    def _then(self, above: Node) -> tuple[tuple[str, str], ...]:
        """Read `import('x').then((m) => m.Name)`."""
        call = above.parent
        given = arguments(call) if call is not None and call.type == "call_expression" else []
        body = bare(given[0]).child_by_field_name("body") if given else None
        parts = member(bare(body), self._syntax) if body is not None else None
        return ((parts[1], parts[1]),) if parts is not None else (("*", "*"),)


def _is_words(statement: Node) -> bool:
    return statement.type == "expression_statement" and bool(statement.named_children)
