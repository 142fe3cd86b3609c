"""The journal's database: which one it is, and its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, Engine, NullPool, QueuePool, create_engine, event, exc, make_url, text

from lib.journal import schema
from lib.journal.errors import JournalError, LostError
from lib.journal.schema_steps import SCHEMA
from lib.journal.sqlite_file import SqliteFile
from lib.model.database import KeyKind
from lib.model.keys import classify
from lib.redaction import redact
from lib.settings import Settings

PROJECT = Path(__file__).resolve().parent.parent.parent
FOLDER = ".switchboard"
FILE = "journal.sqlite3"

CONNECT_SECONDS = 5
# How long a write waits for other writers, and how long one statement may take.
WAIT_SECONDS = 30
# A writer that stops in the middle of a transaction blocks all others, so the server ends it after this time.
IDLE_SECONDS = 20

_ANOTHER_WRITER = "Another process holds the journal's lock."
# SQLSTATEs: lock_not_available and query_canceled.
_WAITED_TOO_LONG = ("55P03", "57014")


class JournalDatabase:
    """The journal's database. `where` names it in a sentence without secrets.

    `beside` is a path on this machine: what cannot be written to the database is kept in files that begin with it.
    """

    def __init__(self, engine: Engine, where: str, beside: Path, file: SqliteFile | None = None) -> None:
        self._engine = engine
        self._postgres = engine.dialect.name == "postgresql"
        self._file = file
        self.where = where
        self.beside = beside

    def close(self) -> None:
        self._engine.dispose()

    def prepare(self, now: Callable[[], datetime]) -> None:
        """Bring the schema up to date. Other processes may do the same at the same time. Raises `JournalError`."""
        # First without a lock: a role that may create nothing can use a schema that is up to date.
        with self.reading() as connection:
            if not schema.pending(connection):
                return
        with self.writing() as connection:
            schema.lock_migrations(connection)
            schema.apply(connection, now)

    def time(self, connection: Connection, now: Callable[[], datetime]) -> datetime:
        """Return the time by the database's clock, which all instances share. SQLite has none, so there it is `now`."""
        if not self._postgres:
            return now()
        read: datetime = connection.execute(text("select clock_timestamp()")).scalar_one()
        return read.astimezone(UTC)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A read-only transaction that sees one state of the journal."""
        with self._plain_errors(), self._engine.connect() as connection:
            if self._postgres:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                self._set_limits(connection)
                yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that may write. It is committed at the end, or rolled back as a whole.

        Raises `LostError` instead of committing to a file that is no longer at its path.
        """
        with self._plain_errors(), self._engine.connect() as connection:
            connection.execution_options(switchboard_writes=True)
            with connection.begin():
                self._set_limits(connection)
                yield connection
                self._still_there()

    @contextmanager
    def _plain_errors(self) -> Iterator[None]:
        """Raise `JournalError` instead of the driver's errors, which can quote the values that were to be written."""
        try:
            yield
        except exc.TimeoutError:
            raise JournalError(_ANOTHER_WRITER, "Try again; if it happens again, restart Switchboard.") from None
        except exc.DBAPIError as error:
            self._still_there()  # the reason for the error, if it is not
            raise _in_plain_text(error, self.where) from None

    def _still_there(self) -> None:
        if self._file is not None and (what := self._file.lost()):
            raise LostError(
                f"The journal's file {self._file.path} {what}.",
                "Put the file back, from a backup if need be, and restart: a restart uses the file that is there then.",
            )

    def _set_limits(self, connection: Connection) -> None:
        if self._postgres:
            # For this transaction only: a pooler gives the session to other clients afterwards.
            connection.execute(
                text(
                    "select set_config('lock_timeout', :wait, true), set_config('statement_timeout', :wait, true), "
                    "set_config('idle_in_transaction_session_timeout', :idle, true)"
                ),
                {"wait": f"{WAIT_SECONDS}s", "idle": f"{IDLE_SECONDS}s"},
            )


def connect_journal(settings: Settings, project: Path = PROJECT) -> JournalDatabase:
    """Return the database that the settings name: JOURNAL_URL, else DATABASE_URL's server, else a local file.

    Raises `JournalError`. It never falls back to another place: the entries would then be split between the two.
    """
    if settings.journal_url is not None:
        return _named(settings.journal_url.get_secret_value(), project)
    if settings.database_url is not None:
        return _postgres(settings.database_url.get_secret_value(), "DATABASE_URL", project)
    folder = project / FOLDER
    _make_folder(folder)
    return _sqlite(folder / FILE, "neither JOURNAL_URL nor DATABASE_URL is set")


def _named(url: str, project: Path) -> JournalDatabase:
    wrong = JournalError(
        "JOURNAL_URL cannot be used.", "It must begin with sqlite:/// and a path, or with postgresql:// and a server."
    )
    try:
        parsed = make_url(url)
    except (exc.ArgumentError, ValueError):  # the error would repeat the value
        raise wrong from None
    if parsed.get_backend_name() == "sqlite" and parsed.database and parsed.database != ":memory:":
        path = Path(parsed.database).absolute()
        if not path.parent.is_dir():
            _make_folder(path.parent)
        return _sqlite(path, "JOURNAL_URL")
    plain = url.replace("postgresql+psycopg://", "postgresql://", 1)
    if classify(plain) is KeyKind.DSN:
        return _postgres(plain, "JOURNAL_URL", project)
    raise wrong


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise JournalError(f"The journal's folder {folder} cannot be made: {error.strerror}.") from None


def _sqlite(path: Path, why: str) -> JournalDatabase:
    file = SqliteFile.prepare(path, WAIT_SECONDS)
    # One that is only read is opened anew each time: it may change beneath a connection that takes no locks.
    pool: dict[str, Any] = {"poolclass": NullPool} if file.read_only else {"poolclass": QueuePool, **_POOL}
    engine = create_engine("sqlite://", creator=file.connect, hide_parameters=True, **pool)
    # pysqlite begins a transaction at the first write, so earlier reads would be outside of it.
    event.listen(engine, "begin", _begin_sqlite)
    # Queries name the schema, and SQLite has none.
    engine = engine.execution_options(schema_translate_map={SCHEMA: None})
    only_read = ", and it is read-only for us" if file.read_only else ""
    where = f"The journal is the file {path} on this machine ({why}{only_read})."
    return JournalDatabase(engine, where, path, file)


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("switchboard_writes")
    connection.exec_driver_sql("begin immediate" if writes else "begin")


def _postgres(dsn: str, name: str, project: Path) -> JournalDatabase:
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:  # the error would repeat the value
        raise JournalError(f"{name} cannot be read as a connection string.", "Copy it again.") from None

    def open_connection() -> psycopg.Connection[Any]:
        return psycopg.connect(
            dsn,
            connect_timeout=CONNECT_SECONDS,
            # The transaction pooler keeps no prepared statements.
            prepare_threshold=None,
            application_name="switchboard journal",
        )

    # libpq reads the connection string, as for the catalog, so both connect to the same server.
    engine = create_engine(
        "postgresql+psycopg://", creator=open_connection, pool_pre_ping=True, hide_parameters=True, **_POOL
    )
    host = parts.get("host") or parts.get("hostaddr") or "this machine"
    where = f"The journal is in the schema {SCHEMA} of the database on {host} ({name})."
    return JournalDatabase(engine, where, project / FOLDER / "journal")


# Writers wait for each other anyway, so few connections are enough; poolers allow only few.
_POOL: dict[str, Any] = {"pool_size": 4, "max_overflow": 4, "pool_timeout": WAIT_SECONDS}


def _in_plain_text(error: exc.DBAPIError, where: str) -> JournalError:
    original = error.orig
    if isinstance(original, psycopg.Error):
        if original.sqlstate in _WAITED_TOO_LONG:
            return JournalError(_ANOTHER_WRITER, "Try again; if it happens again, look for a blocked session.")
        if original.sqlstate and not original.sqlstate.startswith(("08", "28", "57P", "53")):
            said = redact(original.diag.message_primary or "no reason given")
            return JournalError(f"The journal's database refused: {said}.", where)
        return JournalError(f"The journal cannot be reached. {where}", "Check that the server is up and accepts us.")
    if isinstance(original, sqlite3.OperationalError) and original.sqlite_errorcode == sqlite3.SQLITE_BUSY:
        return JournalError(_ANOTHER_WRITER, "Try again; if it happens again, restart Switchboard.")
    if isinstance(original, sqlite3.OperationalError) and original.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY:
        return JournalError("The journal is read-only here: it can be read, and nothing can be written.", where)
    return JournalError(f"The journal cannot be used: {redact(str(original))}.", where)
