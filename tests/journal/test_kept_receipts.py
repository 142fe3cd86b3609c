"""A receipt that cannot be written to the journal is kept beside it, and written by the next process that opens it."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from lib.journal import engine
from lib.journal.entry import Kind, Outcome, Receipt
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.request import RequestState
from lib.model.people import Actor
from tests.clocks import Clock
from tests.journal.test_requests import MINUTE, started
from tests.journal.workers import open_journal, settings_of

DONE = Receipt(Outcome.SUCCEEDED, "It was redeployed.", verified=True, evidence=("It serves 3f2c1ab.",))
Environ = dict[str, str]


def kept_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.receipt-*"))


@pytest.fixture
def running(local: Journal, ann: Actor) -> UUID:
    """A request that was started, and has no receipt."""
    return started(local, ann).id


def test_it_is_a_whole_file_that_only_we_can_read(local: Journal, running: UUID, ann: Actor, tmp_path: Path) -> None:
    path = local.keep_receipt(running, DONE, ann)
    assert kept_files(tmp_path) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["request_id"] == str(running)


def test_the_next_process_that_opens_the_journal_writes_it(
    local: Journal, running: UUID, ann: Actor, sqlite_environ: Environ, clock: Clock, tmp_path: Path
) -> None:
    local.keep_receipt(running, DONE, ann)
    local.close()
    with contextlib.closing(Journal.open(settings_of(sqlite_environ), clock)) as journal:
        request = journal.request(running)
        assert request.state is RequestState.SUCCEEDED and request.message == DONE.message
        assert request.receipt is not None and request.receipt.evidence[0] == "It serves 3f2c1ab."
        assert "Kept beside the journal since 2026-03-02 14:03:21Z" in request.receipt.evidence[1]
        assert journal.entries(kinds=[Kind.RECEIPT])[0].actor == ann
        assert journal.verify().ok
    assert kept_files(tmp_path) == []


def test_it_waits_while_the_journal_cannot_be_written(
    local: Journal,
    running: UUID,
    ann: Actor,
    sqlite_environ: Environ,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    local.keep_receipt(running, DONE, ann)
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0.05)
    with local.database.writing(), contextlib.closing(open_journal(sqlite_environ)) as waits:
        assert waits.request(running).receipt is None
        assert len(kept_files(tmp_path)) == 1
    local.write_kept_receipts()
    assert local.request(running).state is RequestState.SUCCEEDED
    assert kept_files(tmp_path) == []


def test_one_that_was_written_meanwhile_is_written_once(
    local: Journal, running: UUID, ann: Actor, tmp_path: Path
) -> None:
    local.keep_receipt(running, DONE, ann)
    local.finish(running, DONE, ann)
    local.write_kept_receipts()
    assert len(local.entries(kinds=[Kind.RECEIPT])) == 1
    assert kept_files(tmp_path) == []


def test_one_of_another_journal_stays(local: Journal, ann: Actor, tmp_path: Path) -> None:
    local.keep_receipt(uuid4(), DONE, ann)
    local.write_kept_receipts()
    assert len(kept_files(tmp_path)) == 1 and local.entries() == ()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"request_id": "x"}', "null"])
def test_a_file_that_cannot_be_read_is_left_and_does_not_hold_up_the_others(
    local: Journal, running: UUID, ann: Actor, tmp_path: Path, text: str
) -> None:
    path = local.keep_receipt(running, DONE, ann)
    broken = path.with_name(path.name.replace(str(running), str(UUID(int=0))))
    broken.write_text(text)
    local.write_kept_receipts()
    assert local.request(running).state is RequestState.SUCCEEDED
    assert kept_files(tmp_path) == [broken]


def test_it_holds_no_number_and_no_secret(local: Journal, running: UUID, ann: Actor) -> None:
    told = Receipt(Outcome.FAILED, "It was sent to +447700900123 with sb_secret_abcdefghijklmnopqrstuvwxyz.")
    text = local.keep_receipt(running, told, ann).read_text()
    assert "900123" not in text and "abcdefghij" not in text


def test_one_that_was_cut_off_while_it_was_written_leaves_the_file_as_it_was(
    local: Journal, running: UUID, ann: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = local.keep_receipt(running, DONE, ann)
    before = path.read_text()

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        local.keep_receipt(running, Receipt(Outcome.FAILED, "another"), ann)
    assert path.read_text() == before and kept_files(path.parent) == [path]


@pytest.mark.sandbox
def test_beside_a_journal_on_postgres_it_is_a_file_in_the_projects_folder(
    postgres_environ: Environ, ann: Actor, tmp_path: Path, clock: Clock
) -> None:
    settings = settings_of(postgres_environ)
    with contextlib.closing(Journal.open(settings, clock, tmp_path, database_time=clock)) as journal:
        request = started(journal, ann)
        path = journal.keep_receipt(request.id, DONE, ann)
        assert path.parent == tmp_path / ".switchboard"
    with contextlib.closing(Journal.open(settings, clock, tmp_path, database_time=clock)) as journal:
        assert journal.request(request.id).state is RequestState.SUCCEEDED


def test_a_receipt_that_must_not_be_stored_is_not_kept_either(local: Journal, running: UUID, ann: Actor) -> None:
    with pytest.raises(JournalError):
        local.keep_receipt(running, Receipt(Outcome.FAILED, None), ann)  # type: ignore[arg-type]


def test_a_long_time_without_a_receipt_is_an_unknown_outcome_until_it_is_written(
    local: Journal, running: UUID, ann: Actor, clock: Clock
) -> None:
    local.keep_receipt(running, DONE, ann)
    clock.now += 10 * MINUTE
    assert local.request(running).state is RequestState.UNKNOWN
    local.write_kept_receipts()
    assert local.request(running).state is RequestState.SUCCEEDED
