"""What happened when: events per bucket, and the marks of what was changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pandas as pd

from lib.diagnosis.journeys import Delivery
from lib.model.window import Window


class Series(StrEnum):
    """The lines of the timeline."""

    INITIATED = "bookings initiated"
    ACCEPTED = "texts accepted"
    DELIVERED = "texts delivered"
    FAILED = "texts failed"


class MarkKind(StrEnum):
    DEPLOYMENT = "deployment"
    ROLLBACK = "rollback"
    MIGRATION = "migration"
    INCIDENT = "incident"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that changed the system, drawn as a vertical line."""

    at: datetime
    kind: MarkKind
    words: str


def timeline(
    window: Window, pending: pd.DataFrame | None, outbound: pd.DataFrame | None
) -> dict[Series, pd.Series | None]:
    """Return per line the counts per bucket of `window`, indexed by the bucket's start. None: unknown.

    `outbound` are reconciled texts. Every bucket is there: a bucket without events is a true zero, and a
    line that could not be read is None, never zeros.
    """
    lines: dict[Series, pd.Series | None] = dict.fromkeys(Series)
    if pending is not None:
        lines[Series.INITIATED] = per_bucket(pending["created_at"], window)
    if outbound is not None:
        lines[Series.ACCEPTED] = per_bucket(outbound["created_at"], window)
        for series, delivery in ((Series.DELIVERED, Delivery.DELIVERED), (Series.FAILED, Delivery.FAILED)):
            lines[series] = per_bucket(outbound.loc[outbound["delivery"] == delivery, "created_at"], window)
    return lines


def per_bucket(times: pd.Series, window: Window) -> pd.Series:
    """Count `times` per bucket of `window`."""
    starts = pd.date_range(window.start, window.end, freq=window.size.bucket, inclusive="left")
    buckets = ((times - window.start) // window.size.bucket).astype("Int64")
    counts = buckets.value_counts().reindex(range(len(starts)), fill_value=0)
    return pd.Series(counts.to_numpy(dtype=int), index=starts)
