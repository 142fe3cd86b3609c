"""What of a repository's migration may be run from here: only what says what it does, and loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lib.migrations.linter import complaints
from lib.migrations.repository_file import open_file, verification
from lib.migrations.script import scripts
from lib.migrations.statement_locks import locks
from lib.migrations.statement_rules import Instead, as_script, is_wider, read
from lib.model.served_code import MigrationFile, Relation, Schema, SchemaColumn
from lib.served_code import repository_migrations
from lib.served_code.statements import statements_with_comments, tree

SCHEMA = Schema(
    (Relation("messages"), Relation("events")),
    (
        SchemaColumn("messages", "body", "character varying(160)", nullable=True),
        SchemaColumn("messages", "seats", "integer", nullable=True),
    ),
)


def refused_because(sql: str) -> str:
    return " ".join(one.reason for one in read(sql, SCHEMA).refusals)


ALLOWED = [
    "alter table public.messages add column if not exists metadata jsonb default '{}'::jsonb not null",
    "alter table messages alter column body drop not null, alter column seats set default 1",
    "alter table messages drop constraint c; alter table messages add constraint c check (body in ('a')) not valid",
    "alter table messages validate constraint c",
    "alter table messages alter column body type text",
    "alter table messages alter column body type varchar(200)",
    "alter table messages alter column seats type bigint",
    "create index if not exists i on messages (lower(body)) where body is not null",
    "create table a (id uuid primary key default gen_random_uuid(), at timestamptz default now());\n"
    "alter table a enable row level security;\ncreate policy p on a using (auth.uid() = id)",
    "create type kind as enum ('x'); create table b (kind kind default 'x')",
    "alter type public.kind add value if not exists 'y' after 'x'",
    "create or replace function count_them(d date) returns bigint language sql stable set search_path = ''\n"
    "as $$ select count(*) from public.messages where at > d; $$",
    "create or replace view v with (security_invoker = on) as select id from messages",
    "comment on column messages.body is 'It''s; text'",
    "insert into events (name) values ('a') on conflict (name) do nothing",
    "update messages set body = upper(body) where body is not null",
    "delete from messages where body = 'x'",
    "drop index if exists i",
    "set check_function_bodies = off",
    "-- only the comments differ /* ; */\nalter table messages add column a text -- ; here\n",
]


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_says_what_it_does_is_allowed(sql: str):
    assert refused_because(sql) == ""


REFUSED = [
    # The transaction
    ("alter table messages add column a text; commit; drop table events", "transaction of its own", Instead.PSQL),
    ("rollback", "transaction of its own", Instead.PSQL),
    ("savepoint s", "transaction of its own", Instead.PSQL),
    ("begin; alter table messages add column a text; end", "transaction of its own", Instead.PSQL),
    ("create index concurrently i on messages (body)", "inside of a transaction", Instead.PSQL),
    ("drop index concurrently i", "inside of a transaction", Instead.PSQL),
    ("vacuum messages", "inside of a transaction", Instead.PSQL),
    ("alter system set log_statement = 'all'", "inside of a transaction", Instead.PSQL),
    (
        "alter type kind add value 'z'; update messages set body = 'z' where id = 1",
        "transaction that adds",
        Instead.PSQL,
    ),
    # Data that is lost
    ("drop table if exists messages", "DROP TABLE", Instead.PUSH),
    ("alter table messages drop column body", "DROP COLUMN", Instead.PUSH),
    ("truncate messages", "TRUNCATE", Instead.PUSH),
    ("delete from messages", "DELETE without WHERE", Instead.PUSH),
    ("delete from messages where 1 = 1", "DELETE without WHERE", Instead.PUSH),
    ("update messages set body = null", "UPDATE without WHERE", Instead.PUSH),
    ("with gone as (delete from messages returning *) insert into events select * from gone", "DELETE", Instead.PUSH),
    ("alter table messages alter column body type varchar(20)", "may not hold every value", Instead.PUSH),
    ("alter table messages alter column seats type smallint", "may not hold every value", Instead.PUSH),
    ("alter table messages alter column body type text using left(body, 3)", "may not hold", Instead.PUSH),
    ("alter table messages alter column unknown type text", "is not known", Instead.PUSH),
    ("alter table messages drop constraint c cascade", "CASCADE", Instead.PUSH),
    ("drop schema public cascade", "loses it", Instead.PUSH),
    ("drop function f()", "loses it", Instead.PUSH),
    ("alter table messages rename column body to text", "old name", Instead.PUSH),
    ("alter table messages rename to texts", "old name", Instead.PUSH),
    # What is known only once it runs
    ("do $$ begin execute 'drop table messages'; end $$", "DO block", Instead.PUSH),
    ("select pg_terminate_backend(1)", "reads, or calls functions", Instead.PUSH),
    ("update messages set body = lo_export(1, 'x') where id = 1", "function lo_export()", Instead.PUSH),
    ("alter table messages add column a text default public.now()", "function public.now()", Instead.PUSH),
    ("alter table messages add check (dblink('x', 'y') is null)", "function dblink()", Instead.PUSH),
    ("insert into messages (body) values ((select set_config('role', 'postgres', false)))", "set_config", Instead.PUSH),
    ("update messages set body = 'a' operator(public.||) 'b' where id = 1", "operator by its schema", Instead.PUSH),
    (
        "create function f(m messages) returns text language plpgsql as $$ begin execute 'x'; end $$",
        "EXECUTE",
        Instead.PUSH,
    ),
    (
        "create function f(m messages) returns text language sql as $$ select 'x' $$;\n"
        "update messages set body = messages.f where id = 1",
        "which the same file makes",
        Instead.PUSH,
    ),
    ("create function lower(a int) returns int language sql as $$ select 1 $$", "which Postgres has", Instead.PUSH),
    ("create function f() returns int language c as 'x', 'y'", "written in c", Instead.PUSH),
    ("call p()", "procedure", Instead.PUSH),
    ("copy messages from program 'curl x'", "COPY", Instead.PUSH),
    ("copy messages to '/tmp/x'", "COPY", Instead.PUSH),
    ("create extension http", "extension", Instead.PUSH),
    ("create trigger t before insert on messages for each row execute function f()", "trigger", Instead.PUSH),
    ("create rule r as on insert to messages do instead nothing", "rule", Instead.PUSH),
    ("prepare p as select 1; execute p", "not among what is run", Instead.PUSH),
    ("insert into messages (body) values ('a') returning id", "gives rows back", Instead.PUSH),
    ("create table a as select * from messages", "not among what is run", Instead.PUSH),
    # Who may do what
    ("set role postgres", "act as somebody else", Instead.PUSH),
    ("set session authorization x", "act as somebody else", Instead.PUSH),
    ("set lock_timeout = 0", "undo the time-outs", Instead.PUSH),
    ("reset all", "undo the time-outs", Instead.PUSH),
    ("grant all on messages to anon", "who may see or do", Instead.PUSH),
    ("alter table messages owner to x", "who may see or do", Instead.PUSH),
    ("alter table messages disable row level security", "who may see or do", Instead.PUSH),
    ("alter table messages enable row level security", "hide its rows", Instead.PUSH),
    ("create policy p on messages using (true)", "decides who sees", Instead.PUSH),
    ("create function f() returns int language sql security definer as $$ select 1 $$", "DEFINER", Instead.PUSH),
    # Elsewhere
    ("insert into auth.users (email) values ('x')", "schema auth", Instead.PUSH),
    ("delete from supabase_migrations.schema_migrations where version = '1'", "supabase_migrations", Instead.PUSH),
    ("alter table auth.users add column a text", "schema auth", Instead.PUSH),
    ("create temp table t (a int)", "temporary", Instead.PUSH),
    # No text of one meaning
    ("alter tabel messages", "grammar does not take it", Instead.PUSH),
    ("alter table messages add column a text; 'unclosed", "grammar does not take it", Instead.PUSH),
    ("alter table messages add column a text; /* unclosed", "grammar", Instead.PUSH),
    ("alter table messages add column a text; -- \u202ecommit", "cannot be seen", Instead.PUSH),
    ("alter table messages add column \u200ba text", "cannot be seen", Instead.PUSH),
    ("-- nothing\n", "no statement", Instead.PUSH),
    ("select 1;" * 500, "more than 200 statements", Instead.PUSH),
    ("-- " + "x" * 200_000, "longer than", Instead.PUSH),
]


@pytest.mark.parametrize(("sql", "reason", "instead"), REFUSED)
def test_what_is_not_known_or_loses_something_is_refused_with_the_way_to_run_it(
    sql: str, reason: str, instead: Instead
):
    found = [one for one in read(sql, SCHEMA).refusals if reason in one.reason]
    assert found, refused_because(sql)
    assert found[0].instead is instead


def test_a_refusal_says_the_line_of_its_statement():
    sql = "-- first\nalter table messages add column a text;\n\n-- why\ndrop table events;\n"
    assert [one.line for one in read(sql).refusals] == [5]


@pytest.mark.parametrize("sql", ALLOWED)
def test_what_runs_is_every_statement_of_the_file_and_no_other(sql: str):
    rendered = as_script(read(sql, SCHEMA).statements)
    kinds = [tree(one.sql)[0] for one in statements_with_comments(sql)]
    assert [tree(one.sql)[0] for one in statements_with_comments(rendered) if one.sql.strip("- ")] == kinds


@given(st.text(alphabet=st.sampled_from("ab;'\"$-/*\\\n ()"), max_size=60))
def test_no_text_makes_it_fail_and_what_is_allowed_ends_in_itself(text: str):
    """What follows a file that may run is read as it would be without the file."""
    found = read(text)
    if not found.refusals:
        *_, last = statements_with_comments(f"{as_script(found.statements)}\n\ncommit;")
        assert last.sql.endswith("commit")


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        ("character varying(20)", "character varying(40)", True),
        ("character varying(40)", "character varying(20)", False),
        ("character varying(40)", "character varying", True),
        ("character varying", "character varying(40)", False),
        ("character varying(40)", "text", True),
        ("text", "character varying", False),
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("text", "jsonb", False),
        ("text", "text", True),
    ],
)
def test_a_type_is_wider_where_it_holds_every_value_of_the_other(old: str, new: str, wider: bool):
    assert is_wider(old, new) is wider


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("alter table messages add column a text", ["ACCESS EXCLUSIVE on messages: reads and writes wait"]),
        (
            "alter table messages add column a uuid default gen_random_uuid()",
            ["ACCESS EXCLUSIVE on messages: reads and writes wait for as long as all rows are looked at"],
        ),
        (
            "alter table messages add column a timestamptz default now()",
            ["ACCESS EXCLUSIVE on messages: reads and writes wait"],
        ),
        (
            "alter table messages add foreign key (a) references auth.users (id) not valid",
            [
                "SHARE ROW EXCLUSIVE on messages: reads go on; writes wait",
                "SHARE ROW EXCLUSIVE on auth.users: reads go on; writes wait",
            ],
        ),
        (
            "alter table messages validate constraint c",
            [
                "SHARE UPDATE EXCLUSIVE on messages: reads and writes go on; other changes of the schema wait for as "
                "long as all rows are looked at"
            ],
        ),
        (
            "create index on messages (a)",
            ["SHARE on messages: reads go on; writes wait for as long as all rows are looked at"],
        ),
        ("create table a (id int); create index on a (id); alter table a add column b text", []),
        (
            "insert into messages (a) values (1); alter table messages alter column a drop not null",
            ["ACCESS EXCLUSIVE on messages: reads and writes wait"],
        ),
        ("create function f() returns int language sql as $$ select 1 $$", []),
    ],
)
def test_the_locks_are_told_by_table_and_by_what_waits(sql: str, told: list[str]):
    assert [lock.message for lock in locks(read(sql).statements)] == told


def test_the_linter_is_asked_in_the_transaction_and_answers_by_the_lines_of_the_file():
    sql = "-- first\nalter table public.messages add column a text;\nalter table public.messages drop column body;\n"
    assert [(one.rule, one.line, one.is_destructive) for one in complaints(sql)] == [("ban-drop-column", 3, True)]


def test_a_file_cannot_silence_the_linter():
    sql = "-- squawk-ignore ban-drop-column\nalter table public.messages drop column body;\n"
    assert [one.rule for one in complaints(sql)] == ["ban-drop-column"]


# As a migration of the runner --------------------------------------------------------------------------------


def asked(sql: str) -> str:
    return verification(repository_migrations.read(sql).changes)


def test_what_a_later_statement_takes_back_is_not_asked_for():
    assert "'a'" not in asked("alter table t add column a text; alter table t drop column a;")
    assert "not exists" not in asked("alter table t drop constraint c; alter table t add constraint c check (a > 1);")
    assert "and attnotnull" in asked("alter table t alter a drop not null; alter table t alter a set not null;")
    assert asked("update t set a = 1 where b = 2") == "true"


@pytest.mark.parametrize("name", ["x$switchboard$; drop table t; --", "a'b", "x" * 80])
def test_a_name_cannot_reach_out_of_the_question_that_is_asked_afterwards(name: str):
    sql = f'alter table t add column "{name}" text;'
    opened = open_file(MigrationFile("supabase/migrations/1_a.sql", "1", "a", sql))
    assert name not in opened.migration.verify
    (step,) = scripts(opened.migration, history=opened.history)
    kinds = [tree(one.sql)[0] for one in statements_with_comments(step.sql)]
    assert kinds.count("TransactionStmt") == 2 and kinds.count("DoStmt") == 2 and "DropStmt" not in kinds


@pytest.mark.parametrize("name", ["a\u202eb", "$(curl x)", "", "a b"])
def test_a_file_with_a_strange_name_is_not_run(name: str):
    opened = open_file(MigrationFile(f"supabase/migrations/1_{name}.sql", "1", name, "alter table t add column a text"))
    assert any("name" in one.reason for one in opened.refusals)


def test_a_path_is_quoted_in_the_command_that_is_to_be_used_instead():
    path = "a'; rm -rf ~; '/supabase/migrations/1_a.sql"
    opened = open_file(MigrationFile(path, "1", "a", "vacuum"))
    assert opened.command(Instead.PSQL).startswith("psql \"$DATABASE_URL\" --file 'a'\"'\"'; rm -rf ~; '\"'\"'/")
