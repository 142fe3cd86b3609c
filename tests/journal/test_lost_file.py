"""A journal's file that was deleted or replaced while in use is noticed, and one that is read-only can be read."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from lib.journal.errors import JournalError, LostError
from lib.journal.journal import Journal
from lib.model.people import Actor
from lib.monitor.store import MonitorStore
from tests.journal.workers import DESK, a_request, open_journal

ROOT = Path(__file__).resolve().parents[2]
Environ = dict[str, str]


@pytest.fixture
def file(sqlite_environ: Environ) -> Path:
    return Path(sqlite_environ["JOURNAL_URL"].removeprefix("sqlite:///"))


def delete(file: Path) -> None:
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()


def checkpoint(file: Path) -> None:
    """Put everything into the file itself, and empty its log."""
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")


def test_a_write_to_a_file_that_was_deleted_says_what_is_not_kept(local: Journal, file: Path, ann: Actor) -> None:
    local.note("kept", ann)
    delete(file)
    with pytest.raises(LostError) as lost:
        local.submit_request(a_request(), ann)
    assert "was deleted while it was in use" in lost.value.sentence and str(file) in lost.value.sentence
    assert "Not kept: request of redeploy." in lost.value.sentence
    assert "backup" in lost.value.hint
    assert not file.exists()  # an empty one in its place would look like a journal in which nothing happened
    with pytest.raises(LostError, match="Not kept: note"):
        local.note("y", ann)


def test_a_write_to_a_file_that_was_replaced_is_noticed(
    local: Journal, file: Path, sqlite_environ: Environ, tmp_path: Path, ann: Actor
) -> None:
    local.note("kept", ann)
    other = tmp_path / "other.sqlite3"
    open_journal({"JOURNAL_URL": f"sqlite:///{other}"}).close()
    delete(file)
    other.replace(file)
    with pytest.raises(LostError, match="replaced by another file"):
        local.note("x", ann)
    with contextlib.closing(open_journal(sqlite_environ)) as reopened:
        assert reopened.entries() == ()  # what was refused is not half in the other one


def test_an_older_copy_put_in_its_place_is_noticed_although_the_file_is_the_same(
    local: Journal, file: Path, tmp_path: Path, sqlite_environ: Environ, ann: Actor
) -> None:
    """`cp backup journal.sqlite3` keeps the inode."""
    local.note("in the backup", ann)
    backup = tmp_path / "backup.sqlite3"
    checkpoint(file)
    shutil.copyfile(file, backup)
    local.note("after the backup", ann)
    checkpoint(file)
    file.write_bytes(backup.read_bytes())
    with pytest.raises(LostError, match=r"entry 2 of before is not in it\. Not kept: note"):
        local.note("x", ann)


@pytest.mark.sandbox
def test_a_journal_on_postgres_that_was_made_anew_is_noticed(postgres_environ: Environ, ann: Actor) -> None:
    with contextlib.closing(open_journal(postgres_environ)) as journal:
        journal.note("first", ann)
        with psycopg.connect(postgres_environ["DATABASE_URL"]) as connection:
            connection.execute("drop schema switchboard cascade")
        open_journal(postgres_environ).close()
        with pytest.raises(LostError, match="entry 1 of before is not in it"):
            journal.note("x", ann)


def test_writers_of_other_processes_are_no_replacement(local: Journal, sqlite_environ: Environ, ann: Actor) -> None:
    with contextlib.closing(open_journal(sqlite_environ)) as other:
        for _ in range(3):
            local.note("x", ann)
            other.note("y", ann)
    assert len(local.entries()) == 6 and local.verify().ok


def test_the_monitor_notices_a_deleted_file_too(local: Journal, file: Path) -> None:
    delete(file)
    with pytest.raises(LostError), MonitorStore(local).writing("me", lambda: None):  # type: ignore[arg-type, return-value]
        pass
    with pytest.raises(JournalError):
        local.heartbeat(a_request().idempotency_key)


def test_to_open_a_journal_leaves_the_locks_of_this_process_alone(
    local: Journal, sqlite_environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """POSIX ends all locks of a process on a file when the process closes any descriptor of it."""
    opened: list[str] = []
    real = os.open
    monkeypatch.setattr(os, "open", lambda path, *rest, **more: opened.append(str(path)) or real(path, *rest, **more))
    open_journal(sqlite_environ).close()
    assert opened == []


# Read-only --------------------------------------------------------------------------------------------------

READ = """
import os, sys
from lib.journal.errors import JournalError
from tests.journal.workers import DESK, a_request, open_journal
os.setgid(65534), os.setuid(65534) if os.geteuid() == 0 else None
journal = open_journal({"JOURNAL_URL": f"sqlite:///{sys.argv[1]}"})
print(len(journal.entries()), journal.verify().ok, "read-only" in journal.where)
for write in (lambda: journal.note("x", DESK), lambda: journal.submit_request(a_request(), DESK)):
    try:
        write()
    except JournalError as error:
        print(error)
"""


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_journal_that_we_may_not_write_to_can_be_read(
    local: Journal, file: Path, tmp_path: Path, open_elsewhere: bool
) -> None:
    local.note("first", DESK)
    local.note("second", DESK)
    if not open_elsewhere:
        local.close()
    for path in (*tmp_path.glob("journal*"), tmp_path):
        path.chmod(0o555 if path.is_dir() else 0o444)
    for folder in tmp_path.parents:  # as another user, who gets this far
        if folder.stat().st_uid == os.geteuid() and folder.name.startswith(("pytest", "test", "popen")):
            folder.chmod(folder.stat().st_mode | stat.S_IXOTH)
    answer = subprocess.run(
        [sys.executable, "-c", READ, str(file)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    tmp_path.chmod(0o755)
    assert answer.returncode == 0, answer.stderr
    first, *refused = answer.stdout.splitlines()
    assert first == "2 True True"
    assert refused == ["The journal is read-only here: it can be read, and nothing can be written."] * 2


def test_a_folder_in_place_of_the_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite3").mkdir()
    with pytest.raises(JournalError, match="cannot be opened"):
        open_journal({"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
