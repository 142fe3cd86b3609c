"""Every page in every state: it draws, says what it cannot see, and sends nothing that must not be seen."""

from __future__ import annotations

import dataclasses
import re

import pytest

from lib import handbook
from lib.diagnosis.diagnose import diagnose
from lib.handbook import Document
from lib.model.verdict import HeadlineState
from lib.monitor.monitor_status import MonitorStatus
from lib.snapshot import utc_now
from lib.ui import labels
from lib.ui.action_service import ActionService
from lib.ui.runtime import DiagnosisService
from tests.diagnosis import builders
from tests.pages import synthetic
from tests.pages.conftest import PAGES, Open, sent

STATES = {
    "planted": synthetic.planted,
    "empty": synthetic.empty,
    "partial": synthetic.partial,
    "stale": synthetic.stale,
    "everything failed": synthetic.everything_failed,
    "nothing configured": synthetic.nothing_configured,
}
UNREAD = ("stale", "everything failed", "nothing configured")
# What stands on a page where something was read and would be a false zero where it was not.
ZEROS = (
    b"No booking was initiated",
    b"has no text to a customer",
    b"Nobody",
    b"no production hostname",
    b"There is none",
)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("state", STATES)
def test_every_page_draws_in_every_state_and_leaks_nothing(open_page: Open, page: str, state: str) -> None:
    test = open_page(page, STATES[state]())
    assert not test.exception
    out = sent(test)
    assert b"sb-headline" in out
    assert [secret for secret in synthetic.PLANTED if secret.encode() in out] == []


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("state", UNREAD)
def test_what_was_not_read_is_cannot_tell_and_neither_zero_nor_green(open_page: Open, page: str, state: str) -> None:
    out = sent(open_page(page, STATES[state]()))
    assert labels.HEADLINE[HeadlineState.CANNOT_TELL].word.encode() in out
    assert [zero for zero in ZEROS if zero in out] == []
    assert b"sb-good" not in out.replace(b".sb-good {", b"").replace(b"html.sb-old", b"")


@pytest.mark.parametrize("page", ["bookings", "texts", "deployments"])
def test_a_failed_source_says_why_and_since_when(open_page: Open, page: str) -> None:
    out = sent(open_page(page, synthetic.everything_failed()))
    assert b"Cannot tell" in out
    assert synthetic.FAILED.sentence.encode() in out
    assert b"11:53 (7 min ago)" in out


@pytest.mark.parametrize("page", ["bookings", "texts"])
def test_numbers_show_three_digits_and_none_while_sharing_the_screen(open_page: Open, page: str) -> None:
    assert "••123".encode() in sent(open_page(page, synthetic.planted()))
    assert "••123".encode() not in sent(open_page(page, synthetic.planted(), state={"share": True}))


# A tag or a link that no backslash disarms. Our own badges are the only brackets.
ARMED = re.compile(r"(?<!\\)<[a-z]|(?<!\\)\]\(")


# The plan folds its steps and the log needs an incident: their own tests open them.
@pytest.mark.parametrize("page", [page for page in PAGES if page not in ("plan", "incidents")])
def test_what_others_wrote_stays_text(open_page: Open, page: str) -> None:
    opened = {
        "hop_code": True,
        "cause_build_failing": True,
        "cause_code_not_deployed": True,
        "fine_checks": True,
        "other_causes": True,
    }
    test = open_page(page, synthetic.planted(), state=opened)
    assert b"onerror" in sent(test), "the hostile words are there to be seen"
    for piece in test.get("html"):
        assert "<img" not in piece.value
    said = [element.value for kind in ("markdown", "caption", "subheader", "warning") for element in test.get(kind)]
    assert [message for message in (*said, *(box.label for box in test.expander)) if ARMED.search(message)] == []


def test_a_cut_off_table_says_so(open_page: Open) -> None:
    test = open_page("bookings", synthetic.partial())
    assert any("cut off" in warning.value for warning in test.warning)


def test_a_source_that_is_not_configured_says_what_is_missing_and_where_to_get_it(open_page: Open) -> None:
    out = sent(open_page("systems", synthetic.nothing_configured()))
    assert b"VERCEL_TOKEN" in out and "Account Settings → Tokens".encode() in out


def test_the_evidence_of_a_check_is_sent_once_it_is_opened(open_page: Open) -> None:
    test = open_page("systems", synthetic.planted())
    assert b"Would change it" not in sent(test)
    test.session_state["hop_code"] = True
    assert b"Would change it" not in sent(test.run())
    test.session_state["check_fix_live"] = True
    assert b"Would change it" in sent(test.run())


def test_a_booking_can_be_linked_to(open_page: Open) -> None:
    booking = "00000000-0000-4000-8000-000000000001"
    out = sent(open_page("bookings", synthetic.planted(), state={"chosen": booking}))
    assert f"Booking {booking}".encode() in out
    gone = sent(open_page("bookings", synthetic.planted(), state={"chosen": "another"}))
    assert b"not among those of the window" in gone


def test_with_the_database_unread_no_text_is_called_not_recorded_or_not_sent(open_page: Open) -> None:
    of_twilio = {name: value for name, value in synthetic.values().items() if name in ("texts", "balance", "alerts")}
    parts = [piece.value for piece in open_page("texts", synthetic.snapshot(of_twilio)).get("html")]
    counts = next(piece for piece in parts if "Not recorded" in piece)
    assert counts.count(">cannot tell<") == 3  # not sent, not recorded, unknown to Twilio


def test_the_handbook_lists_every_section_and_opens_at_the_cause_that_is_asked_for(open_page: Open) -> None:
    test = open_page("handbook", synthetic.planted())
    assert not test.exception and len(test.expander) == len(handbook.contents(Document.RUNBOOK)[1])
    test.query_params["cause"] = "receipts_stale"
    test.run()
    assert test.expander[0].label == "**Twilio's receipts do not reach the database**"
    assert test.expander[0].proto.expanded and not test.expander[1].proto.expanded


def test_the_handbook_opens_at_the_likeliest_cause_that_is_known(
    open_page: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    paused = builders.snapshot(project=dataclasses.replace(builders.PROJECT, paused=True))
    diagnosis = diagnose(paused, builders.NOW)
    monkeypatch.setattr(DiagnosisService, "newest_diagnosis", lambda self: diagnosis)
    test = open_page("handbook", synthetic.planted())
    assert test.expander[0].label == "**The Vercel project is paused**" and test.expander[0].proto.expanded


def test_nothing_is_green_beside_a_monitor_that_alerts_nobody(
    open_page: Open, action_service: ActionService, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = MonitorStatus(utc_now(), "here 1", None, (), 0)
    monkeypatch.setattr(action_service, "watched", lambda: status)
    (card,) = (
        piece.value
        for piece in open_page("systems", synthetic.planted(), action_service=action_service).get("html")
        if "Nobody is alerted" in piece.value
    )
    assert "The monitor runs" in card and "sb-warn" in card and "sb-good" not in card
