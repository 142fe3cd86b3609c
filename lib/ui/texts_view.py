"""Texts: Twilio's log against the database, in numbers."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from lib.diagnosis import text_log
from lib.diagnosis.journeys import Delivery, Recording
from lib.diagnosis.statistics import Share
from lib.model.provider import Balance
from lib.ui import labels
from lib.ui.page_frame import View

Number = tuple[str, str, str]
CANNOT_TELL = "cannot tell"

_MEANING = {
    Recording.RECORDED: "a row in messages",
    Recording.DEFERRED: "only in the booking's metadata, until the customer confirms",
    Recording.LOST: "sent, and the database knows nothing of it",
    Recording.TOO_SOON: "younger than Twilio's list lags",
    Recording.UNKNOWN: "messages or bookings could not be read",
}
_ALWAYS_SHOWN = (Recording.RECORDED, Recording.DEFERRED, Recording.LOST)


def delivery_numbers(outbound: pd.DataFrame) -> list[Number]:
    """Return how the texts fared, counts first."""
    delivery = outbound["delivery"]
    delivered, failed = int((delivery == Delivery.DELIVERED).sum()), int((delivery == Delivery.FAILED).sum())
    return [
        ("Texts to customers", f"{len(outbound):,}", "in Twilio's log"),
        ("Delivered", f"{delivered:,} of {delivered + failed:,}", Share(delivered, delivered + failed).message),
        ("On their way", f"{int((delivery == Delivery.ON_ITS_WAY).sum()):,}", "no receipt yet, and none is due"),
        (
            "No receipt",
            f"{int((delivery == Delivery.NO_RECEIPT).sum()):,}",
            "old enough for one: their fate is unknown",
        ),
    ]


def recording_numbers(outbound: pd.DataFrame, unknown_to_twilio: pd.Series | None) -> list[Number]:
    """Return where the database knows the texts from. Those that Twilio does not know are the other way round."""
    counts = outbound["recording"].value_counts()
    unread = Recording.UNKNOWN in counts
    items = []
    for kind, meaning in _MEANING.items():
        count = int(counts.get(kind, 0))
        if count or kind in _ALWAYS_SHOWN:
            # With the database unread, none found is not none.
            value = CANNOT_TELL if unread and not count else f"{count:,}"
            items.append((labels.RECORDING[kind].capitalize(), value, meaning))
    count_unknown = CANNOT_TELL if unknown_to_twilio is None else f"{len(unknown_to_twilio):,}"
    return [*items, ("Phantom", count_unknown, "the database claims them, and Twilio does not know them")]


def money(view: View) -> list[Number]:
    """Return what texts cost and what is left."""
    spending = view.facts.spending
    balance: Balance | None = view.facts.value(view.snapshot.balance)
    items: list[Number] = []
    if spending is not None:
        unpriced = f", {spending.unpriced:,} not priced yet" if spending.unpriced else ""
        items.append(("Spent", f"{spending.spent:.2f} {spending.currency}", f"{spending.priced:,} texts{unpriced}"))
        items.append(("Segments", f"{spending.segments:,}", "what Twilio bills"))
    left = CANNOT_TELL if balance is None else f"{balance.amount:.2f} {balance.currency}"
    items.append(("Balance", left, "at Twilio"))
    if spending is not None:
        days = CANNOT_TELL if spending.days_left is None else f"{spending.days_left:,.0f} days"
        pace = "the texts in Twilio's log above" if view.snapshot.cut else view.window
        items.append(("Lasts for", days, f"at the pace of {pace}"))
    return items


def newest_first(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values("created_at", ascending=False, kind="stable")


def suspicious(view: View, outbound: pd.DataFrame) -> Iterable[tuple[str, str, str, pd.DataFrame]]:
    """Return key, title, explanation and rows of each group of texts that somebody should look at."""
    lost, stuck = text_log.unrecorded(outbound), text_log.stuck(outbound, view.now)
    yield "lost", "Lost", "They went out, and the database knows nothing of them.", newest_first(lost)
    waits = "They wait in Twilio's queue, or for a receipt, for longer than is plausible."
    yield "stuck", "Stuck", waits, newest_first(stuck)
