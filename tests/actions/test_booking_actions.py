"""A test booking is judged by its own row, text and link, and ends as what the app said of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from lib.actions.action import Action, ActionContext
from lib.actions.booking_actions import RecheckLink, ResendLink, TestBooking, TestValidation
from lib.actions.executor import Executor, Order
from lib.actions.preview_store import PreviewStore
from lib.journal.journal import Journal
from lib.journal.request import Request, RequestState
from lib.model import frames
from lib.model.frames import MetadataState
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
    actions: tuple[Action, ...] = (TestBooking(), TestValidation(), ResendLink(), RecheckLink())
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
