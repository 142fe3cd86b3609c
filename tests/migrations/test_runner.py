"""Migrations on a real database: what they cure, what they refuse, and what happens when something breaks midway."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr

from lib.migrations.catalogue import Migration, catalogue
from lib.migrations.executors import (
    DirectMigrationExecutor,
    ManagementMigrationExecutor,
    MigrationExecutor,
    migration_executor,
)
from lib.migrations.runner import MigrationOutcome, Runner
from lib.migrations.script import LOCK_KEY, HistoryRow
from lib.model.database import CatalogAccess
from lib.model.reading import FailureKind, SourceError
from lib.sandbox.serve import Running
from lib.sources.booking_app import BookingApp
from lib.sources.booking_writes import BookingWrites
from lib.sources.catalog import (
    CatalogSource,
    DescriptionCatalogClient,
    DirectCatalogClient,
    ManagementCatalogClient,
    Row,
)
from lib.sources.http import Deadline, Http, OutcomeUnknownError
from tests.sources.fake_server import FakeServer, Scripted, as_json

pytestmark = pytest.mark.sandbox

METADATA = catalogue()["pending_bookings_metadata"]
NULLABLE = catalogue()["messages_customer_id_nullable"]
NOT_NULL = catalogue()["messages_customer_id_not_null"]

Play = Callable[[str], dict[str, str]]
Fault = Callable[..., None]
PATIENCE = 30


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def http() -> Iterator[Http]:
    http = Http(first_backoff=0.01)
    yield http
    http.close()


def direct(sandbox: Running, http: Http) -> MigrationExecutor:
    return DirectMigrationExecutor(DirectCatalogClient(SecretStr(sandbox.world.dsn)))


def management(sandbox: Running, http: Http) -> MigrationExecutor:
    keys, url = sandbox.world.credentials, f"{sandbox.world.base_url}/management"
    return ManagementMigrationExecutor(
        ManagementCatalogClient(http, url, keys.project_ref, SecretStr(keys.supabase_access_token))
    )


@pytest.fixture
def data_api(sandbox: Running, http: Http) -> DescriptionCatalogClient:
    key = SecretStr(sandbox.world.credentials.supabase_secret_key)
    return DescriptionCatalogClient(http, f"{sandbox.world.base_url}/supabase", key)


@pytest.fixture
def runner(sandbox: Running, http: Http, data_api: DescriptionCatalogClient) -> Runner:
    """One that goes through a direct connection."""
    return Runner(executor=direct(sandbox, http), data_api=data_api, clock=now)


@pytest.fixture
def api_runner(sandbox: Running, http: Http, data_api: DescriptionCatalogClient) -> Runner:
    """One that goes through the Management API."""
    return Runner(executor=management(sandbox, http), data_api=data_api, clock=now)


@pytest.fixture(params=["runner", "api_runner"], ids=["direct", "management"])
def either(request: pytest.FixtureRequest) -> Runner:
    """Each in turn: what holds for one way in holds for the other."""
    found: Runner = request.getfixturevalue(request.param)
    return found


def ask(sandbox: Running, sql: str) -> list[dict[str, Any]]:
    with sandbox.world.connection() as connection:
        return connection.execute(sql.encode()).fetchall()


def do(sandbox: Running, sql: str) -> None:
    with sandbox.world.connection() as connection:
        connection.execute(sql.encode())


def has_metadata(sandbox: Running) -> bool:
    return bool(
        ask(
            sandbox,
            "select from information_schema.columns where table_name = 'pending_bookings' and column_name = 'metadata'",
        )
    )


def may_be_null(sandbox: Running) -> bool:
    (row,) = ask(
        sandbox,
        "select not attnotnull as it from pg_attribute "
        "where attrelid = 'public.messages'::regclass and attname = 'customer_id'",
    )
    return bool(row["it"])


def text_without_customer(sandbox: Running) -> None:
    do(
        sandbox,
        "insert into public.messages (direction, message_sid, body, status) values ('outbound', 'SM1', 'Hi', 'sent')",
    )


@contextmanager
def open_transaction(sandbox: Running, statement: str, application: str = "psql") -> Iterator[psycopg.Connection]:
    """Somebody who began a transaction and went for lunch."""
    with psycopg.connect(sandbox.world.dsn, application_name=application) as connection:
        connection.execute(statement.encode())
        yield connection
        connection.rollback()


# What it is for --------------------------------------------------------------------------------------------


def test_the_missing_column_is_added_and_the_next_booking_is_recorded_in_it(
    sandbox: Running, play: Play, either: Runner, data_api: DescriptionCatalogClient, http: Http
):
    play("missing-column")
    assert not data_api.knows("pending_bookings", ["metadata"], Deadline(10))
    result = either.run(METADATA)
    assert (result.outcome, result.before, result.after, result.visible) == ("succeeded", False, True, True)
    assert result.verified and result.steps_done == 1 and "The Data API has it" in result.message
    keys = sandbox.world.credentials
    app = BookingWrites(BookingApp(http=http, base_url=f"{sandbox.world.base_url}/app"))
    answer = app.initiate(keys.test_event_id, "+447400123456", SecretStr(keys.booking_api_key), Deadline(20))
    assert answer.sms_sent and answer.token is not None
    (pending,) = ask(
        sandbox,
        "select metadata->'initial_sms'->>'message_sid' as sid from public.pending_bookings "
        f"where token = '{answer.token.get_secret_value()}'",
    )
    assert pending["sid"].startswith("SM")


@pytest.mark.parametrize(
    ("scenario", "name"),
    [
        ("sent-not-recorded", "pending_bookings_metadata_grant"),
        ("api-500", "short_links_link_type"),
        ("code-not-deployed", "messages_customer_id_nullable"),
    ],
)
def test_each_migration_works_on_the_state_that_it_cures_and_then_has_nothing_to_do(
    scenario: str, name: str, play: Play, either: Runner
):
    play(scenario)
    result = either.run(catalogue()[name])
    assert (result.outcome, result.verified) == ("succeeded", True)
    assert either.run(catalogue()[name]).outcome is MigrationOutcome.NOTHING_TO_DO


def test_what_preview_and_preflight_need_is_read_without_changing_anything(
    sandbox: Running, play: Play, either: Runner
):
    play("missing-column")
    with open_transaction(sandbox, "select from public.pending_bookings"):
        status = either.inspect(METADATA)
    assert (status.in_place, status.requires_met, status.visible) == (False, True, False)
    assert (status.identity.database, status.identity.user, status.identity.in_recovery, status.identity.read_only) == (
        "postgres",
        "postgres",
        False,
        False,
    )
    assert "psql" in {blocker.application for blocker in status.blockers}
    assert not has_metadata(sandbox)


def test_progress_says_where_it_is_through_what_and_who_is_on_the_table(sandbox: Running, play: Play, runner: Runner):
    play("missing-column")
    heard: list[str] = []
    with open_transaction(sandbox, "select from public.pending_bookings", "nightly report"):
        runner.run(METADATA, on_progress=heard.append)
    assert heard[0] == "Database postgres, as postgres, through the direct connection."
    assert "nightly report, idle in transaction" in heard[1]
    assert heard[2].startswith("Step 1 of 1")


# What changes nothing --------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing(sandbox: Running, play: Play, either: Runner):
    play("missing-column")
    result = either.run(METADATA, dry_run=True)
    assert (result.outcome, result.after) == ("rehearsed", False)
    assert "rolled back" in result.message
    assert not has_metadata(sandbox)


def test_of_several_steps_only_the_first_is_tried_and_it_says_so(sandbox: Running, play: Play, either: Runner):
    play("healthy")
    either.run(NULLABLE)
    result = either.run(NOT_NULL, dry_run=True)
    assert "first of 4 steps" in result.message and may_be_null(sandbox)


def test_what_is_done_already_is_not_done_again_not_even_the_lock_is_asked_for(
    sandbox: Running, play: Play, either: Runner
):
    play("healthy")
    # Readers pass this lock; an ALTER TABLE would wait for it and give up.
    with open_transaction(sandbox, "lock table public.pending_bookings in share mode"):
        result = either.run(METADATA)
    assert (result.outcome, result.verified, result.steps_done) == ("nothing_to_do", True, 0)


def test_a_column_that_the_data_api_has_not_noticed_needs_no_ddl_but_a_word_to_the_data_api(
    sandbox: Running, play: Play, either: Runner, http: Http
):
    play("healthy")
    stage = FakeServer()  # the sandbox's own Data API hears of every DDL: its cache is not stale for long
    stage.tell("/rest/v1/", described("id"), described("id"), described("id", "metadata"))
    stage.tell("/rest/v1/pending_bookings", as_json([]))
    stale = replace(either, data_api=DescriptionCatalogClient(http, stage.url, SecretStr("sb_secret_x")))
    with psycopg.connect(sandbox.world.dsn, autocommit=True) as connection:
        connection.execute("listen pgrst")
        result = stale.run(METADATA)
        assert [told.payload for told in connection.notifies(timeout=PATIENCE, stop_after=1)] == ["reload schema"]
    stage.close()
    assert (result.outcome, result.visible) == ("nothing_to_do", True)
    assert "notified to reload the schema" in result.message


def described(*columns: str) -> Scripted:
    """The Data API's description of itself, as of its schema cache."""
    table = {"properties": {column: {"format": "text"} for column in columns}, "required": []}
    return as_json({"definitions": {"pending_bookings": table}})


def test_what_it_requires_is_asked_first(sandbox: Running, play: Play, either: Runner):
    play("healthy")
    either.run(NULLABLE)
    text_without_customer(sandbox)
    result = either.run(NOT_NULL)
    assert (result.outcome, result.steps_done) == ("refused", 0)
    assert "have no customer" in result.message and "Nothing was changed." in result.message
    assert may_be_null(sandbox)


def test_a_connection_that_may_only_read_is_refused_before_anything(sandbox: Running, play: Play):
    play("missing-column")
    for dsn in (
        sandbox.infrastructure.postgres.dsn("supabase_read_only_user"),
        f"{sandbox.world.dsn}?options=-c%20default_transaction_read_only%3Don",
    ):
        executor = DirectMigrationExecutor(DirectCatalogClient(SecretStr(dsn)))
        result = Runner(executor=executor, data_api=None, clock=now).run(METADATA)
        assert (result.outcome, result.message) == ("refused", "This connection may only read. Nothing was changed.")


def test_a_change_without_its_effect_is_rolled_back(sandbox: Running, play: Play, either: Runner):
    play("missing-column")
    result = either.run(replace(METADATA, verify="select false"))
    assert result.outcome is MigrationOutcome.FAILED
    assert "rolled back" in result.message and not has_metadata(sandbox)


def test_without_a_way_in_there_is_none_to_write_through():
    with pytest.raises(SourceError) as caught:
        migration_executor(CatalogSource(client=None, description=None, management=None))
    assert caught.value.kind is FailureKind.NOT_CONFIGURED


# Others at work --------------------------------------------------------------------------------------------


def test_behind_a_long_transaction_it_gives_up_names_who_is_in_the_way_and_lets_readers_go(
    sandbox: Running, play: Play, either: Runner
):
    play("missing-column")
    read = threading.Event()

    def reader() -> None:
        """Begin to read only once the migration waits for its lock: then the reader queues behind it."""
        with psycopg.connect(sandbox.world.dsn, autocommit=True) as connection:
            waiting = "select from pg_locks where relation = 'public.pending_bookings'::regclass and not granted"
            while not connection.execute(waiting).fetchall():
                pass
            connection.execute("select count(*) from public.pending_bookings")
            read.set()

    with open_transaction(sandbox, "select from public.pending_bookings", "nightly report") as lunch:
        thread = threading.Thread(target=reader, daemon=True)
        thread.start()
        result = either.run(METADATA)
        assert read.wait(PATIENCE), "a reader was held up although the migration had given up"
        thread.join(PATIENCE)
        assert result.outcome is MigrationOutcome.REFUSED
        assert lunch.info.backend_pid in {blocker.pid for blocker in result.blockers}
        assert f"process {lunch.info.backend_pid} (nightly report, idle in transaction" in result.message
        assert result.message.endswith("Nothing was changed.")
        assert not has_metadata(sandbox)


def test_where_asked_it_tries_again_and_goes_on_when_the_other_has_let_go(sandbox: Running, play: Play, runner: Runner):
    play("missing-column")
    with open_transaction(sandbox, "select from public.pending_bookings") as lunch:
        patient = replace(runner, sleep=lambda seconds: lunch.rollback())
        assert patient.run(METADATA, attempts=3).outcome is MigrationOutcome.SUCCEEDED


def test_only_one_migration_runs_at_a_time(sandbox: Running, play: Play, either: Runner):
    play("missing-column")
    with open_transaction(sandbox, f"select pg_advisory_xact_lock({LOCK_KEY})"):
        result = either.run(METADATA)
    assert result.outcome is MigrationOutcome.REFUSED
    assert "Another migration is running" in result.message and not has_metadata(sandbox)


# The way back ----------------------------------------------------------------------------------------------


def test_the_way_back_to_not_null_goes_step_by_step_and_leaves_nothing_behind(
    sandbox: Running, play: Play, either: Runner
):
    play("healthy")
    assert either.run(NULLABLE).verified and may_be_null(sandbox)
    heard: list[str] = []
    result = either.run(NOT_NULL, on_progress=heard.append)
    assert (result.outcome, result.verified, result.steps_done) == ("succeeded", True, 4)
    assert len([message for message in heard if message.startswith("Step")]) == 4
    assert not may_be_null(sandbox)
    assert not ask(sandbox, "select from pg_constraint where conname = 'messages_customer_id_present'")


def test_a_way_back_that_stops_midway_says_what_stays_and_can_be_taken_back(
    sandbox: Running, play: Play, either: Runner
):
    play("healthy")
    either.run(NULLABLE)

    def meanwhile(message: str) -> None:
        if message.startswith("Step 1"):
            text_without_customer(sandbox)

    result = either.run(NOT_NULL, on_progress=meanwhile)
    assert (result.outcome, result.steps_done) == ("failed", 1)
    assert "23514" in result.message and "The first step stays" in result.message
    assert "messages_customer_id_nullable" in result.message
    with pytest.raises(psycopg.errors.CheckViolation):
        text_without_customer(sandbox)
    assert either.run(NULLABLE).outcome is MigrationOutcome.SUCCEEDED
    text_without_customer(sandbox)


# The history -----------------------------------------------------------------------------------------------


def test_a_row_of_history_is_written_only_where_a_version_is_given(sandbox: Running, play: Play, either: Runner):
    play("missing-column")
    before = ask(sandbox, "select version from supabase_migrations.schema_migrations")
    either.run(METADATA)
    assert ask(sandbox, "select version from supabase_migrations.schema_migrations") == before
    do(sandbox, "alter table public.pending_bookings drop column metadata")
    either.run(METADATA, history=HistoryRow("20991122120000", "pending_bookings_metadata"))
    (row,) = ask(sandbox, "select name, statements from supabase_migrations.schema_migrations where version ~ '^2099'")
    assert row == {"name": "pending_bookings_metadata", "statements": [METADATA.sql]}


def test_history_and_change_are_in_one_transaction(sandbox: Running, play: Play, either: Runner):
    play("missing-column")
    broken: Migration = replace(METADATA, verify="select false")
    either.run(broken, history=HistoryRow("20991122120000", "pending_bookings_metadata"))
    assert not ask(sandbox, "select from supabase_migrations.schema_migrations where version ~ '^2099'")


# Lost answers ----------------------------------------------------------------------------------------------


def during(message: str, event: Callable[[], None]) -> Callable[[str], None]:
    def heard(told: str) -> None:
        if told.startswith(message):
            event()

    return heard


def both(*listeners: Callable[[str], None]) -> Callable[[str], None]:
    def heard(told: str) -> None:
        for listener in listeners:
            listener(told)

    return heard


@pytest.mark.parametrize(
    ("spoilt", "outcome", "in_place", "message"),
    [
        ({"body": "html"}, "succeeded", True, "Its answer was lost"),
        ({"status": 500}, "failed", False, "a check shows that it did not happen"),
        ({"refuse": True}, "unknown", False, "So far it is not in place"),
    ],
)
def test_a_fault_of_the_management_api_is_resolved_by_looking(
    spoilt: dict[str, Any],
    outcome: str,
    in_place: bool,
    message: str,
    sandbox: Running,
    play: Play,
    api_runner: Runner,
    fault: Fault,
):
    play("missing-column")
    result = api_runner.run(
        METADATA,
        on_progress=both(
            during("Step 1", lambda: fault("management", **spoilt)),
            during("The answer was lost", lambda: fault("management", rate=0)),
        ),
    )
    assert (result.outcome, has_metadata(sandbox)) == (outcome, in_place)
    assert message in result.message


def test_where_looking_does_not_help_either_the_outcome_is_unknown(
    sandbox: Running, play: Play, api_runner: Runner, fault: Fault
):
    play("missing-column")
    result = api_runner.run(METADATA, on_progress=during("Step 1", lambda: fault("management", body="html")))
    assert (result.outcome, result.after) == ("unknown", None)
    assert has_metadata(sandbox), "it did happen: this is why nobody may say that it did not"


def test_a_management_api_that_is_down_from_the_start_changed_nothing(play: Play, api_runner: Runner, fault: Fault):
    play("missing-column")
    fault("management", status=500)
    result = api_runner.run(METADATA)
    assert result.outcome is MigrationOutcome.REFUSED and result.message.endswith("Nothing was changed.")


def test_a_lost_dry_run_is_a_failure_and_no_riddle(sandbox: Running, play: Play, api_runner: Runner, fault: Fault):
    play("missing-column")
    result = api_runner.run(
        METADATA, dry_run=True, on_progress=during("Step 1", lambda: fault("management", body="html"))
    )
    assert result.outcome is MigrationOutcome.FAILED and not has_metadata(sandbox)


def test_a_session_that_is_ended_while_it_waits_has_changed_nothing(sandbox: Running, play: Play, runner: Runner):
    play("missing-column")

    def end_it() -> None:
        ended = (
            "select pg_terminate_backend(pid) from pg_locks "
            "where relation = 'public.pending_bookings'::regclass and not granted"
        )
        with psycopg.connect(sandbox.world.dsn, autocommit=True) as connection:
            while not connection.execute(ended).fetchall():
                pass

    with open_transaction(sandbox, "select from public.pending_bookings"):
        thread = threading.Thread(target=end_it, daemon=True)
        thread.start()
        result = runner.run(METADATA)
        thread.join(PATIENCE)
    assert result.outcome is MigrationOutcome.FAILED
    assert "did not happen" in result.message and not has_metadata(sandbox)


@dataclass(frozen=True)
class Losing:
    """A door through which the answer to script number `at` is lost, after or without its commit."""

    executor: MigrationExecutor
    at: int
    commits: bool
    sent: list[str] = field(default_factory=list)

    @property
    def way(self) -> CatalogAccess:
        return self.executor.way

    def rows(self, sql: str, deadline: Deadline) -> list[Row]:
        return self.executor.rows(sql, deadline)

    def run(self, script: str, deadline: Deadline) -> None:
        self.sent.append(script)
        lost = len(self.sent) == self.at
        if self.commits or not lost:
            self.executor.run(script, deadline)
        if lost:
            raise OutcomeUnknownError(FailureKind.UNAVAILABLE, "The connection broke.", status=500)


@pytest.mark.parametrize("commits", [True, False])
@pytest.mark.parametrize("at", [1, 2, 3])
def test_of_a_step_on_the_way_whose_answer_was_lost_nobody_says_that_it_did_not_happen(
    at: int, commits: bool, sandbox: Running, play: Play, either: Runner
):
    """What the catalog is asked speaks of the whole, which is not in place before the last step either way."""
    play("healthy")
    either.run(NULLABLE)
    executor = Losing(either.executor, at, commits)
    result = replace(either, executor=executor).run(NOT_NULL)
    assert (result.outcome, result.steps_done, len(executor.sent)) == ("unknown", at - 1, at)
    assert f"Step {at} of 4 may have happened" in result.message
    assert "messages_customer_id_nullable" in result.message
    assert "did not happen" not in result.message and "Nothing was changed" not in result.message


@pytest.mark.parametrize(
    ("commits", "outcome", "message"),
    [(True, "succeeded", "it is in place"), (False, "failed", "it did not happen. The first 3 steps stay")],
)
def test_the_last_step_whose_answer_was_lost_is_resolved_by_looking(
    commits: bool, outcome: str, message: str, sandbox: Running, play: Play, either: Runner
):
    play("healthy")
    either.run(NULLABLE)
    result = replace(either, executor=Losing(either.executor, 4, commits)).run(NOT_NULL)
    assert result.outcome == outcome and message in result.message


def test_a_connection_lost_during_commit_is_resolved_by_looking(
    sandbox: Running, play: Play, data_api: DescriptionCatalogClient
):
    play("missing-column")
    with cutting_after(sandbox.world.dsn, b"commit;") as dsn:
        executor = DirectMigrationExecutor(DirectCatalogClient(SecretStr(dsn)))
        result = Runner(executor=executor, data_api=data_api, clock=now).run(METADATA)
    assert (result.outcome, result.verified) == ("succeeded", True)
    assert "Its answer was lost" in result.message


@contextmanager
def cutting_after(dsn: str, word: bytes) -> Iterator[str]:
    """A way to the database that breaks once it has carried `word` there and the answer to it has set out."""
    there = urlsplit(dsn)
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(client: socket.socket) -> None:
        with client, socket.create_connection((there.hostname, there.port)) as server:
            cut = threading.Event()

            def back() -> None:
                with suppress(OSError):
                    while data := server.recv(65536):
                        if cut.is_set():
                            client.shutdown(socket.SHUT_RDWR)
                            return
                        client.sendall(data)

            answers = threading.Thread(target=back, daemon=True)
            answers.start()
            with suppress(OSError):
                while data := client.recv(65536):
                    if word in data:
                        cut.set()
                    server.sendall(data)
            if cut.is_set():
                answers.join(PATIENCE)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(target=carry, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        port = listener.getsockname()[1]
        yield dsn.replace(f":{there.port}", f":{port}")
    finally:
        listener.close()
