"""The file of a journal on SQLite: how it is made and opened, and whether it is still the one that was opened."""

from __future__ import annotations

import os
import sqlite3
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from lib.journal.errors import JournalError

_OURS_ALONE = 0o600


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """The file at `path`. `identity` is its device and inode, `wait_seconds` how long a writer waits for others.

    `read_only`: this process may not write to it or beside it. Then it is only read.
    """

    path: Path
    identity: tuple[int, int]
    read_only: bool
    wait_seconds: float

    @classmethod
    def prepare(cls, path: Path, wait_seconds: float) -> SqliteFile:
        """Make the file if there is none, for us alone, and return it. Raises `JournalError`."""
        try:
            # Created here, before SQLite would, so that only we can read it; the -wal and -shm files copy its mode.
            # One that exists is not opened: closing it would end the locks of this process's other connections.
            if not path.exists():
                os.close(os.open(path, os.O_CREAT | os.O_WRONLY, _OURS_ALONE))
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or not os.access(path, os.R_OK):
                raise JournalError(f"The journal's file {path} cannot be opened: it is not a file that we may read.")
            read_only = not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
            if not read_only and stat.S_IMODE(found.st_mode) != _OURS_ALONE:
                path.chmod(_OURS_ALONE)
        except OSError as error:
            raise JournalError(f"The journal's file {path} cannot be opened: {error.strerror}.") from None
        return cls(path, (found.st_dev, found.st_ino), read_only, wait_seconds)

    def connect(self) -> sqlite3.Connection:
        """Open a connection. Raises `sqlite3.Error`."""
        connection = self._open_to_read() if self.read_only else self._open_to_write()
        # A byte changed from outside may be no valid text: `verify` reports that, so reading must not fail.
        connection.text_factory = lambda stored: stored.decode("utf-8", "surrogateescape")
        return connection

    def lost(self) -> str | None:
        """Return what happened to the file since it was prepared, to complete "the file …"; None if it is still there.

        A process that has it open can go on writing to a file that was deleted, and nothing of that lasts.
        """
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return "was deleted while it was in use"
        except OSError as error:
            return f"can no longer be reached ({error.strerror})"
        same = (found.st_dev, found.st_ino) == self.identity
        return None if same else "was replaced by another file while it was in use"

    def _open_to_write(self) -> sqlite3.Connection:
        # mode=rw: a file that was deleted must not come back empty.
        connection = self._open("mode=rw")
        self._switch_to_wal(connection)
        # Durable before the effect: `started` must survive a power cut.
        connection.execute("pragma synchronous = full")
        return connection

    def _open_to_read(self) -> sqlite3.Connection:
        connection = self._open("mode=ro")
        try:
            connection.execute("select 1 from sqlite_master").fetchone()
        except sqlite3.OperationalError:
            # A log that nobody has open needs a file beside it, which may not be made here. Without a log there is
            # nothing to miss, and the file alone can be read as it stands.
            connection.close()
            log = self.path.with_name(f"{self.path.name}-wal")
            if log.exists() and log.stat().st_size:
                raise
            connection = self._open("mode=ro&immutable=1")
        return connection

    def _open(self, mode: str) -> sqlite3.Connection:
        return sqlite3.connect(
            f"{self.path.as_uri()}?{mode}",
            uri=True,
            timeout=self.wait_seconds,
            isolation_level=None,
            check_same_thread=False,
        )

    def _switch_to_wal(self, connection: sqlite3.Connection) -> None:
        """Switch the file to write-ahead logging, so that readers do not block a writer.

        SQLite does not apply its busy timeout to this statement, so it is tried again here.
        """
        give_up = time.monotonic() + self.wait_seconds
        while True:
            try:
                connection.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
            else:
                return
