"""The reporting functions in the database: counts over a whole window, and where single texts are known from.

The catalogue's migration `reporting` installs them. Each answers with one JSON value, through the Data API and with
the key that reads the tables. Where they are not installed, the answer is None: unknown, never zero.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pandas as pd
import pandera.pandas as pa

from lib.model import frames
from lib.model.counts import Counts
from lib.model.reading import Observed, SourceError
from lib.model.window import Window
from lib.sources import parse
from lib.sources.booking_data import DEMAND, NOT_INSTALLED, SYSTEM, BookingData, TableQuery
from lib.sources.http import Deadline

# At most this many texts are asked for in one call.
MAX_SIDS = 1000
# Half an hour is exact enough for what is usual.
DEMAND_BUCKET = timedelta(minutes=30)
_PLACE = re.compile(r"[a-z_]+\.[a-z_]+")
# A table with fewer rows needs no index to be counted in time.
MANY_ROWS = 100_000


@dataclass(frozen=True)
class Reporting:
    """The reporting functions of one Supabase project. All raise `SourceError` only.

    `own_numbers` are phones of the business itself: what was booked for them is left out.
    """

    data: BookingData
    own_numbers: frozenset[str] = field(default=frozenset(), repr=False)

    def counts(self, window: Window, deadline: Deadline) -> Observed[Counts | None]:
        """Return what the database counts over `window`; None where the functions are not installed."""
        try:
            return Observed(self._counted(window, deadline))
        except SourceError as error:
            if error.kind in NOT_INSTALLED:
                return Observed(None)
            raise

    def _counted(self, window: Window, deadline: Deadline) -> Counts:
        over = self._over(window, window.size.bucket)
        with ThreadPoolExecutor(3) as pool:
            bookings, texts, unindexed = (
                pool.submit(self.data.call, name, params, deadline)
                for name, params in (
                    ("switchboard_bookings", over),
                    ("switchboard_texts", over),
                    ("switchboard_indexes", {"many_rows": MANY_ROWS}),
                )
            )
            counted = parse.mapping(bookings.result(), SYSTEM)
            return Counts(
                window=window,
                bookings=_frame(frames.BOOKING_COUNTS, counted.get("buckets")),
                events=_frame(frames.BOOKING_COUNTS, counted.get("events")),
                texts=_frame(frames.TEXT_COUNTS, texts.result()),
                has_metadata=parse.need(parse.boolean(counted, "has_metadata"), SYSTEM, "whether metadata exists"),
                links_opened=parse.need(parse.integer(counted, "links_opened"), SYSTEM, "how many links were opened"),
                unindexed=tuple(filter(_PLACE.fullmatch, parse.texts(unindexed.result()))),
            )

    def demand(self, window: Window, deadline: Deadline) -> Observed[pd.DataFrame]:
        """Return when people asked to book in `window` (frame DEMAND): row by row, or counted if they are many."""
        rows = self.data.read(self._demand, window, deadline, newest=True)
        if rows.since is None or any(rows.caveats):
            return rows
        answer = self.data.call("switchboard_demand", self._over(window, DEMAND_BUCKET), deadline)
        counted = [{"id": str(number), **row} for number, row in enumerate(parse.rows(answer, SYSTEM))]
        return Observed(frames.frame(frames.DEMAND, counted).sort_values("created_at", ignore_index=True))

    @property
    def _demand(self) -> TableQuery:
        if not self.own_numbers:
            return DEMAND
        theirs = ",".join(f'"{number}"' for number in sorted(self.own_numbers))
        return replace(
            DEMAND, extra=lambda query, _: query.or_(f"mobile_number.is.null,mobile_number.not.in.({theirs})")
        )

    def _over(self, window: Window, bucket: timedelta) -> Mapping[str, Any]:
        return {
            "begins": window.start.isoformat(),
            "ends": window.end.isoformat(),
            "bucket_seconds": int(bucket.total_seconds()),
            "own": sorted(self.own_numbers),
        }

    def reconcile(self, sids: Sequence[str], deadline: Deadline) -> Observed[pd.DataFrame | None]:
        """Return where the database knows the first 1,000 of `sids` from (frame RECONCILED), whenever that was.

        None where the functions are not installed.
        """
        if not self.data.can_count(deadline):
            return Observed(None)
        answer = self.data.call("switchboard_reconcile", {"sids": list(sids[:MAX_SIDS])}, deadline)
        return Observed(_frame(frames.RECONCILED, answer))


def _frame(schema: pa.DataFrameSchema, rows: Iterable[Any] | None) -> pd.DataFrame:
    return frames.frame(schema, parse.rows(rows, SYSTEM))
