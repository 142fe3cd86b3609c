"""No file makes the reader fail, hang or fill the memory: it costs a line in the list of what was not read."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.model.database import CheckConstraint
from lib.model.served_code import ServedCode
from lib.served_code import conditions, flow, reader, repository_migrations, selects, statements
from lib.served_code.archive import Files

GOOD = "import { supabase } from './s'\nexport async function f() { await supabase.from('t').insert({ a: 1 }) }\n"
SECONDS = 8.0  # of own time: a busy machine costs none


def read(content: bytes, path: str = "src/a.ts") -> ServedCode:
    return reader.read(Files({path: content, "src/good.ts": GOOD.encode()}), None)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe const a = 1", "It is not UTF-8."),
        (b"const a = 1\0", "It is no text."),
        (b"x = '" + b"a" * 300_000 + b"'", "It was made by a machine: one of its lines has no end."),
        (b"[\n" * 100_000, "It is nested too deeply."),
        (b"f(\n" * 60_000 + GOOD.encode(), "It is nested too deeply."),
        (b"x = 1\n" + b"+ 1\n" * 100_000, "It is nested too deeply."),
        (b"if (a) {} else\n" * 20_000, "It is nested too deeply."),
        (b"await supabase.from('t').select()\n" * 2_500, "It was made by a machine: it holds thousands of uses."),
    ],
    ids=range(8),
)  # fmt: skip
def test_a_hostile_file_costs_one_line(content: bytes, reason: str):
    start = time.thread_time()
    code = read(content)
    assert time.thread_time() - start < SECONDS
    assert [(one.file, one.reason) for one in code.unread] == [("src/a.ts", reason)]
    assert [use.table for use in code.uses] == ["t"]


@pytest.mark.parametrize(
    "content",
    [
        "supabase.from('t').select(" + "(" * 200 + "'a'" + ")" * 200 + ")",
        "supabase.from('t')" + ".eq('a', 1)" * 150 + ".select('a')",
        "const a = b; const b = a; await supabase.from(a).select(b)",
        "const a = { ...a }; await supabase.from('t').insert(a)",
        "const a = a ?? a; await supabase.from('t').insert({ a })",
        "const q = supabase.from('t').select(); const r = q; q = r; await q",
        "enum E { A = E.B, B = E.A }; await supabase.from(E.A).insert({ a: E.B })",
        "const a = '" + "x" * 50_000 + "'; await supabase.from(a).select(a)",
        "await supabase.from('t').select('" + "a(" * 5_000 + "')",
        "await supabase.from('t').or('" + "and(" * 5_000 + "')",
        "await supabase.from('t').insert([" + "{a: 1}," * 3_000 + "])",
        "\n".join(f"const error{n} = await supabase.from('t').select('error')" for n in range(1_500)),
        "\n".join("const { error } = await supabase.from('t').insert({ a: error })" for _ in range(1_200)),
        "\ufeff" + GOOD,
        "",
        "#!/usr/bin/env node\n" + GOOD,
    ],
    ids=range(16),
)  # fmt: skip
def test_an_odd_file_is_read_as_far_as_it_goes_and_in_time(content: str):
    start = time.thread_time()
    code = read(f"const supabase = createClient()\n{content}".encode())
    assert time.thread_time() - start < SECONDS
    assert any(use.file == "src/good.ts" for use in code.uses)
    flow.way(code)


PIECES = st.lists(
    st.sampled_from(
        [
            "await ", "supabase", ".from(", "'t'", ")", ".select(", "`a, ${b}`", ".insert({ a: 1, ", "...x, ", "b",
            ": ",
            "null", " })", ".eq('a', ", "const { data, error } = ", "if (error) { ", " }", "(", "\n", ";", "=> ",
            "x ?? ",
            "[", "]", "export ", "async function f() {", "import { y } from './good'\n", ".rpc('f', ", "class A { ",
            "static ",
            "<T>", "<div>", "'", '"', "`", "${", "/*", "*/", "//", "return ", "Promise.all(", ".then(", "row.a = ",
            "é", "?.",
            "undefined", "'use server'\n", "export * from './a'\n", "new A()", "this.",
        ]
    ),
    max_size=40,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(PIECES, st.sampled_from(["src/a.ts", "src/a.tsx", "src/app/api/bookings/initiate/route.ts", "a.js"]))
def test_no_text_makes_the_reader_fail(pieces: list[str], path: str):
    code = read("".join(pieces).encode(), path)
    flow.way(code)
    assert {file.path for file in code.files} | {one.file for one in code.unread} == {path, "src/good.ts"}


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(["src/a.ts", "tsconfig.json", "package.json", "supabase/migrations/1_a.sql"]),
)
def test_no_bytes_make_the_reader_fail(content: bytes, path: str):
    code = read(content, path)
    assert [use.table for use in code.uses if use.file == "src/good.ts"] == ["t"]


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="ab,:!()>.-*\"' \0{}\\", max_size=60))
def test_no_select_or_filter_makes_its_reader_fail(text: str):
    selects.select(text)
    list(selects.conditions(text))


SQL = st.lists(
    st.sampled_from(
        [
            "alter table t ", "add column a ", "int", "text", ";", ",", "'", "$$", "$x$", "--", "\n", "/*", "*/",
            "create table ",
            "t (", "a int", ")", " not null", " default 'x'", "do $$ begin ", " end $$", "check (", "a in ('x')",
            "drop column b",
            "create type k as enum ('a')", "alter type k add value 'b'", " unique",
            "create function f() ", "E'\\'", '"',
        ]
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(SQL)
def test_no_sql_makes_its_reader_fail(pieces: list[str]):
    repository_migrations.read("".join(pieces))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80), st.one_of(st.none(), st.text(max_size=5), st.integers(), st.floats(), st.booleans()))
def test_no_check_makes_its_judge_fail(inside: str, value: object):
    conditions.refuses(CheckConstraint("t", "c", f"CHECK (({inside}))"), "a", value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sql",
    [
        "alter table t add check (" + "1+" * 300_000 + "1)",
        "alter table t add check (" + "not " * 300_000 + "true)",
        "alter table t add check (" + "(" * 300_000,
        "create view v as select 1 " + "union select 1 " * 300_000,
        "alter table t add check (a" + "::int" * 30_000 + " = 1)",
        "/*" * 300_000,
        "$$" * 300_001,
        ";" * 300_000,
        "select 1;" * 100_000,
        "alter table t " + ",".join(f"add column c{n} int" for n in range(1_500)),
        "--" + "\n--" * 200_000,
    ],
    ids=range(11),
)
def test_hostile_sql_is_read_or_listed_in_time(sql: str):
    start = time.thread_time()
    repository_migrations.read(sql)
    assert time.thread_time() - start < SECONDS


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select 1; select 2", ["select 1", "select 2"]),
        ("select ';'; select \";\"", ["select ';'", 'select ";"']),
        ("select $$;$$; select $a$ ; $$ ; $a$", ["select $$;$$", "select $a$ ; $$ ; $a$"]),
        ("-- a;\nselect 1 -- b;\n; /* c; /* d; */ e; */ select 2", ["select 1 -- b;", "select 2"]),
        ("select E'\\';'; select 'it''s;'", ["select E'\\';'", "select 'it''s;'"]),
        (" ;; \n;", []),
        ("select a$b; select $1", ["select a$b", "select $1"]),
    ],
)
def test_statements_are_split_where_postgres_splits_them(sql: str, expected: list[str]):
    assert [one.sql for one in statements.split(sql)] == expected
