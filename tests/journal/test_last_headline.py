"""The last known headlines: kept outside of the chain, each set of systems apart, free of what must not be stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lib.journal.journal import Journal
from lib.journal.last_headline import LONGEST_SENTENCE, LastHeadline, LastHeadlines, systems_key
from lib.journal.schema import last_headlines
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.settings import load
from tests.journal.conftest import START

KNOWN = LastHeadline(
    HeadlineState.BROKEN,
    "Texts are not sent.",
    "No. None of 7 in the last 24 hours.",
    START - timedelta(hours=3),
    False,
    WindowSize.DAY,
    START,
)
LIVE = {
    "SUPABASE_URL": "https://abcdefghijklmnopqrst.supabase.co",
    "VERCEL_PROJECT_ID": "prj_1",
    "VERCEL_TOKEN": "vcp_x",
    "GITHUB_REPOSITORY": "lantern-arms/booking",
}


def test_the_newest_headline_of_each_window_is_read_back(journal: Journal) -> None:
    kept = LastHeadlines(journal.database, "one")
    assert kept.read() == {}
    later = replace(KNOWN, state=HeadlineState.FLOWING, since=None, at=START + timedelta(minutes=5))
    week = replace(KNOWN, size=WindowSize.WEEK)
    for headline in (KNOWN, week, later):
        kept.keep(headline)
    assert kept.read() == {WindowSize.DAY: later, WindowSize.WEEK: week}


def test_no_headline_of_other_systems_is_read(journal: Journal) -> None:
    LastHeadlines(journal.database, "one").keep(KNOWN)
    assert LastHeadlines(journal.database, "another").read() == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"SANDBOX_URL": "http://127.0.0.1:5001"},
        {"SUPABASE_URL": "https://zyxwvutsrqponmlkjihg.supabase.co"},
        {"VERCEL_PROJECT_ID": "prj_2"},
        {"GITHUB_REPOSITORY": "lantern-arms/other"},
        {"BOOKING_APP_URL": "https://book.example.com"},
    ],
)
def test_a_sandbox_and_other_systems_have_another_key_than_live_ones(changed: dict[str, str]) -> None:
    assert systems_key(load(LIVE)) != systems_key(load(LIVE | changed))
    assert systems_key(load(LIVE)) == systems_key(load(LIVE | {"VERCEL_TOKEN": "vcp_y"}))


def test_secrets_and_numbers_are_not_stored_and_no_sentence_is_endless(journal: Journal) -> None:
    kept = LastHeadlines(journal.database, "one")
    said = "Refused for +447400111222 with sb_secret_abcdefgh123456. " + "Long. " * 500
    kept.keep(replace(KNOWN, sentence=said, answer=said))
    with journal.database.reading() as connection:
        stored = str(connection.execute(last_headlines.select()).all())
    assert "447400111222" not in stored and "sb_secret_a" not in stored
    read = kept.read()[WindowSize.DAY]
    assert len(read.sentence) == len(read.answer) == LONGEST_SENTENCE


def test_a_headline_that_cannot_be_read_is_left_out(journal: Journal) -> None:
    kept = LastHeadlines(journal.database, "one")
    kept.keep(KNOWN)
    kept.keep(replace(KNOWN, size=WindowSize.HOUR))
    with journal.database.writing() as connection:
        spoilt = last_headlines.update().where(last_headlines.c.span == "24h").values(payload='{"state": "purple"}')
        connection.execute(spoilt)
    assert list(kept.read()) == [WindowSize.HOUR]


def test_the_chain_knows_nothing_of_it(journal: Journal) -> None:
    LastHeadlines(journal.database, "one").keep(KNOWN)
    assert journal.verify().ok and journal.verify().entries == 0


def test_only_another_time_is_nothing_new() -> None:
    assert KNOWN.says_the_same(replace(KNOWN, at=START + timedelta(minutes=1)))
    assert not KNOWN.says_the_same(replace(KNOWN, sentence="Texts are flowing."))
