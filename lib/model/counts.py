"""What the database counted over a whole window, where reading it row by row would take too long."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from lib.model.window import Window


@dataclass(frozen=True, eq=False)
class Counts:
    """Counts over `window`, in its buckets. They say what the database knows, not what Twilio does.

    `bookings` (frame BOOKING_COUNTS, one row per bucket) and `texts` (TEXT_COUNTS) leave out buckets without any.
    `events` are the newest events' rows, of frame BOOKING_COUNTS too. Without `has_metadata` the column
    `pending_bookings.metadata` is missing: then `stored` is unknown, not zero.
    """

    window: Window
    bookings: pd.DataFrame
    events: pd.DataFrame
    texts: pd.DataFrame
    has_metadata: bool
    links_opened: int  # confirmation links made in the window and opened since
    unindexed: tuple[str, ...] = ()  # as table.column: searched by, large, and without an index

    def total(self, column: str) -> int:
        """Return the sum of a column of `bookings` over the window."""
        return int(self.bookings[column].sum())

    @property
    def index_proposals(self) -> tuple[str, ...]:
        """Return the statements that would make counting quicker. The desk proposes them and never runs them."""
        places = (place.partition(".") for place in self.unindexed)
        return tuple(f"create index concurrently on public.{table} ({column});" for table, _, column in places)
