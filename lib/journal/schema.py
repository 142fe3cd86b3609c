"""The journal's tables as queries see them. What makes them is in `migrations`; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import Column, Integer, MetaData, Table, Text

SCHEMA = "switchboard"  # on Postgres; SQLite has none
GENESIS = "0" * 64  # what the first entry follows

_metadata = MetaData(schema=SCHEMA)

entries = Table(
    "entries",
    _metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    *(
        Column(name, Text)
        for name in (
            "id",
            "at",
            "kind",
            "actor",
            "role",
            "via",
            "incident_id",
            "step_id",
            "action",
            "request_id",
            "phase",
            "lock_key",
            "idempotency_key",
            "payload",
            "prev_hash",
            "hash",
        )
    ),
)

head = Table(
    "head",
    _metadata,
    Column("one", Integer, primary_key=True),
    Column("seq", Integer),
    Column("hash", Text),
)

# The sign of life of what is being carried out: it may change, and stands outside the chain.
heartbeats = Table(
    "beats",
    _metadata,
    Column("request_id", Text, primary_key=True),
    Column("at", Text),
)

# Beside the chain stands what the monitor remembers: it may change, and what matters of it is told in entries.
monitor = Table(
    "monitor",
    _metadata,
    Column("one", Integer, primary_key=True),
    Column("rounds", Integer),
    *(Column(name, Text) for name in ("holder", "lease_until", "last_round_at", "headline", "known")),
)

alerts = Table(
    "alerts",
    _metadata,
    Column("rule", Text, primary_key=True),
    Column("state", Text),
)

outbox = Table(
    "outbox",
    _metadata,
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("attempts", Integer),
    *(
        Column(name, Text)
        for name in (
            "at",
            "subject",
            "tone",
            "title",
            "body",
            "target",
            "service",
            "state",
            "due_at",
            "claimed_by",
            "claimed_until",
            "done_at",
            "error",
        )
    ),
)

migrations = Table(
    "migrations",
    _metadata,
    Column("number", Integer, primary_key=True),
    Column("name", Text),
    Column("applied_at", Text),
)
