"""The archive of a commit: what is kept, and that nothing hostile in it costs more than a sentence."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.served_code import archive, folder
from lib.served_code.archive import ArchiveError, Limits
from tests.served_code.samples import chunks, packed

SMALL = Limits(compressed=4 * 1024**2, unpacked=16 * 1024**2, entries=1_000, file=64 * 1024, kept=256 * 1024, files=100)


def made(*entries: tuple[tarfile.TarInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as written:
        for entry, content in entries:
            entry.size = len(content)
            written.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def entry(name: str, type_: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    found = tarfile.TarInfo(name)
    found.type, found.linkname = type_, link
    return found


def read(content: bytes, limits: Limits = SMALL, size: int = 4096) -> archive.Files:
    return archive.read(chunks(content, size), limits)


def test_only_files_of_interest_are_kept():
    wanted = [
        "src/app/api/a/route.ts", "src/a.tsx", "old.js", "b.jsx", "c.mjs", "d.cjs",
        "supabase/migrations/20240101000000_a.sql",
        "tsconfig.json", "apps/web/tsconfig.base.json", "package.json", "next.config.mjs",
        "vercel.json", "jsconfig.json",
        "build/page.tsx",
    ]  # fmt: skip
    other = [
        "README.md", "logo.png", "node_modules/x/index.js", ".next/server.js", "src/a.test.ts", "src/types.d.ts",
        "src/__tests__/b.ts", "seed.sql", "data.json",
    ]  # fmt: skip
    found = read(packed(dict.fromkeys((*wanted, *other), b"x")))
    assert sorted(found.contents) == sorted(wanted)
    assert found.unread == ()


@pytest.mark.parametrize("size", [1, 7, 512, 100_000])
def test_it_may_arrive_in_pieces_of_any_size(size: int):
    found = read(packed({"a.ts": b"one", "b.ts": b"two" * 1000}), size=size)
    assert found.contents == {"a.ts": b"one", "b.ts": b"two" * 1000}


@pytest.mark.parametrize(
    "hostile",
    [
        entry("top/../../etc/passwd.ts"), entry("/etc/passwd.ts"), entry("top/..\\..\\x.ts"), entry("x.ts"),
        entry("top/link.ts", tarfile.SYMTYPE, "/etc/passwd"), entry("top/hard.ts", tarfile.LNKTYPE, "top/a.ts"),
        entry("top/fifo.ts", tarfile.FIFOTYPE), entry("top/device.ts", tarfile.CHRTYPE),
    ],
    ids=lambda one: f"{one.name} {one.type!r}",
)  # fmt: skip
def test_links_devices_and_ways_out_are_passed_over(hostile: tarfile.TarInfo):
    found = read(made((hostile, b""), (entry("top/a.ts"), b"good")))
    assert found.contents == {"a.ts": b"good"}


def _bomb() -> bytes:
    return packed({"a.ts": b"\0" * (20 * 1024**2)})


def _endless_name() -> bytes:
    return made((entry("top/" + "x" * (2 * 1024**2) + ".ts"), b"x"))


def _many() -> bytes:
    return packed({f"{number}.md": b"" for number in range(1_001)})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "broken"),
        (b"no gzip at all", "broken"),
        (packed({"a.ts": b"x" * 5000})[:-900], "broken"),
        (gzip.compress(b"no tar " * 1000), "broken"),
        (gzip.compress(b""), "broken"),
        (_bomb, "more than 16 MB"),
        (_many, "more than 1,000 files"),
        (_endless_name, "broken"),
        (lambda: bytes(5 * 1024**2), "broken"),
    ],
    ids=["empty", "no gzip", "cut", "no tar", "nothing packed", "bomb", "many", "endless name", "zeros"],
)
def test_a_hostile_archive_is_one_sentence(content: bytes | Callable[[], bytes], words: str):
    with pytest.raises(ArchiveError, match=words) as error:
        read(content() if callable(content) else content)
    assert str(error.value).count(".") == 1


def test_more_than_the_bound_of_compressed_bytes_is_refused_as_it_arrives():
    taken = 0

    def endless():
        nonlocal taken
        yield packed({f"{n}.ts": bytes(str(n) * 50, "ascii") for n in range(50)})[:2000]
        while True:
            taken += 1
            yield b"\x1f\x8b" + bytes(100_000)

    with pytest.raises(ArchiveError):
        archive.read(endless(), SMALL)
    assert taken < 50


def test_a_file_that_is_too_long_costs_a_line():
    found = read(packed({"a.ts": b"x" * 70_000, "b.ts": b"good"}))
    assert found.contents == {"b.ts": b"good"}
    assert [(one.file, one.reason) for one in found.unread] == [("a.ts", "It is longer than 64 KB.")]


def test_more_files_than_are_read_at_once_cost_a_line_each():
    found = read(packed({f"{number:03}.ts": b"x" for number in range(120)}))
    assert len(found.contents) == 100
    assert len(found.unread) == 20


@pytest.mark.parametrize("content", [lambda: packed({"a.ts": b"\0" * (50 * 1024**2)}), _bomb, _endless_name])
def test_memory_stays_bounded(content: Callable[[], bytes]):
    made_ = content()
    tracemalloc.start()
    with suppress(ArchiveError):
        read(made_, Limits())
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 6 * 1024**2


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 3000), at=st.integers(0, 3000), byte=st.integers(0, 255))
def test_a_damaged_archive_is_read_or_refused(cut: int, at: int, byte: int):
    content = bytearray(packed({"a.ts": bytes(range(256)) * 8, "b.sql": b"x"}))
    content[at % len(content)] = byte
    try:
        found = read(bytes(content[: len(content) - cut % len(content)]))
    except ArchiveError:
        return
    assert set(found.contents) <= {"a.ts"} or all(archive.is_of_interest(path) for path in found.contents)


def test_a_folder_is_read_with_the_same_rules_and_links_are_not_followed(tmp_path: Path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.ts").write_bytes(b"good")
    (tmp_path / "src/long.ts").write_bytes(b"x" * 70_000)
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules/b.ts").write_bytes(b"x")
    (tmp_path / "build").mkdir()
    (tmp_path / "build/c.ts").write_bytes(b"x")
    secret = tmp_path.parent / "secret.ts"
    secret.write_bytes(b"secret")
    (tmp_path / "link.ts").symlink_to(secret)
    (tmp_path / "up").symlink_to(tmp_path.parent, target_is_directory=True)
    found = folder.read(tmp_path, SMALL)
    assert found.contents == {"src/a.ts": b"good"}
    assert [one.file for one in found.unread] == ["src/long.ts"]


def test_what_is_no_folder_is_one_sentence(tmp_path: Path):
    with pytest.raises(ArchiveError, match=r"^That is no folder\.$"):
        folder.read(tmp_path / "nowhere")
