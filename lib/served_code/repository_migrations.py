"""The repository's own migrations: what each would do, where each stands, and which one would cure a misfit.

A file is read statement by statement with Postgres's own grammar. What is read of it is laid over a copy of the schema:
a misfit that is gone there would be cured by it. What a file *really* does is told by trying it and rolling back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from lib.model.database import AppliedMigration, CheckConstraint
from lib.model.served_code import (
    EnumType,
    FunctionArgument,
    MigrationFile,
    MigrationState,
    Misfit,
    Relation,
    RelationKind,
    RepositoryMigration,
    Routine,
    Schema,
    SchemaColumn,
    UniqueKey,
    Use,
)
from lib.served_code.misfits import judge
from lib.served_code.statements import Tree, UnreadableStatementError, check_text, split, text, tree

_SCHEMAS = frozenset({"", "public"})
_OF_INTEREST = re.compile(r"^\s*(?:alter|create|drop|do|comment|rename)\b", re.IGNORECASE)
# Inside of a block of PL/pgSQL: where a statement begins.
_BEGINS = re.compile(
    r"^\s*(?:(?:declare\b.*?\bbegin|begin|then|else|loop|if\b.*?\bthen|elsif\b.*?\bthen|exception\b.*?\bthen)\s+)+",
    re.IGNORECASE | re.DOTALL,
)
_TYPES = {
    "int2": "smallint", "int4": "integer", "int8": "bigint", "float4": "real", "float8": "double precision",
    "bool": "boolean", "varchar": "character varying", "bpchar": "character", "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone", "timetz": "time with time zone", "time": "time without time zone",
    "serial": "integer", "bigserial": "bigint", "smallserial": "smallint", "serial4": "integer", "serial8": "bigint",
    "decimal": "numeric",
}  # fmt: skip
_SERIAL = frozenset({"serial", "bigserial", "smallserial", "serial2", "serial4", "serial8"})
_MOST_STATEMENTS = 5_000


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that a file does to the schema `public`. `tree` is the part of the statement that says it.

    `kind` is one of the names below; `table` and `name` say to what; `conditional` where it stands in a block that may
    not come to it; `line` is where the statement begins, `sql` is all of it.
    """

    kind: str
    table: str
    name: str
    line: int
    tree: Tree | None = None
    conditional: bool = False
    sql: str = ""

    @property
    def message(self) -> str:
        place = (
            f"{self.table}.{self.name}"
            if self.table and self.name and self.table != self.name
            else self.name or self.table
        )
        return f"{self.kind} {place}"


@dataclass(frozen=True, slots=True)
class MigrationReading:
    """What was read of one file: its changes in order, and the statements that could not be read (line, why)."""

    changes: tuple[Change, ...]
    unread: tuple[str, ...] = ()


@lru_cache(maxsize=512)
def read(sql: str) -> MigrationReading:
    """Read one file of SQL; done once for the same text. No input makes it fail."""
    changes: list[Change] = []
    unread: list[str] = []
    for number, statement in enumerate(split(sql)):
        if number >= _MOST_STATEMENTS:
            unread.append(f"line {statement.line}: the file has more statements than are read.")
            break
        if not _OF_INTEREST.match(statement.sql):
            continue
        try:
            kind, inside = tree(statement.sql)
        except UnreadableStatementError as error:
            unread.append(f"line {statement.line}: {error}")
            continue
        changes += [replace(one, sql=one.sql or statement.sql) for one in _changes(kind, inside, statement.line)]
    return MigrationReading(tuple(changes), tuple(unread))


# --- what a statement does


def _changes(kind: str, inside: Tree, line: int) -> list[Change]:
    match kind:
        case "CreateStmt":
            return _created(inside, line)
        case "AlterTableStmt":
            return _altered(inside, line)
        case "CreateEnumStmt":
            return (
                [Change("create type", "", _named(inside["typeName"]), line, inside)]
                if _ours(inside["typeName"])
                else []
            )
        case "AlterEnumStmt":
            name = _named(inside["typeName"])
            if "newVal" not in inside or not _ours(inside["typeName"]):
                return []
            if "oldVal" in inside:
                return [Change("rename value", name, str(inside["newVal"]), line, inside)]
            return [Change("add value", name, str(inside["newVal"]), line, inside)]
        case "CreateFunctionStmt":
            names = inside["funcname"]
            return [Change("create function", "", _named(names), line, inside)] if _ours(names) else []
        case "IndexStmt":
            table = _relation(inside.get("relation"))
            if table is None or not inside.get("unique"):
                return []
            return [Change("create unique index", table, str(inside.get("idxname", "")), line, inside)]
        case "ViewStmt":
            view = _relation(inside.get("view"))
            return [Change("create view", view, "", line, inside)] if view is not None else []
        case "RenameStmt":
            return _renamed(inside, line)
        case "DropStmt":
            return _dropped(inside, line)
        case "DoStmt":
            return _in_block(inside, line)
    return []


def _relation(node: Tree | None) -> str | None:
    """Return the table's name if it is one of `public`."""
    if node is None or node.get("schemaname", "") not in _SCHEMAS or node.get("relpersistence") == "t":
        return None
    return str(node.get("relname", ""))


def _ours(names: Sequence[Tree]) -> bool:
    return len(names) == 1 or text(names[-2]) in _SCHEMAS


def _named(names: Sequence[Tree]) -> str:
    return text(names[-1]) if names else ""


def _created(inside: Tree, line: int) -> list[Change]:
    table = _relation(inside.get("relation"))
    if table is None:
        return []
    changes = [Change("create table", table, "", line, inside)]
    for element in inside.get("tableElts", ()):
        if "ColumnDef" in element:
            column = element["ColumnDef"]
            changes.append(Change("add column", table, str(column["colname"]), line, column))
        elif "Constraint" in element:
            changes += _constrained(table, element["Constraint"], line)
    return changes


def _altered(inside: Tree, line: int) -> list[Change]:
    table = _relation(inside.get("relation"))
    if table is None or inside.get("objtype") != "OBJECT_TABLE":
        return []
    changes: list[Change] = []
    for command in inside.get("cmds", ()):
        one = command.get("AlterTableCmd", {})
        name, definition = str(one.get("name", "")), one.get("def", {})
        match one.get("subtype"):
            case "AT_AddColumn":
                column = definition["ColumnDef"]
                changes.append(Change("add column", table, str(column["colname"]), line, column))
            case "AT_DropColumn":
                changes.append(Change("drop column", table, name, line))
            case "AT_DropNotNull":
                changes.append(Change("drop not null", table, name, line))
            case "AT_SetNotNull":
                changes.append(Change("set not null", table, name, line))
            case "AT_ColumnDefault":
                changes.append(Change("set default" if definition else "drop default", table, name, line))
            case "AT_AddIdentity":
                changes.append(Change("set default", table, name, line))
            case "AT_AlterColumnType":
                changes.append(Change("alter type", table, name, line, definition["ColumnDef"]))
            case "AT_AddConstraint":
                changes += _constrained(table, definition["Constraint"], line)
            case "AT_DropConstraint":
                changes.append(Change("drop constraint", table, name, line))
    return changes


def _constrained(table: str, constraint: Tree, line: int) -> list[Change]:
    name = str(constraint.get("conname", ""))
    match constraint.get("contype"):
        case "CONSTR_CHECK":
            return [Change("add check", table, name, line, constraint)]
        case "CONSTR_UNIQUE" | "CONSTR_PRIMARY":
            return [Change("add unique", table, name, line, constraint)]
    return []


def _renamed(inside: Tree, line: int) -> list[Change]:
    table = _relation(inside.get("relation"))
    if table is None:
        return []
    if inside.get("renameType") == "OBJECT_COLUMN":
        return [Change("rename column", table, str(inside["subname"]), line, inside)]
    if inside.get("renameType") in ("OBJECT_TABLE", "OBJECT_VIEW"):
        return [Change("rename table", table, "", line, inside)]
    return []


def _dropped(inside: Tree, line: int) -> list[Change]:
    kinds = {
        "OBJECT_TABLE": "drop table",
        "OBJECT_VIEW": "drop table",
        "OBJECT_FUNCTION": "drop function",
        "OBJECT_INDEX": "drop index",
        "OBJECT_TYPE": "drop type",
    }
    kind = kinds.get(inside.get("removeType", ""))
    if kind is None:
        return []
    changes: list[Change] = []
    for item in inside.get("objects", ()):
        names = (
            item.get("List", {}).get("items")
            or item.get("ObjectWithArgs", {}).get("objname")
            or item.get("TypeName", {}).get("names")
        )
        if names and _ours(names):
            name = _named(names)
            changes.append(Change(kind, name, "", line) if kind == "drop table" else Change(kind, "", name, line))
    return changes


def _in_block(inside: Tree, line: int) -> list[Change]:
    """Read the DDL in a DO block. Whether the block comes to it is not known."""
    body = next(
        (text(one["DefElem"]["arg"]) for one in inside.get("args", ()) if one["DefElem"]["defname"] == "as"), ""
    )
    changes: list[Change] = []
    for statement in split(body):
        sql = _BEGINS.sub("", statement.sql)
        if re.match(r"(?:alter|create|drop)\b", sql, re.IGNORECASE):
            try:
                kind, tree_ = tree(sql)
            except UnreadableStatementError:
                continue
            if kind != "DoStmt":
                changes += [
                    replace(one, conditional=True, sql=sql) for one in _changes(kind, tree_, line + statement.line - 1)
                ]
    return changes


# --- laid over a schema


def applied(reading: MigrationReading, schema: Schema) -> Schema:
    """Return the schema as it would be after the changes, as far as they are known here."""
    for change in reading.changes:
        schema = _apply(change, schema)
    return schema


def _apply(change: Change, schema: Schema) -> Schema:
    table, name, node = change.table, change.name, change.tree or {}
    match change.kind:
        case "create table" | "create view":
            if any(one.name == table for one in schema.relations):
                return schema
            kind = RelationKind.VIEW if change.kind == "create view" else RelationKind.TABLE
            return replace(schema, relations=(*schema.relations, Relation(table, kind)))
        case "drop table":
            return _without_table(schema, table)
        case "rename table":
            return _with_table_renamed(schema, table, str(node.get("newname", "")))
        case "add column":
            return _with_column(schema, table, node, change.sql)
        case "drop column":
            return replace(schema, columns=tuple(c for c in schema.columns if (c.table, c.name) != (table, name)))
        case "rename column":
            return _with_column_renamed(schema, table, name, str(node.get("newname", "")))
        case "drop not null" | "set not null":
            return _changed_column(schema, table, name, nullable=change.kind == "drop not null")
        case "set default" | "drop default":
            return _changed_column(schema, table, name, default="set" if change.kind == "set default" else None)
        case "alter type":
            return _changed_column(schema, table, name, type=type_name(node.get("typeName", {}), schema))
        case "add check":
            return _with_check(schema, table, name, node, change.sql)
        case "add unique":
            return _with_unique(schema, table, name, _keys(node))
        case "create unique index":
            return _with_index(schema, change)
        case "drop constraint":
            return replace(
                schema,
                checks=_none_or(schema.checks, lambda one: (one.table, one.name) != (table, name)),
                unique_keys=_none_or(schema.unique_keys, lambda one: (one.table, one.name) != (table, name)),
            )
        case "drop index":
            return replace(schema, unique_keys=_none_or(schema.unique_keys, lambda one: one.name != name))
        case "create type":
            values = tuple(text(one) for one in node.get("vals", ()))
            known = schema.enums or ()
            return (
                replace(schema, enums=(*known, EnumType(name, values)))
                if all(e.name != name for e in known)
                else schema
            )
        case "add value" | "rename value":
            return _with_value(schema, change)
        case "create function":
            return _with_routine(schema, name, node)
        case "drop function":
            return replace(schema, routines=_none_or(schema.routines, lambda one: one.name != name))
    return schema


_Item = TypeVar("_Item")


def _none_or(items: tuple[_Item, ...] | None, keep: Callable[[_Item], bool]) -> tuple[_Item, ...] | None:
    """Return the items to keep; what was not known stays so."""
    return None if items is None else tuple(item for item in items if keep(item))


def _without_table(schema: Schema, table: str) -> Schema:
    return replace(
        schema,
        relations=tuple(one for one in schema.relations if one.name != table),
        columns=tuple(one for one in schema.columns if one.table != table),
        checks=_none_or(schema.checks, lambda one: one.table != table),
        unique_keys=_none_or(schema.unique_keys, lambda one: one.table != table),
        triggers=_none_or(schema.triggers, lambda one: one.table != table),
    )


def _with_table_renamed(schema: Schema, table: str, name: str) -> Schema:
    def moved(items: tuple[Any, ...] | None) -> tuple[Any, ...] | None:
        return items and tuple(replace(one, table=name) if one.table == table else one for one in items)

    return replace(
        schema,
        relations=tuple(replace(one, name=name) if one.name == table else one for one in schema.relations),
        columns=moved(schema.columns) or (),
        checks=moved(schema.checks),
        unique_keys=moved(schema.unique_keys),
        triggers=moved(schema.triggers),
    )


def _changed_column(schema: Schema, table: str, column: str, **fields: Any) -> Schema:
    columns = tuple(
        replace(one, **fields) if (one.table, one.name) == (table, column) else one for one in schema.columns
    )
    return replace(schema, columns=columns)


def _with_column_renamed(schema: Schema, table: str, old: str, new: str) -> Schema:
    schema = _changed_column(schema, table, old, name=new)
    word = re.compile(rf'(?<![\w"]){re.escape(old)}(?![\w"])|"{re.escape(old)}"')

    def check(one: CheckConstraint) -> CheckConstraint:
        return replace(one, definition=word.sub(f'"{new}"', one.definition)) if one.table == table else one

    def key(one: UniqueKey) -> UniqueKey:
        columns = tuple(new if column == old else column for column in one.columns)
        return replace(one, columns=columns) if one.table == table else one

    return replace(
        schema,
        checks=None if schema.checks is None else tuple(check(one) for one in schema.checks),
        unique_keys=None if schema.unique_keys is None else tuple(key(one) for one in schema.unique_keys),
    )


def _with_column(schema: Schema, table: str, node: Tree, sql: str) -> Schema:
    name = str(node["colname"])
    if any((one.table, one.name) == (table, name) for one in schema.columns):
        return schema  # IF NOT EXISTS, or it fails as a whole
    kinds = {
        one["Constraint"]["contype"]: one["Constraint"] for one in node.get("constraints", ()) if "Constraint" in one
    }
    type_names = node.get("typeName", {}).get("names", ())
    serial = _named(type_names) in _SERIAL
    identity, generated = kinds.get("CONSTR_IDENTITY"), kinds.get("CONSTR_GENERATED")
    column = SchemaColumn(
        table=table,
        name=name,
        type=type_name(node.get("typeName", {}), schema),
        nullable=not (serial or identity or {"CONSTR_NOTNULL", "CONSTR_PRIMARY"} & kinds.keys()),
        default="set" if serial or "CONSTR_DEFAULT" in kinds else None,
        filled=bool(identity or generated),
        refuses_values=bool(generated) or (identity is not None and identity.get("generated_when") == "a"),
    )
    schema = replace(schema, columns=(*schema.columns, column))
    for constraint in (one["Constraint"] for one in node.get("constraints", ()) if "Constraint" in one):
        given = str(constraint.get("conname", ""))
        if constraint["contype"] == "CONSTR_CHECK":
            schema = _with_check(schema, table, given or f"{table}_{name}_check", constraint, sql)
        elif constraint["contype"] in ("CONSTR_UNIQUE", "CONSTR_PRIMARY"):
            ending = "pkey" if constraint["contype"] == "CONSTR_PRIMARY" else f"{name}_key"
            schema = _with_unique(schema, table, given or f"{table}_{ending}", (name,))
    return schema


def type_name(node: Tree, schema: Schema | None) -> str:
    """Return a type as `format_type` prints it."""
    name = _named(node.get("names", ()))
    known = {one.name for one in (schema.enums if schema else None) or ()}
    printed = name if name in known else _TYPES.get(name, name)
    sizes = [
        one["A_Const"]["ival"].get("ival", 0) for one in node.get("typmods", ()) if "ival" in one.get("A_Const", {})
    ]
    if sizes:
        head, _, tail = printed.partition(" with")
        printed = f"{head}({','.join(map(str, sizes))})" + (f" with{tail}" if tail else "")
    return printed + "[]" * bool(node.get("arrayBounds"))


def _with_check(schema: Schema, table: str, name: str, node: Tree, sql: str) -> Schema:
    definition = check_text(sql, int(node.get("location", 0)))
    if schema.checks is None or definition is None:
        return schema
    return replace(schema, checks=(*schema.checks, CheckConstraint(table, name, definition)))


def _with_unique(schema: Schema, table: str, name: str, columns: tuple[str, ...]) -> Schema:
    if schema.unique_keys is None or not columns:
        return schema
    return replace(schema, unique_keys=(*schema.unique_keys, UniqueKey(table, name, columns)))


def _keys(node: Tree) -> tuple[str, ...]:
    return tuple(text(one) for one in node.get("keys", ()))


def _with_index(schema: Schema, change: Change) -> Schema:
    node = change.tree or {}
    parts = [one.get("IndexElem", {}) for one in node.get("indexParams", ())]
    columns = tuple(str(one["name"]) for one in parts if "name" in one)
    if schema.unique_keys is None:
        return schema
    plain = len(columns) == len(parts) and "whereClause" not in node
    return replace(schema, unique_keys=(*schema.unique_keys, UniqueKey(change.table, change.name, columns, plain)))


def _with_value(schema: Schema, change: Change) -> Schema:
    old = str((change.tree or {}).get("oldVal", ""))

    def values(one: EnumType) -> tuple[str, ...]:
        if change.kind == "rename value":
            return tuple(change.name if value == old else value for value in one.values)
        return one.values if change.name in one.values else (*one.values, change.name)

    enums = tuple(replace(one, values=values(one)) if one.name == change.table else one for one in schema.enums or ())
    return replace(schema, enums=enums if schema.enums is not None else None)


def _with_routine(schema: Schema, name: str, node: Tree) -> Schema:
    if schema.routines is None:
        return schema
    arguments: list[FunctionArgument] = []
    variadic = False
    for one in node.get("parameters", ()):
        parameter = one["FunctionParameter"]
        mode = parameter.get("mode", "FUNC_PARAM_DEFAULT")
        if mode in ("FUNC_PARAM_OUT", "FUNC_PARAM_TABLE"):
            continue
        variadic = variadic or mode == "FUNC_PARAM_VARIADIC"
        type_ = type_name(parameter.get("argType", {}), schema)
        arguments.append(FunctionArgument(str(parameter.get("name", "")), type_, "defexpr" in parameter))
    routine = Routine(name, tuple(arguments), variadic)
    types = [argument.type for argument in arguments]
    # CREATE OR REPLACE: the one with the same types gives way.
    kept = tuple(
        one for one in schema.routines if one.name != name or [argument.type for argument in one.arguments] != types
    )
    return replace(schema, routines=(*kept, routine))


# --- where each stands


def compare(
    files: Sequence[MigrationFile], history: Sequence[AppliedMigration] | None, schema: Schema | None
) -> tuple[RepositoryMigration, ...]:
    """Return every migration of the repository and of the history, in the order of their versions.

    `history` is None where it could not be read, and empty where the database has none: then only the catalog can tell,
    and that an effect is there does not say that the file put it there.
    """
    readings = {file.path: read(file.sql) for file in files}
    recorded = {row.version: row for row in history or ()}
    found: list[RepositoryMigration] = []
    for file in files:
        reading = readings[file.path]
        later = [readings[one.path] for one in files if one.version > file.version]
        missing = _missing(reading, later, schema)
        state = _state(file, recorded if history else None, missing)
        shown = tuple(change.message for change in missing or ()) if state is MigrationState.NO_EFFECT else ()
        found.append(RepositoryMigration(file.version, file.name, state, file.path, shown, reading.unread))
    ours = {file.version for file in files}
    found += [
        RepositoryMigration(row.version, row.name, MigrationState.NOT_IN_REPOSITORY)
        for row in recorded.values()
        if row.version not in ours
    ]
    return tuple(sorted(found, key=lambda one: (one.version, one.name or "")))


def _state(
    file: MigrationFile, recorded: Mapping[str, AppliedMigration] | None, missing: list[Change] | None
) -> MigrationState:
    if recorded is None:
        if missing is None:
            return MigrationState.UNKNOWN
        return MigrationState.NOT_APPLIED if missing else MigrationState.UNKNOWN
    if file.version not in recorded:
        return MigrationState.NOT_APPLIED
    return MigrationState.NO_EFFECT if missing else MigrationState.APPLIED


def _missing(
    reading: MigrationReading, later: Sequence[MigrationReading], schema: Schema | None
) -> list[Change] | None:
    """Return what a file should have made and the catalog does not have; None where nothing of it can be looked up.

    What a later file touches again is not asked for: it may have undone it.
    """
    if schema is None:
        return None
    touched = {(one.table, one.name) for after in later for one in after.changes}
    touched |= {
        (one.table, "") for after in later for one in after.changes if one.kind in ("drop table", "rename table")
    }
    touched |= {(one.table, one.name) for one in reading.changes if one.kind.startswith(("drop", "rename"))}
    missing: list[Change] = []
    asked = 0
    for change in reading.changes:
        if change.conditional or (change.table, change.name) in touched or (change.table, "") in touched:
            continue
        there = _is_there(change, schema)
        if there is not None:
            asked += 1
            if not there:
                missing.append(change)
    return missing if asked else None


def _is_there(change: Change, schema: Schema) -> bool | None:
    """Whether the catalog has what a change makes; None where it does not tell."""
    table, name = change.table, change.name
    match change.kind:
        case "create table" | "create view":
            return any(one.name == table for one in schema.relations)
        case "add column":
            return any((one.table, one.name) == (table, name) for one in schema.columns)
        case "drop not null":
            column = next((one for one in schema.columns if (one.table, one.name) == (table, name)), None)
            return None if column is None else column.nullable
        case "add check" if schema.checks is not None and name:
            return any((one.table, one.name) == (table, name) for one in schema.checks)
        case "create unique index" if schema.unique_keys is not None and name:
            return any(one.name == name for one in schema.unique_keys)
        case "create type" if schema.enums is not None:
            return any(one.name.rpartition(".")[2].strip('"') == name for one in schema.enums)
        case "add value" if schema.enums is not None:
            values = next((one.values for one in schema.enums if one.name.rpartition(".")[2].strip('"') == table), None)
            return None if values is None else name in values
        case "create function" if schema.routines is not None:
            # Functions of triggers are not among those that can be called.
            if _named((change.tree or {}).get("returnType", {}).get("names", ())) in ("trigger", "event_trigger"):
                return None
            return any(one.name == name for one in schema.routines)
    return None


def cures(
    misfits: Iterable[Misfit], files: Sequence[MigrationFile], states: Iterable[RepositoryMigration], schema: Schema
) -> tuple[Misfit, ...]:
    """Return the misfits, each with the version of the unapplied file that would cure it, where one would.

    A file that cures it alone is preferred to one that needs the others before it.
    """
    waiting = {one.path for one in states if one.state in (MigrationState.NOT_APPLIED, MigrationState.NO_EFFECT)}
    candidates = [(file, read(file.sql)) for file in sorted(files, key=lambda one: one.version) if file.path in waiting]
    open_ = list(misfits)
    uses = tuple(dict.fromkeys(misfit.use for misfit in open_))
    alone = [(file.version, _keys_of(judge(uses, applied(reading, schema)).misfits)) for file, reading in candidates]
    together: list[tuple[str, set[_Key]]] = []
    after = schema
    for file, reading in candidates:
        after = applied(reading, after)
        together.append((file.version, _keys_of(judge(uses, after).misfits)))
    return tuple(
        replace(
            misfit, migration=next((version for version, left in alone + together if _key(misfit) not in left), None)
        )
        for misfit in open_
    )


def files_that_cure(
    misfit: Misfit, files: Sequence[MigrationFile], states: Iterable[RepositoryMigration], schema: Schema
) -> tuple[MigrationFile, ...]:
    """Return the files that were not applied and that together cure a misfit, in their order; none if none do.

    One that cures it alone is preferred. Else they are the fewest of the first ones: a file may build on another.
    """
    waiting = {one.path for one in states if one.state is MigrationState.NOT_APPLIED}
    candidates = [file for file in sorted(files, key=lambda one: one.version) if file.path in waiting]

    def cure(chosen: Sequence[MigrationFile]) -> bool:
        after = schema
        for file in chosen:
            after = applied(read(file.sql), after)
        return _key(misfit) not in _keys_of(judge((misfit.use,), after).misfits)

    for file in candidates:
        if cure((file,)):
            return (file,)
    needed = next((candidates[:end] for end in range(2, len(candidates) + 1) if cure(candidates[:end])), [])
    for file in needed[:-1]:
        without = [one for one in needed if one is not file]
        needed = without if cure(without) else needed
    return tuple(needed)


_Key = tuple[Use, str, str | None, str | None, object]


def _key(misfit: Misfit) -> _Key:
    return misfit.use, misfit.problem.value, misfit.table, misfit.column, misfit.literal


def _keys_of(misfits: Iterable[Misfit]) -> set[_Key]:
    return {_key(misfit) for misfit in misfits}
