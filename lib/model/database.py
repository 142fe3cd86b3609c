"""What we know of the booking database itself: who we are in it, its columns, rules and locks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum


class KeyKind(StrEnum):
    """What a pasted Supabase credential really is, by its shape and its unverified claims."""

    SECRET = "secret"
    PUBLISHABLE = "publishable"
    SERVICE_ROLE_JWT = "service_role_jwt"
    ANON_JWT = "anon_jwt"
    AUTHENTICATED_JWT = "authenticated_jwt"
    MANAGEMENT_TOKEN = "management_token"
    DSN = "dsn"
    UNKNOWN = "unknown"

    @property
    def sees_past_row_security(self) -> bool:
        return self in (self.SECRET, self.SERVICE_ROLE_JWT)


@dataclass(frozen=True, slots=True)
class Visibility:
    """How much of the data our key can see.

    `counts` are all-time exact row counts per table; a table that refused is in `refused` with the
    code it answered. An anon key gets 200 and no rows: zero everywhere proves nothing without
    `sees_everything`.
    """

    key_kind: KeyKind
    key_proved: bool | None  # the server treated the key as service-level; None: could not be asked
    project_ref: str | None
    key_project_ref: str | None  # from a legacy JWT's claims
    counts: dict[str, int] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    @property
    def sees_everything(self) -> bool:
        """Whether an empty answer may be believed."""
        return self.key_kind.sees_past_row_security and self.key_proved is not False


class CatalogAccess(StrEnum):
    """By which way the catalog was read."""

    DIRECT = "direct connection"
    MANAGEMENT_API = "Management API"
    DATA_API = "Data API description"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table in `public`."""

    table: str
    name: str
    type: str
    nullable: bool
    default: str | None = None


@dataclass(frozen=True, slots=True)
class CheckConstraint:
    """A CHECK of a table, as Postgres prints it."""

    table: str
    name: str
    definition: str
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A row level security policy."""

    table: str
    name: str
    command: str
    roles: tuple[str, ...]
    using: str | None


@dataclass(frozen=True, slots=True)
class TableInfo:
    """Facts about one table."""

    name: str
    row_security: bool | None
    estimated_rows: int | None
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class DatabaseIdentity:
    """Which database answered, and as whom."""

    database: str
    user: str
    server_version: str
    bypasses_row_security: bool | None
    in_recovery: bool | None
    read_only: bool | None
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class Catalog:
    """The schema `public` as the database has it now. A part that this way in cannot read is None."""

    way: CatalogAccess
    columns: tuple[Column, ...]
    checks: tuple[CheckConstraint, ...] | None
    policies: tuple[Policy, ...] | None
    tables: tuple[TableInfo, ...] | None
    identity: DatabaseIdentity | None

    def column(self, table: str, name: str) -> Column | None:
        return next((c for c in self.columns if c.table == table and c.name == name), None)

    def has_table(self, table: str) -> bool:
        return any(column.table == table for column in self.columns)


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    """One row of `supabase_migrations.schema_migrations`."""

    version: str
    name: str | None

    @property
    def stamped_at(self) -> datetime | None:
        """The instant that the version names, in UTC, or None if it names none.

        Supabase's command line stamps a file when it is made, the platform when it is applied: when a migration
        of a file was applied is on no record.
        """
        if not re.fullmatch(r"[0-9]{14}", self.version):
            return None
        try:
            return datetime.strptime(f"{self.version}+0000", "%Y%m%d%H%M%S%z").astimezone(UTC)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds a lock on one of our tables. The query text is not kept."""

    pid: int
    table: str
    mode: str
    state: str
    user: str | None
    application: str | None
    transaction_started_at: datetime | None
