"""Twilio's log against the database: what was recorded, what arrived, what it costs, what is too much."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.columns import isin
from lib.diagnosis.error_codes import OF_ONE_RECIPIENT, explain
from lib.diagnosis.journeys import Delivery, Recording, delivery_of, recording_of
from lib.model.provider import Balance


def reconciled(
    texts: pd.DataFrame,
    messages: pd.DataFrame | None,
    pending: pd.DataFrame | None,
    now: datetime,
    *,
    begins: datetime | None = None,
    complete: bool = True,
    asked: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Return the outbound texts with `delivery` and `recording`, oldest first. None: that table is unread.

    `begins` is the start of the window: the booking of a text right after it may lie before it, and what is
    known of that text with it. Not `complete` means that rows of the tables are missing. `asked` is what the
    database said of single texts.
    """
    outbound = texts[texts["direction"].str.startswith("outbound")].copy()
    outbound["delivery"] = delivery_of(outbound["status"], outbound["created_at"], now)
    deferred = None if pending is None else pending["sms_sid"]
    outbound["recording"] = recording_of(
        outbound["sid"], outbound["created_at"], messages, deferred, now, complete=complete, reconciled=asked
    )
    if begins is not None:
        at_the_edge = outbound["created_at"] < begins + thresholds.TEXT_FOLLOWS_WITHIN
        outbound.loc[at_the_edge & (outbound["recording"] == Recording.LOST), "recording"] = Recording.UNKNOWN
    # What waits or was withdrawn on purpose did not go out: nothing of it is lost.
    on_purpose = outbound["delivery"].isin([Delivery.WAITING, Delivery.CANCELED])
    outbound.loc[on_purpose & (outbound["recording"] == Recording.LOST), "recording"] = Recording.UNKNOWN
    return outbound.sort_values("created_at", kind="stable", ignore_index=True)


def unknown_to_twilio(
    messages: pd.DataFrame, texts: pd.DataFrame, known_texts: pd.DataFrame, pending: pd.DataFrame | None = None
) -> pd.Series:
    """Return the SIDs that the database claims and Twilio does not know. `local-fail-…` are none of Twilio's."""
    outbound = messages[messages["direction"] == "outbound"]
    claimed = outbound["message_sid"] if pending is None else pd.concat([outbound["message_sid"], pending["sms_sid"]])
    claimed = claimed.dropna().drop_duplicates()
    claimed = claimed[claimed.str.startswith(("SM", "MM"))]
    return claimed[~isin(claimed, texts["sid"]) & ~isin(claimed, known_texts["sid"])].reset_index(drop=True)


def by_status(outbound: pd.DataFrame) -> pd.DataFrame:
    """Return `status`, `error_code`, `count`, `meaning`, `action`, `fault` per status and error, most first."""
    return _grouped(outbound, count=("sid", "size"), last_at=("created_at", "max"))


def counted_by_status(counted: pd.DataFrame) -> pd.DataFrame:
    """Return the same as `by_status`, of what the database counted (frame TEXT_COUNTS)."""
    return _grouped(counted, count=("texts", "sum"), last_at=("last_at", "max"))


def _grouped(rows: pd.DataFrame, **totals: tuple[str, str]) -> pd.DataFrame:
    grouped = (
        rows.assign(error_code=rows["error_code"].fillna(""))
        .groupby(["status", "error_code"], as_index=False)
        .agg(**totals)
        .sort_values("count", ascending=False, ignore_index=True)
    )
    explained = [explain(code) if code else None for code in grouped["error_code"]]
    grouped["meaning"] = [item.meaning if item else "" for item in explained]
    grouped["action"] = [item.action if item else "" for item in explained]
    grouped["fault"] = [item.fault.value if item else "" for item in explained]
    return grouped


def stuck(outbound: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """Return texts that have waited in the queue, or for a receipt, for longer than is plausible."""
    age = now - outbound["created_at"]
    queued = outbound["status"].isin(["accepted", "queued", "sending"]) & (age > thresholds.STUCK_QUEUED)
    sent = (outbound["status"] == "sent") & (age > thresholds.STUCK_SENT)
    return outbound[queued | sent]


def _close_together(texts: pd.DataFrame) -> pd.DataFrame:
    """Return all texts to numbers that can have got too many, by number and time; most numbers have not."""
    number = pd.Series(pd.factorize(texts["to_number"])[0], index=texts.index)
    rows = texts.assign(number=number).sort_values(["number", "created_at"])
    too_close = pd.Series(False, index=rows.index)
    for texts_before, within in (
        (1, thresholds.DUPLICATE_WITHIN),
        (thresholds.OVER_SENT_PER_HOUR, timedelta(hours=1)),
        (thresholds.OVER_SENT_PER_DAY, timedelta(days=1)),
    ):
        same = rows["number"] == rows["number"].shift(texts_before)
        too_close |= same & (rows["created_at"] - rows["created_at"].shift(texts_before) <= within)
    suspects = rows.loc[too_close, "number"].unique()
    return rows[rows["number"].isin(suspects)]


def over_sent(outbound: pd.DataFrame) -> pd.DataFrame:
    """Return per number with too many texts: `to_number`, `in_an_hour`, `in_a_day`, `duplicates`, most first.

    `duplicates` counts same bodies to the same number within minutes.
    """
    rows = _close_together(outbound.dropna(subset="to_number"))
    if rows.empty:
        return pd.DataFrame(columns=["to_number", "in_an_hour", "in_a_day", "duplicates"])
    sent = rows.assign(one=1).set_index("created_at").groupby("to_number")["one"]
    frame = pd.DataFrame(
        {
            column: sent.rolling(span).sum().groupby("to_number").max().astype(int)
            for column, span in (("in_an_hour", "1h"), ("in_a_day", "24h"))
        }
    )
    gaps = rows.groupby(["to_number", "body_digest"])["created_at"].diff()
    frame["duplicates"] = (gaps <= thresholds.DUPLICATE_WITHIN).groupby(rows["to_number"]).sum()
    too_many = (
        (frame["in_an_hour"] > thresholds.OVER_SENT_PER_HOUR)
        | (frame["in_a_day"] > thresholds.OVER_SENT_PER_DAY)
        | (frame["duplicates"] > 0)
    )
    return frame[too_many].sort_values("in_a_day", ascending=False).reset_index()


@dataclass(frozen=True, slots=True)
class Spending:
    """What texts cost. `unpriced` texts have no price yet and are not in `spent`."""

    spent: Decimal
    currency: str
    priced: int
    unpriced: int
    segments: int
    days_left: float | None


def spending(outbound: pd.DataFrame, balance: Balance | None, days: float) -> Spending:
    """Return the spending over `days`; `days_left` only where balance and prices are in the same currency."""
    priced = outbound.dropna(subset="price")
    currencies = sorted(priced["price_unit"].dropna().unique())
    currency = str(currencies[0]) if currencies else (balance.currency if balance else "")
    # Prices are few and texts are many: multiply instead of adding one by one.
    spent = sum((abs(Decimal(str(price))) * n for price, n in priced["price"].value_counts().items()), Decimal(0))
    per_day = spent / Decimal(str(days)) if days > 0 else Decimal(0)
    comparable = balance is not None and per_day > 0 and currencies == [balance.currency]
    return Spending(
        spent=spent,
        currency=currency,
        priced=len(priced),
        unpriced=len(outbound) - len(priced),
        segments=int(outbound["segments"].fillna(0).sum()),
        days_left=float(balance.amount / per_day) if comparable and balance else None,
    )


def without_lone_faults(ended: pd.DataFrame) -> pd.DataFrame:
    """Return texts that came to an end without those that failed for a reason of their one recipient."""
    return ended[~ended["error_code"].isin(OF_ONE_RECIPIENT)]


def terminal(outbound: pd.DataFrame) -> pd.DataFrame:
    """Return the texts with a final status."""
    return outbound[outbound["delivery"].isin([Delivery.DELIVERED, Delivery.FAILED])]
