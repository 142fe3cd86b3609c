"""The pages over a window with very many rows: they say what is rows and what was counted."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest

from lib.model import frames
from lib.model.counts import Counts
from lib.model.window import Window, WindowSize
from lib.snapshot import Snapshot
from tests.pages import synthetic
from tests.pages.conftest import Open
from tests.pages.synthetic import NOW, snapshot, values

MONTH = Window.ending(NOW, WindowSize.MONTH)
COUNTED = {
    "initiated": 90_000,
    "stored": 80_000,
    "empty": 0,
    "without_sms": 0,
    "confirmed": 7,
    "booked": 5,
}
COUNTS = Counts(
    window=MONTH,
    bookings=frames.frame(frames.BOOKING_COUNTS, [{"bucket": MONTH.start, "last_at": NOW, **COUNTED}]),
    events=frames.frame(frames.BOOKING_COUNTS, [{"event_id": "event-1", "last_at": NOW, **COUNTED}]),
    texts=frames.frame(
        frames.TEXT_COUNTS, [{"bucket": MONTH.start, "status": "delivered", "texts": 88_000, "last_at": NOW}]
    ),
    has_metadata=True,
    links_opened=60_000,
    unindexed=("messages.created_at",),
)


def cut() -> Snapshot:
    return dataclasses.replace(
        snapshot(values() | {"counts": COUNTS}), window=MONTH, rows_since=NOW - timedelta(hours=9)
    )


@pytest.mark.parametrize("page", ["status", "bookings", "texts"])
def test_a_page_says_which_part_is_rows_and_which_was_counted(open_page: Open, page: str) -> None:
    test = open_page(page, cut())
    assert not test.exception
    assert any("newest rows, since" in caption.value for caption in test.caption)
    assert not any("newest rows, since" in caption.value for caption in open_page(page, synthetic.planted()).caption)


def test_indexes_are_proposed_and_not_made(open_page: Open) -> None:
    test = open_page("systems", cut())
    assert not test.exception
    assert [code.value for code in test.code] == ["create index concurrently on public.messages (created_at);"]
