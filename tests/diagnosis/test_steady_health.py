"""A healthy sandbox stays green for 20 minutes of its own clock, with the desk asking, calling and opening links.

The sandbox's clock is the real one. Time passes for it by its past moving away: all that happened is dated back by a
minute, customers go on booking, and the desk looks anew.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import httpx
import pytest
from psycopg import sql

from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.model.reading import FailureKind, SourceError
from lib.model.verdict import CheckStatus, HeadlineState
from lib.model.window import Window, WindowSize
from lib.sandbox.serve import Running
from lib.sandbox.world import Connection
from lib.settings import load
from lib.snapshot import take, utc_now
from lib.sources.http import Deadline
from lib.sources.source_registry import Sources, connect

pytestmark = pytest.mark.sandbox

AMBER = (CheckStatus.WARN, CheckStatus.FAIL)
SCHEMAS = ["public", "twin", "platform"]
# What lies further back than the desk looks need not move.
RECENT = timedelta(hours=30)
PACE = 40  # bookings a minute, so that each look sees new ones
# Nothing in it can be changed, not even by its owner.
FINAL = "audit_logs"


@pytest.fixture
def sources(play: Callable[[str], dict[str, str]], control: httpx.Client) -> Iterator[Sources]:
    """The sources of a healthy sandbox in which customers book quickly. A switch of scenario ends their pace."""
    settings = load(play("healthy"))
    control.post("/pace", json={"bookings_per_minute": PACE}).raise_for_status()
    yield connect(settings, utc_now)
    control.post("/pace", json={"bookings_per_minute": 0}).raise_for_status()


@pytest.mark.timeout(120)
def test_a_healthy_sandbox_stays_green_for_twenty_minutes_in_a_few_looks(sandbox: Running, sources: Sources) -> None:
    _hold(sandbox, sources, looks=3, apart=timedelta(minutes=7))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_healthy_sandbox_stays_green_for_twenty_minutes_looked_at_each_minute(
    sandbox: Running, sources: Sources
) -> None:
    _hold(sandbox, sources, looks=20, apart=timedelta(minutes=1))


def _hold(sandbox: Running, sources: Sources, *, looks: int, apart: timedelta) -> None:
    with sandbox.world.connection() as connection:
        columns = _times(connection)
    began = utc_now()
    for look in range(looks):
        time.sleep(2)
        with sandbox.world.connection() as connection:
            _date_back(connection, columns, apart)
        _the_desks_own_traffic(sources)
        diagnosis = diagnose(take(sources, WindowSize.DAY), utc_now(), Terms.of(sources.settings))
        assert _amber(diagnosis) == [], f"after {look + 1} × {apart}"
        assert diagnosis.headline.state is HeadlineState.FLOWING, diagnosis.headline.sentence
    pending = diagnosis.facts.snapshot.pending_bookings.value
    assert pending is not None and (pending["created_at"] >= began - looks * apart).any(), "nobody booked meanwhile"
    errors = sources.catalog.errors(Window.ending(utc_now(), WindowSize.HOUR), Deadline(10)).value
    assert errors[errors["at"] >= began - looks * apart].empty, "the desk counts itself"


def _amber(diagnosis: Diagnosis) -> list[str]:
    checks = [f"{one.id}: {one.summary}" for one in diagnosis.checks if one.status in AMBER]
    return checks + [f"{hop.hop}: {hop.message}" for hop in diagnosis.hops if hop.status in AMBER]


def _the_desks_own_traffic(sources: Sources) -> None:
    """Call functions that are not installed, and ask for the newest link and the start page, as the desk does."""
    for function in ("switchboard_bookings", "switchboard_reconcile"):
        with pytest.raises(SourceError) as caught:
            sources.booking_data.call(function, {}, Deadline(10))
        assert caught.value.kind is FailureKind.NOT_FOUND
    sources.booking_app.health(Deadline(10))


def _times(connection: Connection) -> list[tuple[str, str, list[str]]]:
    """Return the tables of the sandbox with their columns of instants."""
    rows = connection.execute(
        """select c.table_schema, c.table_name, array_agg(c.column_name::text) as names
           from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
           where c.table_schema = any(%s) and t.table_type = 'BASE TABLE' and c.is_generated = 'NEVER'
               and c.data_type = 'timestamp with time zone'
               and c.table_name <> %s
           group by 1, 2""",
        [SCHEMAS, FINAL],
    ).fetchall()
    assert {row["table_name"] for row in rows} >= {"pending_bookings", "messages", "texts", "log"}
    return [(row["table_schema"], row["table_name"], row["names"]) for row in rows]


def _date_back(connection: Connection, columns: list[tuple[str, str, list[str]]], by: timedelta) -> None:
    since = utc_now() - RECENT
    with connection.transaction():
        for schema, table, names in columns:
            earlier = sql.SQL(", ").join(
                sql.SQL("{0} = case when {0} >= %(since)s then {0} - %(by)s else {0} end").format(sql.Identifier(name))
                for name in names
            )
            connection.execute(
                sql.SQL("update {} set {} where greatest({}) >= %(since)s").format(
                    sql.Identifier(schema, table), earlier, sql.SQL(", ").join(map(sql.Identifier, names))
                ),
                {"since": since, "by": by},
            )
