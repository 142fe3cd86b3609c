"""The booking data from a Data API that fails: every fault is one kind, one sentence, and shows no secret."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from lib.model.reading import FailureKind, Observed, SourceError
from lib.model.window import Window, WindowSize
from lib.sandbox.serve import Running
from lib.sources import booking_data as tables
from lib.sources.booking_data import BookingData, TableQuery
from lib.sources.http import Deadline
from tests.sources.failures import FAULTS, failure_of, refusal, seconds_for
from tests.sources.fake_server import FakeServer, as_json
from tests.sources.test_http import DrippingServer

KEY = "sb_secret_planted_4242424242"
PHONE = "+447700900123"


@pytest.fixture(scope="module")
def healthy(sandbox: Running, play: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """The settings of a healthy sandbox with rows in every table; no test here changes it."""
    settings = play("healthy")
    with sandbox.world.connection() as connection:
        connection.execute("update public.customers set sms_opt_in = false")
        connection.execute(
            "insert into public.message_delivery_status (message_id, status)"
            " select id, 'delivered' from public.messages limit 1"
        )
        connection.execute(
            "insert into public.background_jobs (type) select 'send_reminders' where not exists"
            " (select from public.background_jobs where status = 'pending')"
        )
    return dict(settings)


@pytest.fixture
def source(healthy: dict[str, str]) -> BookingData:
    return BookingData(healthy["SUPABASE_URL"], SecretStr(healthy["SUPABASE_SECRET_KEY"]))


def read(source: BookingData, query: TableQuery, seconds: float = 10) -> Observed[pd.DataFrame]:
    window = Window.ending(datetime.now(UTC) + timedelta(minutes=1), WindowSize.WEEK)
    return source.read(query, window, Deadline(seconds))


def failure(source: BookingData, query: TableQuery = tables.MESSAGES, seconds: float = 10) -> SourceError:
    return refusal(lambda: read(source, query, seconds))


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_one_safe_failure_of_a_reading(
    source: BookingData, fault: Callable[..., None], name: str, caplog: pytest.LogCaptureFixture
):
    how, kind = FAULTS[name]
    caplog.set_level("DEBUG")
    fault("supabase", **how)
    caught = failure(source, seconds=seconds_for(name))
    assert caught.kind is kind
    assert source.key.get_secret_value() not in "".join(traceback.format_exception(caught)) + caplog.text


@pytest.mark.parametrize("name", sorted(FAULTS.keys() - {"wrong types", "cut off", "404", "403"}))
def test_every_fault_is_one_safe_failure_of_what_we_can_see(source: BookingData, fault: Callable[..., None], name: str):
    how, kind = FAULTS[name]
    fault("supabase", **how)
    caught = failure_of(lambda: source.visibility(Deadline(seconds_for(name))))
    assert caught.kind is kind


@pytest.mark.parametrize("status", [403, 404])
def test_refused_tables_are_named_and_no_zero(source: BookingData, fault: Callable[..., None], status: int):
    fault("supabase", status=status)
    seen = source.visibility(Deadline(5)).value
    assert seen.counts == {}
    assert set(seen.refused) == set(tables.COUNTED_TABLES)


@pytest.mark.parametrize("query", [*tables.QUERIES, tables.DEMAND], ids=lambda query: query.schema.name)
@pytest.mark.parametrize("body", ["wrong_types", "truncated"])
def test_no_table_is_read_from_nonsense(source: BookingData, fault: Callable[..., None], query: TableQuery, body: str):
    assert len(read(source, query).value), "else there is nothing to spoil"
    fault("supabase", body=body)
    assert failure(source, query).kind is FailureKind.BAD_DATA


def test_a_body_that_drips_ends_with_the_deadline():
    with DrippingServer() as url:
        assert failure(BookingData(url, SecretStr(KEY)), seconds=0.4).kind is FailureKind.TIMEOUT


def test_a_deadline_that_is_over_asks_nobody(server: FakeServer):
    assert failure(BookingData(server.url, SecretStr(KEY)), seconds=0).kind is FailureKind.TIMEOUT
    assert not server.asked


def test_whoever_asks_to_be_left_alone_is_left_alone(server: FakeServer):
    server.everything = as_json({"message": "slow down"}, 429, Retry_After="120")
    source = BookingData(server.url, SecretStr(KEY))
    assert "120 seconds" in failure(source, tables.EVENTS).failure.sentence
    assert failure(source, tables.MESSAGES).kind is FailureKind.RATE_LIMITED
    assert len(server.asked) == 1, "the pause holds for every table"


def test_a_short_pause_is_waited_for(server: FakeServer):
    server.tell(
        "/rest/v1/events",
        as_json({"message": "slow down"}, 429, Retry_After="0.05"),
        as_json({"code": "PGRST001", "message": "x"}, 503),
        as_json([{"id": "1", "name": "Quiz"}], Content_Range="0-0/1"),
    )
    assert len(read(BookingData(server.url, SecretStr(KEY)), tables.EVENTS).value) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("57014", FailureKind.TIMEOUT),
        ("PGRST301", FailureKind.UNAUTHORIZED),
        ("PGRST303", FailureKind.UNAUTHORIZED),
        ("PGRST003", FailureKind.UNAVAILABLE),
        ("53300", FailureKind.UNAVAILABLE),
        ("PGRST205", FailureKind.NOT_FOUND),
        ("42501", FailureKind.FORBIDDEN),
        ("PGRST100", FailureKind.BAD_DATA),
        (f"{KEY} {PHONE}", FailureKind.BAD_DATA),
    ],
)
def test_an_error_is_recognized_by_its_code_and_its_text_is_not_repeated(
    server: FakeServer, code: str, kind: FailureKind
):
    message = {"message": f"column of {PHONE} {KEY}", "details": PHONE, "hint": KEY}
    server.everything = as_json({"code": code, **message}, 400)
    caught = failure(BookingData(server.url, SecretStr(KEY)), tables.EVENTS, seconds=0.5)
    assert caught.kind is kind
    shown = "".join(traceback.format_exception(caught)) + repr(caught.failure)
    assert KEY not in shown and PHONE not in shown


@pytest.mark.parametrize("rows", [[{"name": "no id"}], [7], {"a": 1}, "text", None, [None]])
def test_rows_that_are_none_are_bad_data(server: FakeServer, rows: Any):
    server.everything = as_json(rows, Content_Range="0-0/1")
    assert failure(BookingData(server.url, SecretStr(KEY)), tables.PENDING_BOOKINGS).kind is FailureKind.BAD_DATA


def test_junk_in_single_fields_leaves_them_unknown(server: FakeServer):
    good = {"id": "1", "created_at": "2026-11-22T10:00:00.5+00:00", "destination_url": "http://["}
    junk = good | {"id": "2", "mobile_number": ["+44"], "to_number": 7, "metadata": "text", "destination_url": {}}
    server.everything = as_json([good, junk], Content_Range="0-1/2")
    source = BookingData(server.url, SecretStr(KEY))
    assert read(source, tables.PENDING_BOOKINGS).value["mobile_number"].isna().all()
    assert read(source, tables.MESSAGES).value["to_number"].isna().all()
    assert read(source, tables.SHORT_LINKS).value["token"].isna().all()


def read_rows(server: FakeServer, query: TableQuery, *rows: dict[str, Any]) -> Observed[pd.DataFrame]:
    server.everything = as_json(list(rows), Content_Range=f"0-{len(rows) - 1}/{len(rows)}")
    return read(BookingData(server.url, SecretStr(KEY)), query)


ROW = {"id": "1", "created_at": "2026-11-22T10:00:00+00:00"}


def test_an_endless_link_costs_its_cell_and_the_caveat_names_table_and_column(server: FakeServer):
    seen = read_rows(server, tables.PENDING_BOOKINGS, ROW, ROW | {"id": "2", "expires_at": "infinity"})
    assert list(seen.value["id"]) == ["1", "2"] and seen.value["expires_at"].isna().all()
    assert [caveat.subject for caveat in seen.caveats if "cannot be read" in caveat.sentence] == [
        "pending_bookings.expires_at"
    ]


@pytest.mark.parametrize("time", [None, "infinity"])
def test_a_row_without_a_time_is_left_out_with_a_caveat(server: FakeServer, time: str | None):
    seen = read_rows(server, tables.MESSAGES, ROW, ROW | {"id": "2", "created_at": time})
    assert list(seen.value["id"]) == ["1"]
    assert any("messages.created_at" in caveat.sentence for caveat in seen.caveats)


def test_an_event_without_a_name_is_kept(server: FakeServer):
    seen = read_rows(server, tables.EVENTS, {"id": "1", "name": None, "capacity": 9}, {"id": "2", "name": "Quiz"})
    assert list(seen.value["name"]) == [tables.NAMELESS, "Quiz"]
    assert "events.name" in {caveat.subject for caveat in seen.caveats}


def test_metadata_that_was_stored_as_a_text_of_json_is_stored(server: FakeServer):
    stored = {"initial_sms": {"message_sid": "SM1", "segments": 2}}
    seen = read_rows(server, tables.PENDING_BOOKINGS, ROW | {"metadata": json.dumps(stored)}).value
    assert (seen["metadata_state"].iloc[0], seen["sms_sid"].iloc[0], seen["sms_segments"].iloc[0]) == (
        "stored",
        "SM1",
        2,
    )


@pytest.mark.parametrize(
    ("permissions", "may"),
    [
        (["*"], True),
        ('["*"]', True),
        ('["write:bookings"]', True),
        (["read:events"], False),
        ("[", False),
        (None, False),
    ],
)
def test_a_key_may_book_with_the_permission_or_with_every_permission(server: FakeServer, permissions: Any, may: bool):
    seen = read_rows(server, tables.API_KEYS, {"id": "1", "permissions": permissions})
    assert bool(seen.value["can_write_bookings"].iloc[0]) is may


def test_a_paused_project_is_told_as_that(server: FakeServer):
    server.everything = as_json({"message": "x"}, 540)
    caught = failure(BookingData(server.url, SecretStr(KEY)), tables.EVENTS)
    assert caught.kind is FailureKind.UNAVAILABLE
    assert "is paused (540)" in caught.failure.sentence and "Restore" in caught.failure.hint


def test_a_project_whose_name_is_gone_may_be_paused():
    caught = failure(BookingData("http://gone.invalid", SecretStr(KEY)), tables.EVENTS, seconds=5)
    assert caught.kind is FailureKind.UNAVAILABLE and "paused" in caught.failure.hint


def test_a_full_database_is_told_as_that(server: FakeServer):
    server.everything = as_json({"code": "53300", "message": "x"}, 500)
    caught = failure(BookingData(server.url, SecretStr(KEY)), tables.EVENTS, seconds=0.5)
    assert "no free connection" in caught.failure.sentence and "status page" not in caught.failure.hint
