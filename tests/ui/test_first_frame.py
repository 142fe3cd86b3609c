"""The first frame: what was last known, until the desk has looked; and a click that waits for nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lib.actions.action import ActionContext
from lib.actions.action_registry import ACTIONS
from lib.actions.executor import Executor
from lib.actions.preview_store import PreviewStore
from lib.journal.journal import Journal
from lib.journal.last_headline import LastHeadline, LastHeadlines, systems_key
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.settings import Settings
from lib.snapshot import Snapshot, utc_now
from lib.sources.http import Http
from lib.sources.source_registry import Sources
from lib.ui import first_frame, guard, runtime
from lib.ui import html_components as html
from lib.ui.action_service import ActionService
from lib.ui.runtime import DiagnosisService
from tests.pages import synthetic
from tests.pages.conftest import ROOT, ReadyRuntime, on_this_machine, sent
from tests.waiting import wait_until

__all__ = ["on_this_machine"]
DAY, WEEK = WindowSize.DAY, WindowSize.WEEK
KNOWN = LastHeadline(
    HeadlineState.DEGRADED,
    "Texts are not sent.",
    "",
    None,
    False,
    DAY,
    synthetic.NOW - timedelta(minutes=12),
)
REFUSED = guard.Refusal("Not allowed", "Ask somebody.")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})


@pytest.fixture
def journal(settings: Settings) -> Iterator[Journal]:
    journal = Journal.open(settings, utc_now)
    yield journal
    journal.close()


class Slow:
    """Snapshots that come once they are let."""

    def __init__(self) -> None:
        self.let = threading.Event()
        self.asked = 0

    def __call__(self, _: WindowSize) -> Snapshot:
        self.asked += 1
        assert self.let.wait(30)
        return synthetic.planted()


def service_on(settings: Settings, journal: Journal, snapshots: Slow) -> DiagnosisService:
    context = ActionContext(Sources(settings, Http(clock=utc_now), utc_now), settings, utc_now, synthetic.planted)
    executor = Executor(journal, context, ACTIONS, PreviewStore(), sleep=lambda seconds: None)
    return DiagnosisService(
        settings, snapshots, lambda: synthetic.NOW, open_action_service=lambda: ActionService(executor)
    )


def test_a_restart_knows_the_headline_of_before_until_it_has_its_own(settings: Settings, journal: Journal) -> None:
    LastHeadlines(journal.database, systems_key(settings)).keep(KNOWN)
    slow = Slow()
    service = service_on(settings, journal, slow)
    coming = service.diagnosing(DAY)
    assert wait_until(lambda: service.last_known(DAY)) == KNOWN
    assert service.last_known(WEEK) == KNOWN, "of another window it says which"
    slow.let.set()
    coming.result(30)
    now = service.last_known(DAY)
    assert now is not None and now.at == synthetic.NOW and now.state is HeadlineState.BROKEN
    stored = LastHeadlines(journal.database, systems_key(settings))
    wait_until(lambda: stored.read()[DAY].at == synthetic.NOW)


def test_what_was_stored_is_not_shown_after_a_switch(settings: Settings, journal: Journal) -> None:
    LastHeadlines(journal.database, systems_key(settings)).keep(KNOWN)
    service = service_on(settings, journal, Slow())
    service.forget_last_known()
    assert service.last_known(DAY) is None


def test_a_click_waits_for_no_newer_diagnosis_unless_somebody_wants_one(
    settings: Settings, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    service = service_on(settings, journal, slow)
    assert service.recent(DAY) is None
    slow.let.set()
    first = service.diagnosis(DAY)
    slow.let.clear()
    monkeypatch.setattr(runtime, "SHARED_SECONDS", -1.0)
    service._judged.max_age = -1.0
    assert service.recent(DAY) is first
    wait_until(lambda: slow.asked == 2)  # the next one is being made meanwhile
    service.recheck()
    assert service.recent(DAY) is None
    slow.let.set()


def opened(service: DiagnosisService, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setattr(runtime, "app_runtime", lambda: ReadyRuntime(service))
    return AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)


def test_the_last_known_headline_is_drawn_while_the_desk_looks_and_gone_afterwards(
    settings: Settings, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    LastHeadlines(journal.database, systems_key(settings)).keep(KNOWN)
    slow, drawn, draw = Slow(), [], first_frame.draw

    def note(component: html.Markup) -> None:
        draw(component)
        drawn.append(str(component))
        if "DEGRADED" in drawn[-1]:
            slow.let.set()

    monkeypatch.setattr(first_frame, "draw", note)
    test = opened(service_on(settings, journal, slow), monkeypatch).run()
    assert not test.exception
    assert "LAST KNOWN: DEGRADED" in drawn[-1] and "Texts are not sent." in drawn[-1] and "Looking now" in drawn[-1]
    page = sent(test)
    assert b"LAST KNOWN" not in page and b"sb-headline" in page


def test_charts_wait_for_the_run_after_the_first_paint(
    settings: Settings, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    slow.let.set()
    test = opened(service_on(settings, journal, slow), monkeypatch).run()
    assert not test.get("plotly_chart") and b"When did it break?" in sent(test)
    test.session_state[first_frame.PAINTED] = True
    assert test.run().get("plotly_chart")


def test_whoever_may_not_look_is_shown_nothing_that_was_known(
    settings: Settings, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    LastHeadlines(journal.database, systems_key(settings)).keep(KNOWN)
    drawn: list[str] = []
    monkeypatch.setattr(first_frame, "draw", lambda component: drawn.append(str(component)))
    monkeypatch.setattr(guard, "who_looks", lambda: REFUSED)
    test = opened(service_on(settings, journal, Slow()), monkeypatch).run()
    assert drawn == [] and b"Texts are not sent" not in sent(test) and not test.exception


def test_a_stored_sentence_is_text_and_holds_no_number() -> None:
    said = replace(KNOWN, sentence="<b>bold</b> +447400111222 sb_secret_abcdefgh123456")
    drawn = str(html.last_known(said, now=synthetic.NOW))
    assert "&lt;b&gt;bold" in drawn and "447400111222" not in drawn and "sb_secret_a" not in drawn
    assert "12 min" in drawn and "sb-good" not in drawn and "sb-bad" not in drawn
