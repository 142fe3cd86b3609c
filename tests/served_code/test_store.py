"""What was read of a commit is kept across restarts, within bounds, and never believed when it is broken."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lib.model.served_code import ServedCode
from lib.served_code.code_store import Store
from tests.served_code.samples import app

SHA = "3aee739" + "0" * 33


def code(commit: str = SHA, filler: int = 0) -> ServedCode:
    body = "".join(
        f"await supabase.from('t{number}').insert({{ a: {number}, b: true, c: 1.5, d: null }})\n"
        for number in range(filler + 1)
    )
    return app(
        {
            "src/a.ts": f"const supabase = c()\nexport async function f() {{ {body} }}",
            "supabase/migrations/20250101000000_a.sql": "select 1",
            "tsconfig.json": '{"compilerOptions": {"paths": {"@/*": ["./src/*"]}}}',
            "broken.ts": "\0",
        },
        commit,
    )


def test_what_was_kept_is_the_same_after_a_restart(tmp_path: Path):
    Store(tmp_path).put(code())
    assert Store(tmp_path).get(SHA) == code()


def test_a_commit_that_was_not_read_is_not_there(tmp_path: Path):
    assert Store(tmp_path / "nowhere").get(SHA) is None


@pytest.mark.parametrize("damage", [b"", b"x", b"x" * 5000])
def test_a_broken_file_is_read_again_not_trusted(tmp_path: Path, damage: bytes):
    Store(tmp_path).put(code())
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(damage or content[:-10])
    assert Store(tmp_path).get(SHA) is None
    assert list(tmp_path.iterdir()) == []


def test_the_reading_of_one_commit_does_not_pass_for_that_of_another(tmp_path: Path):
    Store(tmp_path).put(code())
    (path,) = tmp_path.iterdir()
    other = "b" * 40
    path.rename(tmp_path / path.name.replace(SHA, other))
    assert Store(tmp_path).get(other) is None


def test_another_reader_reads_again(tmp_path: Path):
    Store(tmp_path, version=1).put(code())
    assert Store(tmp_path, version=2).get(SHA) is None
    Store(tmp_path, version=2).put(code())
    assert [path.name for path in tmp_path.iterdir()] == [f"{SHA}.v2.json.gz"]


def test_the_oldest_give_way(tmp_path: Path):
    store = Store(tmp_path, most=3)
    for number in range(5):
        store.put(code(f"{number}" * 40))
        os.utime(next(tmp_path.glob(f"{number}{number}*")), (number, number))
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == ["2", "3", "4"]


def test_the_bound_on_bytes_holds_and_the_newest_stays(tmp_path: Path):
    store = Store(tmp_path, most_bytes=1)
    store.put(code("a" * 40, 200))
    store.put(code("b" * 40, 200))
    assert [path.name[0] for path in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize("commit", ["../../etc/passwd", "", "HEAD", "a" * 65])
def test_only_a_sha_names_a_file(tmp_path: Path, commit: str):
    with pytest.raises(ValueError, match="no SHA"):
        Store(tmp_path).get(commit)


def test_what_an_older_reader_kept_without_lines_is_read_again(tmp_path: Path):
    Store(tmp_path, version=1).put(code())
    assert Store(tmp_path).get(SHA) is None
