"""Tells an outage that is over from a flow that is flaky: both have failures in the window, one has them no more."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from lib.diagnosis import thresholds


def over_since(times: pd.Series, bad: pd.Series) -> datetime | None:
    """Return when the good run that lasts until now began, if what came before it was an outage; else None.

    `times` and `bad` are of the same cases, oldest first. The newest cases have to be good, several in a row; and
    between the first and the last bad one at least half were bad, for failures here and there are no outage.
    """
    failed = bad.to_numpy(dtype=bool).nonzero()[0]
    if len(failed) < thresholds.FAILURES_TO_WARN:
        return None  # a single failure is somebody's bad luck, and somebody to call
    first, last = int(failed[0]), int(failed[-1])
    good_since = len(bad) - 1 - last
    if good_since < thresholds.OUTAGE_OVER_AFTER or 2 * len(failed) < last - first + 1:
        return None
    return pd.Timestamp(times.iloc[last + 1]).to_pydatetime()
