"""Who was affected: the people who asked to book and got no link that works, and what became of each since.

A person stands here once per event. Their number is held to draw its mask on the screen, and goes nowhere else; the
journal knows them by the id of their pending booking (`lib.journal.entry.FollowedUp` says why). What can be seen in
the data, that somebody booked after all or got a newer link, is looked up anew each time; only what nobody can see,
that somebody was called or gave up, is kept in the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pandas as pd

from lib.diagnosis import thresholds
from lib.diagnosis.checks import demand, link
from lib.diagnosis.facts import CannotTellError, Facts
from lib.diagnosis.journeys import Delivery, Sending
from lib.formatting import counted
from lib.journal.entry import AffectedRecord, CountRecord, DiagnosisRecord, Entry, FollowedUp, FollowUp, Kind
from lib.journal.errors import JournalError
from lib.journal.incident import Incident
from lib.journal.journal import Journal
from lib.journal.request import Request, RequestState
from lib.model.people import Actor
from lib.model.provider import Landing
from lib.model.reading import CaveatKind
from lib.model.verdict import CheckStatus

RESEND = "resend_link"
RESEND_MANY = "resend_links"
# From when on this share of people was hit, an outage had begun; single failures are not one.
MOST = 0.5
# Fewer bookings than this say nothing about how many seats a party takes.
FEWEST_PARTIES = 5
_MOST = 10_000
NO_EVENT = "event unknown"


class AffectedReason(StrEnum):
    """Why somebody has no link that works."""

    NO_TEXT = "no_text"
    NOT_DELIVERED = "not_delivered"
    LINK_BROKEN = "link_broken"


class PersonState(StrEnum):
    """What became of somebody who got no working link."""

    NOTHING = "nothing_done"
    RE_SENT = "re_sent"
    CALLED = "called"
    GAVE_UP = "gave_up"
    BOOKED = "booked_anyway"


STATE_LABELS: Mapping[PersonState, str] = {
    PersonState.NOTHING: "still to help",
    PersonState.RE_SENT: "texted again",
    PersonState.CALLED: "called",
    PersonState.GAVE_UP: "gave up",
    PersonState.BOOKED: "booked anyway",
}
REASON_LABELS: Mapping[AffectedReason, str] = {
    AffectedReason.NO_TEXT: "no text was sent",
    AffectedReason.NOT_DELIVERED: "the text did not arrive",
    AffectedReason.LINK_BROKEN: "the link in their text does not open",
}
# In this order people read what was done.
_DONE_STATES = (PersonState.BOOKED, PersonState.CALLED, PersonState.RE_SENT, PersonState.GAVE_UP)
_STATE_OF = {FollowUp.CALLED: PersonState.CALLED, FollowUp.GAVE_UP: PersonState.GAVE_UP}


@dataclass(frozen=True, slots=True)
class TimeRange:
    """Over which time people count as affected, `[since, until)`.

    `link_broken_since` is from when on a text that arrived helped nobody; None: its link worked, or nobody knows.
    """

    since: datetime
    until: datetime
    link_broken_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asked for one event and got no working link. `seats` None: they did not say how many.

    `booking_id` is their newest pending booking: what a re-send and a follow-up are about. `state_at` and `state_by`
    are when and by whom they came into their state, where that is known.
    """

    booking_id: str
    booking_ids: tuple[str, ...]
    event_name: str | None
    event_at: str | None  # local to the business: "2026-11-30 19:30"
    asked_at: datetime
    seats: int | None
    why: AffectedReason
    error_code: str | None
    state: PersonState
    state_at: datetime | None
    state_by: Actor | None
    mobile_number: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Contact:
    """One phone number with everything that its owner asked for in vain, the most urgent first."""

    requests: tuple[Person, ...]

    @property
    def first(self) -> Person:
        """The request that comes first: what a new link and a follow-up are about."""
        return self.requests[0]

    @property
    def state(self) -> PersonState:
        """The state of the most urgent request: who waits for one of two events is still to be helped."""
        return self.first.state

    @property
    def booking_ids(self) -> tuple[str, ...]:
        """The pending bookings of all requests."""
        return tuple(booking for request in self.requests for booking in request.booking_ids)

    @property
    def seats(self) -> int | None:
        """How many seats all requests ask for together; None where one of them does not say."""
        known = [request.seats for request in self.requests if request.seats is not None]
        return sum(known) if len(known) == len(self.requests) else None


@dataclass(frozen=True, slots=True)
class Seats:
    """Seats that those who have not booked may cost. `estimate` None: unknown; `how` says what it rests on."""

    estimate: int | None
    how: str


@dataclass(frozen=True, slots=True)
class Affected:
    """The people affected over `time_range`, in the order in which they should be helped, and what cannot be told.

    `at_least`: rows are missing, or the range begins before what was read, so there may be more. `unknowable` says why
    people may be affected of whom no trace is left.
    """

    time_range: TimeRange
    people: tuple[Person, ...]
    seats: Seats
    at_least: bool
    unknown: tuple[str, ...]
    unknowable: str = ""

    @property
    def contacts(self) -> tuple[Contact, ...]:
        """The people by their number, in the order in which they should be helped."""
        found: dict[str, list[Person]] = {}
        for person in self.people:
            found.setdefault(person.mobile_number or person.booking_id, []).append(person)
        return tuple(Contact(tuple(requests)) for requests in found.values())

    @property
    def count(self) -> int:
        """How many people they are: somebody who asked for two events is one."""
        return len(self.contacts)

    @property
    def to_do(self) -> tuple[Contact, ...]:
        """Those for whom nothing was done yet."""
        return tuple(contact for contact in self.contacts if contact.state is PersonState.NOTHING)

    @property
    def states(self) -> Mapping[PersonState, int]:
        """How many rows are in each state; only states that occur."""
        found = Counter(person.state for person in self.people)
        return {state: found[state] for state in PersonState if found[state]}

    @property
    def progress(self) -> str:
        """How many people are in which state, and how many are left: "1 called, 1 texted again, 3 to go"."""
        found = Counter(contact.state for contact in self.contacts)
        done = [f"{found[state]:,} {STATE_LABELS[state]}" for state in _DONE_STATES if found[state]]
        return ", ".join([*done, f"{found[PersonState.NOTHING]:,} to go"])

    @property
    def summary(self) -> str:
        """How many people there are and how far helping them is: "5 people, 1 called, 1 texted again, 3 to go"."""
        return f"{'At least ' if self.at_least else ''}{counted(self.count, 'person', 'people')}, {self.progress}"

    @property
    def message(self) -> str:
        """The count in a sentence, without anything that identifies anybody."""
        if not self.people and self.unknowable:
            return self.unknowable
        if not self.people:
            return "Nobody in the bookings that could be read." if self.at_least else "Nobody is known to be affected."
        who = counted(self.count, "person", "people")
        seats = "seats unknown" if self.seats.estimate is None else f"about {counted(self.seats.estimate, 'seat')}"
        return f"{'At least ' if self.at_least else ''}{who} got no working link ({self.progress}; {seats})."


# What the journal knows.


@dataclass(frozen=True, slots=True)
class FollowUpRecord:
    """What the journal says was done for people, by pending booking id: the newest follow-up and re-send of each."""

    follow_ups: Mapping[str, Entry] = field(default_factory=dict)
    resent: Mapping[str, tuple[datetime, Actor]] = field(default_factory=dict)


NO_FOLLOW_UPS = FollowUpRecord()


def follow_ups_of(journal: Journal, since: datetime) -> FollowUpRecord:
    """Read what was done for people since then. Raises `JournalError`."""
    marks = journal.entries(kinds=[Kind.FOLLOW_UP], since=since, limit=_MOST, newest=True)
    follow_ups = {str(entry.payload.booking): entry for entry in marks if isinstance(entry.payload, FollowedUp)}
    resent: dict[str, tuple[datetime, Actor]] = {}
    for request in reversed(journal.requests([RequestState.SUCCEEDED], since=since, limit=_MOST)):
        if request.ended_at is not None:
            bookings = _resent_by(request)
            resent |= dict.fromkeys(bookings, (request.ended_at, request.requested_by))
    return FollowUpRecord(follow_ups, resent)


def _resent_by(request: Request) -> tuple[str, ...]:
    """Return the bookings whose people a request that succeeded texted again."""
    if request.action == RESEND_MANY:
        sent = request.receipt.external_id if request.receipt else None
        return tuple(sent.split(",")) if sent else ()
    if request.action != RESEND:
        return ()
    return tuple(argument.value for argument in request.asked.arguments if argument.name == "booking")


def follow_up(
    journal: Journal, booking_id: str, state: FollowUp, actor: Actor, incident_id: UUID | None = None
) -> Entry:
    """Write down that somebody was called, gave up, or is to be helped again.

    Raises `JournalError`, also for what is no booking's id.
    """
    try:
        booking = UUID(booking_id)
    except ValueError:
        raise JournalError("That is not the id of a pending booking.") from None
    return journal.append(FollowedUp(booking, state), actor, incident_id)


def time_range_of(incident: Incident, diagnoses: Sequence[DiagnosisRecord], now: datetime) -> TimeRange:
    """Return over which time an incident affected people: from when it broke, as its diagnoses say, to its end.

    Where none says since when it was broken, from the beginning of the window that was looked at.
    """
    broken = [seen for seen in diagnoses if seen.broken]
    starts = [seen.broke_at for seen in broken if seen.broke_at] or [s.buckets.begins for s in broken if s.buckets]
    since = min((*starts, incident.opened_at))
    failed = any(
        check.id == link.link_opens.id and check.status is CheckStatus.FAIL for s in diagnoses for check in s.checks
    )
    return TimeRange(since, incident.closed_at or now, since if failed else None)


# What the data say.


def affected(facts: Facts, record: FollowUpRecord = NO_FOLLOW_UPS, time_range: TimeRange | None = None) -> Affected:
    """Return who was affected over `time_range`, else over the window of the snapshot.

    Raises `CannotTellError` while the bookings or Twilio's log cannot be read: nobody would be a false zero.
    """
    journeys = facts.of_customers(facts.need_journeys(facts.snapshot.texts))
    time_range = time_range or _whole(facts, journeys)
    why = _why(journeys, time_range)
    asked = journeys.assign(
        why=why,
        person=journeys["mobile_number"].fillna(journeys["id"]),
        event=journeys["event_id"].fillna(""),
    )
    hit = asked[
        asked["why"].notna() & (asked["created_at"] >= time_range.since) & (asked["created_at"] < time_range.until)
    ]
    theirs = asked[asked["person"].isin(hit["person"])]
    events = _events(facts)
    bookings = facts.rows(facts.snapshot.bookings)
    everything = dict(iter(theirs.groupby(["person", "event"])))
    people = [
        _person(group, everything[key], bookings, record, events) for key, group in hit.groupby(["person", "event"])
    ]
    today = facts.now.astimezone(facts.terms.zone).date()
    unknowable = _unknowable(facts)
    cut = facts.snapshot.pending_bookings.truncated or facts.snapshot.texts.truncated
    return Affected(
        time_range=time_range,
        people=tuple(sorted(people, key=lambda person: _urgency(person, today))),
        seats=_seats([person for person in people if person.state is not PersonState.BOOKED], bookings),
        at_least=cut or time_range.since < facts.snapshot.rows_since,
        unknown=tuple(filter(None, (unknowable, *_unknown(facts, time_range)))),
        unknowable=unknowable,
    )


def affected_record(
    facts: Facts, record: FollowUpRecord = NO_FOLLOW_UPS, time_range: TimeRange | None = None
) -> AffectedRecord:
    """Return what the journal keeps of who was affected: counts, or why they cannot be told."""
    try:
        found = affected(facts, record, time_range)
    except CannotTellError as error:
        return AffectedRecord(None, f"Who was affected cannot be told. {error}")
    return AffectedRecord(
        count=found.count,
        message=found.message,
        at_least=found.at_least,
        states=tuple(CountRecord(state.value, count) for state, count in found.states.items()),
        seats=found.seats.estimate,
        since=_most_since(facts),
    )


def _most_since(facts: Facts) -> datetime | None:
    """From when on at least half of those who asked got no working link; None if nobody, or but one."""
    journeys = facts.of_customers(facts.need_journeys(facts.snapshot.texts))
    hit = _why(journeys, _whole(facts, journeys)).notna()
    told = hit | (journeys["delivery"] == Delivery.DELIVERED) | journeys["confirmed_at"].notna()
    cases, bad = journeys.loc[told, "created_at"], hit[told]
    cases_left = pd.Series(range(len(bad), 0, -1), index=bad.index)
    share = bad[::-1].cumsum()[::-1] / cases_left  # among each case and those after it
    since = cases[bad & (share >= MOST)]
    return None if int(bad.sum()) < thresholds.FAILURES_TO_WARN or since.empty else since.iloc[0].to_pydatetime()


def _whole(facts: Facts, journeys: pd.DataFrame) -> TimeRange:
    window = facts.snapshot.window
    return TimeRange(window.start, window.end, _link_broken_since(facts, journeys))


def _link_broken_since(facts: Facts, journeys: pd.DataFrame) -> datetime | None:
    """Since when no link is known to have worked, while the newest one does not open for a stranger; else None."""
    opening = facts.value(facts.snapshot.link_opening)
    if opening is None or opening.landing is Landing.CONFIRMATION:
        return None
    last = journeys["confirmed_at"].max()
    return facts.snapshot.window.start if pd.isna(last) else last.to_pydatetime()


def _why(journeys: pd.DataFrame, time_range: TimeRange) -> pd.Series:
    """Return per booking why it left its person without a working link; null where it did not, or nobody knows."""
    why = pd.Series(None, index=journeys.index, dtype="object")
    unconfirmed = journeys["confirmed_at"].isna() & journeys["booking_id"].isna()
    if time_range.link_broken_since is not None:
        in_vain = (journeys["sending"] == Sending.ACCEPTED) & (journeys["created_at"] >= time_range.link_broken_since)
        why[unconfirmed & in_vain & (journeys["created_at"] < time_range.until)] = AffectedReason.LINK_BROKEN
    why[unconfirmed & journeys["sending"].isin([Sending.MISSING, Sending.REFUSED])] = AffectedReason.NO_TEXT
    why[unconfirmed & (journeys["delivery"] == Delivery.FAILED)] = AffectedReason.NOT_DELIVERED
    return why


def _person(
    asked: pd.DataFrame,
    everything: pd.DataFrame,
    bookings: pd.DataFrame | None,
    record: FollowUpRecord,
    events: Mapping[str, tuple[str, str | None]],
) -> Person:
    """Return the person behind `asked`, the rows that left them without a link; `everything` is all they did."""
    newest = asked.iloc[-1]
    first: datetime = asked["created_at"].iloc[0].to_pydatetime()
    ids = tuple(str(one) for one in asked["id"])
    state, at, by = _state(ids, first, newest, everything, bookings, record)
    seats = asked["seats"].max()
    name, event_at = events.get(str(newest["event_id"]), (None, None))
    number = newest["mobile_number"]
    return Person(
        booking_id=ids[-1],
        booking_ids=ids,
        event_name=name,
        event_at=event_at,
        asked_at=first,
        seats=None if pd.isna(seats) else int(seats),
        why=AffectedReason(newest["why"]),
        error_code=None if pd.isna(newest["text_error"]) else str(newest["text_error"]),
        state=state,
        state_at=at,
        state_by=by,
        mobile_number=None if pd.isna(number) else str(number),
    )


def _state(
    ids: tuple[str, ...],
    first: datetime,
    newest: Any,
    everything: pd.DataFrame,
    bookings: pd.DataFrame | None,
    record: FollowUpRecord,
) -> tuple[PersonState, datetime | None, Actor | None]:
    """Return what became of a person, since when, and by whom. A booking outranks all; else the latest counts."""
    booked = _booked_at(first, everything, bookings)
    if booked is not None:
        return PersonState.BOOKED, booked, None
    later = everything[(everything["created_at"] > newest["created_at"]) & everything["why"].isna()]
    arrived = later.loc[later["sending"] == Sending.ACCEPTED, "text_at"].dropna()
    found: list[tuple[datetime, PersonState, Actor | None]] = [
        (at.to_pydatetime(), PersonState.RE_SENT, None) for at in arrived
    ]
    # Our own re-send is a later booking of theirs: if its text failed, `newest` is that one, and nothing was gained.
    found += [(at, PersonState.RE_SENT, by) for one in ids if (sent := record.resent.get(one)) for at, by in (sent,)]
    found = [one for one in found if one[0] > newest["created_at"]]
    marks = sorted((record.follow_ups[one] for one in ids if one in record.follow_ups), key=lambda entry: entry.seq)
    # Who was called and then asked again in vain is to be helped again.
    last = marks[-1] if marks and marks[-1].at > newest["created_at"] else None
    if last and isinstance(last.payload, FollowedUp) and last.payload.state in _STATE_OF:
        found.append((last.at, _STATE_OF[last.payload.state], last.actor))
    if not found:
        return PersonState.NOTHING, None, None
    at, state, by = max(found, key=lambda one: one[0])
    return state, at, by


def _booked_at(first: datetime, everything: pd.DataFrame, bookings: pd.DataFrame | None) -> datetime | None:
    """Return when the person booked the same event after they had first asked; None: not as far as is known."""
    since = everything[everything["created_at"] >= first]
    done = since["confirmed_at"].fillna(since["created_at"].where(since["booking_id"].notna())).dropna()
    moments = list(done)
    customers = everything["customer_id"].dropna().unique()
    if bookings is not None and len(customers):
        same = bookings["customer_id"].isin(customers) & (bookings["event_id"] == everything["event_id"].iloc[0])
        moments += list(bookings.loc[same & (bookings["created_at"] >= first), "created_at"])
    return min(moments).to_pydatetime() if moments else None


def _events(facts: Facts) -> dict[str, tuple[str, str | None]]:
    """Return name and local time of the events by id, as far as they are known."""
    events = facts.rows(facts.snapshot.events)
    if events is None:
        return {}
    known = events[["id", "name", "date", "time"]].astype("object").where(lambda frame: frame.notna(), None)
    return {
        str(row["id"]): (str(row["name"]), " ".join(filter(None, (row["date"], row["time"]))) or None)
        for row in known.to_dict("records")
    }


# What is left to do comes first, in this order.
_ORDER = (PersonState.NOTHING, PersonState.RE_SENT, PersonState.CALLED, PersonState.GAVE_UP, PersonState.BOOKED)


def _urgency(person: Person, today: date) -> tuple[int, int, str, int, datetime]:
    """The soonest event first, of one event the largest party, then who waits longest. What is past comes last."""
    when = person.event_at or ""
    place = 1 if not when else 2 if when[:10] < today.isoformat() else 0
    return _ORDER.index(person.state), place, when, -(person.seats or 0), person.asked_at


def _seats(lost: Sequence[Person], bookings: pd.DataFrame | None) -> Seats:
    """Estimate the seats of those who have not booked: as asked for, else by the usual party."""
    if not lost:
        return Seats(0, "All of them have a booking.")
    said = [person.seats for person in lost if person.seats is not None]
    silent = len(lost) - len(said)
    if not silent:
        return Seats(sum(said), "As they asked for.")
    parties = pd.Series(dtype=float) if bookings is None else bookings["seats"].dropna()
    who = f"{silent:,} of {counted(len(lost), 'request')} did not say how many seats"
    if len(parties) < FEWEST_PARTIES:
        few = "the bookings cannot be read" if bookings is None else "too few bookings were made to estimate from"
        return Seats(None, f"Unknown: {who}, and {few}.")
    usual = float(parties.astype(float).mean())
    how = f"{who}: counted with {usual:.1f} seats each, the mean of the {len(parties):,} bookings of the window."
    return Seats(sum(said) + round(silent * usual), how)


def _unknowable(facts: Facts) -> str:
    """Say that whoever tried cannot be known, where their calls are refused or lost before anything logs them."""
    if CheckStatus.FAIL not in (demand.api_key_active(facts).status, demand.front_door(facts).status):
        return ""
    usual = facts.usual_demand
    expected = "" if usual is None else f" About {usual:.1f} bookings are usual in such a window."
    return f"Who tried to book cannot be known: refused calls are not logged.{expected}"


def _unknown(facts: Facts, time_range: TimeRange) -> tuple[str, ...]:
    """Return in sentences what this cannot say, for want of a reading."""
    snapshot = facts.snapshot
    caveats = (caveat for reading in (snapshot.pending_bookings, snapshot.texts) for caveat in reading.caveats)
    # A column that is missing hides nobody: a booking whose text cannot be joined for want of it is counted below.
    found = [caveat.sentence for caveat in caveats if caveat.kind is not CaveatKind.MISSING_COLUMN]
    if time_range.since < snapshot.rows_since:
        read = facts.clock(snapshot.rows_since)
        found.append(f"Single bookings were read from {read} on: before that, more people may be affected.")
    if facts.rows(snapshot.events) is None:
        found.append(f"Which event comes first is not known. {facts.why_unusable(snapshot.events)}")
    if facts.rows(snapshot.bookings) is None:
        found.append(f"Who booked in another way is not known. {facts.why_unusable(snapshot.bookings)}")
    uncertain = 0 if facts.journeys is None else int((facts.journeys["sending"] == Sending.UNCERTAIN).sum())
    if uncertain:
        which = counted(uncertain, "booking")
        found.append(f"For {which} a text went to the number; whether it carried the link cannot be told.")
    if not snapshot.link_opening.usable(facts.now):
        why = facts.why_unusable(snapshot.link_opening)
        found.append(f"Whether the links that arrived open is not known: there may be more. {why}")
    return tuple(found)
