"""The lines around a use are kept with what was read: few, short, and without keys."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lib.model.served_code import Line, ServedCode
from lib.redaction import redact_code
from lib.served_code import excerpts
from lib.served_code.code_store import Store
from tests.served_code.samples import app, read

FILE = "src/lib/a.ts"
WRITE = "await supabase.from('messages').insert({ body: 'x' })"
KEY = "sb_secret_planted_key_4711"


def kept(code: str) -> tuple[Line, ...]:
    return read(code).lines


def of(text: str) -> ServedCode:
    return app({FILE: f"import {{ supabase }} from './client'\n{text}"})


def test_three_lines_are_kept_on_each_side_and_no_more():
    filler = "\n".join(f"const a{number} = {number}" for number in range(20))
    lines = kept(f"{filler}\n{WRITE}\n{filler}")
    (use,) = read(f"{filler}\n{WRITE}\n{filler}").uses
    assert [number for number, _ in lines] == list(range(use.line - 3, use.line + 4))
    assert dict(lines)[use.line] == WRITE


def test_each_line_that_a_misfit_can_name_is_kept():
    columns = "\n".join(f"  column{number}: {number}," for number in range(12))
    file = read(f"export async function f() {{\nawait supabase.from('messages').insert({{\n{columns}\n}})\n}}")
    named = {one.line for use in file.uses for one in use.writes} | {use.line for use in file.uses}
    assert named <= {number for number, _ in file.lines} and len(named) == 13


def test_a_file_without_uses_keeps_nothing():
    assert kept("export const answer = 42") == ()


def test_lines_are_counted_as_the_reader_counts_them():
    code = f"const a = 'b\u2028c'\r\nconst d = '\x0b\x0c'\r\n{WRITE}\r\n"
    (use,) = read(code).uses
    assert dict(kept(code))[use.line] == WRITE


def test_a_long_line_is_cut():
    (line,) = [text for _, text in kept(f"{WRITE} // {'very ' * 500}") if "insert" in text]
    assert len(line) == excerpts.LONGEST_LINE and line.endswith("…")


def test_no_more_lines_are_kept_than_the_bound_allows():
    assert len(kept("\n".join([WRITE, *[""] * 6] * 1000))) == excerpts.MOST_LINES


def test_what_was_kept_is_found_by_file_and_line():
    code = of(f"\n\n{WRITE}\n")
    (use,) = code.uses
    assert dict(excerpts.around(code, FILE, use.line))[use.line] == WRITE
    assert excerpts.around(code, "elsewhere.ts", use.line) == ()
    assert excerpts.around(code, FILE, use.line + 100) == ()


def test_no_key_is_kept_on_disk(tmp_path: Path):
    pem = "const key = `-----BEGIN PRIVATE KEY-----\nMIIplanted/base+64\n-----END PRIVATE KEY-----`\n"
    code = of(f"{pem}const client = connect('{KEY}')\n{WRITE}\n")
    assert KEY not in repr(code) and "MIIplanted" not in repr(code)
    (use,) = code.uses
    assert dict(excerpts.around(code, FILE, use.line))[use.line] == WRITE  # no line was lost
    Store(tmp_path).put(code)
    kept_code = Store(tmp_path).get("a" * 40)
    assert kept_code is not None and kept_code.files[0].lines == code.files[0].lines


def test_literals_that_look_like_keys_are_taken_out_and_names_stay():
    for secret, line in {
        KEY: f"createClient(url, '{KEY}')",
        "hunter2secret": "const password: string = 'hunter2secret'",
        "hunter3secret": "const apiKey = process.env.API_KEY ?? 'hunter3secret'",
        "hunter4secret": 'headers["x-api-key"] = "hunter4secret"',
        "hunter5secret": "token:\n  'hunter5secret',",
        "hunter6secret": "// the token: hunter6secret",
        "7700 900123": "const owner = '+44 7700 900123'",
        "sam@example.com": "mail('sam@example.com')",
        "p4ss": "connect('postgres://user:p4ss@host/db')",
    }.items():
        assert secret in line and secret not in redact_code(line), line
        assert redact_code(line).count("\n") == line.count("\n")
    for line in (
        "const token = crypto.randomUUID()",
        ".insert({ token: booking.token, author: user.name, metadata: { initial_sms: text } })",
        "link_type: 'booking_confirmation',",
        "const { data, error } = await supabase.from('messages').select('id, body')",
    ):
        assert redact_code(line) == line


def test_redacting_twice_changes_nothing_more():
    text = f"const password = 'hunter2secret' // {KEY}\nconst a = '+44 7700 900123'"
    assert redact_code(redact_code(text)) == redact_code(text)


def test_a_commit_keeps_no_more_lines_than_its_bound_and_loses_no_use(monkeypatch: pytest.MonkeyPatch):
    files = {f"src/lib/{name}.ts": f"import {{ supabase }} from './client'\n{WRITE}\n" for name in "abcde"}
    monkeypatch.setattr(excerpts, "MOST_LINES_OF_A_COMMIT", 7)
    code = app(files)
    assert len(code.uses) == 5
    assert 0 < sum(len(file.lines) for file in code.files) <= 7


@pytest.mark.parametrize(
    "piece",
    [
        "token ",
        "token: ",
        "token=a.b ?? ",
        "token: string = ",
        "secret" + " " * 80,
        "auth=" + "x" * 80 + " " * 80 + "|| ",
        "'token'",
        "/* ",
        "+44 ",
        "a@",
        "eyJaaaaaaaa.",
    ],
)
def test_a_hostile_file_costs_no_more_than_its_length(piece: str):
    text = piece * (200_000 // len(piece))
    begun = time.process_time()
    redact_code(text)
    assert time.process_time() - begun < 3
