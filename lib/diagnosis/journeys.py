"""Journeys: for each booking that was initiated, what became of its text, its link and itself.

The one place where bookings and texts are joined. A text is matched by the SID that the app stored, else by
the link it carries, else by number and time; a text matched once is not matched again. By number and time only
what may carry a booking's link is matched: a confirmation or a reminder goes to the same phone, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.columns import isin
from lib.model.counts import Counts
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES


class Sending(StrEnum):
    """Did Twilio accept a text for this booking?"""

    ACCEPTED = "accepted"
    TOO_SOON = "too_soon"  # or at the very edge of the window: its text may lie outside
    MISSING = "missing"
    OPTED_OUT = "opted_out"  # none, and none was due: this customer wants no texts
    UNKNOWN = "unknown"


class Delivery(StrEnum):
    """Did that text arrive?"""

    DELIVERED = "delivered"
    FAILED = "failed"
    ON_ITS_WAY = "on_its_way"
    NO_RECEIPT = "no_receipt"
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
    those who cannot be texted; `reconciled` is what the database said when it was asked for single texts.
    """

    pending_bookings: pd.DataFrame
    texts: pd.DataFrame | None = None
    short_links: pd.DataFrame | None = None
    messages: pd.DataFrame | None = None
    customers: pd.DataFrame | None = None
    reconciled: pd.DataFrame | None = None
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
    matched = _match(frame, inputs)
    texts = inputs.texts
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
    frame["sending"] = _sending(frame, inputs, now)
    frame["delivery"] = _delivery(frame, now)
    frame["recording"] = _recording(frame, inputs, now)
    frame["opened"] = _opened(frame, inputs.short_links)
    return frame


_FOR_MATCHING = ["sid", "to_number", "link_code", "body_digest", "created_at"]


def _match(pending: pd.DataFrame, inputs: JourneyInputs) -> pd.Series:
    """Return the SID of each booking's first text; null where none was found."""
    sids = pd.Series(pd.NA, index=pending.index, dtype="object")
    if inputs.texts is None:
        return sids
    outbound = inputs.texts["direction"].str.startswith("outbound")
    texts = inputs.texts.loc[outbound, _FOR_MATCHING].sort_values("created_at", kind="stable")
    known = pending["sms_sid"].where(isin(pending["sms_sid"], texts["sid"]))
    sids = sids.where(known.isna(), known)
    sids = _fill(sids, _by_link(pending, texts, inputs.short_links))
    left = pending[sids.isna()].dropna(subset="mobile_number")
    if left.empty:
        return sids
    right = texts[isin(texts["to_number"], left["mobile_number"]) & ~isin(texts["sid"], sids)]
    return _fill(sids, _by_number(left, right[_may_be_of_a_booking(right, pending, inputs.short_links)]))


def _fill(sids: pd.Series, found: pd.Series) -> pd.Series:
    return sids.where(sids.notna(), found.reindex(sids.index))


def _by_link(pending: pd.DataFrame, texts: pd.DataFrame, links: pd.DataFrame | None) -> pd.Series:
    first = texts.dropna(subset="link_code").drop_duplicates("link_code").set_index("link_code")["sid"]
    direct = pending["token"].map(first)
    if links is None:
        return direct
    code = pending["token"].map(links.drop_duplicates("token").set_index("token")["short_code"])
    return code.map(first).fillna(direct)


def _may_be_of_a_booking(texts: pd.DataFrame, pending: pd.DataFrame, links: pd.DataFrame | None) -> pd.Series:
    """Whether a text may carry the link of a booking that nothing else ties it to.

    A body that can be read and holds no link is another kind of text; so is one whose link is known to be of
    something else. Where Twilio keeps no bodies, every text may be it.
    """
    without_link = texts["link_code"].isna() & texts["body_digest"].notna()
    of_another = isin(texts["link_code"], pending["token"])
    if links is not None:
        of_another |= isin(texts["link_code"], links["short_code"])
    return ~(without_link | of_another)


def _by_number(pending: pd.DataFrame, texts: pd.DataFrame) -> pd.Series:
    """Match texts to bookings of the same number minutes before: each text once, and the latest booking first.

    Clocks that differ are allowed for only where nothing matches without it.
    """
    found = pd.Series(dtype="object")
    for skew in (timedelta(0), thresholds.CLOCK_SKEW):
        while True:
            left = pending[~pending.index.isin(found.index)]
            new = _latest_before(texts[~isin(texts["sid"], found)], left, skew)
            if new.empty:
                break
            found = new if found.empty else pd.concat([found, new])
    return found


def _latest_before(texts: pd.DataFrame, pending: pd.DataFrame, skew: timedelta) -> pd.Series:
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
        tolerance=thresholds.TEXT_FOLLOWS_WITHIN + skew,
    )
    pairs = pairs.dropna(subset="row").drop_duplicates("row")
    return pd.Series(pairs["sid"].to_numpy(dtype="object"), index=pairs["row"].astype(pending.index.dtype))


def _sending(frame: pd.DataFrame, inputs: JourneyInputs, now: datetime) -> pd.Series:
    if inputs.texts is None:
        return pd.Series(Sending.UNKNOWN, index=frame.index, dtype="object")
    absent = Sending.MISSING if inputs.texts_complete else Sending.UNKNOWN
    sending = pd.Series(absent, index=frame.index, dtype="object")
    sending[frame["created_at"] > now - thresholds.SEND_SETTLES] = Sending.TOO_SOON
    if inputs.begins is not None:
        sending[frame["created_at"] < inputs.begins + thresholds.CLOCK_SKEW] = Sending.TOO_SOON
    if inputs.customers is not None:
        sending[isin(frame["customer_id"], _opted_out(inputs.customers))] = Sending.OPTED_OUT
    sending[frame["text_sid"].notna()] = Sending.ACCEPTED
    return sending


def _opted_out(customers: pd.DataFrame) -> pd.Series:
    refused = (customers["sms_opt_in"] == False).fillna(False)  # noqa: E712 - null: never asked
    return customers.loc[refused | (customers["messaging_status"] == "opted_out"), "id"]


def _delivery(frame: pd.DataFrame, now: datetime) -> pd.Series:
    delivery = pd.Series(Delivery.NO_TEXT, index=frame.index, dtype="object")
    has_text = frame["text_sid"].notna()
    delivery[has_text] = delivery_of(frame.loc[has_text, "text_status"], frame.loc[has_text, "text_at"], now)
    delivery[frame["sending"] == Sending.UNKNOWN] = Delivery.UNKNOWN
    return delivery


def delivery_of(status: pd.Series, created_at: pd.Series, now: datetime) -> pd.Series:
    """Return the `Delivery` of texts by Twilio's status and age: a receipt may still be on its way, or never come."""
    delivery = pd.Series(Delivery.ON_ITS_WAY, index=status.index, dtype="object")
    delivery[created_at <= now - thresholds.DELIVERY_SETTLES] = Delivery.NO_RECEIPT
    delivery[status.isin(DELIVERED_STATUSES)] = Delivery.DELIVERED
    delivery[status.isin(FAILED_STATUSES)] = Delivery.FAILED
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
    recording[frame["sending"] == Sending.UNKNOWN] = Recording.UNKNOWN
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
