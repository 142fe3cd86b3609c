"""Who was affected, on the pages: the work list, what operators mark on it, and what a viewer is sent."""

from __future__ import annotations

from datetime import timedelta

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from lib.actions.booking_actions import RESENDS_AT_ONCE
from lib.affected import RESEND_MANY, PersonState, follow_ups_of
from lib.journal.entry import FollowedUp, FollowUp, Kind
from lib.model import frames
from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.ui import affected_view, labels
from lib.ui.action_service import ActionService
from tests.diagnosis import builders
from tests.pages import synthetic
from tests.pages.conftest import Open, sent
from tests.pages.synthetic import NOW

# The planted world: four requests of one phone for one event, the first text undelivered, the last never sent.
LAST = "00000000-0000-4000-8000-000000000003"


def bookings(open_page: Open, action_service: ActionService | None, **more: object) -> AppTest:
    test = open_page("bookings", synthetic.planted(), action_service=action_service, **more)
    assert not test.exception
    return test


def keys(test: AppTest) -> set[str]:
    return {button.key for button in test.button}


def card(test: AppTest) -> str:
    """The box beside the table: whoever is chosen."""
    return next(piece.value for piece in test.get("html") if "· asked" in piece.value)


def table(test: AppTest, key: str) -> pd.DataFrame:
    return next(found.value for found in test.dataframe if found.key == key)


def test_each_person_is_a_row_with_a_masked_number_the_reason_and_what_can_be_done(
    open_page: Open, action_service: ActionService
) -> None:
    test = bookings(open_page, action_service)
    assert {f"resend_{LAST}", f"called_{LAST}", f"gave_up_{LAST}"} <= keys(test)
    assert "••123" in card(test) and "2 seats" in card(test) and "No text was sent" in card(test)
    assert "<img" not in card(test) and [secret for secret in synthetic.PLANTED if secret.encode() in sent(test)] == []
    shared = bookings(open_page, action_service, state={"share": True})
    assert "••123" not in card(shared)


def test_the_list_shows_each_number_once_with_its_state_first(open_page: Open, action_service: ActionService) -> None:
    rows = table(bookings(open_page, action_service), "people")
    assert list(rows.columns)[:2] == ["state", "number"]
    assert [list(state) for state in rows["state"]] == [["! still to help"]]
    assert "••123" in rows["number"][0]


def test_an_address_that_names_a_booking_opens_it_beside_the_table(
    open_page: Open, action_service: ActionService
) -> None:
    test = bookings(open_page, action_service, state={"chosen": LAST})
    assert f"Booking {LAST}".encode() in sent(test)
    assert test.session_state["people"]["selection"]["rows"] == [0]
    other = bookings(open_page, action_service, state={"chosen": "00000000-0000-4000-8000-000000000009"})
    assert b"not among those of the window" in sent(other)


def test_all_who_wait_can_be_sent_a_link_at_once_and_no_more_than_may_be(
    open_page: Open, action_service: ActionService
) -> None:
    test = open_page("bookings", many(RESENDS_AT_ONCE + 2), action_service=action_service)
    assert not test.exception
    button = test.button(key="resend_all")
    assert button.label == f"Send a new link to the first {RESENDS_AT_ONCE}"
    assert f"{RESENDS_AT_ONCE + 2} people, {RESENDS_AT_ONCE + 2} to go".encode() in sent(test)
    button.click().run()
    ask = test.session_state["ask"]
    assert ask.action == RESEND_MANY and len(ask.args["bookings"].split(",")) == RESENDS_AT_ONCE
    two = open_page("bookings", many(2), action_service=action_service)
    assert two.button(key="resend_all").label == "Send a new link to all 2"
    assert "resend_all" not in keys(open_page("bookings", many(1), action_service=action_service))


def many(people: int) -> Snapshot:
    """So many people who asked two hours ago and got no text."""
    rows = [
        builders.booking(n, NOW - timedelta(hours=2), id=f"00000000-0000-4000-9000-{n:012}", sms_sid=None)
        for n in range(people)
    ]
    pending = builders.table(frames.PENDING_BOOKINGS, rows)
    return synthetic.snapshot(synthetic.values() | {"pending_bookings": pending, "texts": builders.table(frames.TEXTS)})


def test_called_is_written_down_once_shown_and_taken_back(open_page: Open, action_service: ActionService) -> None:
    test = bookings(open_page, action_service)
    incident = action_service.journal.open_incident("No texts", synthetic_actor())
    action_service.changed()
    test.button(key=f"called_{LAST}").click().run()
    (entry,) = action_service.journal.entries(kinds=[Kind.FOLLOW_UP])
    assert isinstance(entry.payload, FollowedUp) and entry.payload.state is FollowUp.CALLED
    assert entry.about.incident_id == incident.id
    assert labels.PERSON[PersonState.CALLED].word in card(test)
    test.button(key=f"nothing_{LAST}").click().run()
    assert len(action_service.journal.entries(kinds=[Kind.FOLLOW_UP])) == 2
    assert labels.PERSON[PersonState.NOTHING].word in card(test)
    assert follow_ups_of(action_service.journal, incident.opened_at).follow_ups[LAST].payload.state is FollowUp.NOTHING


def synthetic_actor() -> object:
    from lib.model.people import Actor, Role, Via

    return Actor("ana@example.com", Role.OPERATOR, Via.PAGE)


def test_a_viewer_sees_the_list_and_can_mark_nothing(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate({"operators": "ana@example.com", "viewers": "owner@example.com"})
    monkeypatch.setattr("lib.ui.guard.settings_.load", lambda: settings)
    test = bookings(
        open_page, action_service, settings=settings, user={"is_logged_in": True, "email": "owner@example.com"}
    )
    assert "••123" in card(test) and keys(test) == set()
    monkeypatch.setattr(
        "lib.ui.action_dialog.diagnosis_service",
        lambda: type("Service", (), {"action_service": lambda self: action_service})(),
    )
    monkeypatch.setattr("lib.ui.action_dialog.who_looks", lambda: affected_viewer())
    affected_view.record_follow_up((LAST,), FollowUp.CALLED, None)  # as a forged click would
    assert action_service.journal.entries(kinds=[Kind.FOLLOW_UP]) == ()


def affected_viewer() -> object:
    from lib.model.people import Role
    from lib.ui.guard import Viewer

    return Viewer("owner@example.com", Role.VIEWER)


def test_status_counts_them_and_leads_to_the_list(open_page: Open, action_service: ActionService) -> None:
    out = sent(open_page("status", synthetic.planted(), action_service=action_service))
    assert b"1 person got no working link" in out and b"1 still to help" in out


def test_without_bookings_or_texts_it_is_cannot_tell_and_no_number(
    open_page: Open, action_service: ActionService
) -> None:
    for page in ("status", "bookings"):
        out = sent(open_page(page, synthetic.partial(), action_service=action_service))
        assert b"Cannot tell" in out
        assert b"Still to help" not in out
        assert b"Nobody is known" not in out


def test_the_incident_has_the_list_of_its_own_time_range(open_page: Open, action_service: ActionService) -> None:
    incident = action_service.journal.open_incident("No texts", synthetic_actor())
    test = open_page(
        "incidents", synthetic.planted(), action_service=action_service, state={"incident": str(incident.id)}
    )
    assert not test.exception
    assert b"Who they are, and what to do for each" in sent(test)
