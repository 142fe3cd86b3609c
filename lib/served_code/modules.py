"""What one file takes from others, gives out, and declares at its top, and what each declaration mentions."""

from __future__ import annotations

import re
from bisect import bisect_right

from tree_sitter import Node

from lib.model.served_code import Declaration, Exported, Imported
from lib.served_code.selects import HOLE
from lib.served_code.syntax import Syntax, arguments, bare, line, member, outside, string
from lib.served_code.uses import bound_names

_WORD = re.compile(rb"[A-Za-z_$][\w$]*")
_MENTIONED = frozenset({"identifier", "shorthand_property_identifier"})
_LOADS = """
(call_expression function: (import) arguments: (arguments . [(string) (template_string)] @dynamic))
(call_expression function: (identifier) @name arguments: (arguments . (string) @dynamic) (#eq? @name "require"))
"""
_FETCHES = "(call_expression arguments: (arguments . [(string) (template_string)] @address))"
_LONGEST_ADDRESS = 300


class Modules:
    """Reads one file."""

    def __init__(self, syntax: Syntax) -> None:
        self._syntax = syntax
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
        name = node.child_by_field_name("name")
        if name is None or node.type in ("type_alias_declaration", "interface_declaration"):
            return []
        return [[self._syntax.text(name)]] if node.type.endswith("declaration") else []

    def declarations(self, imports: tuple[Imported, ...]) -> tuple[Declaration, ...]:
        """Return what the file declares at its top, and "" for the rest, which runs when the file is imported."""
        spans = list(self._spans())
        starts = [start for start, _, _, _ in spans]
        whole = {local for one in imports for there, local in one.names if there == "*"}
        known = {local for one in imports for _, local in one.names} | {
            name for _, _, names, _ in spans for name in names
        }

        def owner(node: Node) -> int:
            number = bisect_right(starts, node.start_byte) - 1
            return number if number >= 0 and node.start_byte < spans[number][1] else -1

        mentions: dict[int, dict[str, None]] = {}
        for word in _WORD.finditer(self._syntax.source):
            name = word[0].decode()
            if name not in known:
                continue
            node = self._syntax.root.descendant_for_byte_range(word.start(), word.end())
            if node is not None and node.type in _MENTIONED:
                mentions.setdefault(owner(node), {})[self._mention(node, name, whole)] = None
        loads: dict[int, list[Imported]] = {}
        for node in self._syntax.find(_LOADS, "dynamic"):
            module = string(node, self._syntax)
            if module is not None:
                loads.setdefault(owner(node), []).append(Imported(module, self._loaded(node)))
        fetches: dict[int, list[str]] = {}
        for node in self._syntax.find(_FETCHES, "address") if b"api/" in self._syntax.source else ():
            address = (string(node, self._syntax, HOLE) or "").lstrip(HOLE)
            if address.startswith("/api/") and len(address) < _LONGEST_ADDRESS:
                fetches.setdefault(owner(node), []).append(address)
        declarations = []
        for number, names, at in [(-1, [""], None), *((n, span[2], span[3]) for n, span in enumerate(spans))]:
            first, last = (line(at), at.end_point[0] + 1) if at is not None else (1, 1)
            inside = tuple(name for name in mentions.get(number, {}) if name not in names)
            found = Declaration(
                names[0],
                first,
                last,
                inside,
                tuple(loads.get(number, ())),
                tuple(dict.fromkeys(fetches.get(number, ()))),
            )
            if number >= 0 or inside or found.loads or found.fetches:
                declarations.append(found)
        return tuple(declarations)

    def _mention(self, node: Node, name: str, whole: set[str]) -> str:
        """Return the name, and of a whole file that was imported under a name the part that is used."""
        above = node.parent
        parts = member(above, self._syntax) if name in whole and above is not None else None
        return f"{name}.{parts[1]}" if parts is not None and parts[0] == node else name

    def _spans(self) -> list[tuple[int, int, list[str], Node]]:
        """Return (start, end, names, node) of each thing that is declared at the top."""
        spans: list[tuple[int, int, list[str], Node]] = []
        for statement in self._statements:
            node, is_default = statement, False
            if statement.type == "export_statement":
                is_default = any(child.type == "default" for child in statement.children)
                inside = statement.child_by_field_name("declaration") or statement.child_by_field_name("value")
                if inside is None or statement.child_by_field_name("source") is not None:
                    continue
                node = inside
            if node.type in ("lexical_declaration", "variable_declaration"):
                for declarator in node.named_children:
                    name = declarator.child_by_field_name("name")
                    names = bound_names(name, self._syntax) if name is not None else []
                    if names:
                        spans.append((declarator.start_byte, declarator.end_byte, names, declarator))
                continue
            declared = self._declared(node)
            if declared:
                spans.append((node.start_byte, node.end_byte, declared[0], node))
            elif is_default and node.type != "identifier":
                spans.append((node.start_byte, node.end_byte, ["default"], node))
        return spans

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
                keys = [child.child_by_field_name("key") or child for child in pattern.named_children]
                if all(child.type != "rest_pattern" for child in pattern.named_children):
                    return tuple((self._syntax.text(key), self._syntax.text(key)) for key in keys)
        if above is not None and above.type == "member_expression":
            parts = member(above, self._syntax)
            if parts is not None and parts[1] == "then":
                return self._then(above)
            if parts is not None:
                return ((parts[1], parts[1]),)
        return (("*", "*"),)

    def _then(self, above: Node) -> tuple[tuple[str, str], ...]:
        """Read `import('x').then((m) => m.Name)`."""
        call = above.parent
        given = arguments(call) if call is not None and call.type == "call_expression" else []
        body = bare(given[0]).child_by_field_name("body") if given else None
        parts = member(bare(body), self._syntax) if body is not None else None
        return ((parts[1], parts[1]),) if parts is not None else (("*", "*"),)


def _is_words(statement: Node) -> bool:
    return statement.type == "expression_statement" and bool(statement.named_children)
