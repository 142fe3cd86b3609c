"""Which database holds the journal, and how its schema gets there."""

from __future__ import annotations

import contextlib
import stat
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from lib.journal import schema
from lib.journal.engine import connect
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from tests.journal.workers import DESK, a_request, open_at_once, open_journal, settings_of, start_together, utc_now

Environ = dict[str, str]


def test_with_nothing_set_it_is_a_local_file_that_only_we_can_read(tmp_path: Path) -> None:
    with contextlib.closing(Journal.open(settings_of({}), utc_now, tmp_path)) as journal:
        journal.note("x", DESK)
        folder = tmp_path / ".switchboard"
        assert str(folder / "journal.sqlite3") in journal.where
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_journal_url_goes_before_database_url(sqlite_environ: Environ) -> None:
    environ = sqlite_environ | {"DATABASE_URL": "postgresql://ann:hunter2@db.invalid/postgres"}
    with contextlib.closing(open_journal(environ)) as journal:
        assert "JOURNAL_URL" in journal.where
        assert "journal.sqlite3" in journal.where


@pytest.mark.sandbox
def test_on_postgres_everything_lives_in_a_schema_of_its_own(postgres_environ: Environ) -> None:
    with contextlib.closing(open_journal(postgres_environ)) as journal:
        journal.note("x", DESK)
        assert "schema switchboard" in journal.where
    with psycopg.connect(postgres_environ["DATABASE_URL"]) as connection:
        found = connection.execute(
            "select table_schema, table_name from information_schema.tables "
            "where table_name in ('entries', 'head', 'migrations') and table_schema in ('public', 'switchboard')"
        ).fetchall()
    assert sorted(found) == [("switchboard", "entries"), ("switchboard", "head"), ("switchboard", "migrations")]


@pytest.mark.sandbox
def test_the_addresses_of_sqlalchemy_and_of_libpq_mean_the_same_server(postgres_environ: Environ) -> None:
    dsn = postgres_environ["DATABASE_URL"]
    environ = {"JOURNAL_URL": dsn.replace("postgresql://", "postgresql+psycopg://")}
    with contextlib.closing(open_journal(environ)) as one, contextlib.closing(open_journal(postgres_environ)) as other:
        one.note("seen by both", DESK)
        assert len(other.entries()) == 1


def test_a_database_that_cannot_be_reached_is_said_and_not_replaced_by_a_file(tmp_path: Path) -> None:
    settings = settings_of({"DATABASE_URL": "postgresql://ann:hunter2@127.0.0.1:1/postgres"})
    with pytest.raises(JournalError) as raised:
        Journal.open(settings, utc_now, tmp_path)
    assert "cannot be reached" in raised.value.sentence
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ann:hunter2@db.invalid/x",
        "hunter2",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://ann:hunter2@127.0.0.1:1/postgres",
        "postgresql://ann:hunter2@127.0.0.1:1/postgres?nonsense=hunter2",
        "postgresql://ann:hunter2@[::1/postgres",
        "sqlite:////proc/hunter/journal.sqlite3",
    ],
)
def test_no_error_about_the_address_repeats_a_secret(url: str) -> None:
    with pytest.raises(JournalError) as raised:
        open_journal({"JOURNAL_URL": url})
    error: BaseException | None = raised.value
    assert error is not None and str(error)
    assert "hunter2" not in f"{raised.value.sentence} {raised.value.hint} {raised.value.__cause__}"


def test_where_it_is_kept_names_the_server_and_no_secret() -> None:
    database = connect(settings_of({"DATABASE_URL": "postgresql://ann:hunter2@db.example.com:6543/postgres"}))
    assert "db.example.com" in database.where
    assert "hunter2" not in database.where and "ann" not in database.where


def test_eight_processes_may_open_a_new_journal_at_once(environ: Environ) -> None:
    assert len(set(start_together(8, open_at_once, environ))) == 1
    with contextlib.closing(open_journal(environ)) as journal:
        assert journal.verify().entries == 8


def test_a_journal_of_a_newer_switchboard_is_left_alone(environ: Environ) -> None:
    open_journal(environ).close()
    database = connect(settings_of(environ))
    with database.writing() as connection:
        connection.execute(schema.migrations.insert().values(number=999, name="of tomorrow", applied_at="2030"))
    database.close()
    with pytest.raises(JournalError, match="newer"):
        open_journal(environ)


def test_the_tables_are_those_that_the_queries_think_they_are(environ: Environ) -> None:
    open_journal(environ).close()
    database = connect(settings_of(environ))
    schema_name = schema.SCHEMA if "DATABASE_URL" in environ else None
    with database.reading() as connection:
        inspector = sqlalchemy.inspect(connection)
        for table in schema.entries.metadata.sorted_tables:
            stored = [column["name"] for column in inspector.get_columns(table.name, schema=schema_name)]
            assert stored == [column.name for column in table.columns]
    database.close()


@pytest.mark.sandbox
def test_a_role_that_may_create_nothing_can_use_a_journal_that_is_there(postgres_environ: Environ) -> None:
    open_journal(postgres_environ).close()
    dsn = postgres_environ["DATABASE_URL"]
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("drop role if exists journal_writer")
        owner.execute("create role journal_writer login password 'hunter2'")
        try:
            owner.execute("grant usage on schema switchboard to journal_writer")
            owner.execute("grant select, insert on switchboard.entries to journal_writer")
            owner.execute("grant select, update on switchboard.head to journal_writer")
            owner.execute("grant select on switchboard.migrations to journal_writer")
            narrow = {"DATABASE_URL": f"postgresql://journal_writer:hunter2@{dsn.rpartition('@')[2]}"}
            with contextlib.closing(open_journal(narrow)) as journal:
                journal.submit_request(a_request(), DESK)
                assert journal.verify().ok
        finally:
            owner.execute("drop schema switchboard cascade")  # and what was granted on it
            owner.execute("drop role journal_writer")


@pytest.mark.sandbox
def test_a_role_that_may_create_nothing_is_told_so_where_there_is_none(postgres_environ: Environ) -> None:
    dsn = postgres_environ["DATABASE_URL"]
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("drop role if exists onlooker")
        owner.execute("create role onlooker login password 'hunter2'")
        try:
            with pytest.raises(JournalError, match="permission denied"):
                open_journal({"DATABASE_URL": f"postgresql://onlooker:hunter2@{dsn.rpartition('@')[2]}"})
        finally:
            owner.execute("drop role onlooker")
