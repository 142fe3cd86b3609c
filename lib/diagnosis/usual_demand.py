"""What demand is usual, so that a silence can be judged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import pandas as pd

from lib.model.window import Window, WindowSize

HISTORY = WindowSize.MONTH.length


def usual(initiated_at: pd.Series, window: Window, zone: tzinfo = UTC, each: pd.Series | None = None) -> float | None:
    """Return the mean number of bookings in earlier stretches like `window`: same clock hours, earlier days.

    The clock is the one of `zone`: people keep their hours when it is put forward or back. `initiated_at` covers
    the last month before the window's end; `each` is how many bookings each of its moments stands for. None when
    there is no earlier stretch that the history covers (a window of a month, or a history that begins within it).
    """
    earlier = initiated_at[initiated_at < window.start]
    weights = pd.Series(1, index=earlier.index) if each is None else each.loc[earlier.index].fillna(1)
    if earlier.empty:
        return None
    step = timedelta(days=max(1, (window.end - window.start).days))
    begins = max(earlier.min().to_pydatetime(), window.end - HISTORY)
    counts = []
    back = step
    while (start := _earlier(window.start, back, zone)) >= begins:
        counts.append(int(weights[(earlier >= start) & (earlier < _earlier(window.end, back, zone))].sum()))
        back += step
    return sum(counts) / len(counts) if counts else None


def _earlier(instant: datetime, days: timedelta, zone: tzinfo) -> datetime:
    """Return the same time by the clocks of `zone`, that many days before."""
    return (instant.astimezone(zone) - days).astimezone(UTC)
