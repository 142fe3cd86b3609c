"""What demand is usual, so that a silence can be judged."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd

from lib.model.window import Window, WindowSize

HISTORY = WindowSize.MONTH.length


def usual(initiated_at: pd.Series, window: Window) -> float | None:
    """Return the mean number of bookings in earlier stretches like `window`: same clock hours, earlier days.

    `initiated_at` covers the last month before the window's end. None when there is no earlier stretch that
    the history covers (a window of a month, or a history that begins within the window).
    """
    earlier = initiated_at[initiated_at < window.start]
    if earlier.empty:
        return None
    step = timedelta(days=max(1, (window.end - window.start).days))
    begins = max(earlier.min().to_pydatetime(), window.end - HISTORY)
    counts = []
    start, end = window.start - step, window.end - step
    while start >= begins:
        counts.append(int(((earlier >= start) & (earlier < end)).sum()))
        start, end = start - step, end - step
    return sum(counts) / len(counts) if counts else None
