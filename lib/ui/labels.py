"""How the terms of the model are shown: their label, their sign and their tone.

A tone is never shown alone: a glyph and a word stand beside the colour. Only what is known to be fine is GOOD.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lib.actions.action import PreflightStatus
from lib.affected import STATE_LABELS, PersonState
from lib.diagnosis.booking_state import Reached
from lib.diagnosis.journeys import Delivery, Recording, Sending, Stage
from lib.diagnosis.text_fates import TextFate
from lib.journal import request_stages
from lib.journal.entry import StepState
from lib.journal.request import RequestState
from lib.journal.request_stages import StageState
from lib.model.deployments import DeploymentState
from lib.model.frames import MetadataState
from lib.model.reading import Freshness, SourceHealth, SourceName
from lib.model.verdict import CheckStatus, HeadlineState, Hop, Verdict
from lib.plan_state import StepStatus


class Tone(StrEnum):
    """A colour of the screen by its meaning; `styles.css` holds the colours."""

    GOOD = "good"
    WARN = "warn"
    BAD = "bad"
    UNKNOWN = "unknown"
    QUIET = "quiet"


@dataclass(frozen=True, slots=True)
class Sign:
    """How one state is shown: always all three together."""

    word: str
    glyph: str
    tone: Tone


CANNOT_TELL: Final = Sign("cannot tell", "?", Tone.UNKNOWN)
YES: Final = Sign("yes", "✓", Tone.GOOD)
YES_NO: Final[Mapping[bool | None, str]] = {True: "yes", False: "no", None: "not said"}

HEADLINE: Final[Mapping[HeadlineState, Sign]] = {
    state: Sign(state.word, glyph, tone)
    for state, glyph, tone in (
        (HeadlineState.FLOWING, "✓", Tone.GOOD),
        (HeadlineState.DEGRADED, "!", Tone.WARN),
        (HeadlineState.BROKEN, "✕", Tone.BAD),
        (HeadlineState.NO_TRAFFIC, "–", Tone.QUIET),
        (HeadlineState.CANNOT_TELL, "?", Tone.UNKNOWN),
    )
}
CHECK: Final[Mapping[CheckStatus, Sign]] = {
    CheckStatus.OK: Sign("ok", "✓", Tone.GOOD),
    CheckStatus.WARN: Sign("warn", "!", Tone.WARN),
    CheckStatus.FAIL: Sign("fail", "✕", Tone.BAD),
    CheckStatus.CANNOT_TELL: CANNOT_TELL,
    CheckStatus.NOT_APPLICABLE: Sign("not applicable", "–", Tone.QUIET),
}
VERDICT: Final[Mapping[Verdict, Sign]] = {
    Verdict.CONFIRMED: Sign("confirmed", "✕", Tone.BAD),
    Verdict.LIKELY: Sign("likely", "!", Tone.WARN),
    Verdict.POSSIBLE: Sign("possible", "~", Tone.QUIET),
    Verdict.RULED_OUT: Sign("ruled out", "–", Tone.QUIET),
    Verdict.CANNOT_TELL: CANNOT_TELL,
}
FRESHNESS: Final[Mapping[Freshness, Sign]] = {
    Freshness.FRESH: Sign("fresh", "●", Tone.GOOD),
    Freshness.AGING: Sign("aging", "◐", Tone.WARN),
    Freshness.STALE: Sign("stale", "◌", Tone.UNKNOWN),
    Freshness.FAILED: Sign("failed", "✕", Tone.BAD),
    Freshness.NOT_CONFIGURED: Sign("not configured", "○", Tone.QUIET),
    Freshness.COMING: Sign("being read", "…", Tone.QUIET),
}
_PARTLY: Final = Sign("partly", "◐", Tone.WARN)
DEPLOYMENT: Final[Mapping[DeploymentState, Sign]] = {
    DeploymentState.QUEUED: Sign("queued", "…", Tone.QUIET),
    DeploymentState.INITIALIZING: Sign("initializing", "…", Tone.QUIET),
    DeploymentState.BUILDING: Sign("building", "…", Tone.QUIET),
    # It was built. Whether visitors get it is another question, so it is not green.
    DeploymentState.READY: Sign("ready", "✓", Tone.QUIET),
    DeploymentState.ERROR: Sign("error", "✕", Tone.BAD),
    DeploymentState.CANCELED: Sign("canceled", "–", Tone.WARN),
    DeploymentState.BLOCKED: Sign("blocked", "✕", Tone.BAD),
    DeploymentState.DELETED: Sign("deleted", "–", Tone.QUIET),
    DeploymentState.UNKNOWN: Sign("unknown", "?", Tone.UNKNOWN),
}
FINDING: Final[Mapping[PreflightStatus, Sign]] = {
    PreflightStatus.OK: Sign("ok", "✓", Tone.GOOD),
    PreflightStatus.WARN: Sign("note", "!", Tone.WARN),
    PreflightStatus.BLOCK: Sign("blocks", "✕", Tone.BAD),
}
REQUEST: Final[Mapping[RequestState, Sign]] = {
    RequestState.WAITING: Sign("waits for a second person", "…", Tone.WARN),
    RequestState.REQUESTED: Sign("requested", "…", Tone.QUIET),
    RequestState.LOCKED: Sign("last checks", "…", Tone.QUIET),
    RequestState.STARTED: Sign("running", "▸", Tone.QUIET),
    RequestState.SUCCEEDED: Sign("succeeded", "✓", Tone.GOOD),
    RequestState.FAILED: Sign("failed", "✕", Tone.BAD),
    RequestState.UNKNOWN: Sign("outcome unknown", "?", Tone.UNKNOWN),
    RequestState.REFUSED: Sign("refused, nothing was done", "✕", Tone.WARN),
    RequestState.CANCELLED: Sign("cancelled, nothing was done", "–", Tone.QUIET),
    RequestState.EXPIRED: Sign("expired, nothing was done", "–", Tone.QUIET),
}
STEP: Final[Mapping[StepState, Sign]] = {
    StepState.DOING: Sign("doing", "▸", Tone.WARN),
    # Somebody said so. Whether the flow works is another question, so it is not green.
    StepState.DONE: Sign("done", "✓", Tone.QUIET),
    StepState.SKIPPED: Sign("skipped", "–", Tone.QUIET),
    StepState.FAILED: Sign("failed", "✕", Tone.BAD),
}

SOURCE: Final[Mapping[SourceName, str]] = {
    SourceName.BOOKING_DATA: "Booking data",
    SourceName.CATALOG: "Catalog",
    SourceName.VERCEL: "Vercel",
    SourceName.GITHUB: "GitHub",
    SourceName.TWILIO: "Twilio",
    SourceName.BOOKING_APP: "Booking app",
}
HOP: Final[Mapping[Hop, str]] = {
    Hop.VISIBILITY: "Can we see?",
    Hop.DEMAND: "Is anyone asking?",
    Hop.CODE: "Which code runs?",
    Hop.ACCEPTED: "Accepted by Twilio",
    Hop.DELIVERED: "Delivered",
    Hop.RECORDED: "Recorded",
    Hop.LINK: "Link opens",
    Hop.CONFIRMED: "Confirmed and booked",
}
# What failed of the cases of a hop, after "2 of 7 ". The code that serves has no cases.
HOP_FAILED: Final[Mapping[Hop, str]] = {
    Hop.DEMAND: "booking calls ended in an error",
    Hop.ACCEPTED: "bookings got no text",
    Hop.DELIVERED: "texts did not arrive",
    Hop.RECORDED: "texts were not recorded",
    Hop.LINK: "people who opened their link did not confirm",
    Hop.CONFIRMED: "confirmations became no booking",
}
STAGE: Final[Mapping[Stage, str]] = {
    Stage.INITIATED: "Initiated",
    Stage.ACCEPTED: "Accepted by Twilio",
    Stage.DELIVERED: "Delivered",
    Stage.OPENED: "Link opened",
    Stage.CONFIRMED: "Confirmed",
    Stage.BOOKED: "Booked",
}
SENDING: Final[Mapping[str, str]] = {
    Sending.ACCEPTED: "accepted by Twilio",
    Sending.TOO_SOON: "too soon to tell",
    Sending.MISSING: "no text",
    Sending.UNCERTAIN: "cannot tell which text",
    Sending.REFUSED: "refused: this recipient",
    Sending.OPTED_OUT: "none: wants no texts",
    Sending.UNKNOWN: "cannot tell",
}
DELIVERY: Final[Mapping[str, str]] = {
    Delivery.DELIVERED: "delivered",
    Delivery.FAILED: "failed",
    Delivery.ON_ITS_WAY: "on its way",
    Delivery.NO_RECEIPT: "no receipt",
    Delivery.WAITING: "scheduled",
    Delivery.CANCELED: "canceled",
    Delivery.NO_TEXT: "",  # that there is none is said by `SENDING`
    Delivery.UNKNOWN: "cannot tell",
}
RECORDING: Final[Mapping[str, str]] = {
    Recording.RECORDED: "recorded",
    Recording.DEFERRED: "with its booking",
    Recording.LOST: "not recorded",
    Recording.TOO_SOON: "too soon to tell",
    Recording.NO_TEXT: "",
    Recording.UNKNOWN: "cannot tell",
}
# People and texts.
PERSON: Final[Mapping[str, Sign]] = {
    state: Sign(STATE_LABELS[state], glyph, tone)
    for state, glyph, tone in (
        (PersonState.NOTHING, "!", Tone.WARN),
        # A link on its way is no booking, so neither is green.
        (PersonState.RE_SENT, "→", Tone.QUIET),
        (PersonState.CALLED, "✆", Tone.QUIET),
        (PersonState.GAVE_UP, "–", Tone.QUIET),
        (PersonState.BOOKED, "✓", Tone.GOOD),
    )
}
FATE: Final[Mapping[str, Sign]] = {
    TextFate.NOT_SENT: Sign("not sent", "✕", Tone.BAD),
    TextFate.FAILED: Sign("not delivered", "✕", Tone.BAD),
    TextFate.NO_RECEIPT: Sign("no receipt", "?", Tone.UNKNOWN),
    TextFate.ON_ITS_WAY: Sign("on its way", "→", Tone.QUIET),
    TextFate.SCHEDULED: Sign("scheduled", "…", Tone.QUIET),
    TextFate.CANCELED: Sign("canceled", "–", Tone.QUIET),
    TextFate.DELIVERED: Sign("delivered", "✓", Tone.GOOD),
}
RECORDED: Final[Mapping[str, Sign]] = {
    Recording.RECORDED: Sign(RECORDING[Recording.RECORDED], "✓", Tone.GOOD),
    Recording.DEFERRED: Sign(RECORDING[Recording.DEFERRED], "✓", Tone.GOOD),
    Recording.LOST: Sign(RECORDING[Recording.LOST], "✕", Tone.BAD),
    Recording.TOO_SOON: Sign(RECORDING[Recording.TOO_SOON], "…", Tone.QUIET),
    Recording.UNKNOWN: CANNOT_TELL,
}
BOOKING: Final[Mapping[str, Sign]] = {
    Reached.NO_TEXT: Sign("no text", "✕", Tone.BAD),
    Reached.NOT_DELIVERED: Sign("not delivered", "✕", Tone.BAD),
    Reached.CANNOT_TELL: CANNOT_TELL,
    Reached.WANTS_NO_TEXT: Sign("wants no texts", "–", Tone.QUIET),
    Reached.TOO_SOON: Sign("just asked", "…", Tone.QUIET),
    Reached.TEXTED: Sign("text on its way", "→", Tone.QUIET),
    Reached.DELIVERED: Sign("text delivered", "→", Tone.QUIET),
    Reached.OPENED: Sign("link opened", "→", Tone.QUIET),
    Reached.CONFIRMED: Sign("confirmed", "✓", Tone.QUIET),
    Reached.BOOKED: Sign("booked", "✓", Tone.GOOD),
}
METADATA: Final[Mapping[str, str]] = {
    MetadataState.COLUMN_MISSING: "no, the column is missing",
    MetadataState.NULL: "no (null)",
    MetadataState.EMPTY: "no (empty)",
    MetadataState.WITHOUT_SMS: "no (without initial_sms)",
    MetadataState.STORED: "yes",
}


# Actions under way and the steps of the plan.
STAGE_OF_REQUEST: Final[Mapping[str, str]] = {
    request_stages.ASKED: "Asked",
    request_stages.APPROVED: "Approved",
    request_stages.LOCKED: "Locked",
    request_stages.STARTED: "Started",
    request_stages.VERIFIED: "Verified",
}
STAGE_STATE: Final[Mapping[StageState, Sign]] = {
    StageState.DONE: Sign("done", "✓", Tone.GOOD),
    StageState.CURRENT: Sign("now", "▸", Tone.WARN),
    StageState.TO_COME: Sign("to come", "○", Tone.QUIET),
    StageState.STOPPED: Sign("stopped", "✕", Tone.BAD),
    StageState.UNKNOWN: Sign("unknown", "?", Tone.UNKNOWN),
}
STEP_STATUS: Final[Mapping[StepStatus, Sign]] = {
    StepStatus.NOT_NEEDED: Sign("Not needed", "–", Tone.QUIET),
    StepStatus.DO_NOW: Sign("Do now", "→", Tone.WARN),
    StepStatus.WAITING: Sign("Waiting", "…", Tone.QUIET),
    StepStatus.DONE: Sign("Done", "✓", Tone.GOOD),
    StepStatus.CANNOT_TELL: Sign("Cannot tell", "?", Tone.UNKNOWN),
}


def of_source(health: SourceHealth) -> Sign:
    """Return the sign of a source as a whole: one that answers only in part is not all well."""
    return _PARTLY if health.partly else FRESHNESS[health.state]
