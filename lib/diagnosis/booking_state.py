"""How far each booking came, in one word: what a list of bookings is read by."""

from __future__ import annotations

from enum import StrEnum

import pandas as pd

from lib.diagnosis.journeys import Delivery, Sending


class Reached(StrEnum):
    """The furthest point of a booking that is known, the worst first."""

    NO_TEXT = "no_text"
    NOT_DELIVERED = "not_delivered"
    CANNOT_TELL = "cannot_tell"
    WANTS_NO_TEXT = "wants_no_text"
    TOO_SOON = "too_soon"
    TEXTED = "texted"
    DELIVERED = "delivered"
    OPENED = "opened"
    CONFIRMED = "confirmed"
    BOOKED = "booked"


def reached(journeys: pd.DataFrame) -> pd.Series:
    """Return the `Reached` of each booking of the frame that `lib.diagnosis.journeys.journeys` makes.

    A later point outranks an earlier one: who booked got a link somehow, whatever the log of texts says.
    """
    sending, delivery = journeys["sending"], journeys["delivery"]
    found = pd.Series(Reached.CANNOT_TELL, index=journeys.index, dtype="object")
    found[sending.isin([Sending.MISSING, Sending.REFUSED])] = Reached.NO_TEXT
    found[sending == Sending.OPTED_OUT] = Reached.WANTS_NO_TEXT
    found[sending == Sending.TOO_SOON] = Reached.TOO_SOON
    found[sending == Sending.ACCEPTED] = Reached.TEXTED
    found[delivery == Delivery.FAILED] = Reached.NOT_DELIVERED
    found[delivery == Delivery.DELIVERED] = Reached.DELIVERED
    found[journeys["opened"].fillna(False).astype(bool)] = Reached.OPENED
    found[journeys["confirmed_at"].notna()] = Reached.CONFIRMED
    found[journeys["booking_id"].notna()] = Reached.BOOKED
    return found
