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
from lib.diagnosis.checks import delivery, sending
from lib.diagnosis.diagnose import diagnose
from lib.diagnosis.facts import Terms
from lib.diagnosis.journeys import JourneyInputs, journeys
from lib.diagnosis.thresholds import TEXT_FOLLOWS_WITHIN
from lib.formatting import counted
from lib.model.frames import MetadataState
from lib.model.phone import NOBODYS_NUMBER, masked
from lib.model.provider import DELIVERED_STATUSES, FAILED_STATUSES, Landing
from lib.model.reading import FailureKind, SourceError
from lib.model.verdict import CheckStatus, HeadlineState
from lib.model.window import Window, WindowSize
from lib.sources import booking_data as tables
from lib.sources import follow_up
from lib.sources.booking_writes import BookingAnswer, BookingWrites
from lib.sources.http import Deadline, OutcomeUnknownError

_READ_SECONDS = 10.0
_WRITE_SECONDS = 30.0
# A person is re-sent at most one link in this time, and the desk sends at most so many in an hour, and at once.
RESEND_PAUSE = timedelta(minutes=30)
RESENDS_PER_HOUR = 30
RESENDS_AT_ONCE = 10
_DRAMA_NUMBER_LABEL = "nobody's: reserved for film and TV"
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
        _must_be_made(answer, needs_text=self.needs_text)
        return Effect(
            _answer_message(answer),
            "no booking of this request",
            "a pending booking",
            answer.request_id,
            since,
            answer.token,
        )

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


def _must_be_made(answer: BookingAnswer, *, needs_text: bool) -> None:
    """Raise what an answer means by which there is no booking, or none that anybody is texted about."""
    said = f"The app answered {answer.status}. {answer.message}"
    if answer.may_have_left_something:
        raise OutcomeUnknownError(FailureKind.UNAVAILABLE, said, _LOOK_FIRST, status=answer.status)
    if not answer.made:
        raise SourceError(FailureKind.BAD_DATA, said)
    if needs_text and answer.sms_sent is False:
        raise FailedError(_answer_message(answer), after="a pending booking, and no text")


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
    title: ClassVar[str] = "Make a test booking to our own phone"
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
                "TEST_MOBILE_NUMBER can never receive a text (07700 900000 to 900999 is reserved for film and TV): "
                "it would prove nothing about delivery. Set a phone of your own; only the booking call can be tested.",
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
    title: ClassVar[str] = "Test the booking call only, without delivery"
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
            "Twilio refuses its text, or accepts it and does not deliver it: that says nothing about delivery.",
        )

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        return (
            warn("number", "One more text will show as failed: its number can never receive one."),
            *_can_book(context, target),
        )

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        since = effect.since or context.clock() - self.timeout
        if _own(_bookings_of(context, NOBODYS_NUMBER), target, effect, since).empty:
            return Verification(None, "The pending booking is not visible yet.")
        return Verification(True, "The call was accepted, and its pending booking is there. Delivery was not tested.")

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
    counted_with: ClassVar[tuple[str, ...]] = ("resend_links",)
    pause: ClassVar[timedelta] = RESEND_PAUSE
    asks: ClassVar[tuple[str, ...]] = ("booking",)

    def lock(self, context: ActionContext, args: Args) -> str:
        return f"{self.id}:{args['booking']}"

    def counted_effects(self, args: Args) -> tuple[str, ...]:
        return (args["booking"],)

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
            texts_go_out(context),
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
        return _texted_lately(texts, self.number(context, args), context.clock())


def _texted_lately(texts: pd.DataFrame, number: str, now: datetime) -> bool:
    """Whether a text that did not fail was sent to `number` within the pause between two links."""
    failed = {status.value for status in FAILED_STATUSES}
    mine = texts[(texts["to_number"] == number) & ~texts["status"].isin(failed)]
    return bool((mine["created_at"] >= now.astimezone(UTC) - RESEND_PAUSE).any())


def texts_go_out(context: ActionContext) -> Preflight:
    """Return whether a new link would reach anybody now: while the flow is broken nobody is texted one."""
    diagnosis = diagnose(context.take_snapshot(), context.clock(), Terms.of(context.settings))
    if diagnosis.headline.state is HeadlineState.BROKEN:
        return block(
            "flow",
            f"A new link would not help now. {diagnosis.headline.sentence} "
            "Repair that first, then make a test booking: once it goes through, links can be sent.",
        )
    checks = (diagnosis.check(sending.texts_follow), diagnosis.check(delivery.texts_arrive))
    if failed := next((check for check in checks if check.status is CheckStatus.FAIL), None):
        return block("flow", f"Texts do not go out. {failed.summary}")
    if all(check.status is CheckStatus.OK for check in checks):
        return ok("flow", "Texts go out.")
    doubt = next(check for check in checks if check.status is not CheckStatus.OK)
    return warn("flow", f"Whether texts go out now is not proven. {doubt.summary}")


@dataclass(frozen=True, slots=True)
class _Recipient:
    """One of the people whom many links are for. `left_out` says why they get none; empty: they get one."""

    booking_id: str
    event_id: str
    event: str
    newest: str
    left_out: str
    number: str = field(repr=False)

    @property
    def line(self) -> str:
        """Who they are, without what identifies them."""
        return f"{masked(self.number)}, {self.event}"


@dataclass(frozen=True)
class _ResendInputs:
    """What is read once to judge all recipients: the bookings of a month, the events, the texts of the last hour."""

    bookings: pd.DataFrame
    events: pd.DataFrame
    texts: pd.DataFrame

    @classmethod
    def read(cls, context: ActionContext) -> _ResendInputs:
        data = context.sources.booking_data
        return cls(
            data.read(tables.PENDING_BOOKINGS, _window(context, WindowSize.MONTH), _soon()).value,
            data.read(tables.EVENTS, _window(context), _soon()).value,
            context.sources.twilio.texts(_window(context, WindowSize.HOUR), _soon()).value,
        )

    def recipient(self, booking_id: str, now: datetime) -> _Recipient:
        """Judge one person. Raises `RefusedError` where the booking is not known."""
        found = self.bookings[self.bookings["id"] == booking_id]
        if found.empty:
            raise RefusedError(f"The booking {booking_id} is not in the last 30 days.")
        row = found.iloc[0]
        number = str(row["mobile_number"])
        theirs = self.bookings[self.bookings["mobile_number"] == number].sort_values("created_at", kind="stable")
        event = self.events[self.events["id"] == row["event_id"]]
        open_ = not event.empty and str(event.iloc[0]["event_status"]) == "scheduled"
        name = "event unknown" if event.empty else f"{event.iloc[0]['name']}, {event.iloc[0]['date']}"
        reasons = (
            (pd.notna(row["confirmed_at"]), "they have confirmed"),
            (not open_, "the event is not open any more"),
            (_texted_lately(self.texts, number, now), "they were sent a text within the last half hour"),
        )
        left_out = next((reason for applies, reason in reasons if applies), "")
        return _Recipient(booking_id, str(row["event_id"]), name, str(theirs.iloc[-1]["id"]), left_out, number)


_PERSON, _LEFT_OUT = "person", "left out"


class ResendLinks(Action):
    """Start a new booking for each of several people whose links never worked, one after another.

    `bookings` are the ids of their pending bookings, separated by commas. It stops at the first that is refused.
    """

    id: ClassVar[str] = "resend_links"
    title: ClassVar[str] = "Send several people a new link"
    button: ClassVar[str] = "Send the links"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    touches: ClassVar[Touches] = Touches.NOTHING
    undo: ClassVar[str] = "Texts that were sent cannot be taken back; unconfirmed bookings expire in a day."
    per_hour: ClassVar[int | None] = RESENDS_PER_HOUR
    counted_with: ClassVar[tuple[str, ...]] = (ResendLink.id,)
    pause: ClassVar[timedelta] = RESEND_PAUSE
    asks: ClassVar[tuple[str, ...]] = ("bookings",)
    timeout: ClassVar[timedelta] = timedelta(seconds=RESENDS_AT_ONCE * (_WRITE_SECONDS + 3 * _READ_SECONDS))
    settles_within: ClassVar[timedelta] = timedelta(minutes=2)

    def lock(self, context: ActionContext, args: Args) -> str:
        return self.id

    def counted_effects(self, args: Args) -> tuple[str, ...]:
        return tuple(dict.fromkeys(filter(None, (one.strip() for one in args["bookings"].split(",")))))

    def resolve(self, context: ActionContext, args: Args) -> Target:
        people = self._recipients(context, args)
        chosen = [one for one in people if not one.left_out]
        others = [one for one in people if one.left_out]
        return Target(
            counted(len(chosen), "person", "people"),
            (
                *((f"{_PERSON} {n}", f"{one.line}; newest booking {one.newest}") for n, one in enumerate(chosen, 1)),
                *((f"{_LEFT_OUT} {n}", f"{one.line}: {one.left_out}") for n, one in enumerate(others, 1)),
            ),
        )

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        url = f"{context.settings.booking_app_url}/api/bookings/initiate"
        return tuple(f"POST {url}  for {line.partition(';')[0]}" for line in _named(target, _PERSON))

    def will_differ(self, target: Target) -> tuple[str, ...]:
        who = target.name
        return (f"{who[:1].upper()}{who[1:]} get a new text with a new link.", "One more pending booking for each.")

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        chosen, others = len(_named(target, _PERSON)), _named(target, _LEFT_OUT)
        return (
            ok("people", f"{target.name} of at most {RESENDS_AT_ONCE} at once.")
            if chosen
            else block("people", "Nobody of them needs a new link, or may be texted now."),
            *(warn("left_out", f"No new link for {line}.") for line in others),
            texts_go_out(context),
            ok("key", "An API key is set.")
            if context.settings.booking_api_key
            else block("key", "BOOKING_API_KEY is not set."),
            warn("customer", f"This texts {counted(chosen, 'customer')}, one after another, and stops if one fails."),
        )

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        key = context.settings.booking_api_key
        if key is None:
            raise RefusedError("BOOKING_API_KEY is not set.")
        since, total = context.clock() - _CLOCK_SLACK, len(_named(target, _PERSON))
        chosen = [one.booking_id for one in self._recipients(context, args) if not one.left_out]
        sent: list[str] = []
        for booking_id in chosen:
            place = f"{len(sent) + 1} of {total}, booking {booking_id}"
            try:
                progress(f"{place}: {_send_one(context, booking_id, key)}")
            except (RefusedError, FailedError, SourceError) as error:
                progress(f"{place}: {error}")
                raise _stopped(error, len(sent), total) from error
            sent.append(booking_id)
        after = counted(len(sent), "new pending booking")
        message = f"{len(sent)} of {total} were sent a new link."
        return Effect(message, "no new link", after, ",".join(sent), since)

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        began = since - _CLOCK_SLACK
        bookings = _ResendInputs.read(context).bookings
        made = [
            one
            for one in self.counted_effects(args)
            if not _made_for(bookings, one, began, self.counted_effects(args)).empty
        ]
        if not made:
            return None
        message = (
            f"{counted(len(made), 'person', 'people')} of {len(self.counted_effects(args))} have a new pending booking."
        )
        return Effect(message, "no new link", counted(len(made), "new pending booking"), ",".join(made), began)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        """Look at the text of each new booking. Nobody's link is opened: that would count as their click."""
        sent = (effect.found_by or "").split(",")
        bookings = _ResendInputs.read(context).bookings
        statuses = []
        for booking_id in sent:
            made = _made_for(bookings, booking_id, effect.since, self.counted_effects(args))
            text = None if made.empty else _text_of(context, bookings, made.iloc[0])
            statuses.append("" if text is None else str(text["status"]))
        failed = sum(status in {one.value for one in FAILED_STATUSES} for status in statuses)
        arrived = sum(status in DELIVERED_STATUSES for status in statuses)
        message = (
            f"Delivered: {arrived} of {len(sent)}; failed: {failed}; not known yet: {len(sent) - arrived - failed}."
        )
        expected = len(_named(target, _PERSON))
        if failed or (expected and len(sent) < expected):
            return Verification(False, message)
        # Without the preview that was confirmed nobody knows who was left out on purpose.
        complete = expected > 0 or len(sent) == len(self.counted_effects(args))
        return Verification(True if arrived == len(sent) and complete else None, message)

    def not_previewed(self, target: Target) -> Target:
        return Target(target.name, ())

    def _recipients(self, context: ActionContext, args: Args) -> tuple[_Recipient, ...]:
        """Judge everybody, in the order in which they were named. Raises `RefusedError`."""
        ids = self.counted_effects(args)
        if len(ids) > RESENDS_AT_ONCE:
            raise RefusedError(f"At most {RESENDS_AT_ONCE} people can be sent a link at once, not {len(ids)}.")
        inputs = _ResendInputs.read(context)
        found = tuple(inputs.recipient(one, context.clock()) for one in ids)
        if len({one.number for one in found}) < len(found):
            raise RefusedError("Two of these bookings are of one person: name one of them.")
        return found


def _named(target: Target, kind: str) -> tuple[str, ...]:
    return tuple(value for name, value in target.facts if name.startswith(f"{kind} "))


def _send_one(context: ActionContext, booking_id: str, key: SecretStr) -> str:
    """Book for one person, after a last look at them, and return what the app said."""
    person = _ResendInputs.read(context).recipient(booking_id, context.clock())
    if person.left_out:
        raise RefusedError(f"It was not sent: {person.left_out}.")
    writes = BookingWrites(context.sources.booking_app)
    answer = writes.initiate(person.event_id, person.number, key, Deadline(_WRITE_SECONDS))
    _must_be_made(answer, needs_text=True)
    return _answer_message(answer)


def _stopped(
    error: RefusedError | FailedError | SourceError, sent: int, total: int
) -> RefusedError | FailedError | SourceError:
    """Return how a series ended at its first failure: what was sent before stays, and the rest was not tried."""
    where = f"{sent} of {total} were sent a new link. It stopped at number {sent + 1}:"
    if isinstance(error, OutcomeUnknownError):
        failure = error.failure
        return OutcomeUnknownError(failure.kind, f"{where} {failure.sentence}", failure.hint, status=error.status)
    if isinstance(error, FailedError):
        return FailedError(f"{where} {error}", after=f"{counted(sent, 'new link')}, and {error.after}")
    if not sent:
        return error  # nothing happened
    said = error.failure.sentence if isinstance(error, SourceError) else str(error)
    return FailedError(f"{where} {said} The others were not tried.", after=counted(sent, "new link"))


def _made_for(
    bookings: pd.DataFrame, booking_id: str, since: datetime | None, asked_for: tuple[str, ...]
) -> pd.DataFrame:
    """Return the new bookings of the person whose old one is `booking_id`, oldest first."""
    old = bookings[bookings["id"] == booking_id]
    if old.empty:
        return old
    theirs = bookings[(bookings["mobile_number"] == old.iloc[0]["mobile_number"]) & ~bookings["id"].isin(asked_for)]
    made = theirs if since is None else theirs[theirs["created_at"] >= since]
    later: pd.DataFrame = made[made["created_at"] > old.iloc[0]["created_at"]]
    return later.sort_values("created_at", kind="stable")


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
            raise FailedError("There is no open booking whose link could be opened.")
        message = f"It led to: {opening.landing.value.replace('_', ' ')} ({opening.status_code})."
        return Effect(message, "", message, opening.landing.value)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        return Verification(effect.found_by == Landing.CONFIRMATION.value, effect.message)


def _set(value: str | None, name: str) -> str:
    if not value:
        raise RefusedError(f"{name} is not set.")
    return value
