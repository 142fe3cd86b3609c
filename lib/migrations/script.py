"""Renders a migration as the SQL that really runs, word for word: this is what the preview shows.

Each step is one transaction in one string. So it is the same through a direct connection, a transaction pooler and
the Management API, where no session outlives a call; and should any statement fail, none of it has happened.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg import sql

from lib.migrations.catalogue import Migration, MigrationStep

# One migration at a time, whoever runs it: the key of an advisory lock that ends with its transaction.
LOCK_KEY = 1396855876
# What our own guards inside the transaction raise.
BUSY = "SB001"
NOT_VERIFIED = "SB002"
RELOAD_SCHEMA = "notify pgrst, 'reload schema';"

_VERSION = re.compile(r"[0-9]{1,20}")


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A row for the migration history of Supabase's command line.

    Only for a file with this version and name in the app's own repository: a row without a file makes the next
    `supabase db push` fail. `statements` are those of the file, each with the comments before it.
    """

    version: str
    name: str
    statements: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _VERSION.fullmatch(self.version):
            raise ValueError("The version of a migration must be digits alone.")


def scripts(
    migration: Migration, *, dry_run: bool = False, history: HistoryRow | None = None, question: str = ""
) -> tuple[MigrationStep, ...]:
    """Return what runs, one script for each transaction. A dry run asks `question` before it is rolled back.

    A rehearsal ends in ROLLBACK: it takes the same locks for as long, and changes nothing. Of several steps only
    the first is rehearsed: the others build on it, and would have to run under its locks.
    """
    end = len(migration.steps) - 1
    rendered = tuple(
        MigrationStep(
            step.message,
            _transaction(
                migration, step.sql, history, last=number == end, dry_run=dry_run, question=question if dry_run else ""
            ),
        )
        for number, step in enumerate(migration.steps)
    )
    return rendered[:1] if dry_run else rendered


def _transaction(
    migration: Migration, statements: str, history: HistoryRow | None, *, last: bool, dry_run: bool, question: str
) -> str:
    parts = [
        "begin;\n"
        f"set local lock_timeout = '{migration.lock_timeout}';\n"
        f"set local statement_timeout = '{migration.statement_timeout}';\n"
        f"set local idle_in_transaction_session_timeout = '{migration.statement_timeout}';",
        _unless(f"pg_catalog.pg_try_advisory_xact_lock({LOCK_KEY})", BUSY, "another migration is running"),
        statements,
    ]
    if last:
        parts.append(_unless(f"({migration.verify})", NOT_VERIFIED, "the change is not what it must be"))
        parts += [_history(history)] if history else []
        parts.append(RELOAD_SCHEMA)
    parts += [f"{question.strip()};"] if question else []
    return "\n\n".join([*parts, "rollback;" if dry_run else "commit;"]) + "\n"


def _unless(condition: str, state: str, message: str) -> str:
    return (
        "do $switchboard$ begin\n"
        f"    if {condition} is not true then\n"
        f"        raise exception '{message}' using errcode = '{state}';\n"
        "    end if;\n"
        "end $switchboard$;"
    )


# As Supabase's command line does (supabase/cli, pkg/migration/history.go), word for word.
_HISTORY_TABLE = """\
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY);
ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS statements text[];
ALTER TABLE supabase_migrations.schema_migrations ADD COLUMN IF NOT EXISTS name text;
"""


def _history(row: HistoryRow) -> str:
    # A version that is on record already is an error, and rolls all of it back: somebody else was quicker.
    insert = sql.SQL(
        "INSERT INTO supabase_migrations.schema_migrations(version, name, statements)\nVALUES({}, {}, {}::text[]);"
    ).format(row.version, row.name, list(row.statements))
    return _HISTORY_TABLE + insert.as_string(None)
