"""Journeys: for each booking that was initiated, what became of its text, its link and itself.

The one place where bookings and texts are joined. A text is matched by the SID that the app stored, else by
the link it carries, else by number and time; a text matched once is not matched again. Where the texts that are
known for certain carry links, a text without one is another kind, as a reminder to the same phone; where none does,
number and time decide. A booking whose number got a text that cannot be joined is uncertain, and not without a text.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import numpy as np
import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.columns import isin
from lib.diagnosis.error_codes import OF_ONE_RECIPIENT
from lib.model.counts import Counts
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES, TextStatus


class Sending(StrEnum):
    """Did Twilio accept a text for this booking?"""

    ACCEPTED = "accepted"
    TOO_SOON = "too_soon"  # or at the very edge of the window: its text may lie outside
    MISSING = "missing"  # Twilio holds no text that could be this booking's
    UNCERTAIN = "uncertain"  # it holds one that could be; which booking it belongs to cannot be told
    REFUSED = "refused"  # Twilio refused it because of this recipient alone
    OPTED_OUT = "opted_out"  # none, and none was due: this customer wants no texts
    UNKNOWN = "unknown"


class Delivery(StrEnum):
    """Did that text arrive?"""

    DELIVERED = "delivered"
    FAILED = "failed"
    ON_ITS_WAY = "on_its_way"
    NO_RECEIPT = "no_receipt"
    WAITING = "waiting"  # scheduled for later, on purpose
    CANCELED = "canceled"  # withdrawn, on purpose
    NO_TEXT = "no_text"
    UNKNOWN = "unknown"


class Recording(StrEnum):
    """Where does the database know that text from?"""

    RECORDED = "recorded"  # a row in messages
    DEFERRED = "deferred"  # in the booking's metadata only, until the customer confirms
    LOST = "lost"  # nowhere
    TOO_SOON = "too_soon"
    NO_TEXT = "no_text"
    UNKNOWN = "unknown"


class Stage(StrEnum):
    """How far a booking came: the steps of the flow."""

    INITIATED = "initiated"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    OPENED = "opened"
    CONFIRMED = "confirmed"
    BOOKED = "booked"


@dataclass(frozen=True, eq=False)
class JourneyInputs:
    """The frames that journeys are made of. Only the bookings are indispensable; None means unknown.

    `begins` is the start of the rows. In a frame that is not complete, what is not there is unknown. `customers` are
    those who cannot be texted; `reconciled` is what the database said when it was asked for single texts; `alerts`
    are Twilio's, where a text that is refused at once leaves its only trace.
    """

    pending_bookings: pd.DataFrame
    texts: pd.DataFrame | None = None
    short_links: pd.DataFrame | None = None
    messages: pd.DataFrame | None = None
    customers: pd.DataFrame | None = None
    reconciled: pd.DataFrame | None = None
    alerts: pd.DataFrame | None = None
    begins: datetime | None = None
    texts_complete: bool = True
    messages_complete: bool = True


def journeys(inputs: JourneyInputs, now: datetime) -> pd.DataFrame:
    """Return one row per initiated booking, oldest first.

    Columns: those of the pending booking, and `text_sid`, `text_status`, `text_at`, `text_error`, `sending`,
    `delivery`, `recording` (the enums above), `opened` (boolean, null: unknown) and `text_after` (how long
    the text took, never below zero).
    """
    frame = inputs.pending_bookings.sort_values("created_at", kind="stable", ignore_index=True)
    matches = _match(frame, inputs)
    matched, texts = matches.sids, inputs.texts
    if texts is None:
        detail = pd.DataFrame(index=matched.index, columns=["status", "created_at", "error_code"])
    else:
        columns = ["sid", "status", "created_at", "error_code"]
        chosen = texts.loc[isin(texts["sid"], matched), columns]
        detail = chosen.drop_duplicates("sid").set_index("sid").reindex(matched.to_numpy())
    frame["text_sid"] = matched.astype("str").where(matched.notna())
    frame["text_status"] = detail["status"].to_numpy()
    frame["text_at"] = pd.to_datetime(detail["created_at"].to_numpy(), utc=True)
    frame["text_error"] = detail["error_code"].to_numpy()
    after = frame["text_at"] - frame["created_at"]
    frame["text_after"] = after.where(after.isna() | (after > pd.Timedelta(0)), pd.Timedelta(0))
    frame["sending"] = _sending(frame, inputs, matches.unmatched, now)
    frame["delivery"] = _delivery(frame, now)
    frame["recording"] = _recording(frame, inputs, now)
    frame["opened"] = _opened(frame, inputs.short_links)
    return frame


# Fewer digits than these may end another number by chance.
SHORTEST_NATIONAL = 7
_FOR_MATCHING = ["sid", "to_number", "link_code", "body_digest", "created_at"]


@dataclass(frozen=True, eq=False)
class _Matches:
    """The SID of each booking's first text, and the outbound texts that no booking could be found for.

    `certain`: of which bookings the text is known by its SID or link. `unmatched` are texts that may be of a booking.
    """

    sids: pd.Series
    certain: pd.Series
    unmatched: pd.DataFrame


def _match(pending: pd.DataFrame, inputs: JourneyInputs) -> _Matches:
    sids = pd.Series(pd.NA, index=pending.index, dtype="object")
    if inputs.texts is None:
        return _Matches(sids, sids.notna(), pd.DataFrame(columns=_FOR_MATCHING))
    outbound = inputs.texts["direction"].str.startswith("outbound")
    texts = inputs.texts.loc[outbound, _FOR_MATCHING].sort_values("created_at", kind="stable")
    known = pending["sms_sid"].where(isin(pending["sms_sid"], texts["sid"]))
    sids = sids.where(known.isna(), known)
    sids = _fill(sids, _by_link(pending, texts, inputs.short_links))
    certain = sids.notna()
    pending = pending.assign(mobile_number=_in_full(pending["mobile_number"], texts["to_number"]))
    free = texts[~isin(texts["sid"], sids) & ~_is_of_another(texts, pending, inputs.short_links)]
    likely = free[_may_carry_the_link(free, texts[isin(texts["sid"], sids)])]
    for within in (thresholds.TEXT_FOLLOWS_WITHIN, thresholds.LATE_TEXT_WITHIN):
        left = pending[sids.isna()].dropna(subset="mobile_number")
        right = likely[isin(likely["to_number"], left["mobile_number"]) & ~isin(likely["sid"], sids)]
        sids = _fill(sids, _by_number(left, right, within))
    return _Matches(sids, certain, free[~isin(free["sid"], sids)])


def _in_full(numbers: pd.Series, texted: pd.Series) -> pd.Series:
    """Return `numbers` with each national form of another country as the one number in `texted` that ends in it."""
    national = numbers.dropna()
    national = national[~national.str.startswith("+") & national.str.fullmatch(r"[\d\s().-]{7,20}")]
    if national.empty:
        return numbers
    known = texted.dropna().drop_duplicates()

    def as_texted(number: str) -> str:
        digits = "".join(filter(str.isdigit, number)).lstrip("0")
        same = known[known.str.endswith(digits)] if len(digits) >= SHORTEST_NATIONAL else known.iloc[:0]
        return str(same.iloc[0]) if len(same) == 1 else number

    return numbers.where(~numbers.index.isin(national.index), national.map(as_texted))


def _fill(sids: pd.Series, found: pd.Series) -> pd.Series:
    return sids.where(sids.notna(), found.reindex(sids.index))


def _by_link(pending: pd.DataFrame, texts: pd.DataFrame, links: pd.DataFrame | None) -> pd.Series:
    first = texts.dropna(subset="link_code").drop_duplicates("link_code").set_index("link_code")["sid"]
    direct = pending["token"].map(first)
    if links is None:
        return direct
    code = pending["token"].map(links.drop_duplicates("token").set_index("token")["short_code"])
    return code.map(first).fillna(direct)


def _is_of_another(texts: pd.DataFrame, pending: pd.DataFrame, links: pd.DataFrame | None) -> pd.Series:
    """Whether the link of a text is known to be of something else."""
    of_another = isin(texts["link_code"], pending["token"])
    return of_another if links is None else of_another | isin(texts["link_code"], links["short_code"])


def _may_carry_the_link(texts: pd.DataFrame, certain: pd.DataFrame) -> pd.Series:
    """Whether a text may be the one with the link. `certain` are the texts that are known to be of bookings.

    Where those carry links, a body that can be read and holds none is another kind of text. Where Twilio keeps no
    bodies, or no text is known to carry a link, every text may be it.
    """
    without_link = texts["link_code"].isna() & texts["body_digest"].notna()
    return ~without_link if certain["link_code"].notna().any() else pd.Series(True, index=texts.index)


def _by_number(pending: pd.DataFrame, texts: pd.DataFrame, within: timedelta) -> pd.Series:
    """Match texts to bookings of the same number `within` before: each text once, and the latest booking first.

    Clocks that differ are allowed for only where nothing matches without it.
    """
    found = pd.Series(dtype="object")
    for skew in (timedelta(0), thresholds.CLOCK_SKEW):
        while True:
            left = pending[~pending.index.isin(found.index)]
            new = _latest_before(texts[~isin(texts["sid"], found)], left, within, skew)
            if new.empty:
                break
            found = new if found.empty else pd.concat([found, new])
    return found


def _latest_before(texts: pd.DataFrame, pending: pd.DataFrame, within: timedelta, skew: timedelta) -> pd.Series:
    """Return, by the bookings' index, the first text for which that booking is the latest of its number."""
    if texts.empty or pending.empty:
        return pd.Series(dtype="object")
    bookings = pending.assign(at=pending["created_at"] - skew, row=pending.index).sort_values("at", kind="stable")
    pairs = pd.merge_asof(
        texts[["created_at", "to_number", "sid"]],
        bookings[["at", "row", "mobile_number"]],
        left_on="created_at",
        right_on="at",
        left_by="to_number",
        right_by="mobile_number",
        direction="backward",
        tolerance=within + skew,
    )
    pairs = pairs.dropna(subset="row").drop_duplicates("row")
    return pd.Series(pairs["sid"].to_numpy(dtype="object"), index=pairs["row"].astype(pending.index.dtype))


def _sending(frame: pd.DataFrame, inputs: JourneyInputs, unmatched: pd.DataFrame, now: datetime) -> pd.Series:
    if inputs.texts is None:
        return pd.Series(Sending.UNKNOWN, index=frame.index, dtype="object")
    absent = Sending.MISSING if inputs.texts_complete else Sending.UNKNOWN
    sending = pd.Series(absent, index=frame.index, dtype="object")
    sending[_may_have_one_of(frame, unmatched)] = Sending.UNCERTAIN
    if inputs.alerts is not None:
        sending[_refused_alone(frame[sending == Sending.MISSING], inputs.alerts)] = Sending.REFUSED
    sending[frame["created_at"] > now - thresholds.SEND_SETTLES] = Sending.TOO_SOON
    if inputs.begins is not None:
        sending[frame["created_at"] < inputs.begins + thresholds.CLOCK_SKEW] = Sending.TOO_SOON
    if inputs.customers is not None:
        sending[isin(frame["customer_id"], _opted_out(inputs.customers))] = Sending.OPTED_OUT
    sending[frame["text_sid"].notna()] = Sending.ACCEPTED
    return sending


def _may_have_one_of(frame: pd.DataFrame, unmatched: pd.DataFrame) -> pd.Series:
    """Whether a text that is joined to nothing could be the booking's: to its number, or to nobody knows whom."""
    may = pd.Series(False, index=frame.index)
    waiting = frame[frame["text_sid"].isna()]
    if unmatched.empty or waiting.empty:
        return may
    unknown = unmatched["to_number"].isna() | ~unmatched["to_number"].fillna("").str.startswith("+")
    begins = waiting["created_at"] - thresholds.CLOCK_SKEW
    if not unknown.all():
        # Between the first and the last text of a number there may be a gap; to take it for none would say too much.
        by_number = unmatched.loc[~unknown].groupby("to_number")["created_at"]
        first, last = (
            side.reindex(waiting["mobile_number"]).set_axis(waiting.index)
            for side in (by_number.min(), by_number.max())
        )
        until = waiting["created_at"] + thresholds.TEXT_MAY_BE_OF
        may[waiting.index] = ((last >= begins) & (first <= until)).fillna(False).astype(bool)
    nameless = _microseconds(unmatched.loc[unknown, "created_at"].sort_values())
    if len(nameless):
        following = nameless.searchsorted(_microseconds(begins))
        found = nameless[following.clip(max=len(nameless) - 1)]
        latest = _microseconds(waiting["created_at"] + thresholds.TEXT_FOLLOWS_WITHIN)
        may[waiting.index] |= (following < len(nameless)) & (found <= latest)
    return may


def _microseconds(times: pd.Series) -> np.ndarray[Any, np.dtype[np.int64]]:
    values: np.ndarray[Any, np.dtype[np.int64]] = times.dt.as_unit("us").astype("int64").to_numpy()
    return values


def _refused_alone(missing: pd.DataFrame, alerts: pd.DataFrame) -> pd.Index:
    """Return the rows of bookings at whose time Twilio refused a text because of its recipient; each alert once."""
    refusals = alerts[alerts["error_code"].isin(OF_ONE_RECIPIENT)].sort_values("created_at")
    if missing.empty or refusals.empty:
        return pd.Index([])
    bookings = missing.assign(row=missing.index, at=missing["created_at"] - thresholds.CLOCK_SKEW)
    pairs = pd.merge_asof(
        refusals[["created_at"]],
        bookings[["at", "row"]].sort_values("at"),
        left_on="created_at",
        right_on="at",
        direction="backward",
        tolerance=thresholds.TEXT_FOLLOWS_WITHIN + thresholds.CLOCK_SKEW,
    )
    rows: pd.Index = pd.Index(pairs["row"].dropna().astype(missing.index.dtype).unique())
    return rows


def _opted_out(customers: pd.DataFrame) -> pd.Series:
    refused = (customers["sms_opt_in"] == False).fillna(False)  # noqa: E712 - null: never asked
    return customers.loc[refused | (customers["messaging_status"] == "opted_out"), "id"]


def _delivery(frame: pd.DataFrame, now: datetime) -> pd.Series:
    delivery = pd.Series(Delivery.NO_TEXT, index=frame.index, dtype="object")
    has_text = frame["text_sid"].notna()
    delivery[has_text] = delivery_of(frame.loc[has_text, "text_status"], frame.loc[has_text, "text_at"], now)
    delivery[frame["sending"].isin([Sending.UNKNOWN, Sending.UNCERTAIN])] = Delivery.UNKNOWN
    return delivery


def delivery_of(status: pd.Series, created_at: pd.Series, now: datetime) -> pd.Series:
    """Return the `Delivery` of texts by Twilio's status and age: a receipt may still be on its way, or never come."""
    delivery = pd.Series(Delivery.ON_ITS_WAY, index=status.index, dtype="object")
    delivery[created_at <= now - thresholds.DELIVERY_SETTLES] = Delivery.NO_RECEIPT
    delivery[status.isin(DELIVERED_STATUSES)] = Delivery.DELIVERED
    delivery[status.isin(FAILED_STATUSES)] = Delivery.FAILED
    delivery[status == TextStatus.SCHEDULED] = Delivery.WAITING
    delivery[status == TextStatus.CANCELED] = Delivery.CANCELED
    return delivery


def _recording(frame: pd.DataFrame, inputs: JourneyInputs, now: datetime) -> pd.Series:
    recording = recording_of(
        frame["text_sid"],
        frame["text_at"],
        inputs.messages,
        frame["sms_sid"],
        now,
        complete=inputs.messages_complete,
        reconciled=inputs.reconciled,
    )
    recording[frame["text_sid"].isna()] = Recording.NO_TEXT
    recording[frame["sending"].isin([Sending.UNKNOWN, Sending.UNCERTAIN])] = Recording.UNKNOWN
    return recording


def recording_of(
    sid: pd.Series,
    created_at: pd.Series,
    messages: pd.DataFrame | None,
    deferred: pd.Series | None,
    now: datetime,
    *,
    complete: bool = True,
    reconciled: pd.DataFrame | None = None,
) -> pd.Series:
    """Return where the database knows each text from. `deferred` are the SIDs in bookings' metadata.

    None for `messages` or `deferred` means unread, not `complete` that rows are missing: then a text found in
    neither is unknown, not lost. What the database said when asked for it (`reconciled`) counts as read.
    """
    readable = messages is not None and deferred is not None and complete
    recording = pd.Series(Recording.LOST if readable else Recording.UNKNOWN, index=sid.index, dtype="object")
    recording[created_at > now - thresholds.RECORDING_SETTLES] = Recording.TOO_SOON
    if deferred is not None:
        recording[isin(sid, deferred)] = Recording.DEFERRED
    if messages is not None:
        recording[isin(sid, messages["message_sid"])] = Recording.RECORDED
    if reconciled is not None:
        in_messages, with_booking = reconciled["in_messages"], reconciled["with_booking"]
        nowhere = reconciled.loc[~in_messages & (with_booking == False).fillna(False), "sid"]  # noqa: E712 - or null
        recording[isin(sid, nowhere) & (recording == Recording.UNKNOWN)] = Recording.LOST
        recording[isin(sid, reconciled.loc[with_booking.fillna(False), "sid"])] = Recording.DEFERRED
        recording[isin(sid, reconciled.loc[in_messages, "sid"])] = Recording.RECORDED
    return recording


def _opened(frame: pd.DataFrame, links: pd.DataFrame | None) -> pd.Series:
    """Whether a link was opened; a confirmed booking's was, whatever the click counter says."""
    if links is None:
        opened = pd.Series(pd.NA, index=frame.index, dtype="boolean")
    else:
        clicks = links.groupby("token")["click_count"].sum()
        opened = (frame["token"].map(clicks).fillna(0) > 0).astype("boolean")
    return opened.mask(frame["confirmed_at"].notna(), True)


def stage_counts(frame: pd.DataFrame) -> dict[Stage, int | None]:
    """Return how many bookings reached each stage. None: that stage cannot be told.

    A later stage implies the earlier ones, so the counts never rise along the flow.
    """
    booked = frame["booking_id"].notna()
    confirmed = frame["confirmed_at"].notna() | booked
    opened = frame["opened"].fillna(False).astype(bool) | confirmed
    delivered = (frame["delivery"] == Delivery.DELIVERED) | opened
    accepted = (frame["sending"] == Sending.ACCEPTED) | delivered
    texts_unknown = bool((frame["sending"] == Sending.UNKNOWN).any())
    opened_unknown = bool(frame["opened"].isna().any())
    return {
        Stage.INITIATED: len(frame),
        Stage.ACCEPTED: None if texts_unknown else int(accepted.sum()),
        Stage.DELIVERED: None if texts_unknown else int(delivered.sum()),
        Stage.OPENED: None if opened_unknown else int(opened.sum()),
        Stage.CONFIRMED: int(confirmed.sum()),
        Stage.BOOKED: int(booked.sum()),
    }


# What `counted_stages` knows in part.
AT_LEAST = frozenset({Stage.ACCEPTED, Stage.DELIVERED, Stage.OPENED})


def counted_stages(counts: Counts) -> dict[Stage, int | None]:
    """Return how many bookings reached each stage as far as the database knows.

    What Twilio accepted and delivered it knows in part: a stored text was accepted, and an opened link delivered. Of
    links it counts clicks, and some of those who confirmed may have none. So of all three it is at least so many.
    """
    opened = max(counts.links_opened, counts.total("confirmed"))
    return {
        Stage.INITIATED: counts.total("initiated"),
        Stage.ACCEPTED: max(opened, counts.total("stored")),
        Stage.DELIVERED: opened,
        Stage.OPENED: opened,
        Stage.CONFIRMED: counts.total("confirmed"),
        Stage.BOOKED: counts.total("booked"),
    }
