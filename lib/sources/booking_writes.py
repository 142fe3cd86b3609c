"""What the desk may do through the booking app: ask for one booking, as the website does. It texts a person.

Only guarded actions call this, and each call is sent exactly once.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import SecretStr

from lib.model.reading import FailureKind
from lib.sources import parse
from lib.sources.booking_app import HINTS, SYSTEM, BookingApp
from lib.sources.http import Deadline, HttpError, HttpResponse, Json, OutcomeUnknownError, join, understood

INITIATE_PATH = ("api", "bookings", "initiate")
MAX_MESSAGE_LENGTH = 200
# Whichever platform stands before the app, this header is how its support finds a request again.
_REQUEST_ID = "X-Vercel-Id"

_CREATED = 201
_MESSAGES: Mapping[str, str] = {
    "VALIDATION_ERROR": "The app does not take the number or the event's id. Nothing was booked and nobody was texted.",
    "EVENT_NOT_AVAILABLE": "The event is not open for booking. Nothing was booked and nobody was texted.",
    "EVENT_FULL": "The event is full. Nothing was booked and nobody was texted.",
    "SMS_OPT_OUT": "This person has opted out of texts, so the app sends none and books nothing.",
    "NOT_FOUND": "The app has no such event. Nothing was booked and nobody was texted.",
    "DATABASE_ERROR": "The app could not write to its database. A pending booking may have been left behind.",
    "SYSTEM_ERROR": "The app failed and does not say where. A pending booking may have been left behind.",
}
_STATUS_MESSAGES: Mapping[int, str] = {
    401: "The app does not accept the API key: it is wrong, or it was switched off. Check BOOKING_API_KEY.",
    403: "The API key may not make bookings: it lacks the permission write:bookings.",
    404: "There is no booking API at this address: check BOOKING_APP_URL, and which code is served.",
    429: "The API key is over its hourly limit: wait, or raise the key's limit.",
}


@dataclass(frozen=True, slots=True)
class BookingAnswer:
    """What the app answered to a request for a booking. `words` says what it means.

    `sms_sent` is False where the app tried no further: with a 201 that is normal operation for it. `token` opens
    the booking: it never leaves the server. `error_code` is the app's own, `request_id` is for support.
    """

    status: int
    message: str
    sms_sent: bool | None = None
    customer_exists: bool | None = None
    token: SecretStr | None = None
    confirmation_url: SecretStr | None = None
    expires_at: datetime | None = None
    error_code: str | None = None
    error_message: str | None = None
    request_id: str | None = None

    @property
    def made(self) -> bool:
        """Whether there is a pending booking now."""
        return self.status == _CREATED

    @property
    def may_have_left_something(self) -> bool:
        """Whether the app failed half way, so that a pending booking may be there all the same."""
        return self.status >= 500


@dataclass(frozen=True, slots=True)
class BookingWrites:
    """The one write of the booking app's API that the desk uses."""

    app: BookingApp

    def initiate(self, event_id: str, mobile: str, api_key: SecretStr, deadline: Deadline) -> BookingAnswer:
        """Ask for a booking of `event_id` by `mobile` (E.164); the app then texts that number.

        An answer of the app is returned whatever it says. Raises `OutcomeUnknownError` if there was none to rely
        on: then a pending booking for this number since then says whether it happened. Any other `SourceError`
        means that nothing happened.
        """
        key = api_key.get_secret_value()
        try:
            answer = self.app.http.send(
                "POST",
                join(self.app.base_url, *INITIATE_PATH),
                {"event_id": event_id, "mobile_number": mobile},
                system=SYSTEM,
                deadline=deadline,
                # The app takes either; a proxy before it may keep one of them for itself.
                headers={"Authorization": f"Bearer {key}", "X-API-Key": key},
                hints=HINTS,
            )
        except HttpError as error:
            if error.status != 429:
                raise
            return BookingAnswer(429, _STATUS_MESSAGES[429])
        return _read(answer, key)


def _read(answer: HttpResponse, key: str) -> BookingAnswer:
    if 300 <= answer.status < 400:
        raise HttpError(
            FailureKind.BAD_DATA,
            f"{SYSTEM} sent us elsewhere ({answer.status}) instead of taking the booking.",
            "Set BOOKING_APP_URL to the address that answers without a redirect.",
            status=answer.status,
        )
    if answer.status == _CREATED:
        return understood(SYSTEM, lambda: _made(answer))
    body = _json(answer)
    code = parse.text(body, "error", "code")
    if code is None and (answer.status >= 500 or answer.status in (200, 202, 204, 408)):
        # Not the app's own words: it, or what stands before it, broke off somewhere.
        raise OutcomeUnknownError(
            FailureKind.UNAVAILABLE,
            f"{SYSTEM} answered {answer.status} without saying what it did. Whether it booked is not known.",
            "Look for a new pending booking of this number before you try again.",
            status=answer.status,
        )
    message = parse.text(body, "error", "message")
    return BookingAnswer(
        status=answer.status,
        message=_message(answer.status, code),
        error_code=code if code in _MESSAGES else None,
        error_message=parse.clean(MAX_MESSAGE_LENGTH)(message.replace(key, "…")) if message else None,
        request_id=answer.headers.get(_REQUEST_ID),
    )


_Secret = Annotated[
    SecretStr | None, parse.lenient(lambda value: SecretStr(known) if (known := parse.text(value)) else None)
]


class _Booking(parse.Answer):
    SYSTEM = SYSTEM
    sms_sent: parse.Boolean
    customer_exists: parse.Boolean
    token: _Secret = parse.found("booking_token")
    confirmation_url: _Secret
    expires_at: parse.IsoTime


def _made(answer: HttpResponse) -> BookingAnswer:
    booking = _Booking.model_validate(answer.json(SYSTEM))
    return BookingAnswer(
        answer.status, _SENT_MESSAGES[booking.sms_sent], **dict(booking), request_id=answer.headers.get(_REQUEST_ID)
    )


_SENT_MESSAGES: Mapping[bool | None, str] = {
    True: "The app made a pending booking and handed the text to Twilio.",
    False: "The app made a pending booking and sent no text: sending failed, or Twilio is not configured there.",
    None: "The app made a pending booking and does not say whether it sent a text.",
}


def _message(status: int, code: str | None) -> str:
    known = _MESSAGES.get(code or "") or _STATUS_MESSAGES.get(status)
    return known or f"The app refused the booking ({status}). Nothing was booked and nobody was texted."


def _json(answer: HttpResponse) -> Json:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
