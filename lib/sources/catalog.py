"""The catalog: columns, checks, policies and locks of the booking database, read without writing.

Three ways in, in this order: a direct connection (`DATABASE_URL`), the Management API, and the Data API's own
description. The first two ask the same SQL; the last knows columns only, as of its schema cache.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Protocol, TypeVar

import pandas as pd
import psycopg
from psycopg.rows import dict_row
from pydantic import BaseModel, Field, SecretStr, ValidationError

from lib.model import frames
from lib.model.database import (
    AppliedMigration,
    Blocker,
    Catalog,
    CatalogAccess,
    CheckConstraint,
    Column,
    DatabaseIdentity,
    Policy,
    TableInfo,
)
from lib.model.reading import Caveat, CaveatKind, FailureKind, Observed, SourceError
from lib.model.served_code import Schema
from lib.model.window import Window
from lib.redaction import redact
from lib.served_code import live_schema
from lib.sources import parse
from lib.sources.http import USER_AGENT, Deadline, Http, HttpError
from lib.sources.parse import found

T = TypeVar("T")
Row = dict[str, Any]

MANAGEMENT_API = "Supabase Management API"

# Every name is schema-qualified: the Management API's read-only user has an empty search path.
_COLUMNS_SQL = """
select c.relname as "table", a.attname as name, pg_catalog.format_type(a.atttypid, a.atttypmod) as type,
       not a.attnotnull as nullable, pg_catalog.pg_get_expr(d.adbin, d.adrelid) as "default"
from pg_catalog.pg_attribute a
join pg_catalog.pg_class c on c.oid = a.attrelid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where n.nspname = 'public' and c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and not a.attisdropped
order by c.relname, a.attnum
"""
_POLICIES_SQL = """
select p.tablename::text as "table", p.policyname::text as name, p.cmd as command,
       p.roles::text[] as roles, p.qual as using
from pg_catalog.pg_policies p
where p.schemaname = 'public'
order by p.tablename, p.policyname
"""
_TABLES_SQL = """
select c.relname::text as name, c.relrowsecurity as row_security, c.reltuples::bigint as estimated_rows,
       pg_catalog.pg_get_userbyid(c.relowner)::text as owner
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p')
order by c.relname
"""
_IDENTITY_SQL = """
select pg_catalog.current_database()::text as database, current_user::text as "user",
       pg_catalog.current_setting('server_version') as server_version,
       (select r.rolbypassrls or r.rolsuper from pg_catalog.pg_roles r where r.rolname = current_user)
           as bypasses_row_security,
       pg_catalog.pg_is_in_recovery() as in_recovery,
       pg_catalog.current_setting('transaction_read_only') = 'on' as read_only,
       pg_catalog.current_setting('TimeZone') as time_zone
"""
_MIGRATIONS_SQL = """
select m.version::text as version, m.name::text as name
from supabase_migrations.schema_migrations m
order by m.version
"""
_BLOCKERS_SQL = """
select l.pid, c.relname::text as "table", l.mode, coalesce(s.state, 'unknown') as state,
       s.usename::text as "user", s.application_name as application,
       s.xact_start as transaction_started_at
from pg_catalog.pg_locks l
join pg_catalog.pg_class c on c.oid = l.relation
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_stat_activity s on s.pid = l.pid
where n.nspname = 'public' and l.granted and l.pid <> pg_catalog.pg_backend_pid() and c.relkind in ('r', 'p')
order by s.xact_start nulls last
"""
_PARTS = {
    "columns": _COLUMNS_SQL,
    "checks": live_schema.CHECKS_SQL,
    "policies": _POLICIES_SQL,
    "tables": _TABLES_SQL,
    "identity": _IDENTITY_SQL,
}
# One statement for the whole catalog: one round trip, and all parts as of the same moment.
_CATALOG_SQL = "select pg_catalog.json_build_object({}) as catalog".format(
    ", ".join(
        f"'{part}', (select coalesce(pg_catalog.json_agg(x), '[]'::json) from ({sql}) x)"  # noqa: S608 - constants
        for part, sql in _PARTS.items()
    )
)
# Writes only: our own reads of a missing column would fill this log with themselves. A column missing from an
# UPDATE never reaches Postgres; it shows at the gateway alone, as a 400 to PATCH. What the desk asks for itself is no
# write of the app: the sessions that bear its name, and calls of its reporting functions, which need not be installed.
# Its own writes through the Data API are read to know which refusals of Postgres were theirs: see `_of_the_app`.
_ERRORS_SQL = """
select timestamp, {source} as origin, event_message, log_attributes['parsed.sql_state_code'] as sql_state,
       log_attributes['response.status_code'] as status_code, log_attributes['request.method'] as method,
       log_attributes['request.path'] as path, log_attributes['request.headers.user_agent'] as agent
from logs
where ({source} = 'postgres_logs'
       and log_attributes['parsed.sql_state_code'] in ('23502', '23503', '23505', '23514', '42501')
       and coalesce(log_attributes['parsed.application_name'], '') not like '{application}%')
   or ({source} = 'edge_logs' and log_attributes['request.method'] in ('POST', 'PATCH', 'PUT', 'DELETE')
       and log_attributes['response.status_code'] in ('400', '401', '403', '404', '406', '409', '500')
       and coalesce(log_attributes['request.path'], '') not like '/rest/v1/rpc/switchboard%'
       and not (coalesce(log_attributes['request.headers.user_agent'], '') like '{ours}%'
                and coalesce(log_attributes['request.path'], '') like '/rest/v1/rpc/%'))
order by timestamp desc limit 1000
"""
# What the User-Agent of every version of the desk begins with.
_OUR_AGENT = USER_AGENT.partition("/")[0] + "/"
# How our own sessions are named in the database.
APPLICATION = "switchboard"
# How far apart the gateway's time of a write and Postgres's time of its refusal may be.
_SAME_WRITE = timedelta(seconds=3)
LOG_ROWS = 1000
_LOGS = "Supabase logs"
_LONGEST_LOG_ERROR = 200
# The Logs API refuses a range of a day or more.
LOG_REACH = timedelta(hours=23, minutes=59)
# Documentation and working code disagree on the name of this column, so the second is tried when the first fails.
_SOURCE_COLUMNS = ("source_name", "source")

_NULL_VIOLATION = re.compile(r'null value in column "(?P<column>[^"]+)" of relation "(?P<table>[^"]+)"')
_RELATION = re.compile(r'(?:relation|table) "(?P<table>[^"]+)"')
_DENIED = re.compile(r"permission denied for (?:table|view|relation) (?P<table>\w+)")  # Postgres quotes it not here
_REST_PATH = re.compile(r"/rest/v1/(?P<table>[a-z_0-9]+)")


class CatalogClient(Protocol):
    """A way to ask the database a read-only question."""

    @property
    def way(self) -> CatalogAccess: ...

    def rows(self, sql: str, deadline: Deadline) -> list[Row]: ...


@dataclass(frozen=True)
class DirectCatalogClient:
    """A direct connection, opened for one question: no session state survives it.

    `read_only` makes Postgres refuse to write through it. Without it, the identity says whether it could.
    """

    dsn: SecretStr
    way: CatalogAccess = CatalogAccess.DIRECT
    read_only: bool = True

    def rows(self, sql: str, deadline: Deadline) -> list[Row]:
        try:
            with self.connect(deadline) as connection, cut_off(connection, deadline):
                connection.read_only = self.read_only or None
                # At least 1: 0 means no limit.
                connection.execute(f"set local statement_timeout = {max(1, int(deadline.remaining() * 1000))}")
                return list(connection.execute(sql.encode()).fetchall())
        except psycopg.Error as error:
            # What was cut off has timed out, whatever the driver calls it.
            raise (_too_late() if deadline.left() <= 0 else refused(error)) from None

    def connect(self, deadline: Deadline) -> psycopg.Connection[Row]:
        """Open a connection. Raises `psycopg.Error`; `refused` says what that means."""
        return psycopg.connect(
            self.dsn.get_secret_value(),
            connect_timeout=max(2, int(deadline.remaining())),  # less than 2 is not understood
            # The transaction pooler keeps no prepared statements.
            prepare_threshold=None,
            row_factory=dict_row,
            application_name=APPLICATION,
        )


@contextmanager
def cut_off(connection: psycopg.Connection[Row], deadline: Deadline) -> Iterator[None]:
    """Shut the connection's socket at the deadline: the driver itself waits for ever on a silent pooler."""
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        timer = threading.Timer(deadline.remaining(), _shut, [ours])
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _shut(ours: socket.socket) -> None:
    # It may just have been closed, or have lost its other side.
    with suppress(OSError):
        ours.shutdown(socket.SHUT_RDWR)


def _too_late() -> SourceError:
    return SourceError(FailureKind.TIMEOUT, "The database did not answer in time.", "Try again in a minute.")


# Where the connection string stands.
_POOLER = "Supabase → Connect → Session pooler"


def refused(error: psycopg.Error) -> SourceError:
    """Turn a driver's error into ours. Its words are not repeated: they can hold host and user names."""
    state, message = error.sqlstate or "", str(error)
    if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.ConnectionTimeout):
        return _too_late()
    # A failed login has no code in the driver, only the server's words.
    if state.startswith("28") or "password authentication failed" in message:
        answer = (
            FailureKind.UNAUTHORIZED,
            "The database refused the login.",
            "Check user and password in DATABASE_URL.",
        )
    elif (known := _known_refusal(state, message)) is not None:
        answer = known
    elif state in ("42501", "25006"):
        answer = (FailureKind.FORBIDDEN, "This database user may not do that.", "Use another user.")
    elif state in ("42P01", "3F000"):
        answer = (FailureKind.NOT_FOUND, "The database has no such table.", "Is DATABASE_URL of the right project?")
    elif isinstance(error, psycopg.ProgrammingError) and not state:
        answer = (
            FailureKind.BAD_DATA,
            "DATABASE_URL cannot be read as a connection string.",
            f"Copy it from {_POOLER}; special characters in the password must be %-encoded.",
        )
    elif state and not state.startswith(("08", "53", "57", "58", "XX")):
        sentence = f"The database did not understand the question ({state})."
        answer = (FailureKind.BAD_DATA, sentence, "Look the code up in PostgreSQL's manual (appendix A).")
    else:
        sentence = f"The database cannot be reached ({state or type(error).__name__})."
        answer = (FailureKind.UNAVAILABLE, sentence, "Switchboard retries automatically.")
    return SourceError(*answer)


def _known_refusal(state: str, message: str) -> tuple[FailureKind, str, str] | None:
    """Return what a refusal of the pooler, of a full database or of the network means, or None if it is another."""
    lowered = message.lower()
    return next((answer for words, answer in _REFUSALS if state in words or any(w in lowered for w in words)), None)


_COPY = f"Copy the address again from {_POOLER}: its region or project is another."
_FULL = "Close connections that nobody needs, or raise the limit: Supabase → Settings → Database."
# By SQLSTATE or by words of the message in lower case; the first that fits. Only what cannot be reached over the
# network may be a matter of IPv6, which is all that a project's direct host speaks.
_REFUSALS: tuple[tuple[tuple[str, ...], tuple[FailureKind, str, str]], ...] = (
    (
        ("maxclientsinsessionmode", "max clients reached"),
        (
            FailureKind.UNAVAILABLE,
            "The pooler has no free connection (MaxClientsInSessionMode).",
            "Raise the pool size in Supabase, or use the Transaction pooler's address (port 6543) in DATABASE_URL.",
        ),
    ),
    (
        ("53300", "too many clients already", "remaining connection slots"),
        (FailureKind.UNAVAILABLE, "The database has no free connection (53300).", _FULL),
    ),
    (
        ("circuit breaker",),
        (
            FailureKind.UNAVAILABLE,
            "The pooler takes no logins for a while: too many failed before (circuit breaker).",
            "Correct the password wherever the old one is still in use, then wait a few minutes.",
        ),
    ),
    (
        ("enoidentifier",),
        (
            FailureKind.UNAUTHORIZED,
            "The pooler cannot tell which project is meant (ENOIDENTIFIER).",
            f"The user in DATABASE_URL must be postgres.<project ref>: copy the address again from {_POOLER}.",
        ),
    ),
    (
        ("enant or user not found", "enotfound"),
        (FailureKind.UNAUTHORIZED, "The pooler does not know the project in DATABASE_URL.", _COPY),
    ),
    (
        (
            "could not translate host name",
            "failed to resolve host",
            "name or service not known",
            "no address associated with hostname",
        ),
        (
            FailureKind.UNAVAILABLE,
            "The database's host has no address that can be used here.",
            "Is the project paused or deleted? Its direct host speaks IPv6 only: without IPv6, use the Session pooler's"
            " address in DATABASE_URL.",
        ),
    ),
    (
        ("connection refused", "network is unreachable", "no route to host", "cannot assign requested address"),
        (
            FailureKind.UNAVAILABLE,
            "The database's host refuses the connection or cannot be reached.",
            "A direct host speaks IPv6 only: use the Session pooler's address in DATABASE_URL.",
        ),
    ),
)


@dataclass(frozen=True)
class ManagementCatalogClient:
    """Supabase's Management API: a read-only user that reads past row level security."""

    http: Http
    base_url: str
    project_ref: str
    token: SecretStr
    way: CatalogAccess = CatalogAccess.MANAGEMENT_API

    def rows(self, sql: str, deadline: Deadline) -> list[Row]:
        answer = self.http.query_json(
            f"{self.project}/database/query/read-only",
            {"query": sql},
            system=MANAGEMENT_API,
            headers=self.headers,
            deadline=deadline,
        )
        return parse.rows(answer, MANAGEMENT_API)

    def logs(self, sql: str, start: datetime, end: datetime, deadline: Deadline) -> list[Row]:
        """Return the rows of a Logs API question over `[start, end)`, which must be under a day."""
        answer = self.http.get_json(
            f"{self.project}/analytics/endpoints/logs",
            params={"sql": sql, "iso_timestamp_start": start.isoformat(), "iso_timestamp_end": end.isoformat()},
            system=_LOGS,
            headers=self.headers,
            deadline=deadline,
        )
        return _log_rows(answer)

    @property
    def project(self) -> str:
        """The address of the project in this API."""
        return f"{self.base_url}/v1/projects/{self.project_ref}"

    @property
    def headers(self) -> dict[str, str]:
        """The headers that every call needs."""
        return {"Authorization": f"Bearer {self.token.get_secret_value()}"}


@dataclass(frozen=True)
class DescriptionCatalogClient:
    """The Data API's own description: columns and nullability, as of its schema cache."""

    http: Http
    url: str
    key: SecretStr

    def columns(self, deadline: Deadline) -> tuple[Column, ...]:
        try:
            definitions = _Description.model_validate(self._get("", {}, deadline)).definitions
        except ValidationError:
            raise SourceError(
                FailureKind.BAD_DATA,
                "The Data API's description of its tables cannot be read.",
                "Set DATABASE_URL, or SUPABASE_ACCESS_TOKEN, to read the catalog itself.",
            ) from None
        return tuple(
            Column(
                table,
                name,
                parse.text(column, "format") or parse.text(column, "type") or "unknown",
                nullable=name not in definition.required,
                default=parse.text(column, "default"),
            )
            for table, definition in definitions.items()
            for name, column in definition.properties.items()
        )

    def knows(self, table: str, columns: Sequence[str], deadline: Deadline) -> bool:
        """Whether the Data API lets these columns be written and read now.

        Only what it writes it checks against its schema cache, so a select alone would say yes too early: the
        description is what that cache holds. The select asks for none of the rows.
        """
        described = {column.name for column in self.columns(deadline) if column.table == table}
        if not described.issuperset(columns):
            return False
        try:
            self._get(table, {"select": ",".join(columns), "limit": 0}, deadline)
        except HttpError as error:
            # 400: no such column; 404: no such table.
            if error.status in (400, 404):
                return False
            raise
        return True

    def offers(self, functions: Sequence[str], deadline: Deadline) -> bool:
        """Whether the Data API can call these functions of `public` now."""
        paths = parse.at(self._get("", {}, deadline), "paths") if functions else {}
        return isinstance(paths, dict) and all(f"/rpc/{name}" in paths for name in functions)

    def _get(self, table: str, params: Mapping[str, str | int], deadline: Deadline) -> Any:
        key = self.key.get_secret_value()
        return self.http.get_json(
            f"{self.url}/rest/v1/{table}",
            system="Supabase Data API",
            params=params,
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            deadline=deadline,
        )


class _Definition(BaseModel):
    """A table as OpenAPI describes it; `required` are the columns that are not null, left out where there are none."""

    properties: dict[str, Any]
    required: list[str] = []


class _Description(BaseModel):
    # None at all would mean that every table is missing.
    definitions: Annotated[dict[str, _Definition], Field(min_length=1)]


@dataclass(frozen=True)
class CatalogSource:
    """The catalog through the clients that are configured; the best of them is asked."""

    client: CatalogClient | None
    description: DescriptionCatalogClient | None
    management: ManagementCatalogClient | None

    def schema(self, deadline: Deadline) -> Observed[Catalog]:
        """Return the columns, checks, policies and tables of schema `public`."""
        if self.client is None:
            return self._described(deadline)
        answer = self.client.rows(_CATALOG_SQL, deadline)
        return Observed(_catalog(self.client.way, answer[0].get("catalog") if answer else None))

    def live_schema(self, deadline: Deadline) -> Observed[Schema]:
        """Return what code is held against: of the Data API's description alone, tables and columns."""
        if self.client is None:
            described = self._described(deadline)
            return Observed(live_schema.from_catalog(described.value), described.caveats)
        answer = self.client.rows(live_schema.SCHEMA_SQL, deadline)
        try:
            return Observed(live_schema.schema_of(answer[0]["schema"]))
        except (LookupError, TypeError, ValueError):
            raise SourceError(
                FailureKind.BAD_DATA,
                f"The {self.client.way} described the schema in a way that is not understood.",
                "Is it PostgreSQL 15 or newer?",
            ) from None

    def migrations(self, deadline: Deadline) -> Observed[tuple[AppliedMigration, ...]]:
        """Return the migration history that Supabase's command line keeps, oldest first."""
        rows = self._client("the migration history").rows(_MIGRATIONS_SQL, deadline)
        return Observed(tuple(map(_read_migration, rows)))

    def blockers(self, deadline: Deadline) -> Observed[tuple[Blocker, ...]]:
        """Return who holds locks on tables of `public`, the longest transaction first."""
        return Observed(blockers(self._client("the locks"), deadline))

    def errors(self, window: Window, deadline: Deadline) -> Observed[pd.DataFrame]:
        """Return the failed writes that Supabase's logs hold for `window`, at most their last day."""
        if self.management is None:
            raise SourceError(
                FailureKind.NOT_CONFIGURED,
                "Supabase's logs are not connected.",
                "Set SUPABASE_ACCESS_TOKEN with the permission Logs: Read.",
            )
        start = max(window.start, window.end - LOG_REACH)
        rows = _try_source_columns(self.management, start, window.end, deadline)
        caveats = []
        if start - window.start > timedelta(minutes=5):
            sentence = "Supabase's logs were read for the last day only."
            caveats.append(Caveat(CaveatKind.PARTIAL, "logs", sentence))
        if len(rows) >= LOG_ROWS:
            sentence = f"Only the newest {LOG_ROWS:,} log rows were read."
            caveats.append(Caveat(CaveatKind.TRUNCATED, "logs", sentence))
        frame = frames.frame(frames.DATABASE_ERRORS, _of_the_app([_database_error(row) for row in rows]))
        return Observed(frame.sort_values("at", kind="stable", ignore_index=True), tuple(caveats))

    def _client(self, what: str) -> CatalogClient:
        if self.client is None:
            raise SourceError(
                FailureKind.NOT_CONFIGURED,
                f"Nothing is connected that can read {what}.",
                "Set DATABASE_URL, or SUPABASE_ACCESS_TOKEN.",
            )
        return self.client

    def _described(self, deadline: Deadline) -> Observed[Catalog]:
        if self.description is None:
            raise SourceError(FailureKind.NOT_CONFIGURED, "The catalog is not connected.", "Set DATABASE_URL.")
        columns = self.description.columns(deadline)
        caveat = Caveat(
            CaveatKind.PARTIAL,
            "catalog",
            "The Data API describes columns only, as of its schema cache; checks and policies are unread.",
        )
        catalog = Catalog(CatalogAccess.DATA_API, columns, checks=None, policies=None, tables=None, identity=None)
        return Observed(catalog, (caveat,))


# What a change of the schema has to know of the database before it, as columns of one row.
STATE_SQL = f"""
(select pg_catalog.row_to_json(x) from ({_IDENTITY_SQL}) x) as identity,
(select coalesce(pg_catalog.json_agg(x), '[]'::json) from ({_BLOCKERS_SQL}) x) as blockers
"""  # noqa: S608 - constants


def database_state(row: Row, way: CatalogAccess) -> tuple[DatabaseIdentity, tuple[Blocker, ...]]:
    """Return what the columns of `STATE_SQL` hold: which database it is, as whom we ask, and who holds locks.

    The locks are those on tables of `public`, the longest transaction first.
    """
    held = parse.rows(row, f"The {way}", "blockers")
    who = parse.need(row.get("identity"), f"The {way}", "who we are")
    return _read_identity(who), tuple(map(_read_blocker, held))


def blockers(client: CatalogClient, deadline: Deadline) -> tuple[Blocker, ...]:
    """Return who holds locks on tables of `public`, the longest transaction first."""
    return tuple(map(_read_blocker, client.rows(_BLOCKERS_SQL, deadline)))


_SYSTEM = "The catalog"
# What must be there raises where it is not: in a catalog with holes, columns would seem to be missing.
_read_column = parse.reader(Column, _SYSTEM, "a column")
_read_check = parse.reader(CheckConstraint, _SYSTEM, "a check")
_read_policy = parse.reader(Policy, _SYSTEM, "a policy")
_read_table = parse.reader(TableInfo, _SYSTEM, "a table")
_read_identity = parse.reader(DatabaseIdentity, _SYSTEM, "the identity")
_read_migration = parse.reader(AppliedMigration, _SYSTEM, "a migration")
_read_blocker = parse.reader(
    # The driver gives an instant, the Management API its text.
    Blocker,
    _SYSTEM,
    "a lock",
    times=lambda time: time if isinstance(time, datetime) else parse.iso_time(time),
)


def _catalog(way: CatalogAccess, parts: Any) -> Catalog:
    system = f"The {way}"

    def all_of(part: str, read: Callable[[Any], T]) -> tuple[T, ...]:
        return tuple(map(read, parse.rows(parts, system, part)))

    return Catalog(
        way=way,
        columns=all_of("columns", _read_column),
        checks=all_of("checks", _read_check),
        policies=all_of("policies", _read_policy),
        tables=all_of("tables", _read_table),
        identity=next(iter(all_of("identity", _read_identity)), None),
    )


def _try_source_columns(
    client: ManagementCatalogClient, start: datetime, end: datetime, deadline: Deadline
) -> list[Row]:
    for column in _SOURCE_COLUMNS[:-1]:
        try:
            return client.logs(_errors_sql(column), start, end, deadline)
        except SourceError as error:
            if error.kind is not FailureKind.BAD_DATA and not isinstance(error, LogsError):
                raise
    return client.logs(_errors_sql(_SOURCE_COLUMNS[-1]), start, end, deadline)


def _errors_sql(source: str) -> str:
    return _ERRORS_SQL.format(source=source, ours=_OUR_AGENT, application=APPLICATION)


def _of_the_app(rows: list[Row]) -> list[Row]:
    """Return the rows without the desk's own writes, and without what Postgres says of these.

    The gateway knows who wrote. Postgres does not: its line at the same time about the same table is taken for ours,
    one for each write. A line that names no table fits a write of any.
    """
    ours = [row for row in rows if (row["agent"] or "").startswith(_OUR_AGENT)]
    theirs = [row for row in rows if not (row["agent"] or "").startswith(_OUR_AGENT)]
    for write in ours:
        same = [row for row in theirs if row["origin"] == "postgres_logs" and _is_of(row, write)]
        if same:
            theirs.remove(min(same, key=lambda row: (row["table_name"] is None, abs(row["at"] - write["at"]))))
    return theirs


def _is_of(row: Row, write: Row) -> bool:
    if row["at"] is None or write["at"] is None or abs(row["at"] - write["at"]) > _SAME_WRITE:
        return False
    return row["table_name"] in (None, write["table_name"])


class LogsError(SourceError):
    """The Logs API answered 200 and says in its answer that it could not answer the question."""


def _log_rows(answer: Any) -> list[Row]:
    """Return the rows of an answer. An `error` may stand in the place of them, or beside a list that is empty then."""
    if not isinstance(answer, dict) or not ("error" in answer or "result" not in answer):
        return parse.rows(answer, _LOGS, "result")
    error = answer.get("error")
    if error is None and "result" in answer:
        return parse.rows(answer, _LOGS, "result")
    message = parse.text(error) or parse.text(error, "message")
    said = f"“{redact(message)[:_LONGEST_LOG_ERROR].rstrip('.')}”" if message else "nothing of why"
    raise LogsError(
        FailureKind.UNAVAILABLE,
        f"Supabase could not search its logs, and says {said}.",
        "Switchboard retries automatically; look for an incident at status.supabase.com.",
    )


class _LogRow(parse.Answer):
    SYSTEM = _LOGS
    event_message: parse.TextOrEmpty
    at: Annotated[datetime | None, parse.lenient(lambda value: _log_time(value))] = found("timestamp")
    origin: parse.Text
    sql_state: parse.Text
    status_code: parse.Integer
    method: parse.Text
    path: parse.TextOrEmpty
    agent: parse.Text


def _database_error(raw: Row) -> dict[str, Any]:
    """Keep what happened and where. The lines below the first hold the customer's row and are dropped."""
    row = dict(_LogRow.model_validate(raw))
    # DETAIL comes first of them; some logs have it on the same line.
    message = row["event_message"].strip().partition("\n")[0].partition("DETAIL")[0]
    null = _NULL_VIOLATION.search(message)
    relation = null or _RELATION.search(message) or _DENIED.search(message)
    place = relation or _REST_PATH.search(row["path"])
    return row | {
        "table_name": place["table"] if place else None,
        "column_name": null["column"] if null else None,
        "message": redact(message.strip())[:300],
    }


def _log_time(value: Any) -> datetime | None:
    """Read a log's timestamp: ISO text, or microseconds since 1970."""
    return parse.epoch_ms(value / 1000) if isinstance(value, int | float) else parse.iso_time(value)
