"""What the twins share: reading a request inside a synchronous endpoint, and writing instants as each API does."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import psycopg
from anyio import from_thread
from psycopg import sql
from starlette.requests import Request

Json: TypeAlias = Any

_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789"


def read_body(request: Request) -> bytes:
    """Return the request's body. Starlette reads it on the event loop; synchronous endpoints run in a thread."""
    return from_thread.run(request.body)


def read_json(request: Request) -> dict[str, Json]:
    """Return the JSON object of the request, or an empty one if there is none to be had."""
    try:
        body = json.loads(read_body(request) or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def read_form(request: Request) -> dict[str, str]:
    """Return the fields of an `application/x-www-form-urlencoded` body."""
    return dict(parse_qsl(read_body(request).decode(), keep_blank_values=True))


def milliseconds(instant: datetime | None) -> int | None:
    """Write `instant` as Vercel does: milliseconds since the epoch."""
    return None if instant is None else round(instant.timestamp() * 1000)


def from_milliseconds(value: str | float) -> datetime:
    """Read Vercel's milliseconds since the epoch."""
    return datetime.fromtimestamp(float(value) / 1000, UTC)


def iso(instant: datetime | None) -> str | None:
    """Write `instant` as GitHub does: ISO 8601 in UTC, whole seconds."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc2822(instant: datetime | None) -> str | None:
    """Write `instant` as Twilio does: RFC 2822 with a numeric zone."""
    return None if instant is None else format_datetime(instant.astimezone(UTC))


def new_id(prefix: str, length: int = 24) -> str:
    """Make an id of the kind `prefix` + random letters and digits."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


def insert(connection: psycopg.Connection[Any], table: tuple[str, str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert `rows`, which all have the same columns, into `table` (schema, name) in one stroke."""
    if not rows:
        return
    columns = list(rows[0])
    copy = sql.SQL("copy {} ({}) from stdin").format(
        sql.Identifier(*table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    with connection.cursor() as cursor, cursor.copy(copy) as stream:
        for row in rows:
            stream.write_row([row[column] for column in columns])
