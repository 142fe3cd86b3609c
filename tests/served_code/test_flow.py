"""Which uses lie on the way of a booking: along imports, re-exports, loads, fetches, and parts of classes; no other."""

from __future__ import annotations

import pytest

from lib.served_code import flow
from lib.served_code.addresses import address_of, answers
from tests.served_code.samples import app

INITIATE = "src/app/api/bookings/initiate/route.ts"
TSCONFIG = '{ // comments\n "compilerOptions": { "baseUrl": ".", "paths": { "@/*": ["./src/*"], }, } }'


def on_way(files: dict[str, str], *addresses: str) -> set[str]:
    """Return the tables that are used on the way; each file of the tests uses tables by telling names."""
    code = app({"tsconfig.json": TSCONFIG, **files})
    way = flow.way(code, addresses or ("/api/bookings/initiate",))
    assert way.missing == ()
    return {use.table or use.routine or "" for use in code.uses if way.hop(use)}


def query(table: str) -> str:
    return f"await supabase.from('{table}').select('id')"


ROUTES = [
    ("app/api/bookings/initiate/route.ts", "/api/bookings/initiate", "route"),
    ("src/app/(shop)/booking-confirmation/[token]/page.tsx", "/booking-confirmation/[token]", "page"),
    ("src/app/@modal/(x)/l/[...rest]/page.js", "/l/[...rest]", "page"),
    ("apps/web/app/layout.tsx", "/", "layout"),
    ("apps/app/src/app/a/page.tsx", "/a", "page"),
    ("pages/api/bookings/initiate.ts", "/api/bookings/initiate", "route"),
    ("src/pages/index.tsx", "/", "page"),
    ("src/pages/l/[code].tsx", "/l/[code]", "page"),
]


@pytest.mark.parametrize(("file", "path", "kind"), ROUTES)
def test_the_address_of_a_file(file: str, path: str, kind: str):
    found = address_of(file)
    assert found is not None
    assert (found.path, found.kind) == (path, kind)


@pytest.mark.parametrize("file", ["src/app/_parts/page.tsx", "src/app/a/helper.ts", "src/lib/a.ts", "pages/_app.tsx"])
def test_other_files_answer_no_address(file: str):
    assert address_of(file) is None


@pytest.mark.parametrize(
    ("have", "wanted", "strict", "fits"),
    [
        ("/l/[code]", "/l/[token]", True, True),
        ("/l/[code]", "/l/*", True, True),
        ("/[a]/[b]", "/l/[token]", True, False),
        ("/[locale]/l/[code]", "/l/[token]", True, True),
        ("/[...all]", "/api/bookings/initiate", True, False),
        ("/l/[code]", "/l/abc", True, False),
        ("/l/[code]", "/l/abc?x=1", False, True),
        ("/l/[code]", "/l/\0", False, True),
    ],
)
def test_which_file_answers_an_address(have: str, wanted: str, strict: bool, fits: bool):
    assert answers(have, wanted, strict) is fits


def test_imports_are_followed_name_by_name():
    assert on_way(
        {
            INITIATE: "import { send } from '@/lib/sms'\nimport type { T } from '@/lib/types'\n"
            f"export async function POST() {{ {query('direct')}; await send() }}\n"
            f"export async function helper() {{ {query('helper')} }}",
            "src/lib/sms/index.ts": "export * from './send'\nexport { other as more } from './other'",
            "src/lib/sms/send.ts": "import { supabase } from '../supabase'\n"
            f"export const send = async () => {{ {query('sent')}; inner() }}\n"
            f"async function inner() {{ {query('inner')} }}\nexport async function never() {{ {query('never')} }}",
            "src/lib/sms/other.ts": f"export async function other() {{ {query('other')} }}",
            "src/lib/supabase.ts": "export const supabase = createClient()",
            "src/lib/types.ts": f"export async function T() {{ {query('types')} }}",
        }
    ) == {"direct", "sent", "inner"}


@pytest.mark.parametrize(
    ("body", "tables"),
    [
        ("const { send } = await import('@/lib/a')\nawait send()", {"sent"}),
        ("const { send: s } = await import('@/lib/a')\nawait s()", {"sent"}),
        ("const a = await import('../../../../lib/a')\nawait a.send()", {"sent", "other", "stayed", "fixed"}),
        ("const a = (await import('@/lib/a')).send", {"sent"}),
        ("import('@/lib/a').then((m) => m.other)", {"other"}),
        ("const { Service } = await import('@/lib/a')\nawait Service.fixed()", {"fixed"}),
    ],
)
def test_files_that_are_loaded_while_the_code_runs(body: str, tables: set[str]):
    library = (
        f"export async function send() {{ {query('sent')} }}\nexport async function other() {{ {query('other')} }}\n"
        f"export class Service {{ static async fixed() {{ {query('fixed')} }}\n async stay() {{ {query('stayed')} }} }}"
    ).replace("await supabase", "await supabaseClient")
    assert on_way({INITIATE: f"export async function POST() {{ {body} }}", "src/lib/a.ts": library}) == tables


@pytest.mark.parametrize(
    ("call", "tables"),
    [
        ("await Jobs.add()", {"added", "shared"}),
        ("await jobs.add()", {"added", "shared"}),
        ("await Jobs.getInstance().add()", {"added", "shared"}),
        ("const j = new Jobs()\nawait j.run()", {"added", "shared", "ran"}),
        ("hand(jobs)", {"added", "shared", "ran"}),
        ("await tools.first()", {"first"}),
        ("await all.tools.first()", {"first", "second"}),
        ("await all.single()", {"single"}),
    ],
)
def test_of_a_class_or_object_only_what_is_used(call: str, tables: set[str]):
    library = (
        "export class Jobs {\n  static one: Jobs\n  static getInstance() { return (Jobs.one ??= new Jobs()) }\n"
        f"  async add() {{ {query('added')}; this.shared() }}\n  async run() {{ {query('ran')} }}\n"
        f"  private async shared() {{ {query('shared')} }}\n}}\nexport const jobs = Jobs.getInstance()\n"
        f"export const tools = {{ async first() {{ {query('first')} }},\n"
        f"  second: async () => {{ {query('second')} }} }}\n"
        f"export async function single() {{ {query('single')} }}"
    )
    imports = "import { Jobs, jobs, tools } from '@/lib/a'\nimport * as all from '@/lib/a'\n"
    code = {
        INITIATE: f"{imports}export async function POST() {{ {call} }}",
        "src/lib/a.ts": f"const supabase = c()\n{library}",
    }
    assert on_way(code) == tables


def test_server_actions_layouts_and_fetched_routes_lie_on_a_pages_way():
    page = "src/app/(public)/booking-confirmation/[token]"
    files = {
        f"{page}/page.tsx": "import { Form } from './form'\nexport default function Page() { return <Form /> }",
        f"{page}/form.tsx": "'use client'\nimport { confirm } from '@/app/actions/confirm'\n"
        "export function Form() { fetch(`/api/tokens/${token}`); return <form action={confirm} /> }",
        "src/app/actions/confirm.ts": f"'use server'\nexport async function confirm() {{ {query('confirmed')} }}\n"
        f"export async function cancel() {{ {query('cancelled')} }}",
        "src/app/api/tokens/[id]/route.ts": f"export async function GET() {{ {query('fetched')} }}",
        "src/app/layout.tsx": f"export default async function Layout() {{ {query('laid_out')} }}",
        "src/app/admin/layout.tsx": f"export default async function Layout() {{ {query('admin')} }}",
    }
    supabase = {
        path: f"import {{ supabase }} from '@/s'\n{text}" if "from(" in text else text for path, text in files.items()
    }
    assert on_way(supabase, "/booking-confirmation/[token]") == {"confirmed", "fetched", "laid_out"}


def test_what_a_file_does_when_it_is_imported_lies_on_the_way_and_the_rest_of_it_does_not():
    assert on_way(
        {
            INITIATE: "import '@/lib/start'\nexport async function POST() {}",
            "src/lib/start.ts": f"{query('started')}\nexport async function later() {{ {query('later')} }}".replace(
                "supabase", "supabaseAdmin"
            ),
        }
    ) == {"started"}


def test_a_method_before_an_address_narrows_it():
    routes = f"export async function GET() {{ {query('got')} }}\nexport async function POST() {{ {query('posted')} }}"
    files = {INITIATE: f"const supabase = createClient()\n{routes}"}
    assert on_way(files, "POST /api/bookings/initiate") == {"posted"}
    assert on_way(files, "/api/bookings/initiate") == {"got", "posted"}


def test_circles_of_imports_end():
    assert on_way(
        {
            INITIATE: "import { a } from '@/a'\nexport const POST = () => a()",
            "src/a.ts": "import { b } from './b'\nexport * from './b'\n"
            f"export async function a() {{ b(); {query('a')} }}".replace("supabase.", "supabaseAdmin."),
            "src/b.ts": "import { a } from './a'\nexport * from './a'\nexport const b = () => a()",
        }
    ) == {"a"}


def test_packages_of_the_same_repository_are_followed():
    files = {
        "apps/web/app/api/bookings/initiate/route.ts": "import { send } from '@acme/sms'\n"
        "import { log } from '@acme/sms/log'\n"
        "export async function POST() { await send(); await log() }",
        "packages/sms/package.json": '{"name": "@acme/sms", "exports": '
        '{".": {"import": "./src/main.ts"}, "./log": "./src/log.ts"}}',
        "packages/sms/src/main.ts": f"export async function send() {{ {query('sent')} }}".replace(
            "supabase.", "supabaseA."
        ),
        "packages/sms/src/log.ts": f"export async function log() {{ {query('logged')} }}".replace(
            "supabase.", "supabaseA."
        ),
    }
    assert on_way(files) == {"sent", "logged"}


def test_what_is_missing_or_leads_nowhere_is_said():
    code = app(
        {
            INITIATE: "import { x } from './gone'\nimport css from './a.css'\nimport react from 'react'\n"
            "export const POST = x"
        }
    )
    way = flow.way(code, ("/api/bookings/initiate", "/api/nowhere"))
    assert way.missing == ("/api/nowhere",)
    assert [one.reason for one in way.unresolved] == ["It imports ./gone, which is no file that was read."]


def test_each_use_names_the_first_address_that_leads_to_it():
    files = {
        INITIATE: "import { a } from '@/a'\nexport const POST = () => a()",
        "src/app/api/webhooks/twilio/route.ts": "import { a, b } from '@/a'\nexport const POST = () => { a(); b() }",
        "src/a.ts": f"const supabase = c()\nexport const a = async () => {{ {query('a')} }}\n"
        f"export const b = async () => {{ {query('b')} }}",
        "tsconfig.json": TSCONFIG,
    }
    code = app(files)
    way = flow.way(code, ("/api/bookings/initiate", "/api/webhooks/twilio"))
    assert {use.table: way.hop(use) for use in code.uses} == {
        "a": "/api/bookings/initiate",
        "b": "/api/webhooks/twilio",
    }
