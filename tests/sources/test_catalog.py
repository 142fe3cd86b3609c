"""The catalog through its three clients, and what each of them refuses."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from lib.model.database import Catalog, CatalogAccess, Column
from lib.model.reading import CaveatKind, FailureKind, SourceError
from lib.model.window import Window, WindowSize
from lib.sandbox.serve import Running
from lib.settings import Settings, load
from lib.sources.booking_data import BookingData
from lib.sources.catalog import (
    CatalogSource,
    DescriptionCatalogClient,
    DirectCatalogClient,
    ManagementCatalogClient,
    refused,
)
from lib.sources.http import Deadline, Http
from lib.sources.source_registry import Sources
from tests.sources.failures import FAULTS, failure_of, refusal, seconds_for
from tests.sources.fake_server import FakeServer, as_json

Play = Callable[[str], dict[str, str]]
TOKEN = "sbp_planted_4242424242"
PHONE = "+447700900123"
PASSWORD = "plantedPassword"
MOBILE = "+447400112233"


@pytest.fixture
def healthy(sandbox: Running, play: Play) -> Settings:
    """The settings of a healthy sandbox, whose rows do not matter here; who changes more puts it back."""
    return load(sandbox.settings if sandbox.scenario.name == "healthy" else play("healthy"))


def catalog_of(settings: Settings, *without: str) -> CatalogSource:
    left = settings.model_copy(update=dict.fromkeys(without))
    return Sources(left, Http(first_backoff=0.01), lambda: datetime.now(UTC)).catalog


WAYS = {
    CatalogAccess.DIRECT: (),
    CatalogAccess.MANAGEMENT_API: ("database_url",),
    CatalogAccess.DATA_API: ("database_url", "supabase_access_token"),
}


def by(settings: Settings, way: CatalogAccess) -> CatalogSource:
    return catalog_of(settings, *WAYS[way])


def schema(settings: Settings, way: CatalogAccess) -> Catalog:
    return by(settings, way).schema(Deadline(10)).value


# What is read --------------------------------------------------------------------------------------------


def test_all_clients_read_the_same_tables_columns_and_nullability(healthy: Settings):
    read = {}
    for way in CatalogAccess:
        catalog = schema(healthy, way)
        assert catalog.way is way
        read[way] = {(c.table, c.name, c.nullable) for c in catalog.columns}
    assert ("messages", "customer_id", False) in read[CatalogAccess.DIRECT]
    assert ("pending_bookings", "metadata", True) in read[CatalogAccess.DIRECT]
    assert read[CatalogAccess.DIRECT] == read[CatalogAccess.MANAGEMENT_API] == read[CatalogAccess.DATA_API]


def test_both_sql_clients_read_the_same_checks_policies_and_tables(healthy: Settings):
    direct, managed = schema(healthy, CatalogAccess.DIRECT), schema(healthy, CatalogAccess.MANAGEMENT_API)
    assert (direct.columns, direct.checks) == (managed.columns, managed.checks)
    # How Postgres prints an expression depends on the search path; what it means does not.
    assert [(p.table, p.name, p.command, p.roles) for p in direct.policies or ()] == [
        (p.table, p.name, p.command, p.roles) for p in managed.policies or ()
    ]
    assert [(t.name, t.row_security, t.owner) for t in direct.tables or ()] == [
        (t.name, t.row_security, t.owner) for t in managed.tables or ()
    ]


def test_checks_policies_and_row_security_are_those_of_the_database(healthy: Settings):
    catalog = schema(healthy, CatalogAccess.DIRECT)
    link_types = next(c for c in catalog.checks or () if c.name == "short_links_link_type_check")
    assert (link_types.table, link_types.columns) == ("short_links", ("link_type",))
    assert "booking_confirmation" in link_types.definition
    staff = next(p for p in catalog.policies or () if p.name == "Staff can view messages")
    assert (staff.table, staff.command, staff.roles, staff.using) == ("messages", "SELECT", ("authenticated",), "true")
    assert {t.name: t.row_security for t in catalog.tables or ()}["messages"] is True


def test_the_identity_says_as_whom_we_read(healthy: Settings):
    direct = schema(healthy, CatalogAccess.DIRECT).identity
    managed = schema(healthy, CatalogAccess.MANAGEMENT_API).identity
    assert direct and managed
    assert (direct.user, direct.bypasses_row_security, direct.time_zone) == ("postgres", True, "UTC")
    assert (managed.user, managed.read_only) == ("supabase_read_only_user", True)
    assert direct.read_only and direct.in_recovery is False


def test_a_dropped_column_is_gone_and_a_nullable_one_is_nullable(play: Play, sandbox: Running):
    settings = load(play("missing-column"))
    with sandbox.world.connection() as connection:
        connection.execute("alter table public.messages alter column customer_id drop not null")
    sandbox.world.reload_schema_cache()
    try:
        for way in CatalogAccess:
            catalog = schema(settings, way)
            assert catalog.has_table("pending_bookings")
            assert catalog.column("pending_bookings", "metadata") is None
            customer = catalog.column("messages", "customer_id")
            assert customer and customer.nullable
    finally:
        play("healthy")


def test_the_description_says_what_it_leaves_unread(healthy: Settings):
    observed = by(healthy, CatalogAccess.DATA_API).schema(Deadline(10))
    assert [c.kind for c in observed.caveats] == [CaveatKind.PARTIAL]
    assert (observed.value.checks, observed.value.policies, observed.value.tables) == (None, None, None)


@pytest.mark.parametrize("way", [CatalogAccess.DIRECT, CatalogAccess.MANAGEMENT_API])
def test_the_migration_history_is_read_in_order(healthy: Settings, way: CatalogAccess):
    migrations = by(healthy, way).migrations(Deadline(10)).value
    assert migrations[0].name == "initial_schema"
    assert [m.version for m in migrations] == sorted(m.version for m in migrations)


@pytest.mark.parametrize("way", [CatalogAccess.DIRECT, CatalogAccess.MANAGEMENT_API])
def test_a_session_that_holds_a_lock_is_seen_without_its_query(healthy: Settings, sandbox: Running, way: CatalogAccess):
    with psycopg.connect(sandbox.world.dsn, application_name="somebody") as connection:
        connection.execute("lock table public.customers in share mode")
        blockers = by(healthy, way).blockers(Deadline(10)).value
    ours = next(b for b in blockers if b.table == "customers")
    assert (ours.mode, ours.user) == ("ShareLock", "postgres")
    if way is CatalogAccess.DIRECT:  # the read-only user may see less of other sessions
        assert (ours.state, ours.application) == ("idle in transaction", "somebody")
        started = ours.transaction_started_at
        assert started and abs(datetime.now(UTC) - started) < timedelta(minutes=1)


# The logs ------------------------------------------------------------------------------------------------


def book(settings: Settings) -> None:
    """Ask for a booking as the website does."""
    answer = httpx.post(
        f"{settings.booking_app_url}/api/bookings/initiate",
        json={"event_id": settings.test_event_id, "mobile_number": MOBILE, "seats": 2},
        headers={"X-API-Key": settings.booking_api_key.get_secret_value() if settings.booking_api_key else ""},
        timeout=20,
    )
    assert answer.json()["sms_sent"] is True, answer.text


def errors(settings: Settings, size: WindowSize = WindowSize.DAY) -> Any:
    window = Window.ending(datetime.now(UTC) + timedelta(seconds=5), size)
    return catalog_of(settings).errors(window, Deadline(10))


def test_a_null_that_the_database_refuses_is_found_with_its_column_and_without_the_row(play: Play):
    settings = load(play("code-not-deployed"))
    started = datetime.now(UTC) - timedelta(seconds=1)
    book(settings)
    found = errors(settings).value
    new = found[(found["at"] >= started) & (found["sql_state"] == "23502")]
    assert list(zip(new["table_name"], new["column_name"], strict=True)) == [("messages", "customer_id")]
    assert "customer_id" in new["message"].iloc[0]
    assert_no_customer_in(found)


def test_a_write_to_a_missing_column_is_found_at_the_gateway(play: Play):
    settings = load(play("missing-column"))
    started = datetime.now(UTC) - timedelta(seconds=1)
    book(settings)
    found = errors(settings).value
    new = found[(found["at"] >= started) & (found["origin"] == "edge_logs")]
    assert (400, "PATCH", "pending_bookings") in set(
        zip(new["status_code"], new["method"], new["table_name"], strict=True)
    )
    assert_no_customer_in(found)


def assert_no_customer_in(found: Any) -> None:
    message = found.to_csv()
    assert MOBILE.removeprefix("+44") not in message and "DETAIL" not in message and "STATEMENT" not in message


def test_our_own_reads_of_a_missing_column_do_not_count_as_failed_writes(play: Play, sandbox: Running):
    settings = load(play("healthy"))
    before = len(errors(settings).value)
    key = sandbox.world.credentials.supabase_secret_key
    answer = httpx.get(
        f"{settings.supabase_url}/rest/v1/messages?select=no_such_column",
        headers={"apikey": key, "Authorization": f"Bearer {key}"},
    )
    assert answer.status_code == 400
    assert len(errors(settings).value) == before


def test_the_calls_of_the_desk_itself_do_not_count_as_failed_writes(play: Play, sandbox: Running):
    settings = load(play("healthy"))
    before = len(errors(settings).value)
    credentials = sandbox.world.credentials
    data = BookingData(str(settings.supabase_url), SecretStr(credentials.supabase_secret_key))
    for function in ("no_such_function", "switchboard_no_such_function"):
        assert failure_of(lambda name=function: data.call(name, {}, Deadline(10))).kind is FailureKind.NOT_FOUND
    assert len(errors(settings).value) == before

    attributes = {"request.method": "POST", "request.path": "/rest/v1/rpc/app_function", "response.status_code": "404"}
    sandbox.world.log_line("edge_logs", "POST | 404 | /rest/v1/rpc/app_function", attributes)
    assert len(errors(settings).value) == before + 1, "a failed call of the app counts, also without a User-Agent"


@pytest.mark.parametrize("size", list(WindowSize))
def test_only_the_last_day_of_the_logs_is_read_and_a_longer_window_says_so(healthy: Settings, size: WindowSize):
    caveats = errors(healthy, size).caveats
    assert [c.kind for c in caveats] == ([CaveatKind.PARTIAL] if size.length > timedelta(days=1) else [])


def managed(server: FakeServer, http: Http) -> CatalogSource:
    client = ManagementCatalogClient(http, server.url, "p", SecretStr(TOKEN))
    return CatalogSource(client, None, client)


LOGS = "/v1/projects/p/analytics/endpoints/logs"
QUERY = "/v1/projects/p/database/query/read-only"


def test_the_other_name_of_the_source_column_is_tried(server: FakeServer, http: Http):
    row = {
        "timestamp": 1_763_800_000_000_000,
        "origin": "postgres_logs",
        "sql_state": "23502",
        "status_code": "",
        "event_message": f'null value in column "customer_id" of relation "messages" violates not-null constraint '
        f"DETAIL:  Failing row contains (1, Ada Planted, {PHONE})\nSTATEMENT:  insert 'Ada Planted'",
    }
    server.tell(LOGS, as_json({"message": "no column source_name"}, 400), as_json({"result": [row]}))
    found = managed(server, http).errors(Window.ending(datetime.now(UTC), WindowSize.DAY), Deadline(10)).value
    assert ["source_name as origin" in asked.query["sql"] for asked in server.asked] == [True, False]
    assert list(found["column_name"]) == ["customer_id"]
    assert found["at"].iloc[0].year == 2025
    assert "Planted" not in found.to_csv() and PHONE not in found.to_csv()


MINE, APPS = "Switchboard/9.9 python-httpx", "node"


def log_row(origin: str, at: str = "10:00:00", **more: str) -> dict[str, str]:
    return {"timestamp": f"2026-11-22 {at}.000001", "origin": origin, "event_message": "", **more}


def refused_write(table: str, at: str = "10:00:00") -> dict[str, str]:
    words = f'null value in column "status" of relation "{table}" violates not-null constraint'
    return log_row("postgres_logs", at, sql_state="23502", event_message=words)


def written(agent: str, table: str, at: str = "10:00:01") -> dict[str, str]:
    return log_row("edge_logs", at, method="PATCH", path=f"/rest/v1/{table}", status_code="400", agent=agent)


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ([written(MINE, "messages"), refused_write("messages")], 0),
        ([written(APPS, "messages"), refused_write("messages")], 2),
        ([written(MINE, "messages"), refused_write("messages"), refused_write("messages", "10:00:02")], 1),
        ([written(MINE, "messages"), refused_write("bookings")], 1),
        ([written(MINE, "messages"), refused_write("messages", "10:00:30")], 1),
        ([written(MINE, "messages"), log_row("postgres_logs", sql_state="23505")], 0),
        (
            [
                written(MINE, "messages"),
                written(APPS, "messages"),
                refused_write("messages"),
                refused_write("messages"),
            ],
            2,
        ),
    ],
)
def test_what_the_desk_wrote_itself_is_no_failed_write_of_the_app(
    server: FakeServer, http: Http, lines: list[dict[str, str]], kept: int
):
    server.tell(LOGS, as_json({"result": lines}))
    found = managed(server, http).errors(Window.ending(datetime.now(UTC), WindowSize.DAY), Deadline(10)).value
    assert len(found) == kept


def test_what_the_desks_own_sessions_were_refused_is_no_failed_write_of_the_app(play: Play):
    settings = load(play("healthy"))
    before = len(errors(settings).value)
    for application, counted in (("switchboard", 0), ("switchboard journal", 0), ("psql", 1)):
        with (
            psycopg.connect(str(settings.database_url.get_secret_value()), application_name=application) as session,
            pytest.raises(psycopg.errors.NotNullViolation),
        ):
            session.execute("insert into public.pending_bookings (token) values (null)")
        assert len(errors(settings).value) == before + counted


def test_a_full_page_of_log_rows_is_truncated(server: FakeServer, http: Http):
    rows = [{"timestamp": "2026-11-22 10:00:00.000001", "origin": "edge_logs", "status_code": "400"}] * 1000
    server.tell(LOGS, as_json({"result": rows}))
    observed = managed(server, http).errors(Window.ending(datetime.now(UTC), WindowSize.DAY), Deadline(10))
    assert [c.kind for c in observed.caveats] == [CaveatKind.TRUNCATED]
    assert set(observed.value["status_code"]) == {400}


def the_failure_of_logs(server: FakeServer, http: Http, answer: Any) -> SourceError:
    server.tell(LOGS, as_json(answer))
    day = Window.ending(datetime.now(UTC), WindowSize.DAY)
    return failure_of(lambda: managed(server, http).errors(day, Deadline(10)))


@pytest.mark.parametrize("result", [None, {"result": [7]}, {"result": None}])
def test_logs_that_cannot_be_read_are_no_empty_logs(server: FakeServer, http: Http, result: Any):
    assert the_failure_of_logs(server, http, result).kind is FailureKind.BAD_DATA


@pytest.mark.parametrize("beside", [{}, {"result": []}])
@pytest.mark.parametrize("error", ["Query timed out.", {"code": 504, "message": f"Query timed out. {PHONE}"}])
def test_an_error_of_the_logs_is_given_in_its_own_words(
    server: FakeServer, http: Http, error: Any, beside: dict[str, Any]
):
    failure = the_failure_of_logs(server, http, {"error": error, **beside})
    assert failure.kind is FailureKind.UNAVAILABLE
    assert "Query timed out" in str(failure) and PHONE not in str(failure)


def test_logs_that_answer_nothing_at_all_are_unread(server: FakeServer, http: Http):
    assert "nothing of why" in str(the_failure_of_logs(server, http, {}))


# Refusals ------------------------------------------------------------------------------------------------


def direct(dsn: str) -> CatalogSource:
    return CatalogSource(DirectCatalogClient(SecretStr(dsn)), None, None)


def test_a_wrong_password_is_unauthorized(sandbox: Running):
    host = sandbox.world.dsn.rpartition("@")[2]
    wrong = direct(f"postgresql://postgres:{PASSWORD}@{host}")
    assert refusal(lambda: wrong.schema(Deadline(10)), PASSWORD).kind is FailureKind.UNAUTHORIZED


def test_a_host_where_nobody_listens_is_unavailable(nobody: str):
    wrong = direct(f"postgresql://postgres:{PASSWORD}@{nobody.removeprefix('http://')}/postgres")
    caught = refusal(lambda: wrong.schema(Deadline(10)), PASSWORD)
    assert caught.kind is FailureKind.UNAVAILABLE
    assert "Session pooler" in caught.failure.hint


def test_a_host_that_has_no_address_is_unavailable():
    wrong = direct(f"postgresql://postgres:{PASSWORD}@nobody.invalid/postgres")
    assert refusal(lambda: wrong.schema(Deadline(10)), PASSWORD).kind is FailureKind.UNAVAILABLE


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ("FATAL: MaxClientsInSessionMode: max clients reached", "MaxClientsInSessionMode"),
        ("FATAL: sorry, too many clients already", "53300"),
        ("FATAL: Tenant or user not found", "does not know the project"),
        ("FATAL: (ENOTFOUND) tenant/user postgres.x not found", "does not know the project"),
        ("FATAL: (ENOIDENTIFIER) no tenant identifier provided", "ENOIDENTIFIER"),
        ("FATAL: Circuit breaker open: too many authentication errors", "circuit breaker"),
        ("something that nobody has seen", "OperationalError"),
    ],
)
def test_a_known_refusal_has_its_own_sentence_and_none_of_them_is_about_ipv6(message: str, says: str):
    failure = refused(psycopg.OperationalError(f"connection failed: {message} {PASSWORD}")).failure
    assert says in failure.sentence and failure.hint
    assert "IPv6" not in failure.hint and PASSWORD not in failure.sentence + failure.hint


def test_a_full_database_is_known_by_its_code():
    failure = refused(psycopg.errors.TooManyConnections("x")).failure
    assert "53300" in failure.sentence and "IPv6" not in failure.hint


@pytest.mark.parametrize("message", ["Connection refused", "Network is unreachable"])
def test_an_unreachable_host_may_be_about_ipv6(message: str):
    assert "IPv6" in refused(psycopg.OperationalError(message)).failure.hint


@pytest.mark.parametrize(
    "dsn",
    [f"postgresql://u:{PASSWORD} x@127.0.0.1:5432/x", f"postgresql://[{PASSWORD}", f"postgresql://h/x?{PASSWORD}=1"],
)
def test_a_malformed_connection_string_is_bad_data(dsn: str):
    assert refusal(lambda: direct(dsn).schema(Deadline(10)), PASSWORD).kind is FailureKind.BAD_DATA


@pytest.mark.parametrize("way", [CatalogAccess.DIRECT, CatalogAccess.MANAGEMENT_API])
def test_no_client_lets_us_write(healthy: Settings, way: CatalogAccess):
    client = by(healthy, way).client
    assert client
    caught = failure_of(lambda: client.rows("update public.events set name = 'x' returning id", Deadline(10)))
    assert caught.kind in (FailureKind.FORBIDDEN, FailureKind.BAD_DATA)
    if way is CatalogAccess.DIRECT:
        assert caught.kind is FailureKind.FORBIDDEN


def test_a_slow_statement_ends_with_the_deadline(healthy: Settings):
    client = by(healthy, CatalogAccess.DIRECT).client
    assert client
    assert refusal(lambda: client.rows("select pg_sleep(20)", Deadline(0.4))).kind is FailureKind.TIMEOUT


def test_a_deadline_that_is_over_does_not_lift_the_limit(healthy: Settings):
    assert refusal(lambda: by(healthy, CatalogAccess.DIRECT).schema(Deadline(0))).kind is FailureKind.TIMEOUT


def test_a_question_the_database_does_not_understand_is_no_outage(healthy: Settings):
    client = by(healthy, CatalogAccess.DIRECT).client
    assert client
    assert refusal(lambda: client.rows("select no_such_thing", Deadline(10))).kind is FailureKind.BAD_DATA


def test_a_history_that_nobody_keeps_is_not_found(healthy: Settings, sandbox: Running, play: Play):
    with sandbox.world.connection() as connection:
        connection.execute("drop schema supabase_migrations cascade")
    try:
        ask = by(healthy, CatalogAccess.DIRECT)
        assert refusal(lambda: ask.migrations(Deadline(10))).kind is FailureKind.NOT_FOUND
    finally:
        play("healthy")


@contextmanager
def silent_pooler(dsn: str, after: bytes) -> Iterator[str]:
    """Pass everything on to the database at `dsn` until a question holds `after`; from then on, say nothing."""
    host, _, port = dsn.rpartition("@")[2].partition("/")[0].partition(":")
    sockets: list[socket.socket] = []

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if after in data:
                    return
                target.sendall(data)
        except OSError:
            return  # the test is over

    def serve() -> None:
        try:
            while True:
                ours, _ = listening.accept()
                theirs = socket.create_connection((host, int(port)))
                sockets.extend((ours, theirs))
                for pair in ((ours, theirs), (theirs, ours)):
                    threading.Thread(target=pump, args=pair, daemon=True).start()
        except OSError:
            return

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        login, _, rest = dsn.rpartition("@")
        try:
            yield f"{login}@127.0.0.1:{listening.getsockname()[1]}/{rest.partition('/')[2]}?sslmode=disable"
        finally:
            for one in sockets:
                one.close()


def test_a_pooler_that_falls_silent_costs_no_more_than_the_deadline(sandbox: Running):
    with silent_pooler(sandbox.world.dsn, after=b"pg_attribute") as dsn:
        assert refusal(lambda: direct(dsn).schema(Deadline(0.8))).kind is FailureKind.TIMEOUT


def test_without_any_client_the_catalog_is_not_configured():
    nothing = CatalogSource(None, None, None)
    window = Window.ending(datetime.now(UTC), WindowSize.DAY)
    for ask in (
        lambda: nothing.schema(Deadline(1)),
        lambda: nothing.migrations(Deadline(1)),
        lambda: nothing.blockers(Deadline(1)),
        lambda: nothing.errors(window, Deadline(1)),
    ):
        assert refusal(ask).kind is FailureKind.NOT_CONFIGURED


ASKS: dict[str, Callable[[CatalogSource, Deadline], object]] = {
    "schema": lambda catalog, deadline: catalog.schema(deadline),
    "migrations": lambda catalog, deadline: catalog.migrations(deadline),
    "blockers": lambda catalog, deadline: catalog.blockers(deadline),
    "errors": lambda catalog, deadline: catalog.errors(
        Window.ending(datetime.now(UTC) + timedelta(seconds=5), WindowSize.DAY), deadline
    ),
}


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("asked", ASKS)
def test_every_fault_of_the_management_api_is_one_safe_failure(
    healthy: Settings, sandbox: Running, fault: Callable[..., None], asked: str, name: str
):
    how, kind = FAULTS[name]
    sandbox.world.log_line(
        "edge_logs",
        "POST | 409 | /rest/v1/events",
        {"request.method": "POST", "request.path": "/rest/v1/events", "response.status_code": "409"},
    )
    fault("management", **how)
    ask = by(healthy, CatalogAccess.MANAGEMENT_API)
    with psycopg.connect(sandbox.world.dsn) as holder:
        holder.execute("lock table public.customers in share mode")
        caught = refusal(
            lambda: ASKS[asked](ask, Deadline(seconds_for(name))),
            sandbox.world.credentials.supabase_access_token,
        )
    assert caught.kind is kind


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_of_the_description_is_one_safe_failure(
    healthy: Settings, sandbox: Running, fault: Callable[..., None], name: str
):
    how, kind = FAULTS[name]
    fault("supabase", **how)
    ask = by(healthy, CatalogAccess.DATA_API)
    caught = refusal(lambda: ask.schema(Deadline(seconds_for(name))), sandbox.world.credentials.supabase_secret_key)
    assert caught.kind is kind


@pytest.mark.parametrize("definitions", [{}, [], {"a": 1}, {"a": {"properties": {}, "required": [1]}}, {"a": {}}])
def test_a_description_that_cannot_be_read_makes_no_column_seem_missing(
    server: FakeServer, http: Http, definitions: Any
):
    server.tell("/rest/v1/", as_json({"definitions": definitions}))
    source = CatalogSource(None, DescriptionCatalogClient(http, server.url, SecretStr("sb_secret_x")), None)
    assert refusal(lambda: source.schema(Deadline(10))).kind is FailureKind.BAD_DATA


COLUMN = {"table": "messages", "name": "id", "type": "uuid", "nullable": False, "default": None}
CATALOG = {"columns": [COLUMN], "checks": [], "policies": [], "tables": [], "identity": []}


@pytest.mark.parametrize(
    "spoilt", [{}, {"columns": [COLUMN | {"nullable": "no"}]}, {"columns": [COLUMN | {"name": None}]}, {"checks": 7}]
)
def test_a_catalog_with_holes_is_no_catalog(server: FakeServer, http: Http, spoilt: dict[str, Any]):
    good = managed(server, http)
    server.tell(QUERY, as_json([{"catalog": CATALOG}], 201))
    assert good.schema(Deadline(10)).value.column("messages", "id")
    server.tell(QUERY, as_json([{"catalog": CATALOG | spoilt}] if spoilt else [], 201))
    assert refusal(lambda: good.schema(Deadline(10))).kind is FailureKind.BAD_DATA


def test_the_token_is_in_no_repr(server: FakeServer, http: Http):
    source = managed(server, http)
    assert TOKEN not in repr(replace(source)) and "planted" not in repr(direct("postgresql://u:planted@h/x"))


# What code is held against -------------------------------------------------------------------------------


@pytest.mark.parametrize("without", [(), ("database_url",)])
def test_the_schema_that_code_is_held_against_is_read_whole(healthy: Settings, without: tuple[str, ...]):
    schema = catalog_of(healthy, *without).live_schema(Deadline(10)).value
    customer = next(one for one in schema.columns if (one.table, one.name) == ("messages", "customer_id"))
    assert not customer.nullable and customer.type == "uuid"
    assert any(check.name == "short_links_link_type_check" for check in schema.checks or ())
    assert schema.triggers is not None and schema.unique_keys and schema.routines is not None


def test_of_the_description_alone_columns_are_known_and_the_rest_is_not(healthy: Settings):
    columns = catalog_of(healthy).schema(Deadline(10)).value.columns
    schema = CatalogSource(None, Described(columns), None).live_schema(Deadline(10)).value  # type: ignore[arg-type]
    assert {(one.table, one.name) for one in schema.columns} == {(one.table, one.name) for one in columns}
    assert (schema.checks, schema.triggers, schema.unique_keys, schema.routines) == (None, None, None, None)


class Described:
    """A description of columns that somebody else read."""

    def __init__(self, columns: tuple[Column, ...]) -> None:
        self._columns = columns

    def columns(self, deadline: Deadline) -> tuple[Column, ...]:
        return self._columns


@pytest.mark.parametrize("rows", [[], [{}], [{"schema": None}], [{"schema": {"relations": []}}], [{"schema": [1]}]])
def test_a_schema_of_another_shape_is_bad_data(rows: list[dict[str, Any]]):
    class Client:
        way = CatalogAccess.DIRECT

        def rows(self, sql: str, deadline: Deadline) -> list[dict[str, Any]]:
            return rows

    with pytest.raises(SourceError) as caught:
        CatalogSource(Client(), None, None).live_schema(Deadline(5))
    assert caught.value.kind is FailureKind.BAD_DATA
