"""The Management API's twin: SQL over HTTP, and the logs that show what the booking code swallowed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from lib.sandbox.management_twin import LogsRefusedError, to_postgres
from lib.sandbox.serve import Running

pytestmark = pytest.mark.sandbox

Ask = Callable[..., httpx.Response]


@pytest.fixture
def manage(sandbox: Running) -> Ask:
    credentials = sandbox.world.credentials

    def ask(
        path: str = "",
        json: Any = None,
        token: str | None = credentials.supabase_access_token,
        ref: str = credentials.project_ref,
        **more: Any,
    ) -> httpx.Response:
        url = f"{sandbox.world.base_url}/management/v1/projects/{ref}{path}"
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.request("GET" if json is None else "POST", url, json=json, headers=headers, **more)

    return ask


@pytest.fixture
def logs(manage: Ask) -> Ask:
    def ask(sql: str | None, hours: float = 1.0, ends: datetime | None = None) -> httpx.Response:
        end = ends or datetime.now(UTC) + timedelta(seconds=1)
        return manage(
            "/analytics/endpoints/logs",
            params={
                **({"sql": sql} if sql else {}),
                "iso_timestamp_start": (end - timedelta(hours=hours)).isoformat(),
                "iso_timestamp_end": end.isoformat(),
            },
        )

    return ask


def test_the_project_is_shown_to_its_token_only(manage: Ask) -> None:
    assert manage().json()["status"] == "ACTIVE_HEALTHY"
    assert manage(token="sbp_of_somebody_else").status_code == 401
    assert manage(token=None).status_code == 401
    assert manage(ref="anotherprojectofmine").status_code == 404


def test_health_wants_to_know_of_which_services(manage: Ask) -> None:
    assert manage("/health").status_code == 400
    healthy = manage("/health", params={"services": ["db", "rest"]}).json()
    assert [(service["name"], service["status"]) for service in healthy] == [
        ("db", "ACTIVE_HEALTHY"),
        ("rest", "ACTIVE_HEALTHY"),
    ]


def test_the_row_cap_can_be_read(manage: Ask) -> None:
    assert manage("/postgrest").json()["max_rows"] == 1000


def test_the_last_statement_of_a_query_that_gave_rows_answers(manage: Ask) -> None:
    """As supabase/postgres-meta does it (src/lib/db.ts)."""
    answer = manage("/database/query", {"query": "select 1 as a; select 2 as b"})
    assert (answer.status_code, answer.json()) == (201, [{"b": 2}])
    assert manage("/database/query", {"query": "begin; select 1 as a; commit"}).json() == [{"a": 1}]
    assert manage("/database/query", {"query": "begin; commit"}).json() == []


def test_values_come_as_the_platform_writes_them(manage: Ask) -> None:
    sql = """select 7::bigint as big, 1.50::numeric as price, array['a'] as names, '{"k": null}'::jsonb as j,
             '2026-07-01 12:00+00'::timestamptz as at, true as yes, null as nothing"""
    assert manage("/database/query", {"query": sql}).json() == [
        {
            "big": 7,
            "price": "1.50",
            "names": ["a"],
            "j": {"k": None},
            "at": "2026-07-01 12:00:00+00",
            "yes": True,
            "nothing": None,
        }
    ]


def test_a_query_takes_parameters(manage: Ask) -> None:
    body = {"query": "select $1::int + $2::int as sum", "parameters": [2, 3]}
    assert manage("/database/query", body).json() == [{"sum": 5}]


def test_an_error_is_a_400_with_the_databases_words(manage: Ask) -> None:
    answer = manage("/database/query", {"query": "select * from public.no_such_table"})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith("Failed to run sql query: ERROR:  42P01: ")
    assert manage("/database/query", {"query": " "}).status_code == 400
    assert manage("/database/query", {}).status_code == 400


def test_a_migration_in_one_string_is_one_transaction(manage: Ask) -> None:
    sql = "begin; alter table public.events add column dry_run int; rollback"
    assert manage("/database/query", {"query": sql}).status_code == 201
    assert manage("/database/query", {"query": "select dry_run from public.events"}).status_code == 400


def test_no_session_state_survives_a_call(manage: Ask) -> None:
    manage("/database/query", {"query": "set search_path = nowhere"})
    assert manage("/database/query", {"query": "select id from events limit 0"}).status_code == 201


def test_the_read_only_door_sees_past_row_security_and_cannot_write(manage: Ask, play: Callable[..., object]) -> None:
    play("healthy")
    endpoint = "/database/query/read-only"
    assert manage(endpoint, {"query": "select count(*) as n from public.messages"}).json()[0]["n"] > 0
    assert "42P01" in manage(endpoint, {"query": "select 1 from messages"}).json()["message"]
    assert "25006" in manage(endpoint, {"query": "delete from public.messages"}).json()["message"]
    escape = "set default_transaction_read_only = off; delete from public.messages"
    assert manage(endpoint, {"query": escape}).status_code == 400
    assert (
        "25006"
        in manage("/database/query", {"query": "delete from public.messages", "read_only": True}).json()["message"]
    )


def test_the_catalog_is_described_without_sql(manage: Ask) -> None:
    assert "customer_id" in manage("/database/openapi").json()["definitions"]["messages"]["required"]


def test_a_refused_insert_shows_in_the_postgres_log_with_what_came_through_the_data_api(
    sandbox: Running, logs: Ask, play: Callable[..., object]
) -> None:
    play("healthy")
    text = {"body": "Hello", "direction": "outbound", "message_sid": "SM1", "status": "queued"}
    httpx.post(f"{sandbox.world.base_url}/supabase/rest/v1/messages", json=text, headers=_keys(sandbox))
    found = logs(
        "select timestamp, event_message, log_attributes['parsed.user_name'] as who from logs "
        "where source_name = 'postgres_logs' and log_attributes['parsed.sql_state_code'] in ('23502', '42703') "
        "order by timestamp desc limit 1"
    ).json()["result"]
    assert found[0]["who"] == "authenticator"
    assert found[0]["event_message"].startswith('null value in column "customer_id" of relation "messages"')
    assert "DETAIL:  Failing row contains (" in found[0]["event_message"]
    assert datetime.fromisoformat(found[0]["timestamp"]).tzinfo is None


def test_a_write_to_a_missing_column_shows_at_the_gateway_alone(
    sandbox: Running, logs: Ask, play: Callable[..., object]
) -> None:
    play("healthy")
    httpx.patch(
        f"{sandbox.world.base_url}/supabase/rest/v1/pending_bookings?id=is.null",
        json={"no_such_column": 1},
        headers=_keys(sandbox),
    )
    found = logs(
        "select source_name, count() as n from logs where "
        "(source_name = 'edge_logs' and log_attributes['request.method'] = 'PATCH' "
        " and log_attributes['request.path'] = '/rest/v1/pending_bookings' "
        " and log_attributes['response.status_code'] = '400') "
        "or match(event_message, 'no_such_column') group by source_name"
    ).json()["result"]
    assert found == [{"source_name": "edge_logs", "n": 1}]


def test_history_can_be_written_into_the_logs(sandbox: Running, logs: Ask) -> None:
    yesterday = datetime.now(UTC) - timedelta(hours=20)
    attributes = {"parsed.sql_state_code": "23502"}
    sandbox.world.log_line("postgres_logs", "it failed", attributes, at=yesterday, severity_text="ERROR")
    sql = "select toStartOfHour(timestamp) as hour, severity_text from logs where match(event_message, '^it f')"
    hour = yesterday.strftime("%Y-%m-%d %H:00:00.000000")
    assert logs(sql, hours=23).json()["result"] == [{"hour": hour, "severity_text": "ERROR"}]
    assert logs(sql, hours=1).json()["result"] == []


def test_without_a_question_the_gateways_lines_are_returned(sandbox: Running, logs: Ask) -> None:
    httpx.get(f"{sandbox.world.base_url}/supabase/rest/v1/events?limit=1", headers=_keys(sandbox))
    assert logs(None).json()["result"][0]["event_message"] == "GET | 200 | /rest/v1/events"


@pytest.mark.parametrize(
    "sql",
    [
        "select * from logs",
        "select id, logs.* from logs",
        "select count(*) from logs",
        "select id from public.customers",
        "select id from logs; select 1 from logs",
        "delete from logs",
        "this is no sql from logs",
        "select c.id from logs, public.customers c",
        "select source from logs",
    ],
)
def test_the_logs_api_refuses_what_the_platform_refuses(logs: Ask, sql: str) -> None:
    assert logs(sql).status_code == 400


def test_the_logs_api_takes_no_range_beyond_a_day(logs: Ask) -> None:
    assert logs("select id from logs", hours=24.1).status_code == 400
    assert logs("select id from logs", hours=-1).status_code == 400


def test_a_thousand_rows_are_the_most_that_logs_return(sandbox: Running, logs: Ask) -> None:
    with sandbox.world.connection() as connection:
        connection.execute(
            "insert into platform.log (source_name, event_message) "
            "select 'edge_logs', 'GET' from generate_series(1, 1200)"
        )
    assert len(logs("select id from logs").json()["result"]) == 1000


def test_what_stands_in_a_literal_is_not_read_as_sql() -> None:
    asked = "select id from logs where event_message = 'select * from x; count(*)'"
    assert to_postgres(asked) == asked
    with pytest.raises(LogsRefusedError):
        to_postgres("select 'from logs'")


def _keys(sandbox: Running) -> dict[str, str]:
    secret = sandbox.world.credentials.supabase_secret_key
    return {"apikey": secret, "Authorization": f"Bearer {secret}"}
