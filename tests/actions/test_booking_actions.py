"""A test booking is judged by its own row, text and link, and ends as what the app said of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pandas as pd
import pytest

from lib.actions.action import Action, ActionContext, Preview, RefusedError
from lib.actions.booking_actions import (
    RESENDS_AT_ONCE,
    RESENDS_PER_HOUR,
    RecheckLink,
    ResendLink,
    ResendLinks,
    TestBooking,
    TestValidation,
)
from lib.actions.executor import Executor, Order
from lib.actions.preview_store import PreviewStore
from lib.affected import follow_ups_of
from lib.journal.entry import Kind, Progress
from lib.journal.journal import Journal
from lib.journal.request import Request, RequestState
from lib.model import frames
from lib.model.frames import MetadataState
from lib.model.phone import masked
from lib.model.provider import TwilioAccount
from lib.model.reading import FailureKind, Observed, SourceError
from lib.settings import Settings
from lib.sources.booking_app import BookingApp
from lib.sources.http import Http
from tests.actions.conftest import OPERATOR
from tests.diagnosis import builders
from tests.sources.conftest import http, server
from tests.sources.fake_server import FakeServer, Scripted, as_json

__all__ = ["http", "server"]  # fixtures of the sources' tests

START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
OURS = "+447911123456"
THEIRS = "+447911654321"
INITIATE = "/api/bookings/initiate"
EVENT = {
    "id": "0a7c1d1e-5b2f-4a55-9d0e-3f6a8a1f9c01",
    "name": "Quiz night",
    "date": "2026-06-09",
    "event_status": "scheduled",
}


@dataclass
class Outside:
    """What the database and Twilio hold. Rows are added by tests, in whatever order they come."""

    pending: list[dict[str, Any]] = field(default_factory=list)
    texts: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)
    links_can_be_read: bool = True

    def read(self, query: Any, window: Any, deadline: Any) -> Observed[pd.DataFrame]:
        if query.table == "short_links" and not self.links_can_be_read:
            raise SourceError(FailureKind.FORBIDDEN, "Our key may not read short_links.")
        rows = {"pending_bookings": self.pending, "events": [EVENT], "short_links": self.links}[query.table]
        return Observed(frames.frame(query.schema, rows))

    def log_of_texts(self, window: Any, deadline: Any) -> Observed[pd.DataFrame]:
        return Observed(frames.frame(frames.TEXTS, [t for t in self.texts if t["created_at"] >= window.start]))

    def book(self, name: str, at: datetime, number: str = OURS, sid: str | None = None) -> None:
        state = MetadataState.STORED if sid else MetadataState.NULL
        self.pending.append(
            {"id": name, "token": f"token-{name}", "event_id": EVENT["id"], "mobile_number": number, "created_at": at}
            | {"metadata_state": state, "sms_sid": sid, "expires_at": at + timedelta(days=1)}
        )

    def text(self, sid: str, at: datetime, status: str, code: str | None = None, number: str = OURS) -> None:
        """Put a text on top of Twilio's list, which comes newest first."""
        row = {"sid": sid, "status": status, "direction": "outbound-api", "to_number": number, "created_at": at}
        self.texts.insert(0, row | {"link_code": code, "body_digest": code and f"digest-{code}"})

    def link(self, name: str, code: str, at: datetime) -> None:
        self.links.append({"id": code, "short_code": code, "token": f"token-{name}", "created_at": at})


@dataclass
class Clock:
    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@dataclass
class World:
    outside: Outside
    app: FakeServer
    clock: Clock
    executor: Executor

    def answers(self, body: Any, status: int) -> None:
        self.app.tell(INITIATE, as_json(body, status))

    def makes(self, name: str, sms_sent: bool = True) -> None:
        self.answers({"booking_token": f"token-{name}", "sms_sent": sms_sent}, 201)

    def done(self, action: str, **args: str) -> Request:
        preview = self.executor.preview(action, args)
        assert not preview.blocked, preview.preflight
        order = Order(action, args, preview.digest, phrase=preview.phrase or "", reason="a test")
        request = self.executor.submit(order, OPERATOR)
        assert request.state is RequestState.REQUESTED, request.message
        return self.executor.carry_out(request.id, OPERATOR)


@pytest.fixture
def world(tmp_path: Path, server: FakeServer, http: Http) -> Iterator[World]:
    server.everything = None
    for name in ("old", "new", "lost"):
        server.tell(f"/booking-confirmation/token-{name}", Scripted(b"<h1>Confirm</h1>"))
    settings = Settings.model_validate(
        {
            "journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}",
            "booking_app_url": server.url,
            "booking_api_key": "key",
            "test_event_id": EVENT["id"],
            "test_mobile_number": OURS,
        }
    )
    outside, clock = Outside(), Clock()
    app = BookingApp(http=http, base_url=server.url, clock=clock)
    sources = SimpleNamespace(booking_data=outside, twilio=SimpleNamespace(texts=outside.log_of_texts), booking_app=app)
    journal = Journal.open(settings, clock)
    context = ActionContext(cast(Any, sources), settings, clock, builders.snapshot)
    actions: tuple[Action, ...] = (TestBooking(), TestValidation(), ResendLink(), ResendLinks(), RecheckLink())
    executor = Executor(journal, context, {one.id: one for one in actions}, PreviewStore(), sleep=clock.sleep)
    yield World(outside, server, clock, executor)
    journal.close()


def an_earlier_test(outside: Outside, sid: str | None = "SM1") -> None:
    """One that was delivered 35 seconds ago: within the allowance for clocks that differ."""
    at = START - timedelta(seconds=35)
    outside.book("old", at, sid=sid)
    outside.text("SM1", at, "delivered", "old1")
    outside.link("old", "old1", at)


def test_a_text_of_a_booking_just_before_proves_nothing_about_this_one(world: World) -> None:
    an_earlier_test(world.outside)
    world.outside.book("new", START, sid="SM2")
    world.makes("new")
    request = world.done("test_booking")
    assert request.state is RequestState.UNKNOWN
    assert "text: not seen" in request.message


@pytest.mark.parametrize("sid", ["SM2", None], ids=["by its SID", "by its link"])
def test_the_own_text_is_found_wherever_it_stands_in_twilios_list(world: World, sid: str | None) -> None:
    an_earlier_test(world.outside, "SM1" if sid else None)
    world.outside.book("new", START, sid=sid)
    world.outside.text("SM2", START, "undelivered", "new1")
    world.outside.link("new", "new1", START)
    world.makes("new")
    for _ in range(2):
        request = world.done("test_booking")
        assert request.state is RequestState.FAILED
        assert "text: undelivered" in request.message
        world.outside.texts.reverse()
        world.clock.sleep(31)


def test_whether_a_text_is_stored_is_asked_of_the_own_booking_alone(world: World) -> None:
    an_earlier_test(world.outside)
    world.outside.book("new", START)
    world.outside.text("SM2", START, "delivered", "new1")
    world.outside.link("new", "new1", START)
    world.makes("new")
    request = world.done("test_booking")
    assert request.state is RequestState.FAILED
    assert "text stored with it: no; text: delivered; link: confirmation" in request.message


def test_a_test_that_came_through_every_hop_has_succeeded(world: World) -> None:
    an_earlier_test(world.outside)
    world.outside.book("new", START, sid="SM2")
    world.outside.text("SM2", START, "delivered", "new1")
    world.makes("new")
    request = world.done("test_booking")
    assert request.state is RequestState.SUCCEEDED, request.message
    assert len(world.app.asked_for("/booking-confirmation/token-new")) == 1
    assert not world.app.asked_for("/booking-confirmation/token-old")


def test_where_twilio_keeps_no_bodies_and_no_links_can_be_read_number_and_time_decide(world: World) -> None:
    an_earlier_test(world.outside, None)
    world.outside.links_can_be_read = False
    world.outside.book("new", START)
    world.outside.text("SM2", START + timedelta(seconds=1), "undelivered")
    world.makes("new")
    request = world.done("test_booking")
    assert request.state is RequestState.FAILED
    assert "text: undelivered" in request.message


@pytest.mark.parametrize("action", ["test_booking", "resend_link"])
def test_a_booking_whose_text_the_app_did_not_send_has_failed_at_once(world: World, action: str) -> None:
    world.outside.book("old", START - timedelta(hours=2), THEIRS)
    world.makes("new", sms_sent=False)
    request = world.done(action, **({"booking": "old"} if action == "resend_link" else {}))
    assert request.state is RequestState.FAILED
    assert world.clock.now == START
    assert "sms_sent: false" in request.message and "sent no text: sending failed" in request.message
    assert "Nothing was changed" not in request.message
    assert request.receipt is not None and request.receipt.after[0].value == "a pending booking, and no text"


def test_a_call_that_is_tried_for_nobodys_number_needs_no_text(world: World) -> None:
    world.outside.book("new", START, "+447700900000")
    world.makes("new", sms_sent=False)
    request = world.done("test_validation")
    assert request.state is RequestState.SUCCEEDED, request.message


def test_an_app_that_failed_half_way_leaves_an_unknown_outcome(world: World) -> None:
    an_earlier_test(world.outside)
    world.answers({"success": False, "error": {"code": "DATABASE_ERROR", "message": "no"}}, 500)
    request = world.done("test_booking")
    assert request.state is RequestState.UNKNOWN
    assert "A pending booking may have been left behind." in request.message
    assert "Nothing was changed" not in request.message


def test_a_booking_that_was_left_behind_is_found_and_followed(world: World) -> None:
    an_earlier_test(world.outside)
    world.answers({"success": False, "error": {"code": "SYSTEM_ERROR", "message": "no"}}, 500)
    request = world.done("test_booking")
    assert request.state is RequestState.UNKNOWN
    world.outside.book("lost", START, sid="SM2")
    world.outside.text("SM2", START, "delivered")
    seen = world.executor.recheck(request.id, OPERATOR)
    assert seen.state is RequestState.SUCCEEDED, seen.message


def test_a_refusal_of_the_app_changed_nothing(world: World) -> None:
    world.answers({"success": False, "error": {"code": "EVENT_FULL", "message": "full"}}, 400)
    request = world.done("test_booking")
    assert request.state is RequestState.FAILED
    assert "The event is full." in request.message and request.message.endswith("Nothing was changed.")


def test_a_person_who_booked_again_meanwhile_is_not_sent_one_link_more(world: World) -> None:
    world.outside.book("old", START - timedelta(hours=2), THEIRS)
    preview = world.executor.preview("resend_link", {"booking": "old"})
    world.outside.book("new", START - timedelta(minutes=1), THEIRS)
    order = Order("resend_link", {"booking": "old"}, preview.digest, phrase=preview.phrase or "", reason="a test")
    request = world.executor.submit(order, OPERATOR)
    assert request.state is RequestState.REFUSED
    assert "newest booking of this number: old → new" in request.message


def test_without_an_open_booking_there_is_no_link_to_try_and_no_doubt_about_it(world: World) -> None:
    nobody = builders.snapshot(pending_bookings=builders.table(frames.PENDING_BOOKINGS))
    world.executor.context = dataclasses.replace(world.executor.context, take_snapshot=lambda: nobody)
    request = world.done("recheck_link")
    assert request.state is RequestState.FAILED
    assert request.message == "There is no open booking whose link could be opened."
    assert world.done("recheck_link").state is RequestState.FAILED, "its target is free"


# Many links at once.

PEOPLE = ("old", "second", "third")


def three_people(world: World) -> str:
    """Three people who booked two hours ago and got no text; return the argument that names them."""
    for n, name in enumerate(PEOPLE):
        world.outside.book(name, START - timedelta(hours=2), f"+44791165432{n}")
    return ",".join(PEOPLE)


def preflight_message(preview: Preview, check: str) -> str:
    return next(one.message for one in preview.preflight if one.id == check)


def calls(world: World) -> list[str]:
    """The numbers that the app was asked to book for, in order."""
    return [json.loads(asked.body)["mobile_number"] for asked in world.app.asked_for(INITIATE)]


def book_what_is_asked_for(world: World, status: str = "delivered") -> None:
    """Let each call that the app took be a new booking with its text from the next look on."""
    read, log = world.outside.read, world.outside.log_of_texts

    def write() -> None:
        for n, number in enumerate(calls(world)):
            if not any(row["id"] == f"new-{n}" for row in world.outside.pending):
                world.outside.book(f"new-{n}", world.clock.now, number, sid=f"SM{n}")
                world.outside.text(f"SM{n}", world.clock.now, status, number=number)

    def read_after(*arguments: Any) -> Observed[pd.DataFrame]:
        write()
        return read(*arguments)

    def log_after(*arguments: Any) -> Observed[pd.DataFrame]:
        write()
        return log(*arguments)

    world.outside.read = read_after  # type: ignore[method-assign]
    world.executor.context.sources.twilio.texts = log_after  # type: ignore[method-assign]


def lines_of(world: World, request: Request) -> list[str]:
    entries = world.executor.journal.entries(kinds=[Kind.PROGRESS])
    return [e.payload.message for e in entries if isinstance(e.payload, Progress) and e.about.request_id == request.id]


def test_the_preview_of_many_links_says_how_many_and_to_whom_without_a_number(world: World) -> None:
    preview = world.executor.preview("resend_links", {"bookings": three_people(world)})
    assert not preview.blocked and preview.phrase == "3 people"
    assert [call.partition("  for ")[2] for call in preview.calls] == [
        f"{masked(f'+44791165432{n}')}, Quiz night, 2026-06-09" for n in range(3)
    ]
    assert "+44791" not in repr(preview)
    assert preflight_message(preview, "people") == f"3 people of at most {RESENDS_AT_ONCE} at once."


def test_who_confirmed_or_was_texted_lately_is_left_out_and_named(world: World) -> None:
    bookings = three_people(world)
    world.outside.pending[0]["confirmed_at"] = START - timedelta(hours=1)
    world.outside.text("SM9", START - timedelta(minutes=5), "sent", number="+447911654321")
    preview = world.executor.preview("resend_links", {"bookings": bookings})
    assert preview.phrase == "1 person" and len(preview.calls) == 1
    left_out = [check.message for check in preview.preflight if check.id == "left_out"]
    assert len(left_out) == 2 and "they have confirmed" in left_out[0] and "half hour" in left_out[1]
    world.outside.text("SM8", START - timedelta(minutes=5), "sent", number="+447911654322")
    assert world.executor.preview("resend_links", {"bookings": bookings}).blocked


def test_each_link_of_many_is_a_line_in_the_journal_and_a_second_click_is_the_same_order(world: World) -> None:
    bookings = three_people(world)
    world.makes("any")
    book_what_is_asked_for(world)
    preview = world.executor.preview("resend_links", {"bookings": bookings})
    order = Order("resend_links", {"bookings": bookings}, preview.digest, phrase="3 people", reason="a test")
    request = world.executor.submit(order, OPERATOR)
    assert world.executor.submit(order, OPERATOR).id == request.id
    done = world.executor.carry_out(request.id, OPERATOR)
    assert world.executor.carry_out(request.id, OPERATOR).id == done.id
    assert done.state is RequestState.SUCCEEDED, done.message
    assert "3 of 3 were sent a new link." in done.message and "Delivered: 3 of 3" in done.message
    assert calls(world) == ["+447911654320", "+447911654321", "+447911654322"]
    for n, name in enumerate(PEOPLE, 1):
        place = f"{n} of 3, booking {name}: The app answered 201"
        assert sum(line.startswith(place) for line in lines_of(world, done)) == 1
    record = follow_ups_of(world.executor.journal, START - timedelta(days=1))
    assert set(record.resent) == set(PEOPLE), "each of them counts as texted again"


def test_many_links_stop_at_the_first_refusal_and_say_how_far_they_came(world: World) -> None:
    bookings = three_people(world)
    full = {"success": False, "error": {"code": "EVENT_FULL", "message": "full"}}
    world.app.tell(INITIATE, as_json({"booking_token": "token-a", "sms_sent": True}, 201), as_json(full, 400))
    request = world.done("resend_links", bookings=bookings)
    assert request.state is RequestState.FAILED
    assert request.message.startswith("1 of 3 were sent a new link. It stopped at number 2:")
    assert "The others were not tried." in request.message and "Nothing was changed" not in request.message
    assert len(calls(world)) == 2
    assert any(line.startswith("2 of 3, booking second:") and "full" in line for line in lines_of(world, request))


def test_a_first_refusal_changed_nothing_and_a_lost_answer_is_an_unknown_outcome(world: World) -> None:
    bookings = three_people(world)
    world.answers({"success": False, "error": {"code": "EVENT_FULL", "message": "full"}}, 400)
    request = world.done("resend_links", bookings=bookings)
    assert request.state is RequestState.FAILED and request.message.endswith("Nothing was changed.")
    assert len(calls(world)) == 1
    world.clock.now += timedelta(hours=1)
    world.answers({"success": False, "error": {"code": "DATABASE_ERROR", "message": "no"}}, 500)
    request = world.done("resend_links", bookings=bookings)
    assert request.state is RequestState.UNKNOWN and "Nothing was changed" not in request.message
    assert len(calls(world)) == 2


def test_a_text_that_fails_is_no_success_of_many_links(world: World) -> None:
    bookings = three_people(world)
    world.makes("any")
    book_what_is_asked_for(world, status="undelivered")
    request = world.done("resend_links", bookings=bookings)
    assert request.state is RequestState.FAILED and "failed: 3" in request.message


def test_no_more_than_the_cap_at_once_and_no_person_twice(world: World) -> None:
    names = [f"b{n}" for n in range(RESENDS_AT_ONCE + 1)]
    for n, name in enumerate(names):
        world.outside.book(name, START - timedelta(hours=2), f"+4479116500{n:02}")
    world.outside.book("again", START - timedelta(hours=1), "+447911650000")
    with pytest.raises(RefusedError, match=f"At most {RESENDS_AT_ONCE} people"):
        world.executor.preview("resend_links", {"bookings": ",".join(names)})
    assert not world.executor.preview("resend_links", {"bookings": ",".join(names[1:])}).blocked
    with pytest.raises(RefusedError, match="of one person"):
        world.executor.preview("resend_links", {"bookings": "b0,again"})


def test_one_link_and_many_share_the_pause_of_each_person_and_the_limit_of_an_hour(world: World) -> None:
    bookings = three_people(world)
    world.makes("any", sms_sent=False)  # no text goes out, so that Twilio's log stops nobody
    world.done("resend_link", booking="old")
    many = world.executor.preview("resend_links", {"bookings": bookings})
    assert "For 1 of 3" in preflight_message(many, "pause") and many.blocked
    assert not world.executor.preview("resend_links", {"bookings": "second,third"}).blocked
    world.done("resend_links", bookings="second,third")
    one = world.executor.preview("resend_link", {"booking": "third"})
    assert "For 1 of 1" in preflight_message(one, "pause") and one.blocked
    assert (
        preflight_message(one, "hourly") == f"It was done 3 times within the hour, of {RESENDS_PER_HOUR} that may be."
    )
    assert "2 more would be too many" in preflight_message(
        limited(world, 4).preview("resend_links", {"bookings": "a,b"}), "hourly"
    )


def limited(world: World, per_hour: int) -> Executor:
    """The same executor where fewer links may be sent in an hour."""

    class Few(ResendLinks):
        per_hour: ClassVar[int | None] = 4

    assert Few.per_hour == per_hour
    for n, name in enumerate("ab"):
        world.outside.book(name, START - timedelta(hours=2), f"+44791165000{n}")
    return dataclasses.replace(world.executor, actions={**world.executor.actions, "resend_links": Few()})


@pytest.mark.parametrize("action", ["resend_link", "resend_links"])
def test_nobody_is_texted_while_texts_do_not_go_out(world: World, action: str) -> None:
    bookings = three_people(world)
    now = builders.NOW
    refused = builders.snapshot(account=TwilioAccount("AC", "suspended", "Full"))
    world.executor.context = dataclasses.replace(
        world.executor.context, take_snapshot=lambda: refused, clock=lambda: now
    )
    args = {"booking": "old"} if action == "resend_link" else {"bookings": bookings}
    world.outside.pending = [{**row, "created_at": now - timedelta(hours=2)} for row in world.outside.pending]
    preview = world.executor.preview(action, args)
    assert preview.blocked
    assert preflight_message(preview, "flow").startswith("A new link would not help now. Texts cannot be sent.")
    order = Order(action, args, preview.digest, phrase=preview.phrase or "", reason="a test")
    request = world.executor.submit(order, OPERATOR)
    assert request.state is RequestState.REFUSED and calls(world) == []
