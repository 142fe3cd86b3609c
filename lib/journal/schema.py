"""The journal's tables as queries see them, read from the steps that make them, and how those steps are run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from sqlalchemy import Connection, MetaData, Table, create_engine, inspect, select, text

from lib.journal.errors import JournalError
from lib.journal.schema_steps import MIGRATIONS, SCHEMA, SCHEMA_STEPS, SchemaStep

# "swtchbrd" as a number: the advisory lock on Postgres of the process that migrates.
_ADVISORY_LOCK = int.from_bytes(b"swtchbrd", "big") >> 1


def _tables() -> Mapping[str, Table]:
    """Return the tables that the steps make, by running them on an empty database in memory."""
    made, named = MetaData(), MetaData(schema=SCHEMA)
    engine = create_engine("sqlite://")
    with engine.begin() as connection:
        _run(connection, [MIGRATIONS, *(each for step in SCHEMA_STEPS for each in step.statements("sqlite"))])
        made.reflect(connection)
    engine.dispose()
    return {table.name: table.to_metadata(named) for table in made.sorted_tables}


def pending(connection: Connection) -> tuple[SchemaStep, ...]:
    """Return the steps that this database still lacks. Raises `JournalError` if it is newer than this program."""
    applied: set[int] = set()
    if inspect(connection).has_table(migrations.name, schema=_schema_of(connection)):
        applied = set(connection.scalars(select(migrations.c.number)))
    if applied - {step.number for step in SCHEMA_STEPS}:
        raise JournalError("The journal was written by a newer Switchboard.", "Update this one.")
    return tuple(step for step in SCHEMA_STEPS if step.number not in applied)


def apply(connection: Connection, now: Callable[[], datetime]) -> None:
    """Run the pending steps. The caller's transaction must be the only one that does: see `lock_migrations`."""
    dialect = connection.dialect.name
    todo = pending(connection)
    if todo and dialect == "postgresql":
        connection.execute(text(f"create schema if not exists {SCHEMA}"))
        connection.execute(text(f"set local search_path = {SCHEMA}"))
    if todo:
        _run(connection, [MIGRATIONS])
    for step in todo:
        _run(connection, step.statements(dialect))
        applied_at = now().astimezone(UTC).isoformat()
        connection.execute(migrations.insert().values(number=step.number, name=step.name, applied_at=applied_at))


def lock_migrations(connection: Connection) -> None:
    """Let no other process migrate until the transaction ends. On SQLite a writing transaction does that already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _schema_of(connection: Connection) -> str | None:
    return SCHEMA if connection.dialect.name == "postgresql" else None


_TABLES = _tables()
entries = _TABLES["entries"]
head = _TABLES["head"]
migrations = _TABLES["migrations"]
# Outside of the chain, because it may change: when the process that carries out a request last reported.
heartbeats = _TABLES["beats"]
# The monitor's own, outside of the chain as well. What has to last is in entries.
monitor = _TABLES["monitor"]
alerts = _TABLES["alerts"]
outbox = _TABLES["outbox"]
# Outside of the chain as well: what was last known, to be shown as such while the desk looks again.
last_headlines = _TABLES["last_headlines"]
