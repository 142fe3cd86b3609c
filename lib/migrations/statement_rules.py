"""Which statements of a repository's migration may be run from here, and which are refused, with the reason.

The file is input from outside. It is read with Postgres's own grammar, and a statement is allowed only where what it
does is known from its text: nothing that ends the transaction, runs code that is built while it runs, changes who may
do what, or loses data. What is not listed as allowed is refused. Facts: PostgreSQL documentation, "SQL Commands".
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from lib.model.served_code import Schema
from lib.served_code.repository_migrations import type_name
from lib.served_code.statements import (
    Tree,
    UnreadableStatementError,
    is_comment,
    split,
    statements_with_comments,
    text,
    tree,
)

LONGEST_FILE = 100_000  # characters: more than that nobody looks through in a dialog
MOST_STATEMENTS = 200


class Instead(Enum):
    """How a file is run that is refused here."""

    PUSH = "push"  # Supabase's command line runs it as one transaction
    PSQL = "psql"  # it cannot run inside of a transaction


@dataclass(frozen=True, slots=True)
class StatementRefusal:
    """Why a statement is not run from here, in one sentence, and where it begins in the file."""

    line: int
    reason: str
    instead: Instead = Instead.PUSH


@dataclass(frozen=True, slots=True)
class ReadStatement:
    """One statement as the grammar has it. `sql` has the comments before it; `kind` is "" for comments alone."""

    sql: str
    line: int
    kind: str = ""
    tree: Tree = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The statements of a file in their order, and why it may not be run; it may where `refusals` is empty."""

    statements: tuple[ReadStatement, ...]
    refusals: tuple[StatementRefusal, ...]

    @property
    def changes_rows(self) -> bool:
        """Whether it writes rows, and not only the schema."""
        return any(one.kind in ("InsertStmt", "UpdateStmt", "DeleteStmt") for one in self.statements)


def read(sql: str, schema: Schema | None = None) -> ReadFile:
    """Read a file and judge each statement. `schema` says which types columns have now. No input makes it fail."""
    if len(sql) > LONGEST_FILE:
        return ReadFile((), (StatementRefusal(1, f"The file is longer than {LONGEST_FILE:,} characters."),))
    if hidden := _hidden(sql):
        return ReadFile((), (hidden,))
    found = tuple(statements_with_comments(sql))
    if len(found) > MOST_STATEMENTS:
        return ReadFile((), (StatementRefusal(1, f"The file has more than {MOST_STATEMENTS} statements."),))
    statements: list[ReadStatement] = []
    refusals: list[StatementRefusal] = []
    for piece in found:
        if next(split(piece.sql), None) is None and is_comment(piece.sql):
            statements.append(ReadStatement(piece.sql, piece.line))
            continue
        try:
            statements.append(ReadStatement(piece.sql, piece.line, *tree(piece.sql)))
        except UnreadableStatementError as error:
            refusals.append(StatementRefusal(piece.line, f"{str(error).rstrip('.')}, so what it does is not known."))
    if not any(one.kind for one in statements) and not refusals:
        refusals.append(StatementRefusal(1, "The file has no statement."))
    context = _Context(schema, statements)
    for one in statements:
        if one.kind:
            refusals += [
                StatementRefusal(one.line, why.reason, why.instead) for why in dict.fromkeys(_judge(one, context))
            ]
    return ReadFile(tuple(statements), tuple(refusals))


def as_script(statements: Sequence[ReadStatement]) -> str:
    """Return the statements as one text to run. Each was read as exactly one, so none can reach into the next."""
    return "\n\n".join(_ended(one.sql) for one in statements)


def _ended(sql: str) -> str:
    # After a comment on the last line, a semicolon would be part of the comment.
    return f"{sql}\n;" if "--" in sql.rpartition("\n")[2] else f"{sql};"


def _hidden(sql: str) -> StatementRefusal | None:
    """Return why what is shown would not be what runs: characters that hide or reverse text."""
    for number, line in enumerate(sql.split("\n"), start=1):
        if any(sign not in "\t\r" and unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp") for sign in line):
            return StatementRefusal(
                number, "It holds characters that cannot be seen, so what is shown is not what would run."
            )
    return None


# --- one statement


@dataclass(frozen=True, slots=True)
class _Why:
    reason: str
    instead: Instead = Instead.PUSH


class _Context:
    """What the rest of the file says of one statement."""

    def __init__(self, schema: Schema | None, statements: Sequence[ReadStatement]) -> None:
        self.schema = schema
        self.new_tables = {
            _table(one.tree["relation"]) for one in statements if one.kind == "CreateStmt" and "relation" in one.tree
        }
        known = {one.name for one in schema.relations} if schema is not None else set()
        # IF NOT EXISTS makes nothing of a table that is there: its rows are as dear as before.
        self.new_tables -= known
        self.new_types = {_name(one.tree["typeName"]) for one in statements if one.kind == "CreateEnumStmt"}
        self.new_functions = {_name(one.tree["funcname"]) for one in statements if one.kind == "CreateFunctionStmt"}
        self._statements = statements

    def uses_later(self, statement: ReadStatement, value: str) -> bool:
        """Whether a later statement mentions a text."""
        place = next(number for number, one in enumerate(self._statements) if one is statement)
        after = self._statements[place + 1 :]
        return any(
            node.get("sval", {}).get("sval") == value
            for one in after
            for kind, node in nodes(one.kind, one.tree)
            if kind == "A_Const"
        )


Rule = Callable[[ReadStatement, _Context], Iterator[_Why]]


def nodes(kind: str, inside: Any) -> Iterator[tuple[str, Tree]]:
    """Yield every node of a tree with its kind, the statement itself first. Not recursive: trees can be deep."""
    waiting: list[tuple[str, Any]] = [(kind, inside)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            if name[:1].isupper():
                yield name, value
            waiting += reversed(list(value.items()))
        elif isinstance(value, list):
            waiting += [("", one) for one in reversed(value)]


def _judge(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    rule = _RULES.get(statement.kind)
    if rule is None:
        yield _REFUSED.get(statement.kind, _Why("What this statement does is not among what is run from here."))
        return
    yield from rule(statement, context)
    yield from _everywhere(statement, context)


def _everywhere(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    """What no statement may hold, wherever in it: unknown functions, rows lost, other schemas, a result."""
    for kind, node in nodes(statement.kind, statement.tree):
        match kind:
            case "FuncCall":
                names = [text(one) for one in node.get("funcname", ())]
                if not _is_known(names):
                    yield _Why(f"It calls the function {'.'.join(names)}(), and what that does is not known here.")
            case "A_Expr" | "SubLink" if len(node.get("name", ()) or node.get("operName", ())) > 1:
                yield _Why("It uses an operator by its schema, and what that does is not known here.")
            case "ColumnRef":
                last = text((node.get("fields") or [{}])[-1])
                if last in context.new_functions:
                    yield _Why(f"It may call {last}(), which the same file makes.")
            case "DeleteStmt" if not _narrows(node):
                yield _Why("DELETE without WHERE empties the table.")
            case "UpdateStmt" if not _narrows(node):
                yield _Why("UPDATE without WHERE overwrites every row.")
            case "IntoClause":
                yield _Why("It makes a table of what it reads.")
        if node.get("behavior") == "DROP_CASCADE":
            yield _Why("CASCADE also drops what depends on it, and what that is does not stand in the file.")
        if kind in ("InsertStmt", "UpdateStmt", "DeleteStmt") and not _is_public(node.get("relation")):
            yield _elsewhere(node.get("relation"))
    if statement.tree.get("returningList"):
        yield _Why("It gives rows back, and nobody reads them here.")


def _narrows(node: Tree) -> bool:
    """Whether a condition names a column: one that is always true is none."""
    condition = node.get("whereClause")
    return condition is not None and any(kind == "ColumnRef" for kind, _ in nodes("", condition))


def _table(node: Tree | None) -> str:
    return str((node or {}).get("relname", ""))


def _name(names: Sequence[Tree]) -> str:
    return text(names[-1]) if names else ""


def _is_public(node: Tree | None) -> bool:
    relation = node or {}
    return bool(relation.get("schemaname", "public") == "public" and relation.get("relpersistence", "p") == "p")


def _elsewhere(node: Tree | None) -> _Why:
    schema = (node or {}).get("schemaname", "")
    return _Why(f"It changes the schema {schema}, and only public is looked at here." if schema else _TEMPORARY)


_TEMPORARY = "It makes a temporary or unlogged table."


def _in_public(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    relation = statement.tree.get("relation")
    if not _is_public(relation):
        yield _elsewhere(relation)


def _created(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    yield from _in_public(statement, context)
    if {"inhRelations", "partspec", "partbound", "ofTypename"} & statement.tree.keys():
        yield _Why("It makes a table that is part of another.")


def _index(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    yield from _in_public(statement, context)
    if statement.tree.get("concurrent"):
        yield _Why("CREATE INDEX CONCURRENTLY cannot run inside of a transaction.", Instead.PSQL)


def _view(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    if not _is_public(statement.tree.get("view")):
        yield _elsewhere(statement.tree.get("view"))


_SAFE_ALTERATIONS = frozenset(
    {
        "AT_AddColumn", "AT_DropNotNull", "AT_SetNotNull", "AT_ColumnDefault", "AT_AddIdentity", "AT_AddConstraint",
        "AT_DropConstraint", "AT_ValidateConstraint", "AT_SetStatistics",
    }
)  # fmt: skip
_SECURITY = "It changes who may see or do what."


def _altered(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    if statement.tree.get("objtype") != "OBJECT_TABLE":
        yield _Why("It alters something other than a table.")
        return
    yield from _in_public(statement, context)
    table = _table(statement.tree.get("relation"))
    for item in statement.tree.get("cmds", ()):
        command = item.get("AlterTableCmd", {})
        kind = command.get("subtype", "")
        match kind:
            case "AT_DropColumn":
                yield _Why(f"DROP COLUMN loses what stands in {table}.{command.get('name', '')}.")
            case "AT_AlterColumnType":
                yield from _retyped(table, command, context)
            case "AT_EnableRowSecurity":
                if table not in context.new_tables:
                    yield _Why(f"Row level security on {table} can hide its rows from the app. {_SECURITY}")
            case "AT_ChangeOwner" | "AT_DisableRowSecurity" | "AT_ForceRowSecurity" | "AT_NoForceRowSecurity":
                yield _Why(_SECURITY)
            case _ if kind not in _SAFE_ALTERATIONS:
                yield _Why("What this ALTER TABLE does is not among what is run from here.")


# From what a column is to what holds all of its values.
_WIDER = {
    "smallint": {"integer", "bigint", "numeric"},
    "integer": {"bigint", "numeric"},
    "bigint": {"numeric"},
    "real": {"double precision"},
    "character varying": {"text"},
    "date": {"timestamp without time zone"},
}
_SIZED = re.compile(r"(?P<name>[a-z ]+?)\((?P<size>\d+)\)")


def _retyped(table: str, command: Tree, context: _Context) -> Iterator[_Why]:
    name, definition = str(command.get("name", "")), command.get("def", {}).get("ColumnDef", {})
    column = next(
        (one for one in (context.schema.columns if context.schema else ()) if (one.table, one.name) == (table, name)),
        None,
    )
    if column is None:
        yield _Why(f"It changes the type of {table}.{name}, and which type that has now is not known.")
        return
    new = type_name(definition.get("typeName", {}), context.schema)
    if definition.get("raw_default") or not is_wider(column.type, new):
        yield _Why(f"{table}.{name} would become {new}, which may not hold every value that {column.type} does.")


def is_wider(old: str, new: str) -> bool:
    """Whether a type holds every value of another; both as `format_type` prints them."""
    before, after = _SIZED.fullmatch(old), _SIZED.fullmatch(new)
    if before and after and before["name"] == after["name"] == "character varying":
        return int(after["size"]) >= int(before["size"])
    bare = before["name"] if before else old
    return new == old or new in _WIDER.get(bare, ()) or (bool(before) and new == bare == "character varying")


def _dropped(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    kind = statement.tree.get("removeType", "")
    what = kind.removeprefix("OBJECT_").replace("_", " ")
    if kind == "OBJECT_INDEX":
        if statement.tree.get("concurrent"):
            yield _Why("DROP INDEX CONCURRENTLY cannot run inside of a transaction.", Instead.PSQL)
        return
    if kind in ("OBJECT_POLICY", "OBJECT_TRIGGER", "OBJECT_RULE"):
        yield _Why(f"DROP {what} changes what every later read or write of its table does.")
    else:
        yield _Why(f"DROP {what} loses it, with all that stands in it.")


def _enum(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    if not all(text(one) in ("public", _name(statement.tree["typeName"])) for one in statement.tree["typeName"]):
        yield _Why("It makes or changes a type outside of public.")


def _enum_value(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    yield from _enum(statement, context)
    name, value = _name(statement.tree["typeName"]), str(statement.tree.get("newVal", ""))
    if name not in context.new_types and context.uses_later(statement, value):
        yield _Why(
            f"It uses the new value {value} of {name} in the transaction that adds it, which Postgres refuses.",
            Instead.PSQL,
        )


_LANGUAGES = frozenset({"sql", "plpgsql"})
# What a body may not hold: code that is built while it runs, changes of the schema, files, and other roles.
_UNKNOWABLE = re.compile(
    r"\b(?:execute|copy|dblink\w*|pg_read_\w+|pg_write_\w+|lo_\w+|grant|revoke|create|alter|drop|truncate|"
    r"set\s+(?:local\s+|session\s+)?(?:role|session))\b",
    re.IGNORECASE,
)


def _function(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    names = statement.tree.get("funcname", ())
    name = _name(names)
    if len(names) > 1 and text(names[0]) != "public":
        yield _Why("It makes a function outside of public.")
    if _is_known([name]):
        yield _Why(f"It makes a function of the name {name}, which Postgres has.")
    options = {one["DefElem"]["defname"]: one["DefElem"].get("arg", {}) for one in statement.tree.get("options", ())}
    language = text(options.get("language")).lower() or "sql"
    if language not in _LANGUAGES:
        yield _Why(f"It is written in {language}, which is not read here.")
    if options.get("security", {}).get("Boolean", {}).get("boolval"):
        yield _Why("SECURITY DEFINER lets whoever calls it act as its owner.")
    if statement.tree.get("sql_body") is not None:
        yield _Why("Its body is not read here.")
    body = " ".join(text(one) for one in options.get("as", {}).get("List", {}).get("items", ()))
    if found := _UNKNOWABLE.search(body):
        yield _Why(f"The function's body says {found[0].upper()}: what it does is known only once it runs.")


def _policy(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    table = statement.tree.get("table")
    if not _is_public(table) or _table(table) not in context.new_tables:
        yield _Why(f"A policy on {_table(table)} decides who sees its rows. {_SECURITY}")


def _setting(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    if statement.tree.get("name") not in ("check_function_bodies", "client_min_messages"):
        what = str(statement.tree.get("name", "all settings"))
        yield _Why(f"It sets {what}: that could undo the time-outs, or act as somebody else.")


def _nothing_more(statement: ReadStatement, context: _Context) -> Iterator[_Why]:
    yield from ()


_RULES: dict[str, Rule] = {
    "AlterEnumStmt": _enum_value,
    "AlterTableStmt": _altered,
    "CommentStmt": _nothing_more,
    "CreateEnumStmt": _enum,
    "CreateFunctionStmt": _function,
    "CreatePolicyStmt": _policy,
    "CreateStmt": _created,
    "DeleteStmt": _nothing_more,
    "DropStmt": _dropped,
    "IndexStmt": _index,
    "InsertStmt": _nothing_more,
    "UpdateStmt": _nothing_more,
    "VariableSetStmt": _setting,
    "ViewStmt": _view,
}
_OUTSIDE = "It cannot run inside of a transaction."
_REFUSED: dict[str, _Why] = {
    "TransactionStmt": _Why(
        "It ends or begins a transaction of its own, so nothing could be rolled back.", Instead.PSQL
    ),
    "TruncateStmt": _Why("TRUNCATE empties the table."),
    "DropdbStmt": _Why("It drops a whole database."),
    "VacuumStmt": _Why(_OUTSIDE, Instead.PSQL),
    "ReindexStmt": _Why(_OUTSIDE, Instead.PSQL),
    "ClusterStmt": _Why(_OUTSIDE, Instead.PSQL),
    "CreatedbStmt": _Why(_OUTSIDE, Instead.PSQL),
    "AlterSystemStmt": _Why(_OUTSIDE, Instead.PSQL),
    "DoStmt": _Why("What a DO block does is known only once it runs."),
    "CallStmt": _Why("What a procedure does is known only once it runs."),
    "ExecuteStmt": _Why("What a prepared statement does does not stand here."),
    "CopyStmt": _Why("COPY reads or writes files, or starts a program."),
    "SelectStmt": _Why("It reads, or calls functions, and changes nothing that the schema shows."),
    "CreateTrigStmt": _Why("A trigger changes what every later write of its table does."),
    "RuleStmt": _Why("A rule changes what every later statement on its table does."),
    "CreateExtensionStmt": _Why("What an extension installs does not stand in the file."),
    "RenameStmt": _Why("The code that is served uses the old name."),
    "AlterObjectSchemaStmt": _Why("The code that is served looks for it in its old schema."),
    "LockStmt": _Why("It holds a lock that the change itself does not need."),
}
_REFUSED |= dict.fromkeys(
    (
        "GrantStmt", "GrantRoleStmt", "AlterDefaultPrivilegesStmt", "AlterPolicyStmt", "CreateRoleStmt",
        "AlterRoleStmt", "AlterRoleSetStmt", "DropRoleStmt", "AlterOwnerStmt", "SecLabelStmt", "ReassignOwnedStmt",
        "DropOwnedStmt", "AlterFunctionStmt",
    ),
    _Why(_SECURITY),
)  # fmt: skip

# Functions of Postgres that only compute, or give a new id. Whatever else is called is not known here.
_KNOWN_FUNCTIONS = frozenset(
    {
        "abs", "age", "array_agg", "array_append", "array_length", "array_position", "array_remove", "array_to_string",
        "avg", "bool_and", "bool_or", "btrim", "cardinality", "ceil", "ceiling", "char_length", "character_length",
        "clock_timestamp", "concat", "concat_ws", "count", "date_part", "date_trunc", "encode", "extract", "floor",
        "format", "gen_random_bytes", "gen_random_uuid", "initcap", "json_agg", "json_build_array", "json_build_object",
        "jsonb_agg", "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_object_agg", "jsonb_set",
        "jsonb_strip_nulls", "jsonb_typeof", "left", "length", "lower", "lpad", "ltrim", "make_date", "make_interval",
        "max", "md5", "min", "mod", "nextval", "now", "num_nonnulls", "num_nulls", "octet_length", "position", "power",
        "random", "rank", "regexp_like", "regexp_match", "regexp_replace", "repeat", "replace", "reverse", "right",
        "round", "row_number", "rpad", "rtrim", "sha256", "split_part", "sqrt", "starts_with", "statement_timestamp",
        "string_agg", "string_to_array", "strpos", "substr", "substring", "sum", "timezone", "to_char", "to_date",
        "to_json", "to_jsonb", "to_number", "to_timestamp", "to_tsvector", "transaction_timestamp", "translate", "trim",
        "trunc", "unnest", "upper", "uuid_generate_v4",
    }
)  # fmt: skip
# Of Supabase, for policies and defaults: they only read who asks.
_KNOWN_OF_AUTH = frozenset({"uid", "role", "jwt", "email"})


def _is_known(names: Sequence[str]) -> bool:
    *schema, name = names or [""]
    if schema == ["auth"]:
        return name in _KNOWN_OF_AUTH
    return name in _KNOWN_FUNCTIONS and schema in ([], ["pg_catalog"], ["extensions"])
