"""The hash chain of entries: adding an entry, reading entries back, verifying the chain.

Each entry holds the hash of the one before it, so a changed byte or a row removed from the middle is found. The head
holds the number of entries, so a cut-off tail is found as well. A person who may rewrite the whole database can rewrite
the whole chain; to find that, compare with a hash that an earlier export showed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Connection, Row, Select, select, update

from lib.journal.entry import PHASE_OF, About, Entry, Kind, Payload, canonical, dumped, kind_of, loaded, name
from lib.journal.errors import JournalError
from lib.journal.schema import entries, head
from lib.journal.schema_steps import GENESIS
from lib.journal.text_rules import actor_name
from lib.model.people import Actor, Role, Via

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class ChainPosition:
    """Where the chain ends: the number of its last entry and that entry's hash."""

    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Whether the chain is intact. `broken_at` is the number of the first entry that cannot be trusted."""

    ok: bool
    entries: int
    broken_at: int | None
    message: str
    head: ChainPosition


def stored_instant(at: datetime) -> str:
    """Return `at` in the one form that is stored: text in UTC, to the microsecond, that sorts as time does."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def hash_of(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 of an entry: of the hash before it and of every other column as stored."""
    rest = {column: value for column, value in values.items() if column not in ("hash", "prev_hash")}
    return hashlib.sha256(f"{values['prev_hash']}\n{canonical(rest)}".encode()).hexdigest()


def position(connection: Connection, *, lock: bool = False) -> ChainPosition:
    """Return where the chain ends. With `lock`, no other transaction can add to it until this one ends."""
    query = select(head.c.seq, head.c.hash)
    row = connection.execute(query.with_for_update() if lock else query).one_or_none()
    if row is None:
        raise JournalError("The journal's newest entry is missing.", "Do not write to it: restore it from a backup.")
    return ChainPosition(row.seq, row.hash)


def append(
    connection: Connection,
    end: ChainPosition,
    at: datetime,
    actor: Actor,
    payload: Payload,
    about: About,
    *,
    lock_key: str | None = None,
    idempotency_key: UUID | None = None,
) -> Entry:
    """Add one entry after `end`, which this transaction holds locked, and move the head. Raises `JournalError`."""
    kind = kind_of(payload)
    values: dict[str, Any] = {
        "seq": end.seq + 1,
        "id": str(uuid4()),
        "at": stored_instant(at),
        "kind": kind.value,
        "actor": actor_name(actor.name),
        "role": actor.role.value,
        "via": actor.via.value,
        "incident_id": _text(about.incident_id),
        "step_id": about.step_id and name(about.step_id),
        "action": about.action and name(about.action),
        "request_id": _text(about.request_id),
        "phase": PHASE_OF[kind].value if kind in PHASE_OF else None,
        "lock_key": lock_key and name(lock_key),
        "idempotency_key": _text(idempotency_key),
        "payload": dumped(payload),
        "prev_hash": end.hash,
    }
    values["hash"] = hash_of(values)
    connection.execute(entries.insert().values(**values))
    connection.execute(update(head).values(seq=values["seq"], hash=values["hash"]))
    return entry_of(values)


def fetch(connection: Connection, query: Select[Any]) -> tuple[Entry, ...]:
    """Return the entries that a query on the table `entries` finds, in the order of the query."""
    return tuple(entry_of(row) for row in connection.execute(query).mappings())


def entry_of(row: Mapping[Any, Any]) -> Entry:
    """Return a stored row as an entry. Raises `JournalError` if it was not written by this journal."""
    try:
        kind = Kind(row["kind"])
        return Entry(
            seq=row["seq"],
            id=UUID(row["id"]),
            at=datetime.fromisoformat(row["at"]),
            kind=kind,
            actor=Actor(row["actor"], Role(row["role"]), Via(row["via"])),
            about=About(_uuid(row["incident_id"]), row["step_id"], row["action"], _uuid(row["request_id"])),
            payload=loaded(kind, row["payload"]),
            lock_key=row["lock_key"],
            prev_hash=row["prev_hash"],
            hash=row["hash"],
        )
    except (ValueError, TypeError, AttributeError):  # not text, or not ours; the error would repeat the value
        raise JournalError(
            f"Entry {row['seq']} of the journal cannot be read.", "Run python -m lib incident verify."
        ) from None


def verify_chain(connection: Connection, noted: str | None = None) -> ChainReport:
    """Check every entry from the first to the head. `noted` is a hash recorded earlier that must be in the chain."""
    end = position(connection)
    before, count, found = GENESIS, 0, noted in (None, GENESIS)

    def broken(at: int, message: str) -> ChainReport:
        return ChainReport(False, count, at, f"The chain is broken: {message}", end)

    for row in _all_rows(connection):
        expected = count + 1
        if row.seq != expected:
            return broken(expected, f"entry {expected:,} is missing.")
        if row.prev_hash != before:
            return broken(expected, f"entry {expected:,} does not follow the one before it.")
        if not _unchanged(row):
            return broken(expected, f"entry {expected:,} was changed after it was written.")
        before, count = row.hash, expected
        found = found or row.hash == noted
    if count < end.seq:
        return broken(count + 1, f"it should end with entry {end.seq:,}, and ends with {count:,}: the tail is missing.")
    if (count, before) != (end.seq, end.hash):
        return broken(count, f"its head does not name entry {count:,}, its last.")
    if not found:
        return broken(1, "the hash noted earlier is no longer part of it: it was rewritten.")
    return ChainReport(
        True, count, None, f"The chain of {count:,} {'entry' if count == 1 else 'entries'} is intact.", end
    )


def _unchanged(row: Row[Any]) -> bool:
    try:
        return hash_of(dict(row._mapping)) == str(row.hash)
    except TypeError:  # JSON has no form for the value: SQLite stores any type in any column
        return False


def _all_rows(connection: Connection) -> Iterator[Row[Any]]:
    return iter(connection.execute(select(entries).order_by(entries.c.seq).execution_options(yield_per=_BATCH)))


def _text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)


def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)
