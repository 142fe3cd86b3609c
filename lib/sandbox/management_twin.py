"""A twin of Supabase's Management API: the project, its health, SQL over HTTP and the Logs API."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg.types.string import TextLoader
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from lib.sandbox.gateway import description
from lib.sandbox.infrastructure import Infrastructure
from lib.sandbox.twin_helpers import read_json
from lib.sandbox.world import Row, World

MAX_ROWS = 1000
SERVICES = ("auth", "db", "db_postgres_user", "pooler", "realtime", "rest", "storage", "pg_bouncer")
QUERY_TIMEOUT = "2min"  # the platform's default for `postgres`

LOGS_LONGEST_RANGE = timedelta(hours=24)
LOGS_ROWS = 1000
LOGS_DEFAULT_RANGE = timedelta(minutes=1)

# node-postgres, which the platform asks through, leaves these as Postgres prints them.
_TYPES_AS_TEXT = ("timestamptz", "timestamp", "date", "time", "timetz", "interval", "numeric", "uuid", "bytea", "inet")

Endpoint = Callable[[Request], Response]


class Management:
    """The Management API of one account with one project."""

    def __init__(self, world: World, infrastructure: Infrastructure) -> None:
        self._world = world
        self._infrastructure = infrastructure

    def routes(self) -> list[BaseRoute]:
        project = "/v1/projects/{ref}"
        return [
            Route(project, self._guarded(self._project)),
            Route(f"{project}/health", self._guarded(self._health)),
            Route(f"{project}/postgrest", self._guarded(self._postgrest)),
            Route(f"{project}/database/query", self._guarded(self._query), methods=["POST"]),
            Route(f"{project}/database/query/read-only", self._guarded(self._read_only), methods=["POST"]),
            Route(f"{project}/database/openapi", self._guarded(self._openapi)),
            Route(f"{project}/analytics/endpoints/logs", self._guarded(self._logs)),
        ]

    def _guarded(self, endpoint: Endpoint) -> Endpoint:
        expected = f"Bearer {self._world.credentials.supabase_access_token}".encode()

        def guarded(request: Request) -> Response:
            given = request.headers.get("authorization", "").encode()
            if not compare_digest(given, expected):
                return _message("Unauthorized", 401)
            if request.path_params["ref"] != self._world.credentials.project_ref:
                # The platform does not say whether somebody else has such a project.
                return _message("Project not found", 404)
            return endpoint(request)

        return guarded

    def _project(self, request: Request) -> Response:
        reference = self._world.credentials.project_ref
        return JSONResponse(
            {
                "id": reference,
                "ref": reference,
                "name": "Lantern Arms",
                "organization_id": "lantern-arms",
                "organization_slug": "lantern-arms",
                "region": "eu-west-2",
                "status": "ACTIVE_HEALTHY",
                "created_at": "2025-06-01T09:00:00.000000Z",
                "database": {
                    "host": f"db.{reference}.supabase.co",
                    "version": "18.6",
                    "postgres_engine": "18",
                    "release_channel": "ga",
                },
            }
        )

    def _health(self, request: Request) -> Response:
        services = [name for value in request.query_params.getlist("services") for name in value.split(",")]
        unknown = [name for name in services if name not in SERVICES]
        if not services or unknown:
            return _message(f"services must be some of {', '.join(SERVICES)}", 400)
        return JSONResponse([{"name": name, "healthy": True, "status": "ACTIVE_HEALTHY"} for name in services])

    def _postgrest(self, request: Request) -> Response:
        return JSONResponse(
            {
                "db_schema": "public,graphql_public",
                "max_rows": MAX_ROWS,
                "db_extra_search_path": "public, extensions",
                "db_pool": None,
            }
        )

    def _openapi(self, request: Request) -> Response:
        return JSONResponse(description(self._infrastructure.schema_cache))

    def _query(self, request: Request) -> Response:
        return _answer_query(request, self._infrastructure.dsn)

    def _read_only(self, request: Request) -> Response:
        return _answer_query(request, self._infrastructure.postgres.dsn("supabase_read_only_user"))

    def _logs(self, request: Request) -> Response:
        try:
            start, end = _log_range(request, self._world.now())
            sql = to_postgres(request.query_params.get("sql") or _DEFAULT_LOGS_SQL)
            rows = self._ask_logs(sql, start, end)
        except LogsRefusedError as refused:
            return _message(str(refused), 400)
        return JSONResponse({"result": rows})

    def _ask_logs(self, sql: str, start: datetime, end: datetime) -> list[Row]:
        """Hand the lines of `[start, end)` to a user who may read nothing else, and let it ask."""
        with psycopg.connect(self._infrastructure.postgres.dsn("log_reader"), row_factory=dict_row) as connection:
            connection.execute(
                "create temporary table logs (id text, timestamp timestamptz, event_message text, "
                "severity_text text, source_name text, log_attributes jsonb) on commit drop"
            )
            with connection.cursor().copy("copy logs from stdin") as copy:
                for line in self._log_lines(start, end):
                    copy.write_row(line)
            connection.execute("set local transaction_read_only = on")
            connection.execute("set local statement_timeout = '10s'")
            try:
                # Prepared: then it can be one statement only.
                answer = connection.execute(sql, prepare=True)
                rows = answer.fetchmany(LOGS_ROWS)
            except psycopg.Error as error:
                raise LogsRefusedError(f"Failed to run the query: {_postgres_message(error)}") from None
        return [{name: _clickhouse_value(value) for name, value in row.items()} for row in rows]

    def _log_lines(self, start: datetime, end: datetime) -> Iterator[tuple[Any, ...]]:
        with self._world.connection() as connection:
            stored = connection.execute(
                "select id, at, event_message, severity_text, source_name, log_attributes from platform.log "
                "where at >= %s and at < %s",
                (start, end),
            ).fetchall()
        for row in stored:
            yield (
                *(row[name] for name in ("id", "at", "event_message", "severity_text", "source_name")),
                Jsonb(row["log_attributes"]),
            )
        for number, line in enumerate(self._infrastructure.log_lines(start, end)):
            attributes = {"parsed.error_severity": line.severity, "parsed.detail": "", "parsed.query": ""}
            attributes |= {"parsed.sql_state_code": line.sql_state} if line.sql_state else {}
            attributes |= {"parsed.user_name": line.user} if line.user else {}
            attributes |= {"parsed.application_name": line.application} if line.application else {}
            yield (
                f"{line.at.isoformat()}-{number}",
                line.at,
                line.message,
                line.severity,
                "postgres_logs",
                Jsonb(attributes),
            )


# SQL over HTTP -------------------------------------------------------------------------------------------


def _answer_query(request: Request, dsn: str) -> Response:
    body = read_json(request)
    query, parameters = body.get("query"), body.get("parameters")
    if not isinstance(query, str) or not query.strip():
        return _message("query must be a non-empty string", 400)
    if parameters is not None and not isinstance(parameters, list):
        return _message("parameters must be an array", 400)
    try:
        rows = _run(dsn, query, parameters, read_only=body.get("read_only") is True)
    except psycopg.Error as error:
        return _message(f"Failed to run sql query: {_postgres_message(error)}", 400)
    return JSONResponse(rows, 201)


def _run(dsn: str, query: str, parameters: list[Any] | None, *, read_only: bool) -> list[Row]:
    """Run `query`, which may be several statements, and return the rows of the last one that gave any.

    One connection per call: as through the platform's pooler, no session state survives it.
    """
    with psycopg.connect(dsn, autocommit=True, cursor_factory=psycopg.RawCursor) as connection:
        for name in _TYPES_AS_TEXT:
            connection.adapters.register_loader(name, TextLoader)
        connection.execute(f"set statement_timeout = '{QUERY_TIMEOUT}'")
        if read_only:
            connection.execute("set default_transaction_read_only = on")
        cursor = connection.cursor(row_factory=dict_row)
        cursor.execute(query, parameters or None)
        rows: list[Row] = []
        while True:
            if cursor.description is not None:
                rows = cursor.fetchall() or rows
            if not cursor.nextset():
                return rows


def _postgres_message(error: psycopg.Error) -> str:
    """Return the error as the platform writes it: severity, code, message and its further lines."""
    diagnostics = error.diag
    if diagnostics.message_primary is None:
        return str(error)
    lines = [f"{diagnostics.severity}:  {diagnostics.sqlstate}: {diagnostics.message_primary}"]
    lines += [f"DETAIL:  {diagnostics.message_detail}"] if diagnostics.message_detail else []
    lines += [f"HINT:  {diagnostics.message_hint}"] if diagnostics.message_hint else []
    return "\n".join(lines)


# Logs ----------------------------------------------------------------------------------------------------


class LogsRefusedError(Exception):
    """A question that the Logs API does not take, and why."""


_DEFAULT_LOGS_SQL = """
select id, timestamp, event_message from logs where source_name = 'edge_logs' order by timestamp desc limit 100
"""


def to_postgres(sql: str) -> str:
    """Translate a ClickHouse question about `logs` into Postgres's SQL.

    It knows `log_attributes['a.b']` and `count()`; `match`, `toStartOfMinute` and `toStartOfHour` are functions
    in the database. Raises `LogsRefusedError` for what the platform refuses too.
    """
    bare = re.sub(r"'(?:[^']|'')*'", "''", sql)  # the text of a literal is no SQL
    if not re.match(r"\s*(select|with)\b", bare, re.IGNORECASE) or ";" in bare:
        raise LogsRefusedError("Only one SELECT statement is allowed.")
    if not re.search(r"\bfrom\s+logs\b", bare, re.IGNORECASE):
        raise LogsRefusedError("The query must read from logs.")
    if re.search(r"\bcount\s*\(\s*\*\s*\)", bare, re.IGNORECASE):
        raise LogsRefusedError("count(*) is not supported: use count().")
    if re.search(r"(\bselect|,)\s*(\w+\.)?\*", bare, re.IGNORECASE):
        raise LogsRefusedError("Wildcards are not supported: name the columns.")
    attributes = re.sub(r"\blog_attributes\s*\[\s*('(?:[^']|'')*')\s*\]", r"(log_attributes->>\1)", sql)
    return re.sub(r"\bcount\s*\(\s*\)", "count(*)", attributes, flags=re.IGNORECASE)


def _log_range(request: Request, now: datetime) -> tuple[datetime, datetime]:
    """Return the range asked for. Without both ends it is the last minute, as on the platform."""
    given = [request.query_params.get(f"iso_timestamp_{end}") for end in ("start", "end")]
    if None in given:
        return now - LOGS_DEFAULT_RANGE, now
    try:
        start, end = (datetime.fromisoformat(str(value)) for value in given)
    except ValueError:
        raise LogsRefusedError("iso_timestamp_start and iso_timestamp_end must be ISO 8601.") from None
    start, end = (at if at.tzinfo else at.replace(tzinfo=UTC) for at in (start, end))
    if not timedelta(0) < end - start <= LOGS_LONGEST_RANGE:
        raise LogsRefusedError("The range must be longer than nothing and at most 24 hours.")
    return start, end


def _clickhouse_value(value: Any) -> Any:
    """Return a value as ClickHouse writes it in JSON: an instant is UTC and does not say so."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
    return value if isinstance(value, bool | int | float | str | None) else json.dumps(value)


def _message(message: str, status: int) -> Response:
    return JSONResponse({"message": message}, status)
