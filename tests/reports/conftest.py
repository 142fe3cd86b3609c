"""A journal with a fixed clock, and diagnoses of small snapshots."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.journal.journal import Journal
from lib.model import frames
from lib.model.people import Actor, Role, Via
from lib.settings import Settings
from tests.clocks import Clock
from tests.diagnosis.builders import NOW, ago, booking, snapshot, table, text

ANA = Actor("ana@example.org", Role.OPERATOR, Via.PAGE)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW)


@pytest.fixture
def journal(tmp_path: Path, clock: Clock) -> Iterator[Journal]:
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
    opened = Journal.open(settings, clock)
    yield opened
    opened.close()


def whole(**changed: Any) -> Diagnosis:
    """Return the diagnosis of a healthy snapshot with some readings `changed`."""
    return diagnose(snapshot(**changed), NOW) if changed else _healthy()


@cache
def _healthy() -> Diagnosis:
    return diagnose(snapshot(), NOW)


@cache
def undelivered() -> Diagnosis:
    """Return the diagnosis when six texts of the last hours did not arrive."""
    moments = {number: ago(hours=7 - number) for number in range(1, 7)}
    bookings = [booking(number, at) for number, at in moments.items()]
    texts = [text(number, at, status="undelivered", error_code="30007") for number, at in moments.items()]
    return whole(pending_bookings=table(frames.PENDING_BOOKINGS, bookings), texts=table(frames.TEXTS, texts))
