"""A journal on each of the two databases, a fixed clock, and two people."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from lib.journal.journal import Journal
from lib.model.people import Actor, Role, Via
from tests.clocks import Clock
from tests.journal.workers import settings_of

START = datetime(2026, 3, 2, 14, 3, 21, 123456, tzinfo=UTC)


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def ann() -> Actor:
    return Actor("ann@lantern.example", Role.OPERATOR, Via.PAGE)


@pytest.fixture
def bob() -> Actor:
    return Actor("bob@lantern.example", Role.OPERATOR, Via.PAGE)


@pytest.fixture
def sqlite_environ(tmp_path: Path) -> dict[str, str]:
    return {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}"}


@pytest.fixture
def postgres_environ(request: pytest.FixtureRequest) -> dict[str, str]:
    dsn = request.getfixturevalue("sandbox").world.dsn
    with psycopg.connect(dsn) as connection:
        connection.execute("drop schema if exists switchboard cascade")
    return {"DATABASE_URL": dsn}


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.sandbox)])
def environ(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of a journal that is still empty, once on each database."""
    environ: dict[str, str] = request.getfixturevalue(f"{request.param}_environ")
    return environ


@pytest.fixture
def journal(environ: dict[str, str], clock: Clock) -> Iterator[Journal]:
    journal = Journal.open(settings_of(environ), clock, database_time=clock)
    yield journal
    journal.close()


@pytest.fixture
def local(sqlite_environ: dict[str, str], clock: Clock) -> Iterator[Journal]:
    """A journal on SQLite, where the database makes no difference."""
    journal = Journal.open(settings_of(sqlite_environ), clock)
    yield journal
    journal.close()
