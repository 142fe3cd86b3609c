"""The gateway and Lite behind it: the hosted Data API's answers, as the dashboard will meet them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from lib.sandbox.serve import Running

pytestmark = pytest.mark.sandbox


@pytest.fixture
def api(sandbox: Running, play: Callable[..., object]) -> Iterator[Callable[..., httpx.Response]]:
    """Ask the Data API, with the secret key unless another is given."""
    play("healthy")
    secret = sandbox.world.credentials.supabase_secret_key

    with httpx.Client(base_url=f"{sandbox.world.base_url}/supabase", timeout=30) as client:

        def ask(
            path: str,
            method: str = "GET",
            key: str | None = secret,
            headers: dict[str, str] | None = None,
            **more: Any,
        ) -> httpx.Response:
            keys = {"apikey": key, "Authorization": f"Bearer {key}"} if key else {}
            return client.request(method, path, headers=keys | (headers or {}), **more)

        yield ask


def test_a_page_is_silently_cut_at_a_thousand_rows_and_only_the_count_tells(
    sandbox: Running, api: Callable[..., httpx.Response]
) -> None:
    with sandbox.world.connection() as connection:
        connection.execute("insert into public.webhook_logs (status) select 'received' from generate_series(1, 2500)")
        total = connection.execute("select count(*) as n from public.webhook_logs").fetchone()
    answer = api("/rest/v1/webhook_logs?select=id&limit=5000", headers={"Prefer": "count=exact"})
    assert len(answer.json()) == 1000
    assert total is not None
    assert answer.headers["content-range"] == f"0-999/{total['n']}"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/rest/v1/pending_bookings?select=id,no_such_column", 400, "42703"),
        ("/rest/v1/no_such_table", 404, "PGRST205"),
        ("/rest/v1/rpc/no_such_function", 404, "PGRST202"),
    ],
)
def test_what_is_missing_is_answered_with_the_hosted_platforms_codes(
    api: Callable[..., httpx.Response], path: str, status: int, code: str
) -> None:
    answer = api(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_a_write_to_a_missing_column_never_reaches_the_database(api: Callable[..., httpx.Response]) -> None:
    answer = api("/rest/v1/pending_bookings?id=is.null", "PATCH", json={"no_such_column": 1})
    assert (answer.status_code, answer.json()["code"]) == (400, "PGRST204")


def test_a_publishable_key_is_blind_without_an_error_on_most_tables(
    sandbox: Running, api: Callable[..., httpx.Response]
) -> None:
    publishable = sandbox.world.credentials.supabase_publishable_key
    with sandbox.world.connection() as connection:
        connection.execute(
            "insert into public.webhook_logs (status) values ('received');"
            "insert into public.audit_logs (operation_type, resource_type, operation_status)"
            "  values ('update', 'event', 'success');"
            "insert into public.events (name, date, time, slug) values ('Nobody asked', now(), '19:00', 'nobody')"
        )
    for table in ("messages", "webhook_logs", "audit_logs"):
        assert api(f"/rest/v1/{table}").json() != []
        answer = api(f"/rest/v1/{table}", key=publishable)
        assert (answer.status_code, answer.json()) == (200, [])
    refused = api("/rest/v1/bookings", key=publishable)
    assert (refused.status_code, refused.json()["code"]) == (401, "42501")
    assert len(api("/rest/v1/pending_bookings", key=publishable).json()) > 0
    events = [event["name"] for event in api("/rest/v1/events?select=name", key=publishable).json()]
    assert events
    assert "Nobody asked" not in events


@pytest.mark.parametrize("path", ["/rest/v1/", "/rest/v1/events", "/auth/v1/user"])
def test_a_wrong_key_and_no_key_are_refused(api: Callable[..., httpx.Response], path: str) -> None:
    assert api(path, key="sb_secret_of_another_project").json()["message"] == "Invalid API key"
    assert api(path, key=None).status_code == 401


def test_the_description_names_tables_columns_and_which_may_not_be_null(
    sandbox: Running, api: Callable[..., httpx.Response]
) -> None:
    described = api("/rest/v1/").json()["definitions"]
    assert described["messages"]["required"] == [
        "id",
        "customer_id",
        "direction",
        "message_sid",
        "body",
        "status",
        "created_at",
        "updated_at",
    ]
    assert described["pending_bookings"]["properties"]["metadata"] == {"format": "jsonb"}
    assert described["pending_bookings"]["properties"]["mobile_number"]["maxLength"] == 20
    assert api("/rest/v1/", key=sandbox.world.credentials.supabase_publishable_key).status_code == 403


def test_the_description_is_as_old_as_the_schema_cache(sandbox: Running, api: Callable[..., httpx.Response]) -> None:
    def walk_in_is_described() -> bool:
        return "walk_in" in api("/rest/v1/").json()["definitions"]["pending_bookings"]["properties"]

    with sandbox.world.connection() as connection, connection.transaction():
        connection.execute("alter table public.pending_bookings add column walk_in boolean")
        assert not walk_in_is_described()
    sandbox.world.reload_schema_cache()
    assert walk_in_is_described()


def test_no_request_is_lost_while_the_schema_is_reloaded(sandbox: Running, api: Callable[..., httpx.Response]) -> None:
    failures: list[str] = []
    done = threading.Event()

    def keep_asking() -> None:
        while not done.is_set():
            answer = api("/rest/v1/events?select=id&limit=1")
            if answer.status_code != 200:
                failures.append(answer.text)

    asking = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in asking:
        thread.start()
    for _ in range(3):
        sandbox.world.reload_schema_cache()
    done.set()
    for thread in asking:
        thread.join()
    assert failures == []


def test_head_requests_and_ranges_pass_through(api: Callable[..., httpx.Response]) -> None:
    answer = api("/rest/v1/events?select=id", "HEAD", headers={"Prefer": "count=exact", "Range": "0-0"})
    assert answer.headers["content-range"].startswith("0-0/")
    assert answer.content == b""


def test_what_is_no_service_of_the_project_is_not_found(api: Callable[..., httpx.Response]) -> None:
    assert api("/storage/v1/bucket").status_code == 404
    assert api("/rest/v1/../../etc/passwd").status_code == 404
