"""What Supabase's APIs and Postgres's types allow is read: a bad value costs its row or its column, never the table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from lib.model.reading import FailureKind
from lib.model.window import Window, WindowSize
from lib.sources import booking_data
from lib.sources.booking_data import BookingData, TableQuery
from lib.sources.catalog import CatalogSource, DescriptionCatalogClient, ManagementCatalogClient
from lib.sources.http import Deadline
from tests.contract import documents
from tests.contract.documents import Document, Schema
from tests.contract.survey import BASE_URL, CannedAnswers, Reader, survey, value_of
from tests.contract.variants import Samples

REF = "abcdefghijklmnopqrst"
PROJECT = f"/v1/projects/{REF}"
WINDOW = Window.ending(datetime(2025, 11, 22, 12, 0, tzinfo=UTC), WindowSize.DAY)
MOMENT = "2025-11-22T10:00:00+00:00"
# What a column of a time may hold; the second has no zone, as a `timestamp` has none.
TIMES = (MOMENT, "2025-11-22T10:00:00", "infinity", "-infinity")
STORED = {"initial_sms": {"message_sid": "SM" + "1" * 32, "segments": 1, "sent_at": MOMENT}}
SAMPLES: Samples = {
    "timestamp": (MOMENT, 1_763_805_600_000_000),
    "event_message": ('null value in column "customer_id" of relation "messages" violates not-null constraint',),
    "origin": ("postgres_logs", "edge_logs"),
    "sql_state": ("23502", ""),
    "status_code": ("400", ""),
    "method": ("PATCH", ""),
    "path": ("/rest/v1/pending_bookings", ""),
}


def soon() -> Deadline:
    return Deadline(10)


# Tables -------------------------------------------------------------------------------------------------


def table(query: TableQuery) -> Document:
    """Return what Postgres may hold in the columns that are read: any of them may be null but the key."""
    columns = {name: _column(query, name) for name in query.columns}
    row: Schema = {"type": "object", "properties": columns, "required": list(columns)}
    whole: Schema = {"type": "array", "items": row}
    return Document(whole, whole)


def _column(query: TableQuery, name: str) -> Schema:
    if name == "id":
        return {"type": "string"}
    if name == "metadata":
        # jsonb holds whatever was written: also a text that holds JSON itself.
        return {"enum": [STORED, None, {}, {"initial_sms": None}, json.dumps(STORED), [], 7]}
    if name == "permissions":
        return {"enum": [["write:bookings"], ["*"], None, {}, "write:bookings"]}
    dtype = str(query.schema.columns[name].dtype) if name in query.schema.columns else "str"
    if dtype.startswith("datetime"):
        return {"enum": [*TIMES, None]}
    kind = {"Int64": "integer", "int64": "integer", "boolean": "boolean", "bool": "boolean", "Float64": "number",
            "float64": "number"}.get(dtype, "string")  # fmt: skip
    return {"type": kind, "nullable": True}


def rows_meaning(body: Any, result: Any) -> Iterator[str]:
    if len(result.value) < len(body) and not result.caveats:
        yield "a row is lost without a word"


def pending_meaning(body: Any, result: Any) -> Iterator[str]:
    yield from rows_meaning(body, result)
    for row, read in zip(body, result.value.to_dict("records"), strict=False):
        if row["metadata"] in (STORED, json.dumps(STORED)) and read["sms_sid"] != STORED["initial_sms"]["message_sid"]:
            yield "a text whose metadata was stored as JSON in a text is told as one that was not stored"


def keys_meaning(body: Any, result: Any) -> Iterator[str]:
    yield from rows_meaning(body, result)
    for row, read in zip(body, result.value.to_dict("records"), strict=False):
        if row["permissions"] == ["*"] and not read["can_write_bookings"]:
            yield "a key that may do everything is told as one that may not book"


class Tables:
    """The booking data of a project whose every table answers with the rows that it was given."""

    def __init__(self) -> None:
        self.rows: list[Any] = []
        self.data = BookingData(BASE_URL, SecretStr("sb_secret_" + "x" * 24))
        self.data._http._transport = httpx.MockTransport(self._answer)
        self.data._http._mounts.clear()

    def _answer(self, request: httpx.Request) -> httpx.Response:
        # The next page of a table that was read has nothing.
        rows = [] if "and" in request.url.params or "id" in request.url.params else self.rows
        return httpx.Response(206, json=rows, headers={"Content-Range": f"0-{len(rows)}/{len(rows)}"})

    def ask(self, query: TableQuery, canned: CannedAnswers) -> Any:
        self.rows = plain(canned.get_json(f"{BASE_URL}/rest/v1/{query.table}"))
        return self.data.read(query, WINDOW, soon())


def plain(value: Any) -> Any:
    """Return a body as what json.dumps takes."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


_TABLES: list[Tables] = []


def _ask_table(query: TableQuery) -> Any:
    def ask(canned: CannedAnswers) -> Any:
        if not _TABLES:
            _TABLES.append(Tables())
        return _TABLES[0].ask(query, canned)

    return ask


_MEANINGS = {"pending_bookings": pending_meaning, "api_keys": keys_meaning}
TABLE_READERS = tuple(
    Reader(
        f"table {query.table}", lambda query=query: table(query), ("GET", f"/rest/v1/{query.table}"), _ask_table(query),
        SAMPLES, dict, _MEANINGS.get(query.table, rows_meaning),
    )
    for query in booking_data.QUERIES
)  # fmt: skip

# The Management API and the Data API's description ------------------------------------------------------


def catalog(canned: CannedAnswers) -> CatalogSource:
    door = ManagementCatalogClient(canned, BASE_URL, REF, SecretStr("t"))  # type: ignore[arg-type]
    return CatalogSource(door, None, door)


def description(canned: CannedAnswers) -> DescriptionCatalogClient:
    return DescriptionCatalogClient(canned, BASE_URL, SecretStr("t"))  # type: ignore[arg-type]


def logs_meaning(body: Any, result: Any) -> Iterator[str]:
    if "result" not in body or "error" in body:
        if not result.caveats:
            yield "logs that could not be read are told as no errors"
    elif len(value_of(result)) != len(body["result"]):
        yield "a line of the log is lost"


def _logs() -> Document:
    """The answer of the Logs API, with the columns that we ask for: a name that a line lacks is an empty text."""
    answer = documents.facts("supabase", "Logs").schema
    text = {"type": "string"}
    names = ("origin", "event_message", "sql_state", "status_code", "method", "path", "agent")
    columns: Schema = {"timestamp": {"type": ["string", "integer"]}, **dict.fromkeys(names, text)}
    row: Schema = {"type": "object", "properties": columns, "required": list(columns)}
    whole = {**answer, "properties": {**answer["properties"], "result": {"type": "array", "items": row}}}
    return Document(whole, whole)


def _catalog_rows() -> Document:
    """One row with the whole catalog in it, as the statement asks for it: every part may be empty."""
    text, flag, number = {"type": "string"}, {"type": "boolean"}, {"type": "integer"}

    def part(**columns: Schema) -> Schema:
        return {"type": "array", "items": {"type": "object", "properties": columns, "required": list(columns)}}

    def maybe(schema: Schema) -> Schema:
        return {**schema, "nullable": True}

    parts = {
        "columns": part(table=text, name=text, type=text, nullable=flag, default=maybe(text)),
        "checks": part(table=text, name=text, definition=text, columns={"type": "array", "items": text}),
        "policies": part(
            table=text, name=text, command=text, roles={"type": "array", "items": text}, using=maybe(text)
        ),
        "tables": part(name=text, row_security=flag, estimated_rows=number, owner=maybe(text)),
        "identity": part(
            database=text, user=text, server_version=text, bypasses_row_security=maybe(flag), in_recovery=flag,
            read_only=maybe(flag), time_zone=text,
        ),
    }  # fmt: skip
    whole = {"type": "object", "properties": parts, "required": list(parts)}
    rows: Schema = {
        "type": "array",
        "minItems": 1,  # it asks for one row, whatever there is
        "items": {"type": "object", "properties": {"catalog": whole}, "required": ["catalog"]},
    }
    return Document(rows, rows)


def _description() -> Document:
    """What PostgREST describes: OpenAPI 2.0, where `required` is left out of a table without one."""
    column: Schema = {"type": "object", "properties": {"format": {"type": "string"}, "type": {"type": "string"},
                      "default": {"type": "string"}, "description": {"type": "string"}}}  # fmt: skip
    definition: Schema = {
        "type": "object",
        "properties": {
            "properties": {"type": "object", "properties": {"customer_id": column}, "required": ["customer_id"]},
            "required": {"type": "array", "items": {"enum": ["customer_id"]}},
            "type": {"enum": ["object"]},
        },
        "required": ["properties"],
    }
    tables: Schema = {"type": "object", "properties": {"messages": definition}, "required": ["messages"]}
    whole: Schema = {"type": "object", "properties": {"definitions": tables}, "required": ["definitions"]}
    return Document(whole, whole)


API_READERS = (
    Reader(
        "logs", _logs, ("GET", f"{PROJECT}/analytics/endpoints/logs"),
        lambda canned: catalog(canned).errors(WINDOW, soon()), SAMPLES, dict, logs_meaning,
        # The answer itself may say that the logs could not be searched.
        may_refuse=frozenset({FailureKind.UNAVAILABLE}),
    ),
    Reader(
        "catalog", _catalog_rows, ("POST", f"{PROJECT}/database/query/read-only"),
        lambda canned: catalog(canned).schema(soon()), {},
    ),
    Reader("description", _description, ("GET", "/rest/v1/"), lambda canned: description(canned).columns(soon()), {}),
)  # fmt: skip

READERS = (*TABLE_READERS, *API_READERS)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_nothing_that_supabase_may_answer_is_misread(reader: Reader):
    assert survey(reader).complaints == {}
