"""What the measurements and a test share: very many rows, and how many calls reached the Data API."""

from __future__ import annotations

from pathlib import Path

import psycopg

from lib.sandbox.booking_app_twin import USER_AGENT

_CALLS = """
select count(*) from platform.log
where source_name = 'edge_logs' and log_attributes ->> 'request.headers.user_agent' is distinct from %(app)s
"""
ROWS = Path(__file__).with_name("loads.sql")


def write_rows(dsn: str, texts: int, bookings: int) -> None:
    """Replace the sandbox's rows by thirty days of so many, and let the planner know."""
    statements = ROWS.read_text(encoding="utf-8") % {"texts": texts, "bookings": bookings}
    with psycopg.connect(dsn) as connection:
        connection.execute(statements.encode())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("vacuum analyze")


def data_api_calls(dsn: str) -> int:
    """Return how many calls of ours the sandbox's gateway of the booking data has answered: not the booking app's."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(_CALLS, {"app": USER_AGENT}).fetchone()
    return int(row[0]) if row else 0
