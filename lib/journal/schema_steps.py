"""The journal's own schema, as numbered steps. A step that has been released is never edited: add another one.

The rules that keep the chain stand in the database itself, so that they bind every program that writes to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, inspect, select, text

from lib.journal.errors import JournalError
from lib.journal.schema import GENESIS, SCHEMA, migrations

# "swtchbrd" as a number: whoever migrates on Postgres holds this advisory lock.
_ADVISORY_LOCK = int.from_bytes(b"swtchbrd", "big") >> 1


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """One step: what both databases run, then what each needs in its own dialect."""

    number: int
    name: str
    both: tuple[str, ...]
    sqlite: tuple[str, ...]
    postgresql: tuple[str, ...]

    def statements(self, dialect: str) -> tuple[str, ...]:
        return self.both + (self.postgresql if dialect == "postgresql" else self.sqlite)


SCHEMA_STEPS: tuple[SchemaStep, ...] = (
    SchemaStep(
        number=1,
        name="entries_and_head",
        both=(
            # Instants are text in one fixed form: the hash is over what is stored, on both databases the same.
            """
            create table entries (
                seq integer primary key,
                id text not null unique,
                at text not null,
                kind text not null,
                actor text not null,
                role text not null,
                via text not null,
                incident_id text,
                step_id text,
                action text,
                request_id text,
                phase text,
                lock_key text,
                idempotency_key text unique,
                payload text not null,
                prev_hash text not null,
                hash text not null unique,
                unique (request_id, phase)
            )
            """,
            "create index entries_of_an_incident on entries (incident_id, seq)",
            "create index entries_of_a_kind on entries (kind, seq)",
            "create index entries_of_a_lock on entries (lock_key, seq)",
            "create index entries_at on entries (at)",
            # Where the chain ends: the row that every writer locks, and what gives a cut-off tail away.
            "create table head (one integer primary key check (one = 1), seq integer not null, hash text not null)",
            f"insert into head (one, seq, hash) values (1, 0, '{GENESIS}')",  # noqa: S608 - a constant of ours
        ),
        sqlite=(
            """
            create trigger entries_are_never_changed before update on entries
            begin select raise(abort, 'journal entries are never changed'); end
            """,
            """
            create trigger entries_are_never_deleted before delete on entries
            begin select raise(abort, 'journal entries are never deleted'); end
            """,
            """
            create trigger entries_join_at_the_end before insert on entries
            when new.seq <> (select seq + 1 from head) or new.prev_hash <> (select hash from head)
            begin select raise(abort, 'a journal entry joins at the end of the chain'); end
            """,
            """
            create trigger head_follows_the_last_entry before update on head
            when new.seq <> old.seq + 1
                or not exists (select 1 from entries where seq = new.seq and hash = new.hash)
            begin select raise(abort, 'the head follows the last entry'); end
            """,
            """
            create trigger head_stays before delete on head
            begin select raise(abort, 'the head stays'); end
            """,
        ),
        postgresql=(
            f"""
            create function {SCHEMA}.refuse() returns trigger language plpgsql set search_path = '' as $$
            begin
                raise exception 'journal entries are never changed or deleted';
            end $$
            """,
            f"""
            create function {SCHEMA}.join_at_the_end() returns trigger language plpgsql set search_path = '' as $$
            begin
                if not exists (
                    select from {SCHEMA}.head where seq + 1 = new.seq and hash = new.prev_hash
                ) then
                    raise exception 'a journal entry joins at the end of the chain';
                end if;
                return new;
            end $$
            """,
            f"""
            create function {SCHEMA}.follow_the_last_entry() returns trigger language plpgsql set search_path = '' as $$
            begin
                if new.seq <> old.seq + 1 or not exists (
                    select from {SCHEMA}.entries where seq = new.seq and hash = new.hash
                ) then
                    raise exception 'the head follows the last entry';
                end if;
                return new;
            end $$
            """,
            "create trigger entries_are_never_changed before update or delete or truncate on entries "
            f"for each statement execute function {SCHEMA}.refuse()",
            "create trigger entries_join_at_the_end before insert on entries "
            f"for each row execute function {SCHEMA}.join_at_the_end()",
            "create trigger head_follows_the_last_entry before update on head "
            f"for each row execute function {SCHEMA}.follow_the_last_entry()",
            "create trigger head_stays before delete or truncate on head "
            f"for each statement execute function {SCHEMA}.refuse()",
        ),
    ),
    SchemaStep(
        number=2,
        name="monitor",
        both=(
            # One row: who watches, until when, and what the last round knew. Whoever writes to the rest locks it.
            """
            create table monitor (
                one integer primary key check (one = 1),
                rounds integer not null default 0,
                holder text,
                lease_until text,
                last_round_at text,
                headline text,
                known text
            )
            """,
            "insert into monitor (one) values (1)",
            "create table alerts (rule text primary key, state text not null)",
            # One row per message and target, so that a target that fails holds up no other.
            """
            create table outbox (
                seq integer primary key,
                attempts integer not null default 0,
                at text not null,
                subject text not null,
                tone text not null,
                title text not null,
                body text not null,
                target text not null,
                service text not null,
                state text not null check (state in ('waiting', 'sent', 'given_up', 'withdrawn')),
                due_at text not null,
                claimed_by text,
                claimed_until text,
                done_at text,
                error text
            )
            """,
            "create index outbox_of_a_state on outbox (state, seq)",
        ),
        sqlite=(),
        postgresql=(),
    ),
    SchemaStep(
        number=3,
        name="beats",
        both=("create table beats (request_id text primary key, at text not null)",),
        sqlite=(),
        postgresql=(),
    ),
)


def pending(connection: Connection) -> tuple[SchemaStep, ...]:
    """Return the steps that this database still lacks. Raises `JournalError` if it is newer than this program."""
    applied: set[int] = set()
    if inspect(connection).has_table(migrations.name, schema=_schema_of(connection)):
        applied = set(connection.scalars(select(migrations.c.number)))
    if applied - {migration.number for migration in SCHEMA_STEPS}:
        raise JournalError("The journal was written by a newer Switchboard.", "Update this one.")
    return tuple(migration for migration in SCHEMA_STEPS if migration.number not in applied)


def apply(connection: Connection, now: Callable[[], datetime]) -> None:
    """Apply what is pending. The caller's transaction must be the only one that migrates: see `alone`."""
    dialect = connection.dialect.name
    todo = pending(connection)
    if todo and dialect == "postgresql":
        connection.execute(text(f"create schema if not exists {SCHEMA}"))
        connection.execute(text(f"set local search_path = {SCHEMA}"))
    if todo:
        _run(
            connection,
            [
                "create table if not exists migrations "
                "(number integer primary key, name text not null, applied_at text not null)"
            ],
        )
    for migration in todo:
        _run(connection, migration.statements(dialect))
        connection.execute(
            migrations.insert().values(
                number=migration.number, name=migration.name, applied_at=now().astimezone(UTC).isoformat()
            )
        )


def alone(connection: Connection) -> None:
    """Wait until nobody else migrates, until the transaction ends. On SQLite a writing transaction is that already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("select pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})


def _run(connection: Connection, statements: Iterable[str]) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement)


def _schema_of(connection: Connection) -> str | None:
    return SCHEMA if connection.dialect.name == "postgresql" else None
