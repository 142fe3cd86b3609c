"""The locks that a migration takes, from its statements: on which table, and what has to wait meanwhile.

All are held until the transaction ends. Facts: PostgreSQL documentation, "Explicit Locking" and "ALTER TABLE".
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

from lib.migrations.statement_rules import ReadStatement, nodes
from lib.served_code.statements import Tree


class LockMode(IntEnum):
    """Postgres's modes that a migration can take, the stronger the higher."""

    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    ACCESS_EXCLUSIVE = 8

    @property
    def name_in_sql(self) -> str:
        return self.name.replace("_", " ")


_WAITS = {
    LockMode.ROW_EXCLUSIVE: "reads and writes go on; writes of the same rows wait",
    LockMode.SHARE_UPDATE_EXCLUSIVE: "reads and writes go on; other changes of the schema wait",
    LockMode.SHARE: "reads go on; writes wait",
    LockMode.SHARE_ROW_EXCLUSIVE: "reads go on; writes wait",
    LockMode.ACCESS_EXCLUSIVE: "reads and writes wait",
}


@dataclass(frozen=True, slots=True)
class TableLock:
    """A lock on one table, of `public` if it names no schema. `reads_all`: it is held while all rows are looked at."""

    table: str
    mode: LockMode
    reads_all: bool = False

    @property
    def message(self) -> str:
        scan = " for as long as all rows are looked at" if self.reads_all else ""
        return f"{self.mode.name_in_sql} on {self.table}: {_WAITS[self.mode]}{scan}"


def locks(statements: Iterable[ReadStatement]) -> tuple[TableLock, ...]:
    """Return the strongest lock on each table that was there before, in the order in which they are first taken."""
    new: set[str] = set()
    found: dict[str, TableLock] = {}
    for statement in statements:
        for lock in _of(statement):
            if lock.table in new:
                continue
            known = found.get(lock.table, lock)
            found[lock.table] = TableLock(lock.table, max(known.mode, lock.mode), known.reads_all or lock.reads_all)
        if statement.kind == "CreateStmt":
            new.add(_table(statement.tree.get("relation")))
    return tuple(found.values())


def _of(statement: ReadStatement) -> Iterator[TableLock]:
    inside = statement.tree
    match statement.kind:
        case "AlterTableStmt":
            yield from _altered(inside)
        case "IndexStmt":
            yield TableLock(_table(inside.get("relation")), LockMode.SHARE, reads_all=True)
        case "DropStmt" if inside.get("removeType") == "OBJECT_INDEX":
            for one in inside.get("objects", ()):
                names = [item.get("String", {}).get("sval", "") for item in one.get("List", {}).get("items", ())]
                yield TableLock(f"the table of the index {names[-1] if names else ''}", LockMode.ACCESS_EXCLUSIVE)
        case "CreatePolicyStmt":
            yield TableLock(_table(inside.get("table")), LockMode.ACCESS_EXCLUSIVE)
        case "ViewStmt" if inside.get("replace"):
            yield TableLock(_table(inside.get("view")), LockMode.ACCESS_EXCLUSIVE)
        case "CommentStmt":
            items = inside.get("object", {}).get("List", {}).get("items", ())
            names = [item.get("String", {}).get("sval", "") for item in items]
            if inside.get("objtype") == "OBJECT_COLUMN" and len(names) > 1:
                yield TableLock(names[-2], LockMode.SHARE_UPDATE_EXCLUSIVE)
            elif inside.get("objtype") == "OBJECT_TABLE" and names:
                yield TableLock(names[-1], LockMode.SHARE_UPDATE_EXCLUSIVE)
    for kind, node in nodes(statement.kind, inside):
        if kind in ("InsertStmt", "UpdateStmt", "DeleteStmt"):
            yield TableLock(_table(node.get("relation")), LockMode.ROW_EXCLUSIVE)
        elif kind == "Constraint" and node.get("contype") == "CONSTR_FOREIGN":
            yield TableLock(_table(node.get("pktable")), LockMode.SHARE_ROW_EXCLUSIVE)


def _table(node: Tree | None) -> str:
    relation = node or {}
    schema, name = relation.get("schemaname", "public"), str(relation.get("relname", ""))
    return name if schema == "public" else f"{schema}.{name}"


_WHOLE_TABLE = frozenset({"AT_SetNotNull", "AT_AlterColumnType"})
_CHECKED = frozenset({"CONSTR_CHECK", "CONSTR_FOREIGN"})
_BUILT = frozenset({"CONSTR_UNIQUE", "CONSTR_PRIMARY", "CONSTR_EXCLUSION"})


def _altered(inside: Tree) -> Iterator[TableLock]:
    table = _table(inside.get("relation"))
    for item in inside.get("cmds", ()):
        command = item.get("AlterTableCmd", {})
        kind, definition = command.get("subtype", ""), command.get("def", {})
        match kind:
            case "AT_ValidateConstraint" | "AT_SetStatistics":
                scan = kind == "AT_ValidateConstraint"
                yield TableLock(table, LockMode.SHARE_UPDATE_EXCLUSIVE, reads_all=scan)
            case "AT_AddConstraint":
                constraint = definition.get("Constraint", {})
                type_ = constraint.get("contype")
                mode = LockMode.SHARE_ROW_EXCLUSIVE if type_ == "CONSTR_FOREIGN" else LockMode.ACCESS_EXCLUSIVE
                checked = type_ in _CHECKED and not constraint.get("skip_validation")
                built = type_ in _BUILT and "indexname" not in constraint
                yield TableLock(table, mode, reads_all=checked or built)
            case "AT_AddColumn":
                column = definition.get("ColumnDef", {})
                yield TableLock(table, LockMode.ACCESS_EXCLUSIVE, reads_all=_is_filled_by_row(column))
            case _:
                yield TableLock(table, LockMode.ACCESS_EXCLUSIVE, reads_all=kind in _WHOLE_TABLE)


# A default that Postgres works out once, when the column is added, and does not write into each row.
_ONCE = frozenset({"now", "statement_timestamp", "transaction_timestamp"})


def _is_filled_by_row(column: Tree) -> bool:
    """Whether adding this column looks at, or rewrites, every row: a check, a key, or a default for each row."""
    for item in column.get("constraints", ()):
        constraint = item.get("Constraint", {})
        if constraint.get("contype") in _CHECKED | _BUILT | {"CONSTR_GENERATED", "CONSTR_IDENTITY"}:
            return True
        if constraint.get("contype") == "CONSTR_DEFAULT":
            for kind, node in nodes("", constraint):
                if kind == "FuncCall" and node["funcname"][-1].get("String", {}).get("sval") not in _ONCE:
                    return True
    names = column.get("typeName", {}).get("names", ())
    return bool(names) and "serial" in str(names[-1].get("String", {}).get("sval", ""))
