"""Actions that ask the booking app for a booking, or look at its link: the test booking, the re-send, the re-check."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pandas as pd
import phonenumbers
from pydantic import SecretStr

from lib.actions.action import (
    Action,
    ActionContext,
    Args,
    Effect,
    FailedError,
    OnProgress,
    Preflight,
    RefusedError,
    Target,
    Tier,
    Touches,
    Verification,
    block,
    ok,
    warn,
)
from lib.diagnosis.journeys import JourneyInputs, journeys
from lib.diagnosis.thresholds import TEXT_FOLLOWS_WITHIN
from lib.model.frames import MetadataState
from lib.model.phone import NOBODYS_NUMBER, masked
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES, Landing
from lib.model.reading import FailureKind, SourceError
from lib.model.window import Window, WindowSize
from lib.sources import booking_data as tables
from lib.sources import follow_up
from lib.sources.booking_writes import BookingAnswer, BookingWrites
from lib.sources.http import Deadline, OutcomeUnknownError

_READ_SECONDS = 10.0
_WRITE_SECONDS = 30.0
# A person is re-sent at most one link in this time, and the desk sends at most so many in an hour.
RESEND_PAUSE = timedelta(minutes=30)
RESENDS_PER_HOUR = 30
_DRAMA_NUMBER_LABEL = "nobody's, one of those reserved for drama"
# The clocks of the app and of this machine may differ by this much.
_CLOCK_SLACK = timedelta(minutes=1)
_NEWEST_BEFORE = "newest booking of this number"
_LOOK_FIRST = "Look for a new pending booking of this number before you try again."


def _soon() -> Deadline:
    return Deadline(_READ_SECONDS)


def _window(context: ActionContext, size: WindowSize = WindowSize.DAY) -> Window:
    # Rows are compared by the other side's clock, which may be a little ahead of ours.
    return Window.ending(context.clock() + _CLOCK_SLACK, size)


def can_receive(number: str) -> bool:
    """Whether a number can ever receive a text: Ofcom's drama numbers, for one, are possible and not valid."""
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, None))
    except phonenumbers.NumberParseException:
        return False


@dataclass(frozen=True, slots=True)
class _BookingTrace:
    """What became of one booking, hop by hop. None: not to be seen (yet)."""

    booking_id: str | None = None
    token: SecretStr | None = field(default=None, repr=False)
    stored: bool = False
    text_status: str | None = None
    text_error: str | None = None


def _bookings_of(context: ActionContext, number: str) -> pd.DataFrame:
    """Return the pending bookings of `number` within the last day, oldest first."""
    pending = context.ask(
        "bookings of a day",
        lambda: context.sources.booking_data.read(tables.PENDING_BOOKINGS, _window(context), _soon()).value,
    )
    return pending[pending["mobile_number"] == number].sort_values("created_at", kind="stable", ignore_index=True)


def _newest_before(context: ActionContext, number: str) -> tuple[str, str]:
    """Return the fact by which a booking of this request is told apart from those that were there before."""
    bookings = _bookings_of(context, number)
    return _NEWEST_BEFORE, "none" if bookings.empty else str(bookings.iloc[-1]["id"])


def _made_since(bookings: pd.DataFrame, target: Target, since: datetime) -> pd.DataFrame:
    """Return the bookings made since then that were not there when the target was looked at."""
    made = bookings[bookings["created_at"] >= since]
    before = bookings.loc[bookings["id"] == dict(target.facts).get(_NEWEST_BEFORE), "created_at"]
    return made if before.empty else made[made["created_at"] > before.iloc[0]]


def _own(bookings: pd.DataFrame, target: Target, effect: Effect, since: datetime) -> pd.DataFrame:
    """Return the booking that the effect made: by its token, else by its id, else the first that is new."""
    if effect.token is not None:
        return bookings[bookings["token"] == effect.token.get_secret_value()]
    named = bookings[bookings["id"] == effect.found_by]
    return _made_since(bookings, target, since).head(1) if named.empty else named


def _trace(context: ActionContext, number: str, target: Target, effect: Effect, since: datetime) -> _BookingTrace:
    """Look for the booking that the effect made, and for its own text: there may be others of the same number."""
    bookings = _bookings_of(context, number)
    own = _own(bookings, target, effect, since)
    if own.empty:
        return _BookingTrace()
    row = own.iloc[0]
    text = _text_of(context, bookings, row)
    return _BookingTrace(
        booking_id=str(row["id"]),
        token=None if pd.isna(row["token"]) else SecretStr(str(row["token"])),
        stored=bool(row["metadata_state"] == MetadataState.STORED),
        text_status=None if text is None else str(text["status"]),
        text_error=None if text is None or pd.isna(text["error_code"]) else str(text["error_code"]),
    )


def _text_of(context: ActionContext, bookings: pd.DataFrame, own: Any) -> Any:
    """Return the row of the booking's own text, or None: by the stored SID, else as the diagnosis joins them."""
    window = Window(WindowSize.HOUR, own["created_at"] - TEXT_FOLLOWS_WITHIN, _window(context).end)
    texts = context.sources.twilio.texts(window, _soon()).value
    sid = own["sms_sid"] if pd.notna(own["sms_sid"]) else _joined_sid(context, bookings, texts, own)
    found = texts[texts["sid"] == sid] if pd.notna(sid) else texts.head(0)
    return None if found.empty else found.iloc[0]


def _joined_sid(context: ActionContext, bookings: pd.DataFrame, texts: pd.DataFrame, own: Any) -> Any:
    to_same = texts[texts["to_number"] == own["mobile_number"]]
    joined = journeys(JourneyInputs(bookings, to_same, _short_links(context)), context.clock())
    return joined.loc[joined["id"] == own["id"], "text_sid"].iloc[0]


def _short_links(context: ActionContext) -> pd.DataFrame | None:
    try:
        return context.sources.booking_data.read(tables.SHORT_LINKS, _window(context), _soon()).value
    except SourceError:
        return None  # then the text is told by number and time


def _hops(trace: _BookingTrace, link: Landing | None) -> str:
    """Each hop as it was seen, in the order of the flow."""
    return "; ".join(
        (
            f"pending booking: {'there' if trace.booking_id else 'not seen'}",
            f"text stored with it: {'yes' if trace.stored else 'no'}",
            f"text: {trace.text_status or 'not seen'}{f' (error {trace.text_error})' if trace.text_error else ''}",
            f"link: {link.value if link else 'not opened yet'}",
        )
    )


class _Booking(Action):
    """Starts a booking for one number through the app's own API; the app then texts it."""

    touches: ClassVar[Touches] = Touches.NOTHING
    undo: ClassVar[str] = "A text that was sent cannot be taken back; an unconfirmed booking expires in a day."
    settles_within: ClassVar[timedelta] = timedelta(minutes=2)
    needs_text: ClassVar[bool] = True

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        facts = dict(target.facts)
        return (
            f"POST {context.settings.booking_app_url}/api/bookings/initiate  "
            f"event_id: {facts['event']}, mobile_number: {facts['number']}",
        )

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        key = context.settings.booking_api_key
        if key is None:
            raise RefusedError("BOOKING_API_KEY is not set.")
        event, number = dict(target.facts)["event"], self.number(context, args)
        since = context.clock() - _CLOCK_SLACK
        answer = BookingWrites(context.sources.booking_app).initiate(event, number, key, Deadline(_WRITE_SECONDS))
        progress(f"Answer {answer.status}: {answer.message}")
        self._must_be_made(answer)
        return Effect(
            _answer_message(answer),
            "no booking of this request",
            "a pending booking",
            answer.request_id,
            since,
            answer.token,
        )

    def _must_be_made(self, answer: BookingAnswer) -> None:
        """Raise what an answer means by which there is no booking, or none that anybody is texted about."""
        said = f"The app answered {answer.status}. {answer.message}"
        if answer.may_have_left_something:
            raise OutcomeUnknownError(FailureKind.UNAVAILABLE, said, _LOOK_FIRST, status=answer.status)
        if not answer.made:
            raise SourceError(FailureKind.BAD_DATA, said)
        if self.needs_text and answer.sms_sent is False:
            raise FailedError(_answer_message(answer), after="a pending booking, and no text")

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        began = since - _CLOCK_SLACK
        made = _made_since(_bookings_of(context, self.number(context, args)), target, began)
        if made.empty:
            return None
        message = "A pending booking of this number was made since."
        return Effect(message, "none", "a pending booking", str(made.iloc[0]["id"]), began)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        trace = self._current_trace(context, target, args, effect)
        link = self._landing(context, trace)
        message = _hops(trace, link)
        if trace.text_status in {status.value for status in FAILED_STATUSES}:
            return Verification(False, message)
        if link is None:
            return Verification(None, message)
        return Verification(link is Landing.CONFIRMATION and trace.stored, message)

    def _landing(self, context: ActionContext, trace: _BookingTrace) -> Landing | None:
        """Open the new booking's own link once its text is there; it counts as a click."""
        if trace.booking_id is None or trace.token is None or trace.text_status not in DELIVERED_STATUSES:
            return None
        app = context.sources.booking_app
        url = app.confirmation_url(trace.token.get_secret_value())
        return app.open_link(url, trace.booking_id, _soon()).value.landing

    def _current_trace(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> _BookingTrace:
        since = effect.since or context.clock() - self.timeout
        return _trace(context, self.number(context, args), target, effect, since)

    def number(self, context: ActionContext, args: Args) -> str:
        """Return the number in E.164 that is texted. Raises `RefusedError`."""
        raise NotImplementedError


def _answer_message(answer: BookingAnswer) -> str:
    sent = {True: "sms_sent: true", False: "sms_sent: false", None: "sms_sent not said"}[answer.sms_sent]
    return f"The app answered {answer.status} with {sent}. {answer.message}"


def _event(context: ActionContext, event_id: str) -> tuple[str, str, str]:
    """Return id, name and status of an event. Raises `RefusedError` if there is none."""
    events = context.sources.booking_data.read(tables.EVENTS, _window(context), _soon()).value
    found = events[events["id"] == event_id]
    if found.empty:
        raise RefusedError("The event is not in the database: set TEST_EVENT_ID to the id of a scheduled one.")
    row = found.iloc[0]
    return str(row["id"]), f"{row['name']}, {row['date']}", str(row["event_status"])


class TestBooking(_Booking):
    """Book for the business's own number and watch every hop."""

    __test__ = False  # its name is the design's, and no test
    id: ClassVar[str] = "test_booking"
    title: ClassVar[str] = "Make a test booking for our own phone"
    button: ClassVar[str] = "Make the test booking"
    tier: ClassVar[Tier] = Tier.CONFIRM
    cooldown: ClassVar[timedelta] = timedelta(seconds=30)

    def lock(self, context: ActionContext, args: Args) -> str:
        return self.id

    def resolve(self, context: ActionContext, args: Args) -> Target:
        event_id, name, status = _event(context, _set(context.settings.test_event_id, "TEST_EVENT_ID"))
        number = self.number(context, args)
        facts = (("event", event_id), ("event status", status), ("number", masked(number)))
        return Target(name, (*facts, _newest_before(context, number)))

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return (
            f"A booking is made for our own phone, {dict(target.facts)['number']}, and one text goes to it.",
            "One pending booking is made; it takes no seat and expires in a day.",
            "The text costs the usual price.",
        )

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        real = can_receive(self.number(context, args)) or context.settings.sandbox_url is not None
        return (
            ok("number", "The number can receive a text.")
            if real
            else block(
                "number",
                "TEST_MOBILE_NUMBER can never receive a text (07700 900000 to 900999 is reserved for drama): "
                "it would prove nothing about delivery. Set a phone of your own; the booking call alone can be tested.",
            ),
            *_can_book(context, target),
        )

    def number(self, context: ActionContext, args: Args) -> str:
        secret = context.settings.test_mobile_number
        return _set(secret.get_secret_value() if secret else None, "TEST_MOBILE_NUMBER")


class TestValidation(_Booking):
    """Book for a number that nobody has: whether the call is taken and recorded, and nothing about delivery."""

    __test__ = False  # its name is the design's, and no test
    id: ClassVar[str] = "test_validation"
    title: ClassVar[str] = "Test the booking call alone, without a text that arrives"
    button: ClassVar[str] = "Test the call"
    tier: ClassVar[Tier] = Tier.CONFIRM
    cooldown: ClassVar[timedelta] = timedelta(seconds=30)
    settles_within: ClassVar[timedelta] = timedelta(seconds=30)
    needs_text: ClassVar[bool] = False

    def lock(self, context: ActionContext, args: Args) -> str:
        return self.id

    def resolve(self, context: ActionContext, args: Args) -> Target:
        event_id, name, status = _event(context, _set(context.settings.test_event_id, "TEST_EVENT_ID"))
        facts = (("event", event_id), ("event status", status), ("number", _DRAMA_NUMBER_LABEL))
        return Target(name, (*facts, _newest_before(context, NOBODYS_NUMBER)))

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return (
            "A booking is made for a number that nobody has.",
            "One pending booking is made; it takes no seat and expires in a day.",
            "Twilio refuses its text, or takes and loses it: that says nothing about delivery.",
        )

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        return (
            warn("number", "One text more will look failed: its number can never receive one."),
            *_can_book(context, target),
        )

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        since = effect.since or context.clock() - self.timeout
        if _own(_bookings_of(context, NOBODYS_NUMBER), target, effect, since).empty:
            return Verification(None, "The pending booking is not to be seen yet.")
        return Verification(True, "The call was taken, and its pending booking is there. Delivery was not tried.")

    def number(self, context: ActionContext, args: Args) -> str:
        return NOBODYS_NUMBER


def _can_book(context: ActionContext, target: Target) -> tuple[Preflight, ...]:
    return (
        ok("key", "An API key is set.")
        if context.settings.booking_api_key
        else block("key", "BOOKING_API_KEY is not set."),
        ok("event", "The event is scheduled.")
        if dict(target.facts)["event status"] == "scheduled"
        else block("event", "The event is not scheduled: choose another TEST_EVENT_ID."),
    )


class ResendLink(_Booking):
    """Start a new booking for one person whose link never worked, so that they get a new one."""

    id: ClassVar[str] = "resend_link"
    title: ClassVar[str] = "Send one person a new link"
    button: ClassVar[str] = "Send the link"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    cooldown: ClassVar[timedelta] = RESEND_PAUSE
    per_hour: ClassVar[int | None] = RESENDS_PER_HOUR
    asks: ClassVar[tuple[str, ...]] = ("booking",)

    def lock(self, context: ActionContext, args: Args) -> str:
        return f"{self.id}:{args['booking']}"

    def resolve(self, context: ActionContext, args: Args) -> Target:
        row = self._booking(context, args)
        event_id, name, status = _event(context, str(row["event_id"]))
        facts = (
            ("booking", args["booking"]),
            ("event", event_id),
            ("event status", status),
            ("number", masked(str(row["mobile_number"]))),
            ("confirmed", "yes" if pd.notna(row["confirmed_at"]) else "no"),
            _newest_before(context, str(row["mobile_number"])),
        )
        return Target(name, facts)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        number = dict(target.facts)["number"]
        return (
            f"The customer with the number {number} gets a new text with a new link.",
            "One more pending booking is made for them.",
        )

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        facts = dict(target.facts)
        return (
            block("unconfirmed", "They have confirmed: they need no new link.")
            if facts["confirmed"] == "yes"
            else ok("unconfirmed", "They have not confirmed."),
            block("event", "The event is not open any more.")
            if facts["event status"] != "scheduled"
            else ok("event", "The event is open."),
            block("once", "They were sent a text within the last half hour.")
            if self._texted_lately(context, args)
            else ok("once", "They were not texted within the last half hour."),
            ok("key", "An API key is set.")
            if context.settings.booking_api_key
            else block("key", "BOOKING_API_KEY is not set."),
            warn("customer", "This texts a customer."),
        )

    def number(self, context: ActionContext, args: Args) -> str:
        return str(self._booking(context, args)["mobile_number"])

    def _booking(self, context: ActionContext, args: Args) -> Any:
        window = _window(context, WindowSize.MONTH)
        pending = context.ask(
            "bookings of a month",
            lambda: context.sources.booking_data.read(tables.PENDING_BOOKINGS, window, _soon()).value,
        )
        found = pending[pending["id"] == args["booking"]]
        if found.empty:
            raise RefusedError("This booking is not in the last 30 days.")
        return found.iloc[0]

    def _texted_lately(self, context: ActionContext, args: Args) -> bool:
        """Whether this person was sent a text lately that did not fail."""
        texts = context.sources.twilio.texts(_window(context, WindowSize.HOUR), _soon()).value
        failed = {status.value for status in FAILED_STATUSES}
        mine = texts[(texts["to_number"] == self.number(context, args)) & ~texts["status"].isin(failed)]
        return bool((mine["created_at"] >= context.clock().astimezone(UTC) - RESEND_PAUSE).any())


class RecheckLink(Action):
    """Open the newest confirmation link again, as a stranger."""

    id: ClassVar[str] = "recheck_link"
    title: ClassVar[str] = "Open the newest confirmation link again"
    button: ClassVar[str] = "Open the link"
    tier: ClassVar[Tier] = Tier.ONE_CLICK
    touches: ClassVar[Touches] = Touches.NOTHING
    undo: ClassVar[str] = "It counts as one opening; nothing else changes."
    settles_within: ClassVar[timedelta] = timedelta(0)
    leaves_nothing: ClassVar[bool] = True

    def lock(self, context: ActionContext, args: Args) -> str:
        return self.id

    def resolve(self, context: ActionContext, args: Args) -> Target:
        return Target("newest link", ())

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (f"GET the newest confirmation link of {context.settings.booking_app_url}, without cookies",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return ("The app counts one opening.",)

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        return (ok("reads", "It changes nothing but that count."),)

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        trace = context.take_snapshot()
        readings = {reading.name: reading for reading in trace.readings}
        bookings = trace.pending_bookings
        if bookings.failure is not None:
            raise SourceError(bookings.failure.kind, bookings.failure.sentence, bookings.failure.hint)
        # Asked anew: the reading of the snapshot may be minutes old.
        opening = follow_up.link_opening(context.sources.booking_app, readings, _soon()).value
        if opening is None:
            raise FailedError("There is no open booking whose link could be tried.")
        message = f"It led to: {opening.landing.value.replace('_', ' ')} ({opening.status_code})."
        return Effect(message, "", message, opening.landing.value)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        return Verification(effect.found_by == Landing.CONFIRMATION.value, effect.message)


def _set(value: str | None, name: str) -> str:
    if not value:
        raise RefusedError(f"{name} is not set.")
    return value
