"""Alerts on the pages: everybody sees what fires, and operators decide about it, with a reason."""

from __future__ import annotations

import dataclasses
import re
from datetime import timedelta
from pathlib import Path

import pytest

from lib.journal.entry import Acknowledgement, Kind, Mute, Unmute
from lib.monitor.alert_state import AlertContent, Severity
from lib.monitor.monitor_status import Firing, MonitorStatus, Unsent
from lib.monitor.silences import Silence
from lib.settings import Settings
from lib.snapshot import utc_now
from lib.ui import alerts_view, guard
from lib.ui.action_service import ActionService
from tests.pages import synthetic
from tests.pages.conftest import Open, sent

ROOT = Path(__file__).resolve().parents[2]

STORY = AlertContent(
    f"Texts are not recorded {synthetic.HOSTILE}", cause="A column is missing.", severity=Severity.CRITICAL
)
PEOPLE = Settings.model_validate({"operators": "ana@example.com", "viewers": "owner@example.com"})
VIEWER = {"is_logged_in": True, "email": "owner@example.com"}


@pytest.fixture
def firing(action_service: ActionService, monkeypatch: pytest.MonkeyPatch) -> ActionService:
    """An action service whose monitor reports that the flow's alert fires."""
    alert = Firing("flow", "Texts flow", STORY, utc_now() - timedelta(minutes=9), utc_now(), utc_now(), None, None)
    status = MonitorStatus(utc_now(), "here 1", None, (alert,), 0)
    monkeypatch.setattr(action_service, "watched", lambda: status)
    return action_service


def test_an_alert_stands_on_status_in_a_line_and_on_systems_with_its_cause_as_text(
    open_page: Open, firing: ActionService
) -> None:
    assert b"<b>Texts flow</b>" in sent(open_page("status", synthetic.planted(), action_service=firing))
    out = sent(open_page("systems", synthetic.planted(), action_service=firing)).decode(errors="replace")
    assert "A column is missing." in out and "Texts are not recorded" in out
    assert "<img src=x" not in out


def test_an_alert_is_acknowledged_with_a_reason(open_page: Open, firing: ActionService) -> None:
    test = open_page("systems", synthetic.planted(), action_service=firing)
    test.button(key="do_ack_flow").click().run()
    assert firing.journal.entries(kinds=[Kind.ACKNOWLEDGEMENT]) == (), "not without a reason"
    test.text_input(key="ack_flow").set_value("calling Twilio")
    test.button(key="do_ack_flow").click().run()
    (entry,) = firing.journal.entries(kinds=[Kind.ACKNOWLEDGEMENT])
    assert entry.payload == Acknowledgement("flow", "calling Twilio")


def test_an_alert_is_muted_for_a_while(open_page: Open, firing: ActionService) -> None:
    test = open_page("systems", synthetic.planted(), action_service=firing)
    test.text_input(key="mute_flow").set_value("known, fixed tonight")
    test.button(key="do_mute_flow").click().run()
    (entry,) = firing.journal.entries(kinds=[Kind.MUTE])
    assert isinstance(entry.payload, Mute)
    assert timedelta(minutes=29) < entry.payload.until - utc_now() <= timedelta(minutes=30)


def test_a_viewer_sees_the_alert_and_decides_nothing(
    open_page: Open, firing: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard.settings_, "load", lambda: PEOPLE)
    test = open_page("systems", synthetic.planted(), action_service=firing, user=VIEWER, settings=PEOPLE)
    assert b"A column is missing." in sent(test)
    assert not [button.key for button in test.button if button.key and "flow" in button.key]


def test_a_monitor_that_stopped_is_not_shown_as_running(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = MonitorStatus(utc_now() - timedelta(hours=2), None, None, (), 0)
    monkeypatch.setattr(action_service, "watched", lambda: status)
    out = sent(open_page("systems", synthetic.planted(), action_service=action_service)).decode(errors="replace")
    assert "The monitor has stopped" in out and "The monitor runs" not in out


def watched_as(action_service: ActionService, monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    """Let the monitor be healthy, but for `changed`."""
    status = dataclasses.replace(MonitorStatus(utc_now(), "here 1", None, (), 0), **changed)  # type: ignore[arg-type]
    monkeypatch.setattr(action_service, "watched", lambda: status)


@pytest.mark.parametrize(
    ("minutes", "abandoned", "stopped"),
    [(1, False, False), (12, False, False), (25, False, False), (31, False, True), (5, True, True)],
)
def test_a_scheduled_monitor_has_not_stopped_between_two_rounds(
    open_page: Open,
    action_service: ActionService,
    monkeypatch: pytest.MonkeyPatch,
    minutes: int,
    abandoned: bool,
    stopped: bool,
) -> None:
    last = utc_now() - timedelta(minutes=minutes)
    watched_as(action_service, monkeypatch, last_round_at=last, holder=None, abandoned=abandoned)
    out = sent(open_page("systems", synthetic.planted(), action_service=action_service)).decode(errors="replace")
    assert ("The monitor has stopped" in out) is stopped


def test_a_monitor_that_is_set_to_run_rarely_may_be_silent_for_longer(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched_as(action_service, monkeypatch, last_round_at=utc_now() - timedelta(minutes=70))
    rarely = Settings.model_validate({"monitor_every": "1h"})
    out = sent(open_page("systems", synthetic.planted(), action_service=action_service, settings=rarely)).decode(
        errors="replace"
    )
    assert "The monitor runs" in out


def test_the_slowest_schedule_that_we_document_may_miss_a_round_or_two() -> None:
    (minutes,) = re.findall(r'cron: "\*/(\d+) ', (ROOT / "docs/hosting/monitor.yml").read_text())
    assert 3 * timedelta(minutes=int(minutes)) <= alerts_view.SILENT_AFTER


def test_two_silences_of_one_subject_stand_together_with_one_button(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, hour = utc_now(), timedelta(hours=1)
    silences = (
        Silence("maintenance", now + hour, now + 2 * hour, "New database.", "ana"),
        Silence("flow", now, now + hour, "Known.", "ben"),
        Silence("maintenance", now + 5 * hour, now + 6 * hour, "New cables.", "ana"),
    )
    watched_as(action_service, monkeypatch, silences=silences)
    test = open_page("systems", synthetic.planted(), action_service=action_service)
    out = sent(test).decode(errors="replace")
    assert all(silence.reason in out for silence in silences)
    keys = [button.key for button in test.button if button.key and button.key.startswith("unmute_")]
    assert keys == ["unmute_maintenance", "unmute_flow"]
    assert [button.key for button in test.button if button.key == "do_mute_all"], "the rest of the page is there"
    test.button(key="unmute_maintenance").click().run()
    (entry,) = action_service.journal.entries(kinds=[Kind.UNMUTE])
    assert entry.payload == Unmute("maintenance")


def test_a_message_that_failed_is_listed_with_whether_it_is_tried_again(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    unsent = tuple(
        Unsent(utc_now(), title, "Slack", 3, given_up, "It answered 500.")
        for title, given_up in (("BROKEN: Texts", False), ("WARNING: Main", True))
    )
    watched_as(action_service, monkeypatch, unsent=unsent, undelivered=2)
    (warning,) = open_page("systems", synthetic.planted(), action_service=action_service).warning
    again, given_up = warning.value.split("\n\n")
    assert "BROKEN" in again and "tried again" in again
    assert "Main" in given_up and "given up" in given_up


def test_muting_everything_says_that_news_of_deployments_are_lost(open_page: Open, firing: ActionService) -> None:
    said = [text.value for text in open_page("systems", synthetic.planted(), action_service=firing).text]
    assert any("is not sent" in message for message in said) and any("sent afterwards" in message for message in said)
