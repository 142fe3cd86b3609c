"""An outage that is over is told from a flow that is flaky."""

from __future__ import annotations

import pandas as pd
import pytest

from lib.diagnosis.outage import over_since

START = pd.Timestamp("2026-11-22T12:00:00Z")


@pytest.mark.parametrize(
    ("cases", "over_at"),
    [
        ("", None),
        ("ooooo", None),  # there was none
        ("xxxxx", None),  # it is still on
        ("xxxoooo", None),  # too few good ones to call it over
        ("xooooooo", None),  # one failure is no outage
        ("ooxxxooooo", 5),
        ("xxxooooo", 3),
        ("xoxooooo", 3),  # half of them failed: an outage all the same
        ("xoooxoooxooooo", None),  # here and there one: flaky, and not over
        ("xxxooooox", None),
    ],
)
def test_an_outage_is_over_after_enough_good_cases_in_a_row(cases: str, over_at: int | None) -> None:
    times = pd.Series([START + pd.Timedelta(minutes=minute) for minute in range(len(cases))])
    bad = pd.Series([case == "x" for case in cases], dtype=bool)
    expected = None if over_at is None else times.iloc[over_at].to_pydatetime()
    assert over_since(times, bad) == expected
