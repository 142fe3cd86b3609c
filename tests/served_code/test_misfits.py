"""The incidents on record, as the served code and the database tell them; and the report's stable form."""

from __future__ import annotations

import pytest

from lib.model.database import AppliedMigration, CheckConstraint
from lib.model.served_code import (
    MigrationFile,
    MigrationState,
    Presence,
    Problem,
    Relation,
    Schema,
    SchemaColumn,
    ServedCode,
)
from lib.served_code import flow, repository_migrations
from lib.served_code.code_report import report
from lib.served_code.misfits import judge
from tests.served_code.samples import app

ROUTE = "src/app/api/bookings/initiate/route.ts"
LINKS = ("custom", "promotion")


def database(*more: SchemaColumn, triggers: tuple[()] | None = ()) -> Schema:
    columns = [
        SchemaColumn("pending_bookings", "id", "uuid", False, "gen_random_uuid()"),
        SchemaColumn("pending_bookings", "token", "uuid", False),
        SchemaColumn("messages", "id", "uuid", False, "gen_random_uuid()"),
        SchemaColumn("messages", "customer_id", "uuid", False),
        SchemaColumn("short_links", "link_type", "character varying", False, "'custom'"),
    ]
    allowed = ", ".join(f"'{word}'::character varying" for word in LINKS)
    check = f"CHECK (((link_type)::text = ANY ((ARRAY[{allowed}])::text[])))"
    return Schema(
        relations=tuple(Relation(name) for name in ("pending_bookings", "messages", "short_links")),
        columns=(*columns, *more),
        checks=(CheckConstraint("short_links", "short_links_link_type_check", check, ("link_type",)),),
        unique_keys=(),
        enums=(),
        routines=(),
        triggers=triggers,
    )


def served(body: str, **migration: str) -> ServedCode:
    files = {f"supabase/migrations/{name.removeprefix('v')}.sql": sql for name, sql in migration.items()}
    return app({ROUTE: f"const supabase = createClient()\nexport async function POST() {{\n{body}\n}}", **files})


def test_the_line_that_writes_a_missing_column_is_named_with_the_file_that_would_cure_it():
    code = served(
        "const { error } = await supabase.from('pending_bookings').insert({ token })\nif (error) throw error\n"
        "await supabase.from('pending_bookings').update({\n  metadata: { initial_sms: sms },\n}).eq('token', token)",
        v20250715000000_metadata="alter table pending_bookings add column if not exists metadata jsonb;",
        v20250101000000_first="create table pending_bookings (id uuid)",
    )
    schema = database()
    judged = judge(code.uses, schema, flow.way(code), code.commit)
    states = repository_migrations.compare(code.migrations, (AppliedMigration("20250101000000", "first"),), schema)
    (found,) = repository_migrations.cures(judged.misfits, code.migrations, states, schema)
    assert report([code], [found], states) == {
        "commits": [{"sha": "a" * 40, "files": 1, "uses": 2, "unread": 0}],
        "misfits": [
            {
                "commit": "a" * 40, "file": ROUTE, "line": 6, "table": "pending_bookings", "column": "metadata",
                "operation": "update", "problem": "missing_column", "error": "ignored", "on_flow": True,
                "migration": "20250715000000",
            }
        ],
        "migrations": [
            {"version": "20250101000000", "name": "first", "state": "applied"},
            {"version": "20250715000000", "name": "metadata", "state": "not_applied"},
        ],
    }  # fmt: skip
    assert found.answers == ("PGRST204", "42703")
    assert found.sentence == (
        "POST /api/bookings/initiate writes pending_bookings.metadata, a column that the database does not have. "
        "Its error is ignored."
    )


def test_code_that_writes_no_metadata_is_blamed_for_none():
    assert judge(served("await supabase.from('pending_bookings').insert({ token })").uses, database()).misfits == ()


@pytest.mark.parametrize(("word", "refused"), [("custom", False), ("booking_confirmation", True)])
def test_only_a_literal_that_the_check_refuses_is_blamed(word: str, refused: bool):
    code = served(
        f"const {{ error }} = await supabase.from('short_links').insert({{ link_type: '{word}' }})\nif (error) x()"
    )
    found = judge(code.uses, database()).misfits
    assert [(one.problem, one.literal, one.detail, one.answers) for one in found] == (
        [(Problem.REFUSED_LITERAL, word, "short_links_link_type_check", ("23514",))] if refused else []
    )


@pytest.mark.parametrize(("value", "sometimes"), [("null", False), ("customer?.id ?? null", True)])
def test_null_for_a_column_that_refuses_it(value: str, sometimes: bool):
    (found,) = judge(
        served(f"await supabase.from('messages').insert({{ customer_id: {value} }})").uses, database()
    ).misfits
    assert (found.problem, found.column, found.sometimes, found.answers) == (
        Problem.NULL_REFUSED, "customer_id", sometimes, ("23502",),
    )  # fmt: skip


def test_a_value_that_the_code_asks_about_first_is_not_said_to_be_null():
    code = served(
        "const id = customer ? customer.id : null\nif (!id) return\n"
        "await supabase.from('messages').insert({ customer_id: id })"
    )
    assert judge(code.uses, database()).misfits == ()


@pytest.mark.parametrize(
    "body",
    [
        "await supabase.from(name).insert({ metadata: 1 })",
        "await supabase.from('messages').insert(row)",
        "await supabase.from('messages').insert({ ...row })",
        "supabase.from('messages').insert({ wrong: 1 })",
        "await supabase.schema('other').from('nothing').select()",
    ],
)
def test_what_cannot_be_read_supports_no_verdict_and_is_listed(body: str):
    judged = judge(served(body).uses, database())
    assert judged.misfits == ()
    assert judged.unjudged


def test_what_is_not_known_of_the_catalog_supports_no_verdict():
    unknown = Schema(database().relations, database().columns)
    code = served(
        "await supabase.from('messages').insert({ customer_id: null })\nawait supabase.rpc('nothing')\n"
        "await supabase.from('messages').upsert({ customer_id: x }, { onConflict: 'id' })\n"
        "await supabase.from('messages').select('wrong')"
    )
    judged = judge(code.uses, unknown)
    assert judged.misfits == ()
    assert len(judged.unjudged) == 4


def test_a_view_whose_columns_are_not_known_is_not_judged():
    schema = repository_migrations.applied(
        repository_migrations.read("create view seen as select 1 as one"), database()
    )
    code = served("await supabase.from('seen').select('two')\nawait supabase.from('messages').select('seen(two)')")
    judged = judge(code.uses, schema)
    assert judged.misfits == ()
    assert [one.reason for one in judged.unjudged] == ["Which columns seen has is not known."] * 2


def test_misfits_on_the_way_come_first():
    code = app(
        {
            "src/app/admin/page.tsx": "const supabase = c()\n"
            "export default async function P() { await supabase.from('none').select() }",
            ROUTE: "const supabase = c()\nexport async function POST() { await supabase.from('gone').select() }",
        }
    )
    judged = judge(code.uses, database(), flow.way(code))
    assert [(one.table, one.on_flow, one.hop) for one in judged.misfits] == [
        ("gone", True, "/api/bookings/initiate"), ("none", False, None),
    ]  # fmt: skip
    assert [one.table for one in judged.on_flow] == ["gone"]


def test_a_column_that_is_left_out_only_at_times_says_so():
    code = served("const row: any = {}\nif (c) row.customer_id = c\nawait supabase.from('messages').insert(row)")
    (found,) = judge(code.uses, database()).misfits
    assert (found.problem, found.sometimes, found.use.writes[0].presence) == (
        Problem.LEFT_OUT, True, Presence.SOMETIMES,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("history", "sql", "state", "missing"),
    [
        (("1",), "alter table messages add column gone int", MigrationState.NO_EFFECT, ("add column messages.gone",)),
        (("1",), "alter table messages add column id uuid", MigrationState.APPLIED, ()),
        (("9",), "alter table messages add column gone int", MigrationState.NOT_APPLIED, ()),
        ((), "alter table messages add column gone int", MigrationState.NOT_APPLIED, ()),
        ((), "alter table messages add column id uuid", MigrationState.UNKNOWN, ()),
        ((), "insert into messages default values", MigrationState.UNKNOWN, ()),
        (("1",), "insert into messages default values", MigrationState.APPLIED, ()),
        (("1",), "do $$ begin alter table messages add column gone int; end $$", MigrationState.APPLIED, ()),
        (
            ("1",),
            "alter table messages add column gone int; alter table messages drop column gone",
            MigrationState.APPLIED,
            (),
        ),
    ],
)
def test_where_a_migration_stands(history: tuple[str, ...], sql: str, state: MigrationState, missing: tuple[str, ...]):
    rows = tuple(AppliedMigration(version, None) for version in history)
    found = repository_migrations.compare(
        (MigrationFile("supabase/migrations/1_a.sql", "1", "a", sql),), rows, database()
    )
    ours = next(one for one in found if one.version == "1")
    assert (ours.state, ours.missing) == (state, missing)


def test_what_a_later_file_takes_away_again_is_not_missed():
    files = (
        MigrationFile("1_a.sql", "1", "a", "alter table messages add column gone int"),
        MigrationFile("2_b.sql", "2", "b", "alter table messages drop column gone"),
    )
    found = repository_migrations.compare(files, (AppliedMigration("1", "a"), AppliedMigration("2", "b")), database())
    assert [one.state for one in found] == [MigrationState.APPLIED, MigrationState.APPLIED]
