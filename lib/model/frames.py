"""The frames: for each, its columns with dtype, unit, nullability and who may see them.

Privacy is declared here, once, per column. Masking is an allowlist: only `Privacy.PUBLIC` columns
reach a browser as they are (`lib.ui.masking`), and a column nobody declared is not public.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pandas as pd
import pandera.errors
import pandera.pandas as pa
from pandera.engines.pandas_engine import DateTime

from lib.model.reading import FailureKind, SourceError


class Privacy(StrEnum):
    """What of a column may be shown in a browser."""

    PUBLIC = "public"
    PHONE = "phone"  # shown as a mask with at most the last three digits
    SECRET = "secret"  # opens something: never leaves the server
    STRANGER_TEXT = "stranger_text"  # written by someone outside: shown as plain text, redacted


class MetadataState(StrEnum):
    """What `pending_bookings.metadata` holds. Three of these print as `{}` in a naive script."""

    COLUMN_MISSING = "column_missing"
    NULL = "null"
    EMPTY = "empty"
    WITHOUT_SMS = "without_initial_sms"
    STORED = "stored"


# Postgres leaves out a fraction of zero, so one column holds several spellings of ISO 8601.
TIME = DateTime(
    unit="us",
    tz=UTC,  # type: ignore[call-arg]  # a dataclass that hides it from mypy
    to_datetime_kwargs={"format": "ISO8601", "utc": True},
)


def _column(
    dtype: Any, doc: str, *, nullable: bool = True, privacy: Privacy = Privacy.PUBLIC, unit: str = ""
) -> pa.Column:
    return pa.Column(
        dtype, nullable=nullable, coerce=True, description=doc, metadata={"privacy": privacy, "unit": unit}
    )


def _id(doc: str = "primary key (uuid)") -> pa.Column:
    return _column("str", doc, nullable=False)


_SCHEMAS: list[pa.DataFrameSchema] = []


def _schema(name: str, /, **columns: pa.Column) -> pa.DataFrameSchema:
    _SCHEMAS.append(pa.DataFrameSchema(columns, name=name, strict="filter", coerce=True))
    return _SCHEMAS[-1]


PENDING_BOOKINGS = _schema(
    "pending_bookings",
    id=_id(),
    token=_column("str", "opens the confirmation page", privacy=Privacy.SECRET),
    event_id=_column("str", "→ events"),
    mobile_number=_column("str", "E.164 where it parses, else as stored", privacy=Privacy.PHONE),
    customer_id=_column("str", "→ customers; null for a new customer"),
    seats=_column("Int64", "seats asked for", unit="seats"),
    created_at=_column(TIME, "when the booking was initiated", nullable=False),
    expires_at=_column(TIME, "when the link stops working"),
    confirmed_at=_column(TIME, "when the customer confirmed"),
    booking_id=_column("str", "→ bookings"),
    api_key_id=_column("str", "→ api_keys (column initiated_by_api_key)"),
    metadata_state=_column("str", "a MetadataState", nullable=False),
    sms_sid=_column("str", "metadata.initial_sms.message_sid"),
    sms_sent_at=_column(TIME, "metadata.initial_sms.sent_at"),
    sms_segments=_column("Int64", "metadata.initial_sms.segments", unit="segments"),
)
DEMAND = _schema(
    "pending_bookings",
    id=_id(),
    created_at=_column(TIME, "when the booking was initiated", nullable=False),
    initiated=_column("Int64", "bookings that the row stands for, the last of them then; null: one", unit="bookings"),
)
BOOKINGS = _schema(
    "bookings",
    id=_id(),
    customer_id=_column("str", "→ customers"),
    event_id=_column("str", "→ events"),
    seats=_column("Int64", "seats booked", unit="seats"),
    created_at=_column(TIME, "when the booking was made", nullable=False),
)
EVENTS = _schema(
    "events",
    id=_id(),
    name=_column("str", "the business's own name of it", nullable=False),
    date=_column("str", "ISO date, local to the business"),
    time=_column("str", "local time as text"),
    capacity=_column("Int64", "seats in all", unit="seats"),
    event_status=_column("str", "scheduled, cancelled, …"),
)
CUSTOMERS = _schema(
    "customers",
    id=_id(),
    sms_opt_in=_column("boolean", "null: never asked"),
    messaging_status=_column("str", "active, suspended, invalid_number, opted_out"),
)
MESSAGES = _schema(
    "messages",
    id=_id(),
    customer_id=_column("str", "→ customers"),
    direction=_column("str", "inbound or outbound"),
    message_sid=_column("str", "Twilio's SID, or a local-fail-… id"),
    status=_column("str", "as first stored: often an assumption"),
    twilio_status=_column("str", "Twilio's word, moved by its webhook"),
    error_code=_column("str", "Twilio's error code"),
    to_number=_column("str", "E.164", privacy=Privacy.PHONE),
    from_number=_column("str", "E.164", privacy=Privacy.PHONE),
    segments=_column("Int64", "the app's guess", unit="segments"),
    cost_usd=_column("Float64", "the app's guess", unit="USD"),
    created_at=_column(TIME, "when the row was written", nullable=False),
    sent_at=_column(TIME, "as stored"),
    delivered_at=_column(TIME, "as stored"),
    failed_at=_column(TIME, "as stored"),
)
DELIVERY_RECEIPTS = _schema(
    "message_delivery_status",
    id=_id(),
    message_id=_column("str", "→ messages"),
    status=_column("str", "Twilio's word"),
    error_code=_column("str", "Twilio's error code"),
    created_at=_column(TIME, "when it was stored", nullable=False),
)
WEBHOOK_LOG = _schema(
    "webhook_logs",
    id=_id(),
    status=_column("str", "received, success, error, signature_failed, …"),
    message_sid=_column("str", "Twilio's SID"),
    message_status=_column("str", "params.MessageStatus"),
    error_message=_column("str", "what went wrong", privacy=Privacy.STRANGER_TEXT),
    processed_at=_column(TIME, "when it was handled", nullable=False),
)
AUDIT_LOG = _schema(
    "audit_logs",
    id=_id(),
    created_at=_column(TIME, "when", nullable=False),
    operation_type=_column("str", "what was done"),
    resource_type=_column("str", "to what kind of thing"),
    operation_status=_column("str", "success or failure"),
    error_message=_column("str", "what went wrong", privacy=Privacy.STRANGER_TEXT),
)
API_USAGE = _schema(
    "api_usage",
    id=_id(),
    api_key_id=_column("str", "→ api_keys"),
    endpoint=_column("str", "the path called"),
    method=_column("str", "HTTP method"),
    status_code=_column("Int64", "HTTP status; 401, 403 and 429 are never logged here"),
    response_time_ms=_column("Float64", "how long the app took", unit="ms"),
    created_at=_column(TIME, "when", nullable=False),
)
API_KEYS = _schema(
    "api_keys",
    id=_id(),
    name=_column("str", "the owner's name for it"),
    can_write_bookings=_column("boolean", "permissions contain write:bookings"),
    rate_limit=_column("Int64", "calls per hour", unit="calls/h"),
    is_active=_column("boolean", "revoked when false"),
    last_used_at=_column(TIME, "last accepted call"),
)
BACKGROUND_JOBS = _schema(
    "background_jobs",
    id=_id(),
    type=_column("str", "what it does"),
    status=_column("str", "pending, processing, completed, failed"),
    attempts=_column("Int64", "tries so far"),
    max_attempts=_column("Int64", "tries allowed"),
    scheduled_for=_column(TIME, "when it is due"),
    created_at=_column(TIME, "when it was queued", nullable=False),
    completed_at=_column(TIME, "when it ended"),
    error=_column("str", "what went wrong", privacy=Privacy.STRANGER_TEXT),
    duration_ms=_column("Float64", "how long it ran", unit="ms"),
)
SHORT_LINKS = _schema(
    "short_links",
    id=_id(),
    short_code=_column("str", "the tail of the link in the text", privacy=Privacy.SECRET),
    token=_column("str", "pending_bookings.token, the tail of the destination", privacy=Privacy.SECRET),
    link_type=_column("str", "booking_confirmation, …"),
    click_count=_column("Int64", "openings; under- and over-counts, see reference", unit="openings"),
    created_at=_column(TIME, "when it was made", nullable=False),
)
TEXTS = _schema(
    "texts",
    sid=_column("str", "Twilio's SID", nullable=False),
    status=_column("str", "queued … delivered", nullable=False),
    direction=_column("str", "outbound-api, outbound-reply, inbound", nullable=False),
    to_number=_column("str", "E.164", privacy=Privacy.PHONE),
    from_number=_column("str", "E.164 or alphanumeric sender", privacy=Privacy.PHONE),
    link_url=_column("str", "the first link in the body that leads somewhere", privacy=Privacy.SECRET),
    link_code=_column("str", "the tail of that link", privacy=Privacy.SECRET),
    body_digest=_column("str", "equal for equal bodies, which are not kept"),
    segments=_column("Int64", "what Twilio bills", unit="segments"),
    price=_column("Float64", "negative; null until billed", unit="price_unit"),
    price_unit=_column("str", "ISO currency"),
    error_code=_column("str", "Twilio's error code"),
    error_message=_column("str", "Twilio's words", privacy=Privacy.STRANGER_TEXT),
    created_at=_column(TIME, "date_created", nullable=False),
    sent_at=_column(TIME, "date_sent"),
    updated_at=_column(TIME, "date_updated: also moves when a price arrives"),
)
ALERTS = _schema(
    "alerts",
    sid=_column("str", "Twilio's alert id", nullable=False),
    error_code=_column("str", "Twilio's error code"),
    level=_column("str", "error or warning"),
    text=_column("str", "what Twilio says", privacy=Privacy.STRANGER_TEXT),
    resource_sid=_column("str", "the message it is about"),
    created_at=_column(TIME, "when", nullable=False),
)
DATABASE_ERRORS = _schema(
    "database_errors",
    at=_column(TIME, "when", nullable=False),
    origin=_column("str", "postgres_logs or edge_logs", nullable=False),
    sql_state=_column("str", "SQLSTATE, where Postgres saw it"),
    status_code=_column("Int64", "HTTP status, where the gateway saw it"),
    method=_column("str", "HTTP method, where the gateway saw it"),
    table_name=_column("str", "the table it is about, where known"),
    column_name=_column("str", "the column it is about, where known"),
    message=_column("str", "without DETAIL lines", privacy=Privacy.STRANGER_TEXT),
)
BOOKING_COUNTS = _schema(
    "booking_counts",
    bucket=_column(TIME, "start of the bucket; null for an event's row"),
    event_id=_column("str", "→ events; null for a bucket's row"),
    initiated=_column("int64", "bookings initiated", nullable=False, unit="bookings"),
    stored=_column("int64", "of them, with metadata.initial_sms.message_sid", nullable=False, unit="bookings"),
    empty=_column("int64", "of them, with an empty object as metadata", nullable=False, unit="bookings"),
    without_sms=_column("int64", "of them, with metadata without the SMS", nullable=False, unit="bookings"),
    confirmed=_column("int64", "of them, confirmed", nullable=False, unit="bookings"),
    booked=_column("int64", "of them, that became a booking", nullable=False, unit="bookings"),
    last_at=_column(TIME, "when the last was initiated", nullable=False),
)
TEXT_COUNTS = _schema(
    "text_counts",
    bucket=_column(TIME, "start of the bucket", nullable=False),
    status=_column("str", "Twilio's word where the database has it, else the app's"),
    error_code=_column("str", "Twilio's error code"),
    texts=_column("int64", "outbound rows of messages", nullable=False, unit="texts"),
    last_at=_column(TIME, "when the last row was written", nullable=False),
)
RECONCILED = _schema(
    "reconciled",
    sid=_column("str", "Twilio's SID", nullable=False),
    in_messages=_column("boolean", "whether messages has a row of it, of whatever age", nullable=False),
    with_booking=_column("boolean", "whether a booking's metadata holds it; null: there is no such column"),
)

SCHEMAS = tuple(_SCHEMAS)


def privacy_of(schema: pa.DataFrameSchema, column: str) -> Privacy | None:
    """Return who may see `column`, or None if nobody declared it (then it is masked)."""
    declared = schema.columns.get(column)
    return None if declared is None else Privacy(declared.metadata["privacy"])


def frame(schema: pa.DataFrameSchema, rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Build a frame of `schema` from `rows`; keys nobody declared are dropped, absent ones become null.

    Raises `SourceError(bad_data)` when a value does not fit its column.
    """
    try:
        raw = pd.DataFrame.from_records(list(rows), columns=list(schema.columns))
        return schema.validate(raw, lazy=True)
    except pandera.errors.SchemaErrors as error:
        columns = ", ".join(sorted({str(name) for name in error.failure_cases["column"].dropna()})) or "rows"
    except ValueError:  # text that is no Unicode, a number that no column holds
        columns = "rows"
    raise SourceError(
        FailureKind.BAD_DATA,
        f"{schema.name} came back in a form that cannot be read ({columns}).",
        "The other side may have changed: compare the table with docs/architecture.md.",
    )


@dataclass(frozen=True, slots=True)
class OddColumn:
    """How many cells of a column could not be read, and how many rows were left out because they need the cell."""

    name: str
    cells: int
    rows: int


def readable(
    schema: pa.DataFrameSchema, rows: Iterable[Mapping[str, Any]]
) -> tuple[pd.DataFrame, tuple[OddColumn, ...]]:
    """Build a frame of `schema` as `frame` does, but let a value that does not fit cost its cell only.

    Where the column must have a value, it costs the row. Raises `SourceError(bad_data)` where no row is left, unless
    all that is wrong is that a time has no instant (null or infinity): Postgres allows that in every row.
    """
    rows = list(rows)
    try:
        return frame(schema, rows), ()
    except SourceError:
        kept, odd, is_foreign = _without_odd_cells(schema, rows)
        if not kept and is_foreign:
            raise
    return frame(schema, kept), odd


def _without_odd_cells(
    schema: pa.DataFrameSchema, rows: Iterable[Mapping[str, Any]]
) -> tuple[list[dict[str, Any]], tuple[OddColumn, ...], bool]:
    """Return the rows that can be kept, what was odd, and whether a needed value was odd in more than its instant."""
    cells, lost = dict.fromkeys(schema.columns, 0), dict.fromkeys(schema.columns, 0)
    kept: list[dict[str, Any]] = []
    is_foreign = False
    for row in rows:
        values, complete = dict[str, Any](), True
        for name, column in schema.columns.items():
            value, kind = row.get(name), str(column.dtype)
            fits = value is None or _FITS.get(kind, _is_text)(value)
            cells[name] += not fits
            values[name] = value if fits else None
            if column.nullable or (fits and value is not None):
                continue
            if complete:
                lost[name] += 1
            complete = False
            is_foreign |= not (kind == str(TIME) and value in (None, "infinity", "-infinity"))
        if complete:
            kept.append(values)
    odd = tuple(OddColumn(name, cells[name], lost[name]) for name in cells if cells[name] or lost[name])
    return kept, odd, is_foreign


def _is_text(value: Any) -> bool:
    if isinstance(value, str):
        return not any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, int | float)


def _is_number(value: Any) -> bool:
    try:
        number = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        return False
    return math.isfinite(number) and abs(number) < 2**63


def _is_whole(value: Any) -> bool:
    return _is_number(value) and float(value).is_integer()


def _is_time(value: Any) -> bool:
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return 1700 < instant.year < 2250  # further away, not every resolution of pandas can hold it


_FITS: Mapping[str, Callable[[Any], bool]] = {
    str(TIME): _is_time,
    "Int64": _is_whole,
    "int64": _is_whole,
    "Float64": _is_number,
    "float64": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "bool": lambda value: isinstance(value, bool),
}
