"""What happened when: events per bucket, and the marks of what was changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import pandas as pd

from lib.diagnosis.journeys import Delivery
from lib.model.counts import Counts
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES
from lib.model.window import Window


class Series(StrEnum):
    """The lines of the timeline."""

    INITIATED = "bookings initiated"
    ACCEPTED = "texts accepted"
    DELIVERED = "texts delivered"
    FAILED = "texts failed"
    # What the database knows of texts, where they are too many to read Twilio's log of the whole window.
    RECORDED = "texts recorded in messages"
    MARKED_DELIVERED = "recorded as delivered"
    MARKED_FAILED = "recorded as failed"


# The lines that are drawn of rows, and those that are drawn of counts.
READ = (Series.INITIATED, Series.ACCEPTED, Series.DELIVERED, Series.FAILED)
COUNTED = (Series.INITIATED, Series.RECORDED, Series.MARKED_DELIVERED, Series.MARKED_FAILED)


class MarkKind(StrEnum):
    DEPLOYMENT = "deployment"
    ROLLBACK = "rollback"
    MIGRATION = "migration"
    INCIDENT = "incident"
    ACTION = "action"


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that changed the system, drawn as a vertical line."""

    at: datetime
    kind: MarkKind
    message: str


def timeline(
    window: Window, pending: pd.DataFrame | None, outbound: pd.DataFrame | None
) -> dict[Series, pd.Series | None]:
    """Return per line the counts per bucket of `window`, indexed by the bucket's start. None: unknown.

    `outbound` are reconciled texts. Every bucket is there: a bucket without events is a true zero, and a
    line that could not be read is None, never zeros.
    """
    lines: dict[Series, pd.Series | None] = dict.fromkeys(READ)
    if pending is not None:
        lines[Series.INITIATED] = per_bucket(pending["created_at"], window)
    if outbound is not None:
        lines[Series.ACCEPTED] = per_bucket(outbound["created_at"], window)
        for series, delivery in ((Series.DELIVERED, Delivery.DELIVERED), (Series.FAILED, Delivery.FAILED)):
            lines[series] = per_bucket(outbound.loc[outbound["delivery"] == delivery, "created_at"], window)
    return lines


def counted(counts: Counts | None) -> dict[Series, pd.Series | None]:
    """Return per line what the database counted per bucket. What only Twilio knows is None, as all is without counts.

    Recorded are the texts that messages has a row of: that of a new customer's booking only once it is confirmed.
    """
    lines: dict[Series, pd.Series | None] = dict.fromkeys((*COUNTED, *READ))
    if counts is None:
        return lines
    bookings, texts, window = counts.bookings, counts.texts, counts.window
    lines[Series.INITIATED] = _by_bucket(bookings["bucket"], bookings["initiated"], window)
    lines[Series.RECORDED] = _by_bucket(texts["bucket"], texts["texts"], window)
    for series, statuses in (
        (Series.MARKED_DELIVERED, DELIVERED_STATUSES),
        (Series.MARKED_FAILED, FAILED_STATUSES),
    ):
        of_these = texts[texts["status"].isin(statuses)]
        lines[series] = _by_bucket(of_these["bucket"], of_these["texts"], window)
    return lines


def _by_bucket(buckets: pd.Series, counts: pd.Series, window: Window) -> pd.Series:
    number = ((buckets - window.start) // window.size.bucket).astype("int64")
    starts = _starts(window)
    summed = counts.groupby(number.to_numpy()).sum().reindex(range(len(starts)), fill_value=0)
    return pd.Series(summed.to_numpy(dtype=int), index=starts)


def _starts(window: Window) -> pd.DatetimeIndex:
    return pd.date_range(window.start, window.end, freq=window.size.bucket, inclusive="left")


def per_bucket(times: pd.Series, window: Window) -> pd.Series:
    """Count `times` per bucket of `window`."""
    starts = _starts(window)
    buckets = ((times - window.start) // window.size.bucket).astype("Int64")
    counts = buckets.value_counts().reindex(range(len(starts)), fill_value=0)
    return pd.Series(counts.to_numpy(dtype=int), index=starts)
