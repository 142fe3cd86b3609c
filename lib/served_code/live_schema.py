"""What code is held against, read from Postgres's catalog: one question, and its answer as a `Schema`.

Every name is schema-qualified: the Management API's read-only door has an empty search path. Facts: PostgreSQL
documentation, "System Catalogs"; which functions PostgREST can call: its documentation, "Functions as RPC".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lib.model.database import Catalog, CheckConstraint
from lib.model.served_code import (
    EnumType,
    FunctionArgument,
    Relation,
    RelationKind,
    Routine,
    RowTrigger,
    Schema,
    SchemaColumn,
    UniqueKey,
)

_RELATIONS_SQL = """
select c.relname::text as name, c.relkind::text as kind
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm', 'f')
order by c.relname
"""
_COLUMNS_SQL = """
select c.relname::text as "table", a.attname::text as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
       not (a.attnotnull or (t.typtype = 'd' and t.typnotnull)) as nullable,
       coalesce(pg_catalog.pg_get_expr(d.adbin, d.adrelid), t.typdefault) as "default",
       (a.attidentity <> '' or a.attgenerated <> '') as filled,
       (a.attidentity = 'a' or a.attgenerated <> '') as refuses_values,
       t.typtype = 'd' as is_domain
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
join pg_catalog.pg_type t on t.oid = a.atttypid
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum
"""
CHECKS_SQL = """
select c.relname::text as "table", k.conname::text as name, pg_catalog.pg_get_constraintdef(k.oid) as definition,
       array(select a.attname::text from pg_catalog.pg_attribute a
             where a.attrelid = k.conrelid and a.attnum = any (k.conkey)) as columns
from pg_catalog.pg_constraint k
join pg_catalog.pg_class c on c.oid = k.conrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and k.contype = 'c'
      -- null for a check that somebody drops at this moment
      and pg_catalog.pg_get_constraintdef(k.oid) is not null
order by c.relname, k.conname
"""
_UNIQUE_SQL = """
select c.relname::text as "table", i.relname::text as name,
       array(select a.attname::text
             from pg_catalog.unnest(x.indkey::pg_catalog.int2[]) with ordinality as k(number, place)
             join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.number
             where k.place <= x.indnkeyatts order by k.place) as columns,
       x.indpred is null and x.indexprs is null and x.indimmediate as plain
from pg_catalog.pg_index x
join pg_catalog.pg_class c on c.oid = x.indrelid
join pg_catalog.pg_class i on i.oid = x.indexrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and x.indisunique and x.indisvalid
order by c.relname, i.relname
"""
_ENUMS_SQL = """
select pg_catalog.format_type(t.oid, null) as name,
       array(select e.enumlabel::text from pg_catalog.pg_enum e
             where e.enumtypid = t.oid order by e.enumsortorder) as values
from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace
where t.typtype = 'e' and n.nspname not in ('pg_catalog', 'information_schema')
order by 1
"""
_ROUTINES_SQL = """
select p.proname::text as name, p.provariadic <> 0 as variadic, p.pronargdefaults as defaults,
       coalesce(p.proargnames, array[]::text[]) as names, p.proargmodes::text[] as modes,
       array(select pg_catalog.format_type(k.type, null)
             from pg_catalog.unnest(coalesce(p.proallargtypes, p.proargtypes::pg_catalog.oid[]))
                  with ordinality as k(type, place)
             order by k.place) as types
from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'public' and p.prokind in ('f', 'p')
      and p.prorettype not in ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
order by p.proname, p.oid
"""
# Bits of tgtype: 1 row, 2 before, 4 insert, 16 update, 64 instead of.
_TRIGGERS_SQL = """
select c.relname::text as "table", g.tgname::text as name,
       (g.tgtype & 4) <> 0 as on_insert, (g.tgtype & 16) <> 0 as on_update
from pg_catalog.pg_trigger g
join pg_catalog.pg_class c on c.oid = g.tgrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and not g.tgisinternal and g.tgenabled <> 'D'
      and (g.tgtype & 1) <> 0 and (g.tgtype & 66) <> 0
order by c.relname, g.tgname
"""
PARTS = {
    "relations": _RELATIONS_SQL,
    "columns": _COLUMNS_SQL,
    "checks": CHECKS_SQL,
    "unique_keys": _UNIQUE_SQL,
    "enums": _ENUMS_SQL,
    "routines": _ROUTINES_SQL,
    "triggers": _TRIGGERS_SQL,
}
# One statement: one round trip, and all parts as of the same moment.
SCHEMA_SQL = "select pg_catalog.json_build_object({}) as schema".format(
    ", ".join(
        f"'{part}', (select coalesce(pg_catalog.json_agg(x), '[]'::json) from ({sql}) x)"  # noqa: S608 - constants
        for part, sql in PARTS.items()
    )
)
_KINDS = {
    "r": RelationKind.TABLE,
    "p": RelationKind.TABLE,
    "v": RelationKind.VIEW,
    "m": RelationKind.MATERIALIZED_VIEW,
    "f": RelationKind.FOREIGN_TABLE,
}
_OUT_MODES = ("o", "t")

Row = Mapping[str, Any]


def schema_of(answer: Mapping[str, Sequence[Row]]) -> Schema:
    """Read the answer to `SCHEMA_SQL`. Raises `KeyError`, `TypeError` or `ValueError` if it has another shape."""
    return Schema(
        relations=tuple(Relation(row["name"], _KINDS[row["kind"]]) for row in answer["relations"]),
        columns=tuple(
            SchemaColumn(
                row["table"], row["name"], row["type"], row["nullable"], row["default"], row["filled"],
                row["refuses_values"], row["is_domain"],
            )
            for row in answer["columns"]
        ),
        checks=tuple(
            CheckConstraint(row["table"], row["name"], row["definition"], tuple(row["columns"]))
            for row in answer["checks"]
        ),
        unique_keys=tuple(
            UniqueKey(row["table"], row["name"], tuple(row["columns"]), row["plain"]) for row in answer["unique_keys"]
        ),
        enums=tuple(EnumType(row["name"], tuple(row["values"])) for row in answer["enums"]),
        routines=tuple(_routine(row) for row in answer["routines"]),
        triggers=tuple(
            RowTrigger(row["table"], row["name"], row["on_insert"], row["on_update"]) for row in answer["triggers"]
        ),
    )  # fmt: skip


def _routine(row: Row) -> Routine:
    types, names = row["types"], [*row["names"]]
    modes = row["modes"] or ["i"] * len(types)
    names += [""] * (len(types) - len(names))
    given = [(name, type_) for name, type_, mode in zip(names, types, modes, strict=True) if mode not in _OUT_MODES]
    optional = len(given) - row["defaults"]
    arguments = (FunctionArgument(name, type_, place >= optional) for place, (name, type_) in enumerate(given))
    return Routine(row["name"], tuple(arguments), row["variadic"])


def from_catalog(catalog: Catalog) -> Schema:
    """Return what a catalog without the further parts says: tables, columns and checks; the rest stays unknown."""
    tables = dict.fromkeys(column.table for column in catalog.columns)
    return Schema(
        relations=tuple(Relation(table) for table in tables),
        columns=tuple(
            SchemaColumn(one.table, one.name, one.type, one.nullable, one.default) for one in catalog.columns
        ),
        checks=catalog.checks,
    )
