"""The chain with many writers, a killed writer, and a person who edits the database."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.model.people import Actor
from tests.journal.workers import (
    DESK,
    a_request,
    append_many,
    append_until_killed,
    open_journal,
    start_one,
    start_together,
)
from tests.processes import WARM

Environ = dict[str, str]
Sql = Callable[[str], None]


@contextlib.contextmanager
def raw(environ: Environ) -> Iterator[Sql]:
    """Open the journal's database directly."""
    if "DATABASE_URL" in environ:
        with psycopg.connect(environ["DATABASE_URL"], autocommit=True) as connection:
            connection.execute("set search_path = switchboard")
            yield lambda statement: connection.execute(statement.encode())
    else:
        connection = sqlite3.connect(environ["JOURNAL_URL"].removeprefix("sqlite:///"), isolation_level=None)
        with contextlib.closing(connection):
            yield connection.execute


def without_triggers(environ: Environ, *statements: str) -> None:
    """Run statements after dropping the triggers, as only an owner of the database can."""
    names = (
        "entries_are_never_changed",
        "entries_are_never_deleted",
        "entries_join_at_the_end",
        "head_follows_the_last_entry",
        "head_stays",
    )
    with raw(environ) as sql:
        for name in names:
            if "DATABASE_URL" not in environ:
                sql(f"drop trigger {name}")
            elif name != "entries_are_never_deleted":
                sql(f"drop trigger {name} on {name.partition('_')[0]}")
        for statement in statements:
            sql(statement)


@pytest.fixture
def ten(journal: Journal) -> Journal:
    for number in range(10):
        journal.note(f"note {number}", DESK)
    return journal


def test_an_empty_journal_is_whole(journal: Journal) -> None:
    assert (journal.verify().ok, journal.verify().entries) == (True, 0)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("each", [100, pytest.param(1000, marks=pytest.mark.long)])
def test_of_eight_processes_with_many_appends_each_nothing_is_lost_and_the_chain_holds(
    environ: Environ, each: int
) -> None:
    with contextlib.closing(open_journal(environ)) as journal:
        start_together(8, append_many, environ, each)
        report = journal.verify()
        assert (report.ok, report.entries) == (True, 8 * each), report.message
        texts = [entry.payload.text for entry in journal.entries(limit=10_000)]  # type: ignore[union-attr]
        assert sorted(texts) == sorted(8 * [f"note {number}" for number in range(each)])


def test_a_writer_killed_in_the_middle_leaves_a_whole_chain_that_goes_on(environ: Environ) -> None:
    with contextlib.closing(open_journal(environ)) as journal:
        for _ in range(4):
            before = journal.position().seq
            written = WARM.Semaphore(0)
            writer = start_one(append_until_killed, environ, written)
            assert all(written.acquire(timeout=60) for _ in range(25))
            assert writer.pid is not None
            os.kill(writer.pid, signal.SIGKILL)
            writer.join()
            report = journal.verify()
            assert report.ok and report.entries >= before + 25, report.message
            journal.note("after the kill", DESK)
        assert journal.verify().ok


@pytest.mark.parametrize(
    "change",
    [
        "payload = replace(payload, 'note 4', 'note 5')",
        "at = replace(at, '.123456Z', '.123457Z')",
        "actor = 'someone'",
        "kind = 'freeze'",
        "incident_id = 'x'",
        "request_id = 'x'",
        "lock_key = 'x'",
        "hash = replace(hash, substr(hash, 1, 1), 'x')",
        "prev_hash = replace(prev_hash, substr(prev_hash, 1, 1), 'x')",
    ],
)
def test_a_changed_value_is_found_with_its_entry(ten: Journal, environ: Environ, change: str) -> None:
    without_triggers(environ, f"update entries set {change} where seq = 5")
    report = ten.verify()
    assert (report.ok, report.broken_at) == (False, 5), report.message


def test_one_flipped_byte_in_the_file_is_found(sqlite_environ: Environ) -> None:
    path = Path(sqlite_environ["JOURNAL_URL"].removeprefix("sqlite:///"))
    for mask in (0x01, 0x80):  # another letter, and no letter at all
        path.unlink(missing_ok=True)
        with contextlib.closing(open_journal(sqlite_environ)) as journal:
            for number in range(10):
                journal.note(f"note {number}", DESK)
        stored = bytearray(path.read_bytes())
        place = re.search(rb'"text":"note 4"', stored)
        assert place is not None
        stored[place.end() - 2] ^= mask
        path.write_bytes(stored)
        with contextlib.closing(open_journal(sqlite_environ)) as journal:
            report = journal.verify()
            assert (report.ok, report.broken_at) == (False, 5), report.message


def test_a_removed_row_in_the_middle_is_found(ten: Journal, environ: Environ) -> None:
    without_triggers(environ, "delete from entries where seq = 5")
    assert ten.verify().broken_at == 5


def test_a_removed_tail_is_found(ten: Journal, environ: Environ) -> None:
    without_triggers(environ, "delete from entries where seq > 7")
    report = ten.verify()
    assert (report.ok, report.broken_at) == (False, 8)
    assert "tail" in report.message


def test_a_removed_tail_is_found_even_if_the_head_was_turned_back_by_number(ten: Journal, environ: Environ) -> None:
    without_triggers(environ, "delete from entries where seq > 7", "update head set seq = 7")
    assert not ten.verify().ok


def test_a_chain_that_was_cut_with_its_head_is_found_by_a_hash_noted_earlier(ten: Journal, environ: Environ) -> None:
    noted = ten.position().hash
    assert ten.verify(noted).ok
    without_triggers(
        environ,
        "delete from entries where seq > 7",
        "update head set seq = 7, hash = (select hash from entries where seq = 7)",
    )
    assert ten.verify().ok  # which is why an export names the hash
    assert not ten.verify(noted).ok


def test_a_journal_without_its_head_is_not_written_to(ten: Journal, environ: Environ) -> None:
    without_triggers(environ, "delete from head")
    with pytest.raises(JournalError, match="newest entry is missing"):
        ten.note("x", DESK)


@pytest.mark.parametrize(
    "statement",
    [
        "update entries set actor = 'someone' where seq = 5",
        "update entries set payload = payload",
        "delete from entries where seq = 10",
        "delete from head",
        "update head set seq = 5",
        "update head set seq = seq + 1, hash = 'x'",
        "insert into entries (seq, id, at, kind, actor, role, via, payload, prev_hash, hash)"
        " select 12, 'x', at, kind, actor, role, via, payload, hash, 'x' from entries where seq = 10",
        "insert into entries (seq, id, at, kind, actor, role, via, payload, prev_hash, hash)"
        " select 11, 'x', at, kind, actor, role, via, payload, prev_hash, 'x' from entries where seq = 10",
    ],
)
def test_the_database_itself_refuses_to_change_the_past(ten: Journal, environ: Environ, statement: str) -> None:
    with raw(environ) as sql, pytest.raises((sqlite3.Error, psycopg.Error), match=r"journal entr|the head"):
        sql(statement)
    assert ten.verify().ok


def test_sqlite_refuses_to_replace_an_entry(sqlite_environ: Environ, local: Journal) -> None:
    local.note("x", DESK)
    with raw(sqlite_environ) as sql, pytest.raises(sqlite3.IntegrityError, match="joins at the end"):
        sql("insert or replace into entries select * from entries where seq = 1")


@pytest.mark.sandbox
def test_postgres_refuses_to_truncate(postgres_environ: Environ) -> None:
    with contextlib.closing(open_journal(postgres_environ)) as journal:
        journal.note("x", DESK)
        with raw(postgres_environ) as sql, pytest.raises(psycopg.Error, match="never changed or deleted"):
            sql("truncate entries")


def test_an_entry_that_the_journal_did_not_write_is_named_and_not_shown(ten: Journal, environ: Environ) -> None:
    without_triggers(environ, "update entries set payload = '{\"text\": 5}' where seq = 5")
    with pytest.raises(JournalError, match="Entry 5"):
        ten.entries()


def test_nothing_is_left_of_a_write_that_fails_half_way(local: Journal, ann: Actor, monkeypatch: Any) -> None:
    """The last statement of a write is the one that moves the head."""
    monkeypatch.setattr("lib.journal.chain.update", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        local.submit_request(a_request(), ann)
    monkeypatch.undo()
    assert local.entries() == ()
    assert local.verify().ok
