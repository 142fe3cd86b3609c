"""What every twin is given: where the sandbox answers, its database, its credentials and its clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from queue import Empty, LifoQueue
from typing import Any, Literal, TypeAlias

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

Row: TypeAlias = dict[str, Any]
Connection: TypeAlias = psycopg.Connection[Row]


@dataclass(frozen=True, slots=True)
class Credentials:
    """The sandbox's keys and names: fixed fakes that are easy to recognise and open nothing else."""

    supabase_secret_key: str = "sb_secret_sandbox_opens_nothing_else"
    supabase_publishable_key: str = "sb_publishable_sandbox_opens_nothing_else"
    supabase_access_token: str = "sbp_fc00000000000000000000000000000000sandbox"
    vercel_token: str = "vcp_sandbox_opens_nothing_else"
    github_token: str = "github_pat_sandbox_opens_nothing_else"
    twilio_account_sid: str = "AC0000000000000000000000005a4db0c5"
    twilio_auth_token: str = "0000000000000000000000005a4db0c5"
    booking_api_key: str = "sandbox-booking-key-opens-nothing-else"
    project_ref: str = "lanternarmssandboxes"
    vercel_project_id: str = "prj_sandboxLanternArmsBooking"
    vercel_team_id: str = "team_sandboxLanternArms"
    github_repository: str = "lantern-arms/booking"
    production_hostname: str = "booking.lantern-arms.example"
    sender_number: str = "+441632960100"
    test_event_id: str = "00000000-0000-4000-8000-00000000e001"
    test_mobile_number: str = "+447700900999"  # Ofcom's range for drama: nobody's phone
    # What a build of the booking app needs to have baked in.
    required_env_names: tuple[str, ...] = (
        "SUPABASE_SERVICE_ROLE_KEY",
        "TWILIO_ACCOUNT_SID",
        "TWILIO_AUTH_TOKEN",
        "TWILIO_PHONE_NUMBER",
        "NEXT_PUBLIC_APP_URL",
    )


class Connections:
    """Idle database connections, handed out last in, first out and opened when none is idle."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._idle: LifoQueue[Connection] = LifoQueue()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend an autocommit connection whose rows are dictionaries; one that broke is not reused."""
        connection = self._take()
        try:
            yield connection
        finally:
            idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            if idle and not connection.closed:
                self._idle.put(connection)
            else:
                connection.close()

    def _take(self) -> Connection:
        while True:
            try:
                connection = self._idle.get_nowait()
            except Empty:
                return psycopg.connect(self._dsn, autocommit=True, row_factory=dict_row)
            if not connection.closed:
                return connection

    def close(self) -> None:
        """Close the idle connections."""
        while True:
            try:
                self._idle.get_nowait().close()
            except Empty:
                return


@dataclass(frozen=True)
class World:
    """One running sandbox as its twins see it.

    `base_url` is `http://127.0.0.1:PORT` without a trailing slash; `dsn` opens the database as its owner.
    """

    base_url: str
    dsn: str
    reload_schema_cache: Callable[[], None]  # returns when the Data API knows the schema as it is now
    credentials: Credentials = field(default_factory=Credentials)
    connections: Connections = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "connections", Connections(self.dsn))

    def now(self) -> datetime:
        """The sandbox's clock, in UTC. It is the real one, because the dashboard under test reads the real one too."""
        return datetime.now(UTC)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """Lend an autocommit connection with dictionary rows; use `with connection.transaction()` for more."""
        with self.connections.connection() as connection:
            yield connection

    def log_line(
        self,
        source_name: Literal["edge_logs", "postgres_logs"],
        event_message: str,
        log_attributes: dict[str, str],
        *,
        at: datetime | None = None,
        severity_text: str = "INFO",
    ) -> None:
        """Write a line that the Logs API returns, `at` a time (now, if None).

        For what no server here logs by itself: requests at the gateway, and history. Attributes as on
        the platform: `request.method`, `request.path`, `request.headers.user_agent`, `response.status_code` for
        edge_logs, and `parsed.sql_state_code`, `parsed.user_name`, `parsed.error_severity` for postgres_logs.
        """
        with self.connection() as connection:
            connection.execute(
                "insert into platform.log (at, source_name, severity_text, event_message, log_attributes) "
                "values (%s, %s, %s, %s, %s)",
                (at or self.now(), source_name, severity_text, event_message, Jsonb(log_attributes)),
            )
