"""Status without a browser: the owner's lines, one card for a cause, the sheet, and the shared screen."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markupsafe import escape
from streamlit.testing.v1 import AppTest

from lib.diagnosis.diagnose import diagnose
from lib.model.people import Actor, Role, Via
from lib.model.verdict import CheckStatus
from lib.owner_summary import QUESTION
from lib.settings import Settings
from lib.ui import header
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.page_frame import View
from tests.diagnosis.builders import ago, snapshot
from tests.pages import synthetic
from tests.pages.conftest import Open, sent


def headline_of(test: AppTest) -> str:
    return next(
        piece.value for piece in test.get("html") if "sb-headline" in piece.value and "<style" not in piece.value
    )


@pytest.mark.parametrize("page", ["status", "texts"])
def test_the_owners_question_stands_before_the_technical_sentence(open_page: Open, page: str) -> None:
    line = headline_of(open_page(page, synthetic.planted()))
    assert line.index(QUESTION) < line.index("What is wrong: ") < line.index("sb-sentence")


def test_who_is_needed_and_the_cause_stand_on_status_alone(open_page: Open) -> None:
    assert "Needed: " in headline_of(open_page("status", synthetic.planted()))
    assert "Needed: " not in headline_of(open_page("texts", synthetic.planted()))


def test_where_nothing_is_known_the_owner_reads_cannot_tell(open_page: Open) -> None:
    line = headline_of(open_page("status", synthetic.everything_failed()))
    assert "Cannot tell." in line
    assert "Whether anybody is stuck cannot be told." in line


def test_each_page_has_its_title_as_the_one_first_heading(open_page: Open) -> None:
    for page, title in (("status", "Status"), ("systems", "Systems")):
        pieces = [piece.value for piece in open_page(page, synthetic.planted()).get("html")]
        assert [piece for piece in pieces if "<h1" in piece] == [f'<h1 class="sb-page">{title}</h1>']


def test_every_hypothesis_that_is_open_stands_once(open_page: Open) -> None:
    out = "".join(
        piece.value for piece in open_page("status", synthetic.planted()).get("html") if "sb-card" in piece.value
    )
    for hypothesis in diagnose(synthetic.planted(), synthetic.NOW).hypotheses:
        if hypothesis.verdict in ("confirmed", "likely", "possible"):
            title = escape(hypothesis.title)
            assert out.count(f"{title}</b>") + out.count(f"{title}</h4>") == 1, hypothesis.id


def test_the_checks_that_are_fine_are_counted_and_open(open_page: Open) -> None:
    test = open_page("status", synthetic.planted())
    fine = [one for one in diagnose(synthetic.planted(), synthetic.NOW).checks if one.status is CheckStatus.OK]
    (label,) = [box.label for box in test.expander if "fine" in box.label]
    assert label.startswith(f"{len(fine)} checks are fine")
    assert fine[0].id.encode() not in sent(test)
    test.session_state["fine_checks"] = True
    assert fine[0].id.encode() in sent(test.run())


def test_a_shared_screen_has_no_button_no_name_and_the_timer(open_page: Open, action_service: ActionService) -> None:
    action_service.journal.open_incident("Sam Miller got no text", Actor("ana@example.com", Role.OPERATOR, Via.PAGE))
    action_service.changed()
    test = open_page("status", synthetic.planted(), action_service=action_service, state={"share": True})
    assert not test.exception
    assert [button.label for button in test.button] == []
    assert [box.label for box in test.selectbox] == []
    out = sent(test)
    assert b"incident open" in out and b"minutes planned" in out
    assert [name for name in (b"Sam Miller", b"ana@example.com", b"Key figures") if name in out] == []
    (switch,) = [toggle for toggle in test.toggle if toggle.label == "Share screen"]
    assert b"Key figures" in sent(switch.set_value(False).run())


def test_a_quiet_day_breaks_nowhere() -> None:
    quiet = diagnose(synthetic.empty(), synthetic.NOW)
    states = tuple(replace(state, status=CheckStatus.NOT_APPLICABLE) for state in quiet.hops)
    assert "sb-broken" not in html.hops(states, states[1].hop)
    broken = tuple(replace(state, status=CheckStatus.FAIL) for state in quiet.hops)
    assert html.hops(broken, broken[1].hop).count("Here it breaks") == 1


def test_what_is_read_rarely_does_not_make_the_bookings_that_were_just_read_old() -> None:
    seen = snapshot()
    old = replace(seen.visibility, observed_at=ago(minutes=4))
    diagnosis = diagnose(replace(seen, visibility=old), ago())
    assert "key_sees_all" in diagnosis.headline.because
    assert header._oldest_evidence(View(diagnosis, Settings(), sharing=False)) == seen.texts.observed_at
