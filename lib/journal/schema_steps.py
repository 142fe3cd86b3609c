"""What makes the journal's tables, as numbered steps: the one place that states them.

A step that has been released is never edited: databases exist that ran it. Add another one. The rules that keep the
chain are triggers in the database, so that they bind every program that writes to it.
"""

from __future__ import annotations

from dataclasses import dataclass

SCHEMA = "switchboard"  # on Postgres; SQLite has none
GENESIS = "0" * 64  # the hash that the first entry follows

# Which steps a database has run. It stands before the first of them.
MIGRATIONS = (
    "create table if not exists migrations (number integer primary key, name text not null, applied_at text not null)"
)


@dataclass(frozen=True, slots=True)
class SchemaStep:
    """One step: the statements that both databases run, then those of each dialect."""

    number: int
    name: str
    both: tuple[str, ...]
    sqlite: tuple[str, ...] = ()
    postgresql: tuple[str, ...] = ()

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
            # Where the chain ends: the row that every writer locks, and that shows when the tail was cut off.
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
            # One row: which monitor runs, until when, and what its last round knew. A writer to the other two locks it.
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
    ),
    SchemaStep(
        number=3,
        name="beats",
        both=("create table beats (request_id text primary key, at text not null)",),
    ),
    SchemaStep(
        number=4,
        name="last_headlines",
        both=(
            # `systems` is a digest of which systems they are, so that a sandbox and live systems never share a row.
            """
            create table last_headlines (
                systems text not null,
                span text not null,
                at text not null,
                payload text not null,
                primary key (systems, span)
            )
            """,
        ),
    ),
)
