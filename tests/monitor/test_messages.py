"""Messages to people: short, in the business's time zone, with a next step, and without customers' data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from lib.formatting import long_duration
from lib.monitor.alert_state import AlertContent, AlertEvent, EventKind, Severity
from lib.monitor.messages import LONGEST_TITLE, NotificationType, of_alert, of_sandbox

AT = datetime(2026, 7, 2, 14, 0, tzinfo=UTC)
LONDON = ZoneInfo("Europe/London")
STORY = AlertContent(
    "Texts are not sent: bookings come in and none follows. Of 7 bookings, 0 were followed by a text.",
    "Of 7 bookings, 0 were followed by a text.",
    cause="Twilio refuses the texts (confirmed).",
    next_step="Do what the error code asks for.",
    page="action-plan",
    severity=Severity.CRITICAL,
)


def event(kind: EventKind, story: AlertContent = STORY, **fields: object) -> AlertEvent:
    return AlertEvent(kind, AT, story, AT - timedelta(minutes=12), **fields)


def test_an_alert_says_what_since_when_why_what_to_do_and_where():
    message = of_alert("flow", event(EventKind.FIRED), LONDON, "https://desk.example")
    assert message.title == "BROKEN: Texts are not sent: bookings come in and none follows"
    assert message.tone is NotificationType.FAILURE
    assert message.body.splitlines() == [
        "Of 7 bookings, 0 were followed by a text.",
        "Since 14:48 (12 minutes).",
        "Cause: Twilio refuses the texts (confirmed).",
        "Next step: Do what the error code asks for.",
        "https://desk.example/action-plan",
    ]


def test_the_end_says_how_long_it_lasted_and_what_is_now():
    over = event(EventKind.RESOLVED, lasted=timedelta(minutes=12), now_is="Texts are flowing.")
    message = of_alert("flow", over, LONDON, None)
    assert (message.title.partition(":")[0], message.tone) == ("RESOLVED", NotificationType.SUCCESS)
    assert message.body.startswith("It lasted 12 minutes, since 14:48.\nNow: Texts are flowing.")


@pytest.mark.parametrize("kind", EventKind)
def test_no_message_is_long_or_names_a_customer_or_a_secret(kind: EventKind):
    planted = "of jo.bloggs@customer.example +447700900123 sb_secret_abcdefghijklmnop "
    leaky = AlertContent(planted * 9, planted * 90, planted, planted, "systems")
    sent = of_alert("flow", event(kind, leaky, lasted=timedelta(1), now_is=planted), LONDON, "https://desk.example")
    message = of_sandbox(sent)  # which makes it longer
    assert len(message.title) <= LONGEST_TITLE
    assert len(message.body) < 2000
    for leak in ("bloggs", "7700", "abcdef"):
        assert leak not in message.title + message.body


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (timedelta(seconds=1), "1 second"),
        (timedelta(minutes=12), "12 minutes"),
        (timedelta(hours=5), "5 hours"),
        (timedelta(days=3), "3 days"),
        (-timedelta(days=3), "0 seconds"),
    ],
)
def test_a_length_of_time_is_said_in_its_largest_sensible_unit(length: timedelta, message: str):
    assert long_duration(length) == message
