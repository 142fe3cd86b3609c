"""What became of every text that was due: those in Twilio's log, and those that never got there.

A text that Twilio refuses, or that the app never hands over, is in no log of Twilio's. A page that counts the log alone
says "4 of 4 delivered" while nobody gets a text, so whoever counts texts counts them here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.error_codes import explain
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Delivery, Recording, Sending
from lib.formatting import counted
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES


class TextFate(StrEnum):
    """What became of a text, the worst first."""

    NOT_SENT = "not_sent"
    FAILED = "failed"
    NO_RECEIPT = "no_receipt"
    ON_ITS_WAY = "on_its_way"
    SCHEDULED = "scheduled"
    CANCELED = "canceled"
    DELIVERED = "delivered"


FAILURES = (TextFate.NOT_SENT, TextFate.FAILED)
_FATE_OF: Mapping[str, TextFate] = {
    Delivery.DELIVERED: TextFate.DELIVERED,
    Delivery.FAILED: TextFate.FAILED,
    Delivery.ON_ITS_WAY: TextFate.ON_ITS_WAY,
    Delivery.NO_RECEIPT: TextFate.NO_RECEIPT,
    Delivery.WAITING: TextFate.SCHEDULED,
    Delivery.CANCELED: TextFate.CANCELED,
}
_NEVER_SENT = (Sending.MISSING, Sending.REFUSED)
_UNEXPLAINED = "Twilio never got it, and logged no error: the app did not send it."
_UNRECORDED = "It went out, and the database has no record of it."
_COLUMNS = [
    "created_at",
    "to_number",
    "fate",
    "error",
    "recording",
    "error_code",
    "status",
    "segments",
    "sid",
    "booking_id",
    "event_id",
]


@dataclass(frozen=True, slots=True)
class TextTotals:
    """How many texts had which fate. None: cannot be told."""

    delivered: int
    failed: int
    not_sent: int | None
    on_its_way: int
    no_receipt: int
    not_recorded: int | None

    @property
    def ended(self) -> int:
        """The texts whose fate is known."""
        return self.delivered + self.failed + (self.not_sent or 0)

    @property
    def arrived(self) -> str:
        """The share that arrived, as every page shows it: "4 of 10"."""
        return f"{self.delivered:,} of {self.ended:,}" if self.ended else "none"

    @property
    def message(self) -> str:
        """What is missing from the share, in a sentence."""
        missed = [
            *([f"{counted(self.not_sent, 'text was', 'texts were')} not sent"] if self.not_sent else ()),
            *([f"{counted(self.failed, 'text')} did not arrive"] if self.failed else ()),
        ]
        said = f"{', and '.join(missed)}." if missed else "Every text with a final status arrived."
        return f"{said} Whether others were never sent cannot be told." if self.not_sent is None else said


def totals(facts: Facts) -> TextTotals:
    """Count the texts of the rows that were read. Raises `CannotTellError` without Twilio's log."""
    outbound = facts.need_outbound()
    fates = outbound["delivery"].value_counts()
    recording = outbound["recording"].value_counts()
    lost = int(recording.get(Recording.LOST, 0))
    return TextTotals(
        delivered=int(fates.get(Delivery.DELIVERED, 0)),
        failed=int(fates.get(Delivery.FAILED, 0)),
        not_sent=None if (never := _never_sent(facts)) is None else len(never),
        on_its_way=int(fates.get(Delivery.ON_ITS_WAY, 0)),
        no_receipt=int(fates.get(Delivery.NO_RECEIPT, 0)),
        not_recorded=None if not lost and Recording.UNKNOWN in recording else lost,
    )


def counted_totals(facts: Facts) -> TextTotals:
    """Return the same of the whole window, as the database counted it: what it has no row of is not in it.

    Raises `CannotTellError` where the database did not count.
    """
    texts = facts.need_counts().texts
    delivered, failed = (
        int(texts.loc[texts["status"].isin(ended), "texts"].sum()) for ended in (DELIVERED_STATUSES, FAILED_STATUSES)
    )
    return TextTotals(delivered, failed, None, 0, 0, None)


def window_totals(facts: Facts) -> TextTotals:
    """Count the texts of the window: of very many rows as the database has them, else by Twilio's log.

    Raises `CannotTellError`.
    """
    return counted_totals(facts) if facts.snapshot.cut else totals(facts)


def text_log(facts: Facts) -> pd.DataFrame:
    """Return one row per text that was sent or should have been, failures first, then the newest first.

    `fate` is a `TextFate`, `error` what its error code means, `booking_id` and `event_id` of which booking it is where
    that is known. A text that was never sent has no `sid`; its time is that of its booking. Raises `CannotTellError`
    without Twilio's log.
    """
    outbound = facts.need_outbound()
    rows = outbound.assign(fate=outbound["delivery"].map(_FATE_OF).fillna(TextFate.ON_ITS_WAY))
    journeys = facts.journeys
    known = pd.DataFrame(columns=["text_sid", "id", "event_id"]) if journeys is None else journeys
    of_text = known.dropna(subset="text_sid").drop_duplicates("text_sid").set_index("text_sid")
    rows["booking_id"] = rows["sid"].map(of_text["id"])
    rows["event_id"] = rows["sid"].map(of_text["event_id"])
    never = _never_sent(facts)
    if never is not None and len(never):
        rows = pd.concat([rows, _as_texts(never, facts)], ignore_index=True)
    codes = rows["error_code"].astype("object")
    errors = [_error(*each) for each in zip(rows["fate"], rows["recording"], codes, strict=True)]
    rows["error"] = pd.Series(errors, index=rows.index, dtype="object")
    rank = rows["fate"].map({fate: float(place) for place, fate in enumerate(TextFate)})
    # A text that arrived and was not recorded is nobody's trouble but the business's: after those that failed.
    lost = (rows["recording"] == Recording.LOST) & ~rows["fate"].isin(FAILURES)
    rows["_rank"] = rank.mask(lost, len(FAILURES) - 0.5)
    rows = rows.sort_values(["_rank", "created_at"], ascending=[True, False], kind="stable", ignore_index=True)
    return rows[_COLUMNS]


def _never_sent(facts: Facts) -> pd.DataFrame | None:
    """Return the bookings whose text Twilio never took; None where nobody can tell."""
    try:
        journeys = facts.need_journeys(facts.snapshot.texts)
    except CannotTellError:
        return None
    if not facts.complete(facts.snapshot.texts):
        return None  # what is not in a part of the log may be in the rest
    return journeys[journeys["sending"].isin(_NEVER_SENT)]


def _as_texts(never: pd.DataFrame, facts: Facts) -> pd.DataFrame:
    """Return bookings without a text as rows of the log, with the error that Twilio logged at their time."""
    return pd.DataFrame(
        {
            "created_at": never["created_at"],
            "to_number": never["mobile_number"],
            "fate": TextFate.NOT_SENT,
            "recording": Recording.NO_TEXT,
            "error_code": _refusal(never, facts.value(facts.snapshot.alerts)),
            "status": None,
            "segments": pd.array([pd.NA] * len(never), dtype="Int64"),
            "sid": None,
            "booking_id": never["id"],
            "event_id": never["event_id"],
        }
    )


def _refusal(never: pd.DataFrame, alerts: pd.DataFrame | None) -> pd.Series:
    """Return per booking the code of the alert that Twilio raised within minutes of it; null where there is none.

    An alert names no number, so it is joined by its time, each to the booking just before it.
    """
    codes = pd.Series(None, index=never.index, dtype="object")
    if alerts is None or alerts.empty or never.empty:
        return codes
    bookings = never.assign(row=never.index, at=never["created_at"] - thresholds.CLOCK_SKEW)
    pairs = pd.merge_asof(
        alerts.dropna(subset="error_code").sort_values("created_at")[["created_at", "error_code"]],
        bookings[["at", "row"]].sort_values("at"),
        left_on="created_at",
        right_on="at",
        direction="backward",
        tolerance=thresholds.TEXT_FOLLOWS_WITHIN + thresholds.CLOCK_SKEW,
    ).dropna(subset="row")
    first = pairs.drop_duplicates("row").set_index("row")["error_code"]
    codes.update(first.astype("object"))
    return codes


def _error(fate: str, recording: str, code: object) -> str:
    """Return in words what went wrong with a text; empty where nothing did."""
    if isinstance(code, str):
        return f"{explain(str(code)).meaning} ({code})"
    if fate == TextFate.NOT_SENT:
        return _UNEXPLAINED
    return _UNRECORDED if recording == Recording.LOST else ""
