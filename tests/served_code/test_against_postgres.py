"""What is said of a write is held against a real server: it answers with the very code that the misfit names."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from lib.model.database import AppliedMigration
from lib.model.served_code import MigrationFile, MigrationState, Misfit, Problem, RelationKind, Schema
from lib.sandbox.ports import SandboxError
from lib.sandbox.postgres import Postgres
from lib.served_code import repository_migrations
from lib.served_code.live_schema import SCHEMA_SQL, schema_of
from lib.served_code.misfits import judge
from tests.served_code.samples import uses

UUID = "11111111-1111-1111-1111-111111111111"
DDL = """
create schema extra;
create type kind as enum ('open', 'it''s');
create domain short as text check (length(value) < 5);
create table things (
    id uuid primary key default gen_random_uuid(),
    number bigint generated always as identity,
    kind kind not null default 'open',
    status text not null check (status in ('new', 'done')),
    link_type varchar(40) default 'custom',
    seats integer default 1 check (seats > 0 and seats <= 10),
    price numeric(10, 2) check (price >= 0),
    flag boolean, day date, at timestamptz, tags text[], extra jsonb, code varchar(4), word short,
    mixed text, same text,
    doubled integer generated always as (seats * 2) stored,
    constraint link_type_check check (link_type::text = any (array['custom'::varchar, 'promotion'::varchar]::text[])),
    constraint mixed_check check (mixed is null or mixed = 'a' or (flag and mixed like 'b%')),
    constraint same_check check (same <> 'x' and char_length(same) <= 3) not valid
);
create unique index things_code on things (code);
create unique index things_day on things (day) where flag;
create unique index things_lower on things (lower(mixed));
alter table things add constraint things_at_unique unique (at) deferrable;
create table guarded (id int primary key, must text not null);
create function fill() returns trigger language plpgsql as $$ begin new.must := 'x'; return new; end $$;
create trigger fill before insert on guarded for each row execute function fill();
create view open_things as select id, status from things;
create function take(p_id uuid, p_seats int default 1, out taken int) language sql as $$ select 1 $$;
create function take_any(json) returns int language sql as $$ select 1 $$;
create function full_name(things) returns text language sql as $$ select 'x' $$;
"""


@pytest.fixture(scope="module")
def database() -> Iterator[psycopg.Connection]:
    # Not in pytest's folder: the server runs as another user, who must get through.
    folder = Path(tempfile.mkdtemp(prefix="switchboard-served-code-"))
    server = Postgres(folder)
    try:
        server.start()
    except SandboxError as error:
        pytest.skip(f"NOT TESTED, no database can run here: {error}")
    try:
        with psycopg.connect(server.dsn(), autocommit=True) as connection:
            connection.execute(DDL)
            yield connection
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def schema(database: psycopg.Connection) -> Schema:
    return read_schema(database)


def read_schema(database: psycopg.Connection) -> Schema:
    row = database.execute(SCHEMA_SQL.encode()).fetchone()
    assert row is not None
    return schema_of(row[0])


def misfits(code: str, schema: Schema) -> tuple[Misfit, ...]:
    return judge(uses(f"async function f() {{ {code} }}"), schema).misfits


def answer(database: psycopg.Connection, row: dict[str, object]) -> str | None:
    """Insert a row as PostgREST does, and return the code of the refusal."""
    columns = ", ".join(f'"{name}"' for name in row)
    # The columns have the table's types there.
    query = f"insert into things ({columns}) select {columns} from json_populate_record(null::things, %s)"
    try:
        with database.transaction(force_rollback=True):
            database.execute(query.encode(), [json.dumps(row)])
    except psycopg.Error as error:
        return error.sqlstate
    return None


@pytest.mark.parametrize(
    ("column", "value"),
    [
        *[("status", value) for value in ("new", "other", "NEW", None, 1, {"a": 1})],
        *[("kind", value) for value in ("open", "it's", "shut", None, 7, True)],
        *[("link_type", value) for value in ("custom", "booking_confirmation", "promotion", None)],
        *[("seats", value) for value in (1, 0, 11, "3", "x", 2.5, True, 3_000_000_000, "-1", None)],
        *[("price", value) for value in (0, -0.5, "-1", "x", 9.99, "NaN", None, [1])],
        *[("flag", value) for value in (True, "yes", "maybe", 1, 2, "", "f", "of")],
        *[("day", value) for value in ("2026-01-01", "today", "soon", "", {"a": 1})],
        *[("at", value) for value in ("2026-01-01T00:00:00Z", "now", "never", "infinity")],
        *[("tags", value) for value in ("{a,b}", "a")],
        *[("extra", value) for value in ("a", {"a": 1}, [1], 1)],
        *[("code", value) for value in ("abcd", "abcde", "abcd   ", 12345)],
        *[("word", value) for value in ("abc", "abcdef")],
        *[("mixed", value) for value in ("a", "c", None)],
        *[("same", value) for value in ("x", "abc", "abcd", None, "")],
        *[("id", value) for value in (UUID, "1", "", "{11111111111111111111111111111111}")],
        *[("number", 1), ("doubled", 2)],
    ],
)  # fmt: skip
def test_the_database_answers_what_the_misfit_names(
    database: psycopg.Connection, schema: Schema, column: str, value: object
):
    row = {"status": "new", column: value}
    found = misfits(f"await supabase.from('things').insert({json.dumps(row)})", schema)
    code = answer(database, row)
    said = {answered for misfit in found for answered in misfit.answers}
    if code is None:
        assert said == set()
    elif (column, value) in (("word", "abcdef"), ("mixed", "c"), ("status", {"a": 1})):
        # Not judged, though the server refuses them: a domain's check, a check that looks at another column too, and
        # an object in a column of text.
        assert said == set()
    else:
        assert said == {code}, (column, value)


def test_what_is_left_out_is_what_the_database_asks_for(database: psycopg.Connection, schema: Schema):
    (found,) = misfits("await supabase.from('things').insert({ seats: 2 })", schema)
    assert (found.problem, found.column, found.answers) == (
        Problem.LEFT_OUT,
        "status",
        (answer(database, {"seats": 2}),),
    )


@pytest.mark.parametrize(
    ("columns", "fits"),
    [
        ("id", True),
        ("code", True),
        ("day", False),
        ("mixed", False),
        ("at", False),
        ("status", False),
        ("id,code", False),
    ],
)
def test_on_conflict_wants_a_unique_index_on_just_these_columns(
    database: psycopg.Connection, schema: Schema, columns: str, fits: bool
):
    found = misfits(f"await supabase.from('things').upsert({{ status: 'new' }}, {{ onConflict: '{columns}' }})", schema)
    query = f"insert into things (status) values ('new') on conflict ({columns}) do update set status = 'new'"
    with database.transaction(force_rollback=True):
        try:
            database.execute(query.encode())
            refused = None
        except psycopg.Error as error:
            refused = error.sqlstate
    assert (refused is None, not found) == (fits, fits)
    assert [one.problem for one in found] == ([] if fits else [Problem.NO_UNIQUE_INDEX])
    if columns != "at":  # a deferrable constraint has a code of its own
        assert [one.answers for one in found] == ([] if fits else [(refused,)])


def test_what_a_trigger_may_fill_is_not_judged(schema: Schema):
    judged = judge(uses("await supabase.from('guarded').insert({ id: 1 })"), schema)
    assert judged.misfits == ()
    assert [one.reason for one in judged.unjudged] == ["The trigger fill may change what is written to guarded."]


@pytest.mark.parametrize(
    ("code", "problem", "column"),
    [
        ("await supabase.rpc('take', { p_id: x })", None, None),
        ("await supabase.rpc('take', { p_id: x, p_seats: 2 })", None, None),
        ("await supabase.rpc('take', { p_id: x, taken: 2 })", Problem.MISSING_FUNCTION, "taken"),
        ("await supabase.rpc('take', {})", Problem.MISSING_FUNCTION, "p_id"),
        ("await supabase.rpc('take', { p_id: 'x' })", Problem.TYPE, "p_id"),
        ("await supabase.rpc('taken', {})", Problem.MISSING_FUNCTION, None),
        ("await supabase.rpc('fill')", Problem.MISSING_FUNCTION, None),
        ("await supabase.rpc('take_any', { anything: 1 })", None, None),
        ("await supabase.from('things').select('id, full_name, count')", None, None),
        ("await supabase.from('things').select('id, fullname')", Problem.MISSING_COLUMN, "fullname"),
        ("await supabase.from('open_things').select('id').eq('seats', 1)", Problem.MISSING_COLUMN, "seats"),
        ("await supabase.from('things').select('id').eq('kind', 'shut')", Problem.REFUSED_LITERAL, "kind"),
        ("await supabase.from('things').select('id').eq('id', 'abc')", Problem.TYPE, "id"),
        ("await supabase.from('things').select('id').eq('status', 'other')", None, None),
        ("await supabase.from('things').select('id').is('kind', null)", None, None),
        ("await supabase.from('nothing').select('id')", Problem.MISSING_TABLE, None),
        ("await supabase.schema('extra').from('nothing').select('id')", None, None),
        ("await supabase.from('things').select('id, things(wrong)')", Problem.MISSING_COLUMN, "wrong"),
    ],
)
def test_functions_reads_and_filters(schema: Schema, code: str, problem: Problem | None, column: str | None):
    found = misfits(code, schema)
    assert [(one.problem, one.column) for one in found] == ([] if problem is None else [(problem, column)])


def test_the_schema_says_what_the_server_has(schema: Schema):
    assert {one.name: one.kind for one in schema.relations} == {
        "things": RelationKind.TABLE, "guarded": RelationKind.TABLE, "open_things": RelationKind.VIEW,
    }  # fmt: skip
    assert {(one.name, one.values) for one in schema.enums or ()} >= {("kind", ("open", "it's"))}
    assert {one.name for one in schema.routines or ()} == {"take", "take_any", "full_name"}


CHANGES = [
    "alter table things add column if not exists metadata jsonb not null default '{}'::jsonb",
    "alter table only public.things alter column status drop not null, alter status set default 'new'",
    "alter table things drop constraint link_type_check;\n"
    "alter table things add constraint link_type_check check (link_type in ('custom', 'booking_confirmation'))",
    "create table public.notes (id serial primary key, body text not null check (body <> 'x'), "
    "kind kind, unique (body, kind))",
    "alter type kind add value 'shut'",
    "create unique index on_status on things using btree (status)",
    "create or replace function later(a int, b text default 'x') returns int language sql as $$ select 1; $$",
    "create view newer as select 1 as one",
    "alter table things rename column code to code2; alter table guarded rename to guards",
    "do $$ begin if not exists (select 1) then null; end if; alter table things add column maybe int; end $$",
    "alter table things drop column extra; drop function take_any(json); drop table if exists guarded cascade",
    "alter table things alter column price type double precision, add constraint price_key unique (price)",
    "create table owners (id bigint generated always as identity, name varchar(10) unique)",
]


@pytest.mark.parametrize("sql", CHANGES, ids=lambda sql: sql[:40])
def test_what_a_file_is_read_to_do_is_what_it_does(database: psycopg.Connection, schema: Schema, sql: str):
    reading = repository_migrations.read(sql)
    assert (reading.unread, bool(reading.changes)) == ((), True)
    expected = repository_migrations.applied(reading, schema)
    with database.transaction(force_rollback=True):
        database.execute(sql.encode())
        real = read_schema(database)
    names = lambda one: {(column.table, column.name) for column in one.columns}  # noqa: E731
    assert {one.name for one in expected.relations} == {one.name for one in real.relations}
    known = names(expected) | {("newer", "one")}  # the columns of a view are not worked out
    assert names(real) <= known | {("open_things", "id")}
    assert names(expected) <= names(real) | {("open_things", "status")}
    types = {(one.table, one.name): (one.type, one.nullable, one.default is None) for one in real.columns}
    for column in expected.columns:
        if (column.table, column.name) in types:
            assert (column.type, column.nullable, column.default is None) == types[column.table, column.name], column
    assert {one.name: one.values for one in expected.enums or ()} == {one.name: one.values for one in real.enums or ()}
    assert {one.name for one in expected.routines or ()} == {one.name for one in real.routines or ()}
    assert {(one.table, one.columns, one.plain) for one in expected.unique_keys or ()} == {
        (one.table, one.columns, one.plain) for one in real.unique_keys or ()
    }


@pytest.mark.parametrize(
    ("code", "sql"),
    [
        ("insert({ status: 'new', metadata: {} })", "alter table things add column metadata jsonb"),
        ("insert({ status: null })", "alter table things alter status drop not null"),
        ("insert({ seats: 2 })", "alter table things alter status set default 'new'"),
        (
            "insert({ status: 'late' })",
            "alter table things drop constraint things_status_check, add check (status <> 'x')",
        ),
        ("insert({ status: 'new', kind: 'shut' })", "alter type kind add value if not exists 'shut'"),
        ("upsert({ status: 'new' }, { onConflict: 'status' })", "create unique index x on things (status)"),
        ("insert({ status: 'new', metadata: {} })", "do $$ begin alter table things add column metadata jsonb; end $$"),
    ],
)
def test_the_file_that_would_cure_a_misfit_is_named(database: psycopg.Connection, schema: Schema, code: str, sql: str):
    files = (
        MigrationFile(
            "supabase/migrations/20250101000000_other.sql", "20250101000000", "other", "alter table things add a1 int"
        ),
        MigrationFile("supabase/migrations/20250102000000_cure.sql", "20250102000000", "cure", sql),
    )
    states = repository_migrations.compare(files, (AppliedMigration("20240101000000", "first"),), schema)
    assert [one.state for one in states] == [
        MigrationState.NOT_IN_REPOSITORY, MigrationState.NOT_APPLIED, MigrationState.NOT_APPLIED,
    ]  # fmt: skip
    (found,) = repository_migrations.cures(
        misfits(f"await supabase.from('things').{code}", schema), files, states, schema
    )
    assert found.migration == "20250102000000"
    with database.transaction(force_rollback=True):
        database.execute(sql.encode())
        assert misfits(f"await supabase.from('things').{code}", read_schema(database)) == ()
