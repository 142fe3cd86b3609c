"""The archive of a commit: asked for once, unpacked within bounds, and no token on the way to another host."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from lib.model.reading import FailureKind, SourceError
from lib.served_code.archive import Limits
from lib.served_code.code_store import Store
from lib.sources.github_archive import GitHubArchive
from lib.sources.http import Deadline, Http
from tests.sources.fake_server import FakeServer, Scripted

SHA = "3aee739" + "0" * 33
TARBALL = f"/repos/inn/booking/tarball/{SHA}"
ROUTE = b"""
export async function POST() {
  const { error } = await supabase.from('short_links').insert({ link_type: 'custom' })
  if (error) throw error
}
"""


def packed(**files: bytes) -> bytes:
    """Return an archive as GitHub packs it; `__` in a name stands for `/`."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo("inn-booking-3aee739/" + name.replace("__", "/") + ".ts")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text))
    return content.getvalue()


@pytest.fixture
def api() -> Iterator[FakeServer]:
    server = FakeServer()
    yield server
    server.close()


@pytest.fixture
def storage() -> Iterator[FakeServer]:
    """The host that the signed address is of."""
    server = FakeServer()
    server.tell("/signed", Scripted(packed(app__api__bookings__initiate__route=ROUTE)))
    yield server
    server.close()


@pytest.fixture
def source(api: FakeServer, storage: FakeServer, tmp_path: Path) -> GitHubArchive:
    api.tell(TARBALL, Scripted(status=302, headers={"Location": f"{storage.url}/signed?token=s"}))
    return GitHubArchive(
        http=Http(sleep=lambda _: None),
        base_url=api.url,
        repository_name="inn/booking",
        token=SecretStr("ghp_secret"),
        store=Store(tmp_path / "code"),
    )


def failure(source: GitHubArchive, sha: str = SHA) -> SourceError:
    with pytest.raises(SourceError) as caught:
        source.code(sha, Deadline(10))
    return caught.value


def test_the_uses_of_a_commit_are_read_from_its_archive(source: GitHubArchive):
    code = source.code(SHA, Deadline(10))
    assert code.commit == SHA
    assert [(use.file, use.line, use.table) for use in code.uses] == [
        ("app/api/bookings/initiate/route.ts", 3, "short_links")
    ]
    assert source.progress == ""


def test_the_token_goes_to_the_api_and_not_to_the_address_it_points_to(
    source: GitHubArchive, api: FakeServer, storage: FakeServer
):
    source.code(SHA, Deadline(10))
    assert api.asked_for(TARBALL)[0].headers["Authorization"] == "Bearer ghp_secret"
    (asked,) = storage.asked_for("/signed")
    assert "Authorization" not in asked.headers
    assert "ghp_secret" not in str(asked)


def test_no_token_goes_to_the_archive_even_on_the_same_host(source: GitHubArchive, api: FakeServer):
    api.tell(TARBALL, Scripted(status=302, headers={"Location": "/signed"}))
    api.tell("/signed", Scripted(packed(page=b"export {}")))
    source.code(SHA, Deadline(10))
    assert "Authorization" not in api.asked_for("/signed")[0].headers


def test_a_renamed_repository_is_followed_with_the_token(source: GitHubArchive, api: FakeServer, storage: FakeServer):
    there = f"/repositories/7/tarball/{SHA}"
    api.tell(TARBALL, Scripted(status=301, headers={"Location": there}))
    api.tell(there, Scripted(status=302, headers={"Location": f"{storage.url}/signed"}))
    assert source.code(SHA, Deadline(10)).files
    assert api.asked_for(there)[0].headers["Authorization"] == "Bearer ghp_secret"


def test_a_rename_to_another_host_is_not_followed(source: GitHubArchive, api: FakeServer, storage: FakeServer):
    api.tell(TARBALL, Scripted(status=301, headers={"Location": f"{storage.url}/signed"}))
    assert failure(source).kind is FailureKind.BAD_DATA
    assert storage.asked == []


@pytest.mark.parametrize("location", ["", "http://example.test/a", "file:///etc/passwd", "https://[::1", "ftp://a/b"])
def test_an_address_that_cannot_be_the_archive_is_not_asked(source: GitHubArchive, api: FakeServer, location: str):
    api.tell(TARBALL, Scripted(status=302, headers={"Location": location}))
    assert failure(source).kind in (FailureKind.BAD_DATA, FailureKind.UNAVAILABLE)


def test_what_was_read_is_not_asked_for_again_even_after_a_restart(source: GitHubArchive, api: FakeServer):
    first = source.code(SHA, Deadline(10))
    assert source.code(SHA, Deadline(10)) is first
    restarted = replace(source, _read={})
    assert restarted.code(SHA, Deadline(10)) == first
    assert len(api.asked) == 1


def test_a_folder_that_cannot_be_written_costs_the_keeping_alone(source: GitHubArchive, tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    assert replace(source, store=Store(tmp_path / "file" / "code")).code(SHA, Deadline(10)).files


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.UNAUTHORIZED),
        (403, FailureKind.FORBIDDEN),
        (404, FailureKind.NOT_FOUND),
        (422, FailureKind.NOT_FOUND),
        (200, FailureKind.BAD_DATA),
        (500, FailureKind.UNAVAILABLE),
    ],
)
def test_a_refusal_is_a_failure_of_its_kind(source: GitHubArchive, api: FakeServer, status: int, kind: FailureKind):
    api.tell(TARBALL, Scripted(status=status))
    error = failure(source)
    assert error.kind is kind
    assert error.failure.hint and "ghp_secret" not in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Scripted(b"<html>", 200), FailureKind.BAD_DATA),
        (Scripted(gzip.compress(b"no tar" * 200)), FailureKind.BAD_DATA),
        (Scripted(packed(page=b"export {}" * 99), cut=40), FailureKind.UNAVAILABLE),
        (Scripted(b"", 403), FailureKind.FORBIDDEN),
        (Scripted(b"", 404), FailureKind.NOT_FOUND),
        (Scripted(status=302, headers={"Location": "/signed"}), FailureKind.BAD_DATA),
    ],
)
def test_a_broken_archive_is_one_failure_and_keeps_nothing(
    source: GitHubArchive, storage: FakeServer, answer: Scripted, kind: FailureKind, tmp_path: Path
):
    storage.tell("/signed", answer)
    assert failure(source).kind is kind
    assert not (tmp_path / "code").exists()


def test_a_bomb_is_refused_by_its_bounds(source: GitHubArchive, storage: FakeServer):
    storage.tell("/signed", Scripted(packed(page=b" " * 5_000_000)))
    error = failure(replace(source, limits=Limits(unpacked=1_000_000)))
    assert error.kind is FailureKind.BAD_DATA
    assert "unpacks to more than" in str(error)


def test_an_archive_that_never_comes_ends_at_the_deadline(source: GitHubArchive, storage: FakeServer):
    storage.tell("/signed", Scripted(waits=True))
    with pytest.raises(SourceError) as caught:
        source.code(SHA, Deadline(0.5))
    assert caught.value.kind is FailureKind.TIMEOUT


def test_what_is_no_commit_is_not_asked_for(source: GitHubArchive, api: FakeServer):
    assert failure(source, "../../etc").kind is FailureKind.BAD_DATA
    assert api.asked == []
