"""The booking data, read from a real PostgreSQL through Supabase Lite, and from a Data API that misbehaves."""

from __future__ import annotations

import base64
import json
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest
from pydantic import SecretStr

from lib.model.database import KeyKind
from lib.model.frames import MetadataState
from lib.model.reading import CaveatKind, FailureKind, Observed, SourceError
from lib.model.window import Window, WindowSize
from lib.sandbox.serve import Running
from lib.sources import booking_data as tables
from lib.sources.booking_data import BookingData, TableQuery
from lib.sources.http import Deadline
from tests.sources.failures import failure_of
from tests.sources.fake_server import FakeServer, Scripted, as_json

Play = Callable[[str], dict[str, str]]
KEY = "sb_secret_planted_4242424242"
PHONE = "+447700900123"


@pytest.fixture(scope="module")
def healthy(play: Play) -> dict[str, str]:
    """The settings of a healthy sandbox. Its rows are the tests' to change; who changes more asks for `play`."""
    return play("healthy")


@pytest.fixture
def spoilt(healthy: dict[str, str], play: Play) -> Iterator[None]:
    """For tests that change the schema or its rights: afterwards all is as it was."""
    yield
    play("healthy")


@pytest.fixture
def source(healthy: dict[str, str]) -> BookingData:
    return BookingData(healthy["SUPABASE_URL"], SecretStr(healthy["SUPABASE_SECRET_KEY"]))


def execute(sandbox: Running, *statements: str) -> list[dict[str, Any]]:
    """Run `statements` as the database's owner; return the rows of the last one."""
    with sandbox.world.connection() as connection:
        for statement in statements:
            cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def day() -> Window:
    return Window.ending(datetime.now(UTC) + timedelta(minutes=1), WindowSize.DAY)


def read(source: BookingData, query: TableQuery, seconds: float = 20) -> Observed[pd.DataFrame]:
    return source.read(query, day(), Deadline(seconds))


def blind(source: BookingData, sandbox: Running) -> BookingData:
    return replace(source, key=SecretStr(sandbox.world.credentials.supabase_publishable_key))


def jwt(**claims: Any) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, claims)
    return ".".join([*(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts), "c2ln"])


# Completeness --------------------------------------------------------------------------------------------

MANY_MESSAGES = """
    insert into public.messages (customer_id, direction, message_sid, body, status, created_at)
    select (select id from public.customers limit 1), 'outbound', 'SM' || n, 'x', 'sent', now() - interval '3 hours'
        + (n / {per_instant}) * interval '1 microsecond'
    from generate_series(1, {count}) n
"""


def test_twenty_five_thousand_messages_are_twenty_five_thousand_rows(source: BookingData, sandbox: Running):
    execute(sandbox, "delete from public.messages", MANY_MESSAGES.format(count=25_000, per_instant=7))
    observed = read(source, tables.MESSAGES)
    assert len(observed.value) == 25_000
    assert observed.value["message_sid"].nunique() == 25_000
    assert observed.value["created_at"].is_monotonic_increasing
    assert observed.caveats == ()


def test_rows_of_the_same_instant_across_a_page_border_are_neither_lost_nor_doubled(
    source: BookingData, sandbox: Running
):
    execute(sandbox, "delete from public.messages", MANY_MESSAGES.format(count=2_600, per_instant=900))
    sids = read(source, tables.MESSAGES).value["message_sid"]
    assert sorted(sids) == sorted(f"SM{n}" for n in range(1, 2_601))


def test_instants_a_microsecond_apart_are_kept_apart(source: BookingData, sandbox: Running):
    execute(sandbox, "delete from public.messages", MANY_MESSAGES.format(count=1_500, per_instant=1))
    assert read(source, tables.MESSAGES).value["created_at"].nunique() == 1_500


def test_a_table_without_a_time_is_read_whole_too(source: BookingData, sandbox: Running, spoilt: None):
    execute(
        sandbox,
        "delete from public.events",
        "insert into public.events (name, date, time, slug) select 'Quiz', now(), '19:00', 's' || n "
        "from generate_series(1, 2300) n",
    )
    observed = read(source, tables.EVENTS)
    assert observed.value["id"].nunique() == len(observed.value) == 2_300
    assert observed.caveats == ()


def test_rows_that_come_while_we_read_double_nothing_and_hide_nothing(source: BookingData, sandbox: Running):
    execute(sandbox, "delete from public.messages", MANY_MESSAGES.format(count=4_000, per_instant=3))
    stop = threading.Event()

    def keep_writing() -> None:
        while not stop.is_set():
            execute(
                sandbox,
                "insert into public.messages (customer_id, direction, message_sid, body, status, created_at) select"
                " customer_id, direction, 'NEW' || gen_random_uuid(), body, status, created_at"
                " from public.messages order by random() limit 40",
            )

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        observed = read(source, tables.MESSAGES)
    finally:
        stop.set()
        writer.join()
    assert observed.value["id"].is_unique
    assert {f"SM{n}" for n in range(1, 4_001)} <= set(observed.value["message_sid"])
    assert observed.caveats == ()


def test_rows_that_go_while_we_read_are_not_reported_as_missing(server: FakeServer):
    page = [{"id": f"{n:04}", "name": "Quiz"} for n in range(1000)]
    counted = as_json(page, Content_Range="0-999/1900")
    server.tell("/rest/v1/events", counted, as_json(page[:800]), as_json([]))
    observed = read(BookingData(server.url, SecretStr(KEY)), tables.EVENTS)
    assert (len(observed.value), observed.caveats) == (1_800, ())


def test_a_server_with_a_smaller_cap_is_read_to_the_end(server: FakeServer):
    rows = [{"id": f"{n:04}", "name": "Quiz"} for n in range(5)]
    server.tell("/rest/v1/events", as_json(rows[:2], Content_Range="0-1/5"), as_json(rows[2:4]), as_json(rows[4:]))
    assert list(read(BookingData(server.url, SecretStr(KEY)), tables.EVENTS).value["id"]) == [r["id"] for r in rows]


def test_no_count_is_no_complete_answer(server: FakeServer):
    server.tell("/rest/v1/events", as_json([{"id": "1", "name": "Quiz"}]))
    assert failure_of(lambda: read(BookingData(server.url, SecretStr(KEY)), tables.EVENTS)).kind is FailureKind.BAD_DATA


def test_past_our_own_limit_the_reading_is_truncated_and_keeps_the_newest(source: BookingData, sandbox: Running):
    execute(sandbox, "delete from public.messages", MANY_MESSAGES.format(count=3_500, per_instant=1))
    observed = read(replace(source, max_rows=2_000), tables.MESSAGES)
    (caveat,) = observed.caveats
    assert (caveat.kind, caveat.subject) == (CaveatKind.TRUNCATED, "messages")
    assert "2,000 of 3,500" in caveat.sentence
    assert set(observed.value["message_sid"]) == {f"SM{n}" for n in range(1_501, 3_501)}


def test_a_deadline_between_pages_leaves_what_was_read_marked_as_truncated(server: FakeServer):
    rows = [{"id": f"{n:04}", "name": "Quiz"} for n in range(2)]
    server.tell("/rest/v1/events", as_json(rows, Content_Range="0-1/5"), Scripted(waits=True))
    observed = read(BookingData(server.url, SecretStr(KEY)), tables.EVENTS, seconds=0.5)
    assert len(observed.value) == 2
    assert [(c.kind, "2 of 5" in c.sentence) for c in observed.caveats] == [(CaveatKind.TRUNCATED, True)]


def test_nothing_outside_the_window_is_read(source: BookingData, sandbox: Running):
    window = day()
    execute(
        sandbox,
        "delete from public.messages",
        *(
            "insert into public.messages (customer_id, direction, message_sid, body, status, created_at) select "
            f"id, 'outbound', 'SM{n}', 'x', 'sent', '{at.isoformat()}' from public.customers limit 1"
            for n, at in enumerate((window.start - timedelta(microseconds=1), window.start, window.end))
        ),
    )
    assert list(source.read(tables.MESSAGES, window, Deadline(10)).value["message_sid"]) == ["SM1"]


def test_every_query_finds_all_its_columns_in_the_production_schema(source: BookingData):
    for query in (*tables.QUERIES, tables.DEMAND):
        assert read(source, query).caveats == ()


def test_only_customers_who_cannot_be_texted_are_read(source: BookingData, sandbox: Running):
    execute(
        sandbox,
        "update public.customers set sms_opt_in = false where id = (select min(id::text)::uuid from public.customers)",
    )
    customers = read(source, tables.CUSTOMERS).value
    assert 0 < len(customers) < execute(sandbox, "select count(*) as n from public.customers")[0]["n"]
    assert list(customers.columns) == ["id", "sms_opt_in", "messaging_status"]


# What a booking's metadata says ----------------------------------------------------------------------------


def test_null_an_empty_object_and_one_without_the_text_are_three_findings(source: BookingData, sandbox: Running):
    execute(
        sandbox,
        "update public.pending_bookings p set metadata = (array[null, '{}', '{\"source\": \"web\"}', "
        '\'{"initial_sms": {"message_sid": "SM1", "segments": 2}}\']::jsonb[])[1 + n % 4] '
        "from (select id, row_number() over (order by created_at) as n from public.pending_bookings) x "
        "where x.id = p.id",
    )
    stored = {
        row["id"]: row["metadata"] for row in execute(sandbox, "select id::text, metadata from public.pending_bookings")
    }
    frame = read(source, tables.PENDING_BOOKINGS).value
    expected = {"null": MetadataState.NULL, "{}": MetadataState.EMPTY, '{"source": "web"}': MetadataState.WITHOUT_SMS}
    for row in frame.itertuples():
        state = expected.get(json.dumps(stored[row.id]), MetadataState.STORED)
        assert row.metadata_state == state
        assert (row.sms_sid == "SM1") if state is MetadataState.STORED else pd.isna(row.sms_sid)
    assert set(frame["metadata_state"]) == {*expected.values(), MetadataState.STORED}


def test_a_column_that_is_missing_is_a_caveat_and_a_state_of_its_own(play: Play, spoilt: None):
    settings = play("missing-column")
    source = BookingData(settings["SUPABASE_URL"], SecretStr(settings["SUPABASE_SECRET_KEY"]))
    observed = read(source, tables.PENDING_BOOKINGS)
    assert [(c.kind, c.subject) for c in observed.caveats] == [(CaveatKind.MISSING_COLUMN, "pending_bookings.metadata")]
    assert set(observed.value["metadata_state"]) == {MetadataState.COLUMN_MISSING}
    assert read(source, tables.DEMAND).caveats == (), "it does not read that column"


def test_a_column_that_comes_back_is_seen_at_the_next_reading(play: Play, sandbox: Running, spoilt: None):
    settings = play("missing-column")
    source = BookingData(settings["SUPABASE_URL"], SecretStr(settings["SUPABASE_SECRET_KEY"]))
    read(source, tables.PENDING_BOOKINGS)
    execute(sandbox, "alter table public.pending_bookings add column metadata jsonb")
    sandbox.world.reload_schema_cache()
    observed = read(source, tables.PENDING_BOOKINGS)
    assert observed.caveats == ()
    assert set(observed.value["metadata_state"]) == {MetadataState.NULL}


def test_two_missing_columns_are_both_named(source: BookingData, sandbox: Running, spoilt: None):
    execute(sandbox, "alter table public.messages drop column failed_at, drop column cost_usd")
    sandbox.world.reload_schema_cache()
    observed = read(source, tables.MESSAGES)
    assert {c.subject for c in observed.caveats} == {"messages.failed_at", "messages.cost_usd"}
    assert observed.value["failed_at"].isna().all() and len(observed.value)


# Refusals ------------------------------------------------------------------------------------------------


def failure(source: BookingData, query: TableQuery = tables.MESSAGES, seconds: float = 10) -> SourceError:
    caught = failure_of(lambda: read(source, query, seconds))
    assert caught.failure.sentence.endswith(".") and caught.failure.hint
    return caught


def test_a_missing_table_is_not_found(source: BookingData, sandbox: Running, spoilt: None):
    execute(sandbox, "drop table public.short_link_clicks, public.short_links cascade")
    sandbox.world.reload_schema_cache()
    assert failure(source, tables.SHORT_LINKS).kind is FailureKind.NOT_FOUND


def test_a_revoked_grant_is_forbidden_and_no_empty_table(source: BookingData, sandbox: Running, spoilt: None):
    execute(sandbox, "revoke all on public.messages from service_role, anon, authenticated")
    assert failure(source).kind is FailureKind.FORBIDDEN
    assert source.visibility(Deadline(10)).value.refused == {"messages": "forbidden"}


EXPIRED = jwt(role="service_role", ref="abcdefghijklmnopqrst", exp=1)


@pytest.mark.parametrize("key", ["sb_secret_of_another_project", "no key at all", EXPIRED, "sb_secret_…", "a\nb"])
def test_a_key_that_is_wrong_expired_or_malformed_is_unauthorized_and_never_shown(healthy: dict[str, str], key: str):
    with pytest.raises(SourceError) as caught:
        source = BookingData(healthy["SUPABASE_URL"], SecretStr(key))
        read(source, tables.MESSAGES)
    assert caught.value.kind is FailureKind.UNAUTHORIZED
    assert "sb_secret_" in caught.value.failure.hint, "it says which key is needed"
    assert key not in "".join(traceback.format_exception(caught.value))


def test_the_source_shows_no_key_in_its_repr():
    assert KEY not in repr(BookingData("http://127.0.0.1:9", SecretStr(KEY)))


# How much our key can see ----------------------------------------------------------------------------------


def test_a_secret_key_is_proved_and_counts_everything(source: BookingData, sandbox: Running):
    seen = source.visibility(Deadline(10)).value
    assert (seen.key_kind, seen.key_proved, seen.sees_everything) == (KeyKind.SECRET, True, True)
    for table in tables.COUNTED_TABLES:
        assert seen.counts[table] == execute(sandbox, f"select count(*) as n from public.{table}")[0]["n"]
    assert seen.refused == {}


def test_a_publishable_key_reads_empty_tables_and_says_that_this_proves_nothing(source: BookingData, sandbox: Running):
    key = blind(source, sandbox)
    assert len(read(key, tables.MESSAGES).value) == 0
    seen = key.visibility(Deadline(10)).value
    assert (seen.key_kind, seen.key_proved, seen.sees_everything) == (KeyKind.PUBLISHABLE, False, False)
    assert seen.counts["messages"] == 0 < seen.counts["pending_bookings"]
    assert seen.refused == {"bookings": "forbidden"}


def test_a_key_that_only_looks_like_a_secret_one_is_not_believed(server: FakeServer):
    rows = as_json([], Content_Range="*/0")
    server.tell_all({f"/rest/v1/{table}": rows for table in tables.COUNTED_TABLES})
    server.tell("/rest/v1/", as_json({"code": "42501", "message": "no"}, 403))
    seen = BookingData(server.url, SecretStr(KEY)).visibility(Deadline(10)).value
    assert (seen.key_kind, seen.key_proved, seen.sees_everything) == (KeyKind.SECRET, False, False)


def test_a_database_that_is_away_proves_nothing_about_the_key(server: FakeServer):
    server.tell_all({f"/rest/v1/{table}": as_json([], Content_Range="*/0") for table in tables.COUNTED_TABLES})
    server.tell("/rest/v1/", as_json({"code": "PGRST002", "message": "no"}, 503))
    assert BookingData(server.url, SecretStr(KEY)).visibility(Deadline(10)).value.key_proved is None


def test_a_legacy_key_says_which_project_it_is_of(server: FakeServer):
    server.everything = as_json([], Content_Range="*/0")
    key = jwt(role="anon", ref="abcdefghijklmnopqrst")
    seen = BookingData(server.url, SecretStr(key)).visibility(Deadline(10)).value
    assert (seen.key_kind, seen.key_project_ref) == (KeyKind.ANON_JWT, "abcdefghijklmnopqrst")
    assert not seen.sees_everything
