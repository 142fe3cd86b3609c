"""Which database holds the journal, and how its schema is made."""

from __future__ import annotations

import contextlib
import hashlib
import json
import stat
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
import sqlalchemy

from lib.journal import schema
from lib.journal.engine import connect_journal
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.journal.schema_steps import SCHEMA, SCHEMA_STEPS
from lib.monitor.monitor_status import read_status
from lib.monitor.store import MonitorStore
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
    database = connect_journal(settings_of({"DATABASE_URL": "postgresql://ann:hunter2@db.example.com:6543/postgres"}))
    assert "db.example.com" in database.where
    assert "hunter2" not in database.where and "ann" not in database.where


def test_eight_processes_may_open_a_new_journal_at_once(environ: Environ) -> None:
    assert len(set(start_together(8, open_at_once, environ))) == 1
    with contextlib.closing(open_journal(environ)) as journal:
        assert journal.verify().entries == 8


def test_a_journal_of_a_newer_switchboard_is_left_alone(environ: Environ) -> None:
    open_journal(environ).close()
    database = connect_journal(settings_of(environ))
    with database.writing() as connection:
        connection.execute(schema.migrations.insert().values(number=999, name="of tomorrow", applied_at="2030"))
    database.close()
    with pytest.raises(JournalError, match="newer"):
        open_journal(environ)


# Of each released step, over its name and its statements for both databases. Databases exist that ran them.
RELEASED_STEPS = {
    1: "d347e1397d102fd01a3b2044b3a44a353673695867b5b60fc69fef6ecdd0ee00",
    2: "d746d40fa69439edf4ce428877b842d348c312313e359021d3a64e556d5ba7a6",
    3: "d3adb6179db7775ba792a6e641f8348882fa134e15380586558584e877ae940c",
}


def test_a_released_step_is_never_edited() -> None:
    texts = {step.number: [step.name, *step.both, *step.sqlite, *step.postgresql] for step in SCHEMA_STEPS}
    digests = {number: hashlib.sha256("\n".join(lines).encode()).hexdigest() for number, lines in texts.items()}
    assert digests | RELEASED_STEPS == digests


def test_a_journal_of_the_first_release_opens_whole_and_goes_on(
    environ: Environ, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows were written by release 0.1.0, before the tables and fields had the names they have now."""
    rows = json.loads(Path(__file__).with_name("released_journal.json").read_text(encoding="utf-8"))
    with monkeypatch.context() as patch:
        patch.setattr(schema, "SCHEMA_STEPS", SCHEMA_STEPS[:1])
        open_journal(environ).close()
    database = connect_journal(settings_of(environ))
    with database.writing() as connection:
        for row in rows["entries"]:
            connection.execute(schema.entries.insert().values(**row))
            connection.execute(schema.head.update().values(seq=row["seq"], hash=row["hash"]))
    with contextlib.closing(open_journal(environ)) as journal:
        with database.writing() as connection:
            connection.execute(schema.monitor.update().values(**rows["monitor"][0]))
            for table in (schema.alerts, schema.outbox):
                connection.execute(table.insert(), rows[table.name])
        assert [entry.hash for entry in journal.entries()] == [row["hash"] for row in rows["entries"]]
        assert journal.verify(noted=rows["head"][0]["hash"]).ok
        assert [request.state.value for request in journal.requests()] == ["succeeded"]
        assert [incident.open for incident in journal.incidents()] == [True, False]
        monitor = read_status(journal, datetime.fromisoformat(rows["entries"][-1]["at"]))
        assert (monitor.holder, monitor.rounds, monitor.undelivered) == ("old monitor", 1, 1)
        assert [(alert.rule, alert.story.message) for alert in monitor.firing] == [("flow", "It is the carriers.")]
        unmade = MonitorStore(journal).unmade()
        assert unmade is not None and unmade.why == "The booking app did not answer."
        journal.note("after the update", DESK)
        assert journal.verify().ok
    database.close()


def test_the_tables_of_both_databases_have_the_columns_that_queries_name(environ: Environ) -> None:
    open_journal(environ).close()
    database = connect_journal(settings_of(environ))
    schema_name = SCHEMA if "DATABASE_URL" in environ else None
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
def test_a_role_that_may_create_nothing_gets_an_error_where_there_is_no_journal(postgres_environ: Environ) -> None:
    dsn = postgres_environ["DATABASE_URL"]
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("drop role if exists onlooker")
        owner.execute("create role onlooker login password 'hunter2'")
        try:
            with pytest.raises(JournalError, match="permission denied"):
                open_journal({"DATABASE_URL": f"postgresql://onlooker:hunter2@{dsn.rpartition('@')[2]}"})
        finally:
            owner.execute("drop role onlooker")
