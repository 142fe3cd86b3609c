"""What a file of TypeScript does with tables: every form that is read, and every one that is honestly not."""

from __future__ import annotations

import pytest

from lib.model.served_code import ErrorHandling, Operation, Presence, Use
from tests.served_code.samples import read, use, uses

LOOKED_AT, IGNORED, UNKNOWN = ErrorHandling.LOOKED_AT, ErrorHandling.IGNORED, ErrorHandling.UNKNOWN


def written(found: Use) -> dict[str, object]:
    """Return each column that is written with its one literal, `None` for null, `...` for what is not known."""
    values: dict[str, object] = {}
    for one in found.writes:
        value = one.value
        if value.null is Presence.ALWAYS:
            values[one.column] = None
        elif value.json:
            values[one.column] = {}
        elif value.complete and len(value.literals) == 1:
            values[one.column] = value.literals[0]
        else:
            values[one.column] = ...
    return values


@pytest.mark.parametrize(
    ("code", "operation", "table"),
    [
        ("await supabase.from('t').select('a')", "select", "t"),
        ('await supabase.from("t").insert({a: 1})', "insert", "t"),
        ("await supabase.from(`t`).update({a: 1}).eq('id', x)", "update", "t"),
        ("await supabase.from('t' as any).upsert({a: 1})", "upsert", "t"),
        ("await supabase.from<Row>('t').delete().eq('id', x)", "delete", "t"),
        ("await (supabase as any).from('t').select()", "select", "t"),
        ("await supabase!.from('t')!.select()", "select", "t"),
        ("await supabase?.from('t').select()", "select", "t"),
        ("await (await createClient()).from('t').select()", "select", "t"),
        ("await this.supabase.from('t').select()", "select", "t"),
        ("await createAdminClient().from('t').select()", "select", "t"),
        ("await supabase\n  .from('t')\n  // a comment\n  .select()", "select", "t"),
        ("const T = 't'\nawait supabase.from(T).select()", "select", "t"),
        ("const TABLES = { one: 't' } as const\nawait supabase.from(TABLES.one).select()", "select", "t"),
        ("enum Tables { One = 't' }\nawait supabase.from(Tables.One).select()", "select", "t"),
        ("const rows = supabase.from('t')\nawait rows.select('a')", "select", "t"),
        ("const x = <div onClick={async () => { await supabase.from('t').select() }} />", "select", "t"),
    ],
)
def test_a_table_is_found_in_every_way_of_naming_it(code: str, operation: str, table: str):
    found = use(code, "src/lib/sample.tsx" if "<div" in code else "src/lib/sample.ts")
    assert (found.operation, found.table, found.unread) == (Operation(operation), table, ())


@pytest.mark.parametrize(
    "code",
    [
        "Array.from('abc').map(x => x)",
        "Buffer.from('abc').toString()",
        "const b = Uint8Array.from('abc').fill(0)",
        "await supabase.storage.from('pictures').upload('a', file)",
        "await supabase.storage.from('pictures').update('a', file)",
        "const storage = supabase.storage\nawait storage.from('pictures').update('a', file)",
        "await db.select().from('users').select()",
        "await db.select({ id: users.id }).from(users)",
        "gsap.from('.box', { x: 1 })",
        "Object.from('x').delete()",
        "// supabase.from('t').select()",
        "const s = \"supabase.from('t').select()\"",
    ],
)
def test_what_is_no_table_is_no_use(code: str):
    assert uses(code) == ()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("await supabase.from(table).select('a')", "The table is named by a variable."),
        ("await supabase.from(`t_${x}`).select('a')", "The table is named by a variable."),
        ("let T = 't'; if (x) T = 'u'\nawait supabase.from(T).select('a')", "The table is named by a variable."),
        ("await supabase.from('t').select(columns)", "The columns that are read are named by a variable."),
        ("await supabase.from('t').select().eq(column, 1)", "A filter names its column by a variable."),
        ("await supabase.from('t').insert(row)", "The columns come from elsewhere."),
        ("await supabase.from('t').insert({ ...row })", "Columns are spread into the object from elsewhere."),
        ("await supabase.from('t').insert({ [key]: 1 })", "A column is named by a variable."),
        ("await supabase.rpc(name, {})", "The function is named by a variable."),
        ("await supabase.schema(s).from('t').select()", "The schema is named by a variable."),
        ("await supabase.from('t').select(`a, ${more}`)",
         "Some of the columns that are read are put in while the code runs."),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_said(code: str, reason: str):
    assert reason in use(code).unread


def test_a_table_that_is_handed_on_is_listed_as_unread():
    found = read("export const table = () => supabase.from('t')")
    assert found.uses == ()
    assert [one.reason for one in found.unread] == ["The table is handed on before it is used."]


@pytest.mark.parametrize(
    ("select", "columns"),
    [
        ("'a, b'", ("a", "b")),
        ("`\n  a,\n  b\n`", ("a", "b")),
        ("'*'", ()),
        ("'a, other:b, c::text, d->e, f->>g, count()'", ("a", "b", "c", "d", "f")),
        ("'amount.sum(), total:price.avg()'", ("amount", "price")),
        ('\'"Odd name", x:"Another"::text\'', ("Odd name", "Another")),
        ("'a,' + 'b'", ("a", "b")),
    ],
)
def test_columns_that_are_read(select: str, columns: tuple[str, ...]):
    assert use(f"await supabase.from('t').select({select})").reads == columns


def test_embeds_are_read_with_their_own_columns():
    found = use(
        "await supabase.from('t').select('id, owner:people!t_owner_fkey(name, town:towns!inner(zip)), ...x(y)')"
    )
    assert found.reads == ("id",)
    people, spread = found.embeds
    assert (people.name, people.hint, people.columns) == ("people", "t_owner_fkey", ("name",))
    assert (people.embeds[0].name, people.embeds[0].hint, people.embeds[0].columns) == ("towns", None, ("zip",))
    assert (spread.name, spread.columns) == ("x", ("y",))


@pytest.mark.parametrize(
    ("row", "values", "complete"),
    [
        ("{ a: 'x', 'b': 2, c: -1.5, d: true, e: null }", {"a": "x", "b": 2, "c": -1.5, "d": True, "e": None}, True),
        ("[{ a: 'x' }]", {"a": "x"}, True),
        ("{ a, b: f(), c: { d: 1 }, e: [1] }", {"a": ..., "b": ..., "c": {}, "e": {}}, True),
        ("{ a: undefined, b: 1 }", {"b": 1}, True),
        ("{ a: 'it\\'s' }", {"a": "it's"}, True),
        ("{ a: 'x' as const } satisfies Row", {"a": "x"}, True),
        ("{ a: 'x', ...rest }", {"a": ...}, False),
        ("{ ...rest, a: 'x' }", {"a": "x"}, False),
        ("{ ...{ a: 1 }, b: 2 }", {"a": 1, "b": 2}, True),
        ("rows.map(r => ({ a: r.a, b: 'x' }))", {"a": ..., "b": "x"}, True),
        ("rows.map((r) => { const q = 1; return { a: q, b: 'x' } })", {"a": 1, "b": "x"}, True),
    ],
)
def test_columns_that_are_written(row: str, values: dict[str, object], complete: bool):
    found = use(f"await supabase.from('t').insert({row})")
    assert (written(found), found.writes_complete) == (values, complete)


@pytest.mark.parametrize(
    ("code", "values", "complete"),
    [
        ("const row = { a: 'x' }", {"a": "x"}, True),
        ("const row = { a: 'x' }\nrow.b = 2", {"a": "x", "b": 2}, True),
        ("const row: any = {}\nrow.a = 'x'\nconsole.log(row)", {"a": "x"}, True),
        ("const row = { a: 'x' }\nrow['b'] = 2", {"a": "x", "b": 2}, True),
        ("const row = { a: 'x' }\nrow[k] = 2", {"a": ...}, False),
        ("const row = { a: 'x' }\nchange(row)", {"a": ...}, False),
        ("const row = { a: 'x' }\nObject.assign(row, more)", {"a": ...}, False),
        ("let row = { a: 'x' }\nrow = other", {"a": ...}, False),
        ("const base = { a: 'x' }\nconst row = { ...base, b: 1 }", {"a": "x", "b": 1}, True),
        ("const kind = 'x'\nconst row = { kind }", {"kind": "x"}, True),
        ("const row = []\nrow.push({ a: 'x' })", {"a": "x"}, True),
        ("const row = rows.map(r => ({ a: 'x' }))", {"a": "x"}, True),
    ],
)
def test_a_row_that_a_variable_holds(code: str, values: dict[str, object], complete: bool):
    (found,) = uses(f"async function f() {{\n{code}\nawait supabase.from('t').insert(row)\n}}")
    assert (written(found), found.writes_complete) == (values, complete)


def test_what_comes_after_the_write_is_not_written():
    found = use("async function f() { const row: any = { a: 1 }\nawait supabase.from('t').insert(row)\nrow.b = 2 }")
    assert written(found) == {"a": 1}


def test_a_column_that_is_set_only_at_times_says_so():
    found = use(
        "async function f() { const row: any = { a: 1 }\nif (x) { row.b = 2 }\nawait supabase.from('t').insert(row) }"
    )
    assert [(one.column, one.presence) for one in found.writes] == [("a", Presence.ALWAYS), ("b", Presence.SOMETIMES)]
    spread = use("await supabase.from('t').insert({ a: 1, ...(x && { b: 2 }), ...(y ? { c: 3 } : {}) })")
    assert [(one.column, one.presence) for one in spread.writes] == [
        ("a", Presence.ALWAYS), ("b", Presence.SOMETIMES), ("c", Presence.SOMETIMES),
    ]  # fmt: skip
    assert spread.writes_complete


@pytest.mark.parametrize(
    ("value", "literals", "null", "complete"),
    [
        ("x ? 'a' : 'b'", ("a", "b"), Presence.NEVER, True),
        ("x ?? null", (), Presence.SOMETIMES, False),
        ("customer?.id || null", (), Presence.SOMETIMES, False),
        ("x || 'a'", ("a",), Presence.NEVER, False),
        ("'a' || x", ("a",), Presence.NEVER, True),
        ("x ? null : null", (), Presence.ALWAYS, True),
        ("null ?? 'a'", ("a",), Presence.NEVER, True),
        ("x ? 'a' : null", ("a",), Presence.SOMETIMES, True),
        ("x", (), Presence.NEVER, False),
        ("1_000", (1000,), Presence.NEVER, True),
        ("'a' + 'b'", ("ab",), Presence.NEVER, True),
        ("Status.Open", ("open",), Presence.NEVER, True),
        ("KINDS.one", ("first",), Presence.NEVER, True),
    ],
)
def test_what_a_value_can_be(value: str, literals: tuple[object, ...], null: Presence, complete: bool):
    found = use(
        "enum Status { Open = 'open' }\nconst KINDS = { one: 'first' } as const\n"
        f"async function f(x: any, customer: any) {{ await supabase.from('t').insert({{ a: {value} }}) }}"
    )
    (one,) = found.writes
    assert (one.value.literals, one.value.null, one.value.complete) == (literals, null, complete)


def test_a_value_that_is_undefined_at_times_leaves_the_column_out_at_times():
    (one,) = use("await supabase.from('t').insert({ a: x ? 'y' : undefined })").writes
    assert (one.presence, one.value.literals) == (Presence.SOMETIMES, ("y",))


def test_a_row_of_a_list_without_a_column_of_the_others_sends_null():
    rows = "[{ a: 1, b: 2 }, { a: 3 }]"
    a, b = use(f"await supabase.from('t').insert({rows})").writes
    assert (a.value.null, b.value.null, b.presence) == (Presence.NEVER, Presence.SOMETIMES, Presence.ALWAYS)
    _, b = use(f"await supabase.from('t').insert({rows}, {{ defaultToNull: false }})").writes
    assert (b.value.null, b.presence) == (Presence.NEVER, Presence.SOMETIMES)


def test_filters_orders_and_or_name_columns():
    found = use(
        "await supabase.from('t').select('id').eq('a', 'x').in('b', ['y', 'z']).not('c', 'is', null).order('d')\n"
        ".or('e.eq.1,and(f.is.null,not.g.gt.2)').or(`h.ilike.%${q}%`).match({ i: 1 }).eq('j->>k', 1)\n"
        ".filter('l', 'eq', 2)\n"
        ".order('name', { referencedTable: 'other' }).gte('m.n', 1)"
    )
    assert [one.column for one in found.filters] == ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "l", "m.n"]
    assert found.filters[0].value.literals == ("x",)
    assert found.filters[1].value.literals == ("y", "z")


def test_a_filter_that_is_added_to_a_held_request_belongs_to_it():
    found = use(
        "async function f() { let query = supabase.from('t').select('id')\n"
        "if (x) { query = query.eq('a', 1) }\nconst { data, error } = await query\nif (error) throw error }"
    )
    assert [one.column for one in found.filters] == ["a"]
    assert (found.error, found.sent) == (LOOKED_AT, True)


def test_on_conflict_and_what_a_write_gives_back_are_read():
    found = use("await supabase.from('t').upsert({ a: 1, b: 2 }, { onConflict: 'a, b' }).select('id, c').single()")
    assert (found.on_conflict, found.reads) == (("a", "b"), ("id", "c"))


def test_a_function_is_read_with_its_arguments():
    found = use("await supabase.rpc('take_seats', { p_event: id, p_seats: 2 })")
    assert (found.operation, found.routine, found.table) == (Operation.RPC, "take_seats", None)
    assert (written(found), found.writes_complete) == ({"p_event": ..., "p_seats": 2}, True)
    assert use("await supabase.rpc('now')").writes_complete


@pytest.mark.parametrize("code", ["await connection.rpc('getBalance', {})", "await this.rpc('x')"])
def test_a_call_of_somebody_elses_rpc_is_no_use(code: str):
    assert uses(code.replace("this.", "wallet.")) == ()


def test_the_place_of_a_use_is_its_line_function_and_route():
    found = use(
        "export async function POST(request: Request) {\n  const save = async () => {\n"
        "    await supabase\n      .from('t')\n      .insert({\n        a: 1,\n      })\n  }\n}",
        "src/app/api/bookings/initiate/route.ts",
    )
    assert (found.line, found.writes[0].line) == (6, 7)
    assert (found.function, found.declaration, found.route) == ("save", "POST", "POST /api/bookings/initiate")


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("await Q", IGNORED),
        ("await Q as any", IGNORED),
        ("const { data } = await Q", IGNORED),
        ("const { data, error } = await Q", IGNORED),
        ("const { data, error } = await Q\nif (error) throw error", LOOKED_AT),
        ("const { error: failed } = await Q\nconsole.error(failed)", LOOKED_AT),
        ("const { error: failed } = await Q\nconsole.error(error)", IGNORED),
        ("const { error: { message } } = await Q", LOOKED_AT),
        ("const { data, ...rest } = await Q\nif (rest.error) throw 1", LOOKED_AT),
        ("const { data, ...rest } = await Q", IGNORED),
        ("const { error = 1 } = await Q\nif (error) throw error", LOOKED_AT),
        ("const result = await Q\nif (result.error) throw 1", LOOKED_AT),
        ("const result = await Q\nreturn result.data", IGNORED),
        ("const result = await Q", IGNORED),
        ("const result = await Q\nreturn result", LOOKED_AT),
        ("const result = await Q\ncheck(result)", LOOKED_AT),
        ("const result = await Q\nconst { error } = result\nif (error) throw 1", LOOKED_AT),
        ("const result = await Q\nif (result.status !== 201) throw 1", UNKNOWN),
        ("const data = (await Q).data", IGNORED),
        ("if ((await Q).error) throw 1", LOOKED_AT),
        ("return Q", LOOKED_AT),
        ("return await Q", LOOKED_AT),
        ("return check(await Q)", LOOKED_AT),
        ("await Q.throwOnError()", LOOKED_AT),
        ("Q.then(({ data }) => use(data))", IGNORED),
        ("Q.then(({ data, error }) => { if (error) throw error })", LOOKED_AT),
        ("Q.then(r => use(r.data))", IGNORED),
        ("Q.then(r => { if (r.error) throw 1 })", LOOKED_AT),
        ("Q.then(() => done())", IGNORED),
        ("Q.then(handle)", LOOKED_AT),
        ("const q = Q\nconst { error } = await q\nif (error) throw 1", LOOKED_AT),
        ("const q = Q\nawait q", IGNORED),
        ("let error\n({ error } = await Q)\nif (error) throw 1", LOOKED_AT),
        ("const [{ data: a, error: e1 }, b] = await Promise.all([Q, other()])\nif (e1) throw e1", LOOKED_AT),
        ("const [a, { data }] = await Promise.all([other(), Q])", IGNORED),
        ("const [a, b] = await Promise.all([other(), Q])\nif (b.error) throw 1", LOOKED_AT),
        ("await Promise.all([Q, other()])", IGNORED),
        ("const all = await Promise.all([Q])\nall.forEach(check)", UNKNOWN),
        ("await Promise.all(rows.map(r => Q))", IGNORED),
        ("return Promise.all(rows.map(r => Q))", LOOKED_AT),
        ("const x = { a: await Q }", UNKNOWN),
        ("try { await Q } catch (error) { console.error(error) }", IGNORED),
    ],
)  # fmt: skip
def test_whether_the_error_is_looked_at(code: str, error: ErrorHandling):
    found = use("async function f(rows) {\n" + code.replace("Q", "supabase.from('t').insert({ a: 1 })") + "\n}")
    assert (found.error, found.sent) == (error, True)


def test_an_error_of_the_same_name_in_another_block_is_another_error():
    first, second = uses(
        "async function f() {\n"
        "  { const { error } = await supabase.from('t').insert({ a: 1 })\n    if (error) throw error }\n"
        "  { const { error } = await supabase.from('u').insert({ a: 1 }) }\n}"
    )
    assert (first.error, second.error) == (LOOKED_AT, IGNORED)


@pytest.mark.parametrize("code", ["supabase.from('t').insert({ a: 1 })", "void supabase.from('t').insert({ a: 1 })"])
def test_a_request_that_is_never_awaited_is_never_sent(code: str):
    found = use(f"async function f() {{\n{code}\n}}")
    assert (found.error, found.sent) == (IGNORED, False)


def test_another_schema_is_named():
    assert use("await supabase.schema('private').from('t').select()").schema == "private"


def test_plain_javascript_and_broken_code_are_read_as_far_as_they_go():
    assert use("await supabase.from('t').insert({ a: 1 })", "lib/old.cjs").table == "t"
    broken = "function ( {{{ \n const x = ;\nasync function g() { await supabase.from('t').insert({ a: 1 }) }"
    assert [one.table for one in uses(broken)] == ["t"]


@pytest.mark.parametrize(
    "code",
    [
        "const { error } = await supabase.from<Row>('t').select('a').returns<Row[]>()\nif (error) throw error",
        "const { error } = await supabase\n.from('t')\n.select('a')\n.single<{ a: string }>()\nif (error) throw error",
    ],
)
def test_types_in_an_awaited_chain_change_nothing(code: str):
    found = use(f"async function f() {{\n{code}\n}}")
    assert (found.reads, found.error, found.sent) == (("a",), LOOKED_AT, True)
