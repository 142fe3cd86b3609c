"""A file of the app's own `supabase/migrations`, as a migration that the runner can run.

The file is input from outside: what it says is read, never trusted (`lib.migrations.statement_rules`). What must be so
afterwards is asked of the catalog, and follows from the file's own statements.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from lib.migrations.catalogue import Migration, MigrationStep
from lib.migrations.script import HistoryRow
from lib.migrations.statement_locks import TableLock, locks
from lib.migrations.statement_rules import Instead, ReadFile, StatementRefusal, as_script, read
from lib.model.served_code import MigrationFile, Schema
from lib.served_code import repository_migrations
from lib.served_code.repository_migrations import Change

LOCK_TIMEOUT, STATEMENT_TIMEOUT = "2s", "15s"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,120}")
_VERSION = re.compile(r"[0-9]{1,20}")
# The names that are asked for afterwards. The question stands in a dollar-quoted block of ours, and Postgres cuts a
# longer name: after others nobody asks.
_PLAIN = re.compile(r"[A-Za-z0-9_ -]{0,63}")
_OLDEST = 120000  # before 12, ALTER TYPE … ADD VALUE could not be part of a transaction
_REQUIRES = (
    "select pg_catalog.current_setting('standard_conforming_strings') = 'on' "
    f"and pg_catalog.current_setting('server_version_num')::integer >= {_OLDEST}"
)


@dataclass(frozen=True, slots=True)
class RepositoryFile:
    """One file, read. `refusals` say why it is not run from here; it may be where there is none."""

    file: MigrationFile
    content: ReadFile
    locks: tuple[TableLock, ...]

    @property
    def refusals(self) -> tuple[StatementRefusal, ...]:
        return self.content.refusals

    @property
    def digest(self) -> str:
        """SHA-256 of the file: what was approved is what runs."""
        return hashlib.sha256(self.file.sql.encode()).hexdigest()

    @property
    def history(self) -> HistoryRow:
        """Its row in the migration history, as Supabase's command line would write it."""
        return HistoryRow(self.file.version, self.file.name, tuple(one.sql for one in self.content.statements))

    @property
    def migration(self) -> Migration:
        """What is run. `verify` asks for what the statements make, as far as the catalog shows it."""
        changes = repository_migrations.read(self.file.sql).changes
        tables = tuple(lock.table for lock in self.locks) or tuple(dict.fromkeys(one.table for one in changes))
        first, *more = [table for table in tables if table] or ["the schema"]
        return Migration(
            name=f"{self.file.version}_{self.file.name}",
            title=f"Run {self.file.name} of the repository",
            button="Run this migration",
            table=first,
            also_locks=tuple(more),
            cures=(),
            lock="; ".join(lock.message for lock in self.locks) or "none on a table that is there already",
            lock_timeout=LOCK_TIMEOUT,
            statement_timeout=STATEMENT_TIMEOUT,
            verify=verification(changes),
            steps=(MigrationStep(self.file.name, as_script(self.content.statements)),),
            visible=_visible(changes),
            requires=_REQUIRES,
            requires_message="The database reads strings in another way than the file was checked with.",
            cannot_be_undone="Write a migration that takes it back, and run that.",
        )

    def command(self, instead: Instead) -> str:
        """Return how to run the file by hand."""
        if instead is Instead.PUSH:
            return "supabase db push"
        record = f"supabase migration repair --status applied {self.file.version}"
        return f'psql "$DATABASE_URL" --file {shlex.quote(self.file.path)}; then {record}'


def open_file(file: MigrationFile, schema: Schema | None = None) -> RepositoryFile:
    """Read a file of the repository. No content makes it fail."""
    content = read(file.sql, schema)
    if not _NAME.fullmatch(file.name) or not _VERSION.fullmatch(file.version):
        content = ReadFile(
            content.statements, (StatementRefusal(1, "The file's name has characters that a name does not need."),)
        )
    return RepositoryFile(file, content, locks(content.statements))


# --- what must be so afterwards

_Key = tuple[str, str, str]


def verification(changes: Iterable[Change]) -> str:
    """Return a question with one boolean for an answer: whether the catalog shows what these changes make."""
    wanted: dict[_Key, sql.Composable] = {}
    for change in changes:
        if change.conditional or not (_PLAIN.fullmatch(change.table) and _PLAIN.fullmatch(change.name)):
            continue
        _take_back(wanted, change)
        condition = _condition(change)
        if condition is not None:
            wanted.pop((_thing(change.kind), change.table, change.name), None)
            wanted[_thing(change.kind), change.table, change.name] = condition
    conditions = sql.SQL("\n    and ").join(wanted.values())
    return f"select {conditions.as_string(None)}" if wanted else "true"


def _take_back(wanted: dict[_Key, sql.Composable], change: Change) -> None:
    """Forget what a later change of the same file has made of an earlier one."""
    if change.kind in ("drop table", "rename table"):
        for key in [key for key in wanted if key[1] == change.table]:
            del wanted[key]
    elif change.kind in ("drop column", "rename column"):
        for key in [key for key in wanted if key[1:] == (change.table, change.name)]:
            del wanted[key]
    elif change.kind in ("drop function", "drop index", "drop type"):
        for key in [key for key in wanted if key[2] == change.name and key[0] == change.kind.removeprefix("drop ")]:
            del wanted[key]


def _thing(kind: str) -> str:
    """Return what a change is about, so that the last of several on the same thing counts."""
    return _THINGS.get(kind, kind)


_THINGS = {
    "add column": "column", "drop not null": "null", "set not null": "null", "set default": "default",
    "drop default": "default", "add check": "constraint", "add unique": "constraint", "drop constraint": "constraint",
    "create unique index": "index", "create function": "function", "create type": "type",
}  # fmt: skip
_COLUMN = (
    "exists (select from pg_catalog.pg_attribute where attrelid = pg_catalog.to_regclass({table}) "
    "and attname = {name} and not attisdropped{more})"
)
_CONSTRAINT = (
    "{no}exists (select from pg_catalog.pg_constraint where conrelid = pg_catalog.to_regclass({table}) "
    "and conname = {name})"
)
_IN_PUBLIC = "{catalog} o join pg_catalog.pg_namespace n on n.oid = o.{namespace} where n.nspname = 'public'"


def _condition(change: Change) -> sql.Composable | None:
    if change.name == "" and change.kind not in ("create table", "create view"):
        return None  # Postgres gives it a name of its own
    table = sql.Literal(sql.Identifier("public", change.table).as_string(None))
    name = sql.Literal(change.name)

    def column(more: str = "") -> sql.Composable:
        return sql.SQL(_COLUMN.replace("{more}", more)).format(table=table, name=name)

    def public(catalog: str, namespace: str, more: str) -> sql.Composable:
        source = _IN_PUBLIC.format(catalog=f"pg_catalog.{catalog}", namespace=namespace)
        return sql.SQL(f"exists (select from {source} and {more})").format(name=name)

    match change.kind:
        case "create table" | "create view":
            return sql.SQL("pg_catalog.to_regclass({}) is not null").format(table)
        case "add column":
            return column()
        case "drop not null":
            return column(" and not attnotnull")
        case "set not null":
            return column(" and attnotnull")
        case "set default":
            return column(" and (atthasdef or attidentity <> '')")
        case "drop default":
            return column(" and not atthasdef")
        case "add check" | "add unique":
            return sql.SQL(_CONSTRAINT).format(no=sql.SQL(""), table=table, name=name)
        case "drop constraint":
            return sql.SQL(_CONSTRAINT).format(no=sql.SQL("not "), table=table, name=name)
        case "create unique index":
            return public("pg_class", "relnamespace", "o.relkind in ('i', 'I') and o.relname = {name}")
        case "create function":
            return public("pg_proc", "pronamespace", "o.proname = {name}")
        case "create type":
            return public("pg_type", "typnamespace", "o.typname = {name}")
        case "add value":
            type_ = sql.Literal(change.table)
            return sql.SQL(
                "exists (select from pg_catalog.pg_enum e join pg_catalog.pg_type t on t.oid = e.enumtypid "
                "where t.typname = {} and e.enumlabel = {})"
            ).format(type_, name)
    return None


def _visible(changes: Iterable[Change]) -> tuple[str, ...]:
    """Return the columns that the Data API must know afterwards."""
    columns: dict[str, None] = {}
    for change in changes:
        place = f"{change.table}.{change.name}"
        if change.kind == "add column" and not change.conditional:
            columns[place] = None
        elif change.kind in ("drop column", "rename column"):
            columns.pop(place, None)
        elif change.kind in ("drop table", "rename table"):
            columns = {one: None for one in columns if one.partition(".")[0] != change.table}
    return tuple(columns)
