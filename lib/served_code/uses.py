"""Every use of a table through supabase-js in one file: what it reads, writes and filters by, and who sees errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from tree_sitter import Node

from lib.model.served_code import Embed, Filter, Operation, Unread, Use, Value, Written
from lib.served_code import selects
from lib.served_code.error_handling import Call, ResultUse, ResultUses, chain
from lib.served_code.names import Names, is_assigned
from lib.served_code.outline import Outline
from lib.served_code.syntax import FUNCTIONS, Syntax, UnreadableError, ancestors, arguments, bare, line, member, outside
from lib.served_code.values import UNKNOWN, Columns, Values

_CANDIDATES = (
    '(call_expression function: (member_expression property: (property_identifier) @n (#any-of? @n "from" "rpc"))) @c'
)
_CANDIDATE = re.compile(rb"\.\s*(?:from|rpc)\s*[(<]")
_MOST_USES = 2_000
_OPERATIONS = {operation.value: operation for operation in Operation if operation is not Operation.RPC}
_CLIENT = re.compile(r"supabase|client|admin|\bdb\b|\bsb\b|database|service|anon", re.IGNORECASE)
# Other query builders, where `from` follows on `select()`, and things of JavaScript that are made `from` others.
_BUILDERS = frozenset(
    {"select", "selectDistinct", "selectDistinctOn", "delete", "with", "update", "$with", "deleteFrom"}
)
_NOT_CLIENTS = re.compile(
    r"^(?:Array|Buffer|\w+Array|Object|Observable|Iterator|Readable|Set|Map|Temporal|gsap|z|sql|R|_)$"
)
_COMPARISONS = frozenset(
    {
        "eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "is", "in", "contains", "containedBy",
        "rangeGt", "rangeGte", "rangeLt", "rangeLte", "rangeAdjacent", "overlaps", "textSearch", "likeAllOf",
        "likeAnyOf", "ilikeAllOf", "ilikeAnyOf", "isDistinct", "notIn", "regexMatch", "regexIMatch",
    }
)  # fmt: skip


@dataclass(slots=True)
class _Draft:
    """A use while it is being read."""

    operation: Operation
    reads: list[str] = field(default_factory=list)
    embeds: list[Embed] = field(default_factory=list)
    writes: tuple[Written, ...] = ()
    writes_complete: bool = False
    filters: list[Filter] = field(default_factory=list)
    on_conflict: tuple[str, ...] = ()
    unread: list[str] = field(default_factory=list)

    def leave(self, reason: str) -> None:
        if reason not in self.unread:
            self.unread.append(reason)


def read(syntax: Syntax, names: Names, outline: Outline) -> tuple[list[Use], list[Unread]]:
    """Return the uses of one file, in the order of the text, and what looked like one and could not be read."""
    if not _CANDIDATE.search(syntax.source):
        return [], []
    return _Reader(syntax, names, outline).read()


class _Reader:
    def __init__(self, syntax: Syntax, names: Names, outline: Outline) -> None:
        self._syntax = syntax
        self._names = names
        self._outline = outline
        self._values = Values(syntax, names)
        self._outcomes = ResultUses(syntax, names)
        self._knows_supabase = b"supabase" in syntax.source.lower()
        self._unread: list[Unread] = []

    def read(self) -> tuple[list[Use], list[Unread]]:
        calls = self._syntax.find(_CANDIDATES, "c")
        if len(calls) > _MOST_USES:
            raise UnreadableError("It was made by a machine: it holds thousands of uses.")
        uses = [use for call in calls for use in self._candidate(call)]
        return sorted(uses, key=lambda use: use.line), self._unread

    def _leave(self, node: Node, reason: str) -> None:
        self._unread.append(Unread(self._syntax.path, reason, line(node)))

    def _candidate(self, call: Node) -> Iterator[Use]:
        function = call.child_by_field_name("function")
        parts = member(function, self._syntax) if function is not None else None
        given = arguments(call)
        if parts is None or not given:
            return
        receiver, schema = self._schema(parts[0])
        if parts[1] == "rpc":
            if self._is_client(receiver):
                yield from self._rpc(call, given, schema)
            return
        if self._is_another_from(receiver):
            return
        yield from self._from(call, receiver, given[0], schema)

    # --- whose `from` it is

    def _schema(self, receiver: Node) -> tuple[Node, str | None]:
        """Take `.schema('x')` off. A schema that cannot be read is "?"."""
        node = bare(receiver)
        function = node.child_by_field_name("function") if node.type == "call_expression" else None
        parts = member(function, self._syntax) if function is not None else None
        if parts is None or parts[1] != "schema":
            return receiver, None
        given = arguments(node)
        return parts[0], (self._values.text(given[0]) if given else None) or "?"

    def _is_another_from(self, receiver: Node) -> bool:
        node = bare(receiver)
        if node.type in ("array", "string", "template_string", "object"):
            return True
        if node.type in ("identifier", "member_expression"):
            last = self._syntax.text(node).rpartition(".")[2].rstrip("!?")
            if last == "storage" or _NOT_CLIENTS.match(self._syntax.text(node)):
                return True
        if node.type == "identifier":
            binding = self._names.resolve(node)
            value = bare(binding.value) if binding is not None and binding.value is not None else None
            return (
                value is not None and value.type == "member_expression" and self._syntax.text(value).endswith("storage")
            )
        if node.type == "call_expression":
            function = node.child_by_field_name("function")
            parts = member(function, self._syntax) if function is not None else None
            return parts is not None and parts[1] in _BUILDERS
        return False

    def _is_client(self, receiver: Node, depth: int = 0) -> bool:
        """Whether an expression is likely a client of supabase-js: by its name, or by what made it."""
        node = bare(receiver)
        if node.type == "await_expression" and node.named_children:
            return self._is_client(node.named_children[0], depth + 1)
        if node.type in ("identifier", "member_expression", "call_expression", "subscript_expression"):
            head = node.child_by_field_name("function") if node.type == "call_expression" else node
            if head is not None and _CLIENT.search(self._syntax.text(head)[-200:]):
                return True
        if node.type == "identifier" and depth < 4:
            binding = self._names.resolve(node)
            if binding is not None and binding.value is not None:
                return self._is_client(binding.value, depth + 1)
            typed = binding.node.parent if binding is not None else None
            return typed is not None and "SupabaseClient" in self._syntax.text(typed)[:500]
        return False

    # --- tables

    def _from(self, call: Node, receiver: Node, table: Node, schema: str | None) -> Iterator[Use]:
        calls, top = chain(call, self._syntax)
        where = next((number for number, one in enumerate(calls) if one.name in _OPERATIONS), None)
        likely = self._knows_supabase or self._is_client(receiver)
        if where is None:
            if not calls and likely and self._is_client(receiver):
                yield from self._kept_table(call, table, schema)
            return
        if likely:
            yield self._use(call, table, schema, calls[where:], top)

    def _kept_table(self, call: Node, table: Node, schema: str | None) -> Iterator[Use]:
        """`const rows = client.from('t')`, used later."""
        _, above = outside(call)
        name = above.child_by_field_name("name") if above is not None and above.type == "variable_declarator" else None
        binding = self._names.at(name) if name is not None and name.type == "identifier" else None
        if binding is None:
            if self._values.text(table) is not None or bare(table).type == "identifier":
                self._leave(call, "The table is handed on before it is used.")
            return
        for reference in self._names.references(binding):
            calls, top = chain(reference, self._syntax)
            if calls and calls[0].name in _OPERATIONS:
                yield self._use(reference, table, schema, calls, top)
            else:
                self._leave(reference, "The table is handed on before it is used.")

    def _use(self, start: Node, table: Node, schema: str | None, calls: Sequence[Call], top: Node) -> Use:
        name = self._values.text(table)
        operation = _OPERATIONS[calls[0].name]
        draft = _Draft(operation)
        if name is None:
            draft.leave("The table is named by a variable.")
        if schema == "?":
            draft.leave("The schema is named by a variable.")
        self._operation(draft, calls[0])
        for one in (*calls[1:], *self._later_calls(top)):
            self._further(draft, one)
        return self._finished(
            start, draft, self._outcomes.of(calls, top), table=name, schema=schema, last=calls[0].node
        )

    def _later_calls(self, top: Node) -> Iterator[Call]:
        """Yield what is called on a request that a variable holds: `query = query.eq(…)`."""
        _, above = outside(top)
        if above is None or above.type not in ("variable_declarator", "assignment_expression"):
            return
        left = above.child_by_field_name("name") or above.child_by_field_name("left")
        if left is None or left.type != "identifier":
            return
        binding = self._names.resolve(left)
        for reference in self._names.references(binding) if binding is not None else ():
            if not is_assigned(reference):
                yield from chain(reference, self._syntax)[0]

    # --- functions

    def _rpc(self, call: Node, given: Sequence[Node], schema: str | None) -> Iterator[Use]:
        calls, top = chain(call, self._syntax)
        draft = _Draft(Operation.RPC)
        name = self._values.text(given[0])
        if name is None:
            draft.leave("The function is named by a variable.")
        if len(given) > 1 and bare(given[1]).type != "undefined":
            self._written(draft, self._values.columns(given[1]))
        else:
            draft.writes_complete = True
        yield self._finished(call, draft, self._outcomes.of(calls, top), routine=name, schema=schema, last=call)

    # --- parts of a chain

    def _operation(self, draft: _Draft, call: Call) -> None:
        if draft.operation is Operation.SELECT:
            self._select(draft, call)
            return
        if draft.operation is Operation.DELETE:
            return
        options = self._options(call)
        if not call.arguments:
            draft.leave("Nothing is said of what is written.")
        elif draft.operation is Operation.UPDATE:
            self._written(draft, self._values.columns(call.arguments[0]))
        else:
            missing_is_null = options is None or options.get("defaultToNull", "").strip() != "false"
            self._written(draft, self._values.rows(call.arguments[0], missing_is_null))
        if options is not None and "onConflict" in options and draft.operation is Operation.UPSERT:
            self._on_conflict(draft, call)

    def _written(self, draft: _Draft, columns: Columns) -> None:
        draft.writes = tuple(columns.written.values())
        draft.writes_complete = columns.complete
        for reason in columns.unread:
            draft.leave(reason)

    def _options(self, call: Call) -> dict[str, str] | None:
        """Return the second argument's keys with the text of their values."""
        if len(call.arguments) < 2 or bare(call.arguments[1]).type != "object":
            return None
        options: dict[str, str] = {}
        for pair in bare(call.arguments[1]).named_children:
            key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
            if key is not None and value is not None:
                options[self._syntax.text(key)] = self._syntax.text(value)
            elif pair.type == "shorthand_property_identifier":
                options[self._syntax.text(pair)] = self._syntax.text(pair)
        return options

    def _option(self, call: Call, name: str) -> Node | None:
        for pair in bare(call.arguments[1]).named_children if len(call.arguments) > 1 else ():
            key = pair.child_by_field_name("key")
            if key is not None and self._syntax.text(key) == name:
                return pair.child_by_field_name("value")
        return None

    def _on_conflict(self, draft: _Draft, call: Call) -> None:
        value = self._option(call, "onConflict")
        text = self._values.text(value) if value is not None else None
        if text is None:
            draft.leave("The columns of onConflict are named by a variable.")
            return
        draft.on_conflict = tuple(part.strip().strip('"') for part in text.split(",") if part.strip())

    def _select(self, draft: _Draft, call: Call) -> None:
        if not call.arguments:
            return
        text = self._values.text(call.arguments[0])
        if text is None:
            text = self._values.template(call.arguments[0], selects.HOLE)
        if text is None:
            if bare(call.arguments[0]).type != "undefined":
                draft.leave("The columns that are read are named by a variable.")
            return
        found = selects.select(text)
        draft.reads += found.columns
        draft.embeds += found.embeds
        if not found.complete:
            draft.leave("Some of the columns that are read are put in while the code runs.")

    def _further(self, draft: _Draft, call: Call) -> None:
        """Read a filter, an order, or what a write gives back."""
        given = call.arguments
        if call.name == "select":
            if draft.operation is not Operation.RPC:
                self._select(draft, call)
        elif call.name in _COMPARISONS and given:
            self._filter(draft, call, call.name, given[1] if len(given) > 1 else None)
        elif call.name in ("not", "filter") and len(given) > 1:
            operator = self._values.text(given[1])
            value = given[2] if len(given) > 2 and operator in ("eq", "neq") else None
            self._filter(draft, call, f"{call.name}.{operator or '?'}", value)
        elif call.name == "match" and given:
            columns = self._values.columns(given[0])
            draft.filters += [Filter(one.column, "eq", one.value, one.line) for one in columns.written.values()]
            if not columns.complete:
                draft.leave("A filter names its columns by a variable.")
        elif call.name == "order" and given:
            if self._foreign(call) is None:
                self._filter(draft, call, "order", None)
        elif call.name == "or" and given:
            self._or(draft, call)

    def _foreign(self, call: Call) -> Node | None:
        return self._option(call, "referencedTable") or self._option(call, "foreignTable")

    def _filter(self, draft: _Draft, call: Call, operator: str, value: Node | None) -> None:
        text = self._values.text(call.arguments[0])
        if text is None:
            draft.leave("A filter names its column by a variable.")
            return
        found = UNKNOWN
        if value is not None and "->" not in text and "::" not in text:
            found = self._values.possible(value).value if operator != "in" else self._listed(value)
        draft.filters.append(Filter(selects.column(text), operator, found, line(call.arguments[0])))

    def _listed(self, node: Node) -> Value:
        """Return the values of a list that is written down."""
        node = bare(node)
        if node.type != "array":
            return UNKNOWN
        values = [self._values.possible(item).value for item in node.named_children if item.type != "comment"]
        literals = tuple(literal for value in values for literal in value.literals)
        return Value(literals, complete=all(value.complete for value in values))

    def _or(self, draft: _Draft, call: Call) -> None:
        if self._foreign(call) is not None:
            return
        text = self._values.text(call.arguments[0])
        if text is None:
            text = self._values.template(call.arguments[0], selects.HOLE)
        if text is None:
            draft.leave("A filter names its columns by a variable.")
            return
        for name, operator, value in selects.conditions(text):
            plain = operator in ("eq", "neq") and "->" not in name and "::" not in name and selects.HOLE not in value
            found = Value((value.strip('"'),), complete=True) if plain else UNKNOWN
            draft.filters.append(Filter(selects.column(name), operator, found, line(call.arguments[0])))

    # --- where it stands

    def _finished(
        self, start: Node, draft: _Draft, outcome: ResultUse, *, last: Node, table: str | None = None,
        routine: str | None = None, schema: str | None = None,
    ) -> Use:  # fmt: skip
        function, declaration = self._standing(start)
        return Use(
            file=self._syntax.path,
            line=_line_of_call(last),
            operation=draft.operation,
            table=table,
            function=function,
            declaration=declaration,
            schema=schema,
            routine=routine,
            reads=tuple(dict.fromkeys(draft.reads)),
            embeds=tuple(draft.embeds),
            writes=draft.writes,
            writes_complete=draft.writes_complete,
            filters=tuple(dict.fromkeys(draft.filters)),
            on_conflict=draft.on_conflict,
            error=outcome.error,
            sent=outcome.sent,
            unread=tuple(draft.unread),
        )

    def _standing(self, node: Node) -> tuple[str | None, str]:
        """Return the name of the innermost named function around `node`, and the name at the top of the file."""
        function = next((name for above in ancestors(node) if (name := self._function_name(above)) is not None), None)
        return function, self._outline.name_at(node)

    def _function_name(self, function: Node) -> str | None:
        if function.type not in FUNCTIONS:
            return None
        name = function.child_by_field_name("name")
        if name is not None:
            return self._syntax.text(name)
        _, above = outside(function)
        field_name = {"variable_declarator": "name", "pair": "key", "public_field_definition": "name"}
        if (above is not None and above.type == "call_expression") or (above is not None and above.type == "arguments"):
            # A function that is wrapped as it is declared: `const load = cache(async () => …)`.
            call = above.parent
            outer = outside(call)[1] if call is not None else None
            above = outer if outer is not None and outer.type == "variable_declarator" else above
        found = (
            above.child_by_field_name(field_name[above.type])
            if above is not None and above.type in field_name
            else None
        )
        return self._syntax.text(found) if found is not None else None


def _line_of_call(call: Node) -> int:
    """Return the line on which the called name stands: chains go over many lines."""
    function = call.child_by_field_name("function")
    name = function.child_by_field_name("property") if function is not None else None
    return line(name if name is not None else call)


def with_route(use: Use, address: str | None, methods: frozenset[str]) -> Use:
    """Add the address that the file of a use answers."""
    if address is None:
        return use
    return replace(use, route=f"{use.declaration} {address}" if use.declaration in methods else address)
