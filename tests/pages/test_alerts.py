"""Alerts on the glass: what fires is seen by everybody, and decided about by operators, with a reason."""

from __future__ import annotations

from datetime import timedelta

import pytest

from lib.journal.entry import Acknowledgement, Kind, Mute
from lib.monitor.state import Severity, Story
from lib.monitor.status import Firing, MonitorStatus
from lib.settings import Settings
from lib.snapshot import utc_now
from lib.ui import guard
from lib.ui.hands import Hands
from tests.pages import synthetic
from tests.pages.conftest import Open, sent

STORY = Story(f"Texts are not recorded {synthetic.HOSTILE}", cause="A column is missing.", severity=Severity.CRITICAL)
PEOPLE = Settings.model_validate({"operators": "ana@example.com", "viewers": "owner@example.com"})
VIEWER = {"is_logged_in": True, "email": "owner@example.com"}


@pytest.fixture
def firing(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> Hands:
    """Hands whose watch says that the flow's alert fires."""
    alert = Firing("flow", "Texts flow", STORY, utc_now() - timedelta(minutes=9), utc_now(), utc_now(), None, None)
    status = MonitorStatus(utc_now(), "here 1", None, (alert,), 0)
    monkeypatch.setattr(hands, "watched", lambda: status)
    return hands


def test_an_alert_stands_on_status_in_a_line_and_on_systems_with_its_cause_as_text(
    open_page: Open, firing: Hands
) -> None:
    assert b"<b>Texts flow</b>" in sent(open_page("status", synthetic.planted(), hands=firing))
    out = sent(open_page("systems", synthetic.planted(), hands=firing)).decode(errors="replace")
    assert "A column is missing." in out and "Texts are not recorded" in out
    assert "<img src=x" not in out


def test_whoever_is_on_it_says_so_with_a_reason(open_page: Open, firing: Hands) -> None:
    test = open_page("systems", synthetic.planted(), hands=firing)
    test.button(key="do_ack_flow").click().run()
    assert firing.journal.entries(kinds=[Kind.ACKNOWLEDGEMENT]) == (), "not without a reason"
    test.text_input(key="ack_flow").set_value("calling Twilio")
    test.button(key="do_ack_flow").click().run()
    (entry,) = firing.journal.entries(kinds=[Kind.ACKNOWLEDGEMENT])
    assert entry.payload == Acknowledgement("flow", "calling Twilio")


def test_an_alert_is_muted_for_a_while(open_page: Open, firing: Hands) -> None:
    test = open_page("systems", synthetic.planted(), hands=firing)
    test.text_input(key="mute_flow").set_value("known, fixed tonight")
    test.button(key="do_mute_flow").click().run()
    (entry,) = firing.journal.entries(kinds=[Kind.MUTE])
    assert isinstance(entry.payload, Mute)
    assert timedelta(minutes=29) < entry.payload.until - utc_now() <= timedelta(minutes=30)


def test_a_viewer_sees_the_alert_and_decides_nothing(
    open_page: Open, firing: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.settings_, "load", lambda: PEOPLE)
    test = open_page("systems", synthetic.planted(), hands=firing, user=VIEWER, settings=PEOPLE)
    assert b"A column is missing." in sent(test)
    assert not [button.key for button in test.button if button.key and "flow" in button.key]


def test_a_watch_that_fell_silent_is_not_called_watched(
    open_page: Open, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = MonitorStatus(utc_now() - timedelta(hours=2), None, None, (), 0)
    monkeypatch.setattr(hands, "watched", lambda: status)
    out = sent(open_page("systems", synthetic.planted(), hands=hands)).decode(errors="replace")
    assert "The watch has stopped" in out and "Somebody watches" not in out
