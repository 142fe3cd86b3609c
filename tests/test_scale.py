"""The cost of a month follows what is shown, not how many texts were ever sent."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from lib.diagnosis.diagnose import diagnose
from lib.migrations.catalogue import catalogue
from lib.migrations.script import scripts
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.sandbox.serve import Running
from lib.settings import load
from lib.snapshot import Snapshot, take, utc_now
from lib.sources.booking_data import NEWEST_ROWS
from lib.sources.source_registry import connect
from scripts.loads import data_api_calls, write_rows

pytestmark = pytest.mark.sandbox


def read(settings: dict[str, str], size: WindowSize) -> Snapshot:
    return take(connect(load(settings), utc_now), size)


def test_ten_times_the_texts_cost_hardly_a_call_more_and_are_all_counted(
    play: Callable[[str], dict[str, str]], sandbox: Running
) -> None:
    settings = play("healthy")
    with psycopg.connect(sandbox.world.dsn, autocommit=True) as connection:
        for step in scripts(catalogue()["reporting"]):
            connection.execute(step.sql.encode())
    sandbox.infrastructure.reload_schema_cache()
    calls = []
    for texts, bookings in ((12_000, 4_000), (120_000, 40_000)):
        write_rows(sandbox.world.dsn, texts, bookings)
        before = data_api_calls(sandbox.world.dsn)
        snapshot = read(settings, WindowSize.MONTH)
        calls.append(data_api_calls(sandbox.world.dsn) - before)
        assert [reading.name for reading in snapshot.readings if reading.failure or reading.truncated] == []
        assert snapshot.cut and len(snapshot.texts.value) <= NEWEST_ROWS and len(snapshot.messages.value) <= NEWEST_ROWS
        assert snapshot.counts.value.texts["texts"].sum() == texts
        diagnosis = diagnose(snapshot, utc_now())
        assert (diagnosis.headline.state, diagnosis.facts.initiated) == (HeadlineState.FLOWING, bookings)
    assert calls[1] < 1.25 * calls[0], "a page or a count here and there, and never one per thousand rows"
    day = diagnose(read(settings, WindowSize.DAY), utc_now())
    assert day.headline.state is HeadlineState.FLOWING, "a shorter window does not contradict the longer one"
