"""What Twilio and the booking app say besides their frames."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class TwilioAccount:
    """The Twilio account: its status is active, suspended or closed, or None where Twilio names none; its type Full or
    Trial."""

    sid: str
    status: str | None
    type: str


@dataclass(frozen=True, slots=True)
class Balance:
    """What is left on the Twilio account."""

    amount: Decimal
    currency: str


class TextStatus(StrEnum):
    """Twilio's words for an outbound text's state."""

    ACCEPTED = "accepted"
    SCHEDULED = "scheduled"
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    PARTIALLY_DELIVERED = "partially_delivered"
    READ = "read"
    UNDELIVERED = "undelivered"
    FAILED = "failed"
    CANCELED = "canceled"


DELIVERED_STATUSES = frozenset({TextStatus.DELIVERED, TextStatus.PARTIALLY_DELIVERED, TextStatus.READ})
# A text that was canceled was withdrawn on purpose, and a scheduled one waits on purpose: neither failed.
FAILED_STATUSES = frozenset({TextStatus.UNDELIVERED, TextStatus.FAILED})
TERMINAL_STATUSES = DELIVERED_STATUSES | FAILED_STATUSES


@dataclass(frozen=True, slots=True)
class AppHealth:
    """How the booking app answered an anonymous GET of its start page."""

    url_host: str
    status_code: int
    commit: str | None  # if the app says which commit it runs
    deployment_id: str | None
    served_by_vercel: bool | None
    vercel_error: str | None = None  # X-Vercel-Error: why Vercel itself answered, such as DEPLOYMENT_PAUSED


class Landing(StrEnum):
    """Where somebody without a login ends up who opens a confirmation link."""

    CONFIRMATION = "confirmation"
    LOGIN = "login"
    NOT_FOUND = "not_found"
    ERROR = "error"
    ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class LinkOpening:
    """A confirmation link, opened without cookies. Paths are kept without their tokens.

    `as_texted`: the link of a text was opened, as a customer does; else the page alone that it leads to.
    """

    pending_booking_id: str
    opened_at: datetime
    landing: Landing
    status_code: int
    steps: tuple[str, ...]  # host and path of each hop, tokens replaced by "…"
    as_texted: bool = True
