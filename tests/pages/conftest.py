"""The dashboard without a browser: the whole of `app.py`, on a desk whose snapshots the test chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from lib.actions.action import ActionContext
from lib.actions.action_registry import ACTIONS
from lib.actions.executor import Executor
from lib.actions.preview_store import PreviewStore
from lib.journal.journal import Journal
from lib.journal.request import Request
from lib.settings import Settings
from lib.snapshot import Snapshot, utc_now
from lib.sources.http import Http
from lib.sources.source_registry import Sources
from lib.ui import first_frame, guard, runtime
from lib.ui.action_service import ActionService
from lib.ui.runtime import DiagnosisService
from tests.pages import synthetic
from tests.pages.fake_action import FakeTarget, SafeSwitch, Switch
from tests.pages.synthetic import NOW
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("status", "plan", "bookings", "texts", "deployments", "incidents", "systems")
EVERY_PAGE = (*PAGES, "handbook")  # with the one that shows no data


# Each new AppTest searches all installed packages for components, which takes half of its time.
_scanned_once = cache(manifest_scanner.scan_component_manifests)


@dataclass
class ReadyRuntime:
    """An app runtime that is ready."""

    desk: DiagnosisService | None
    failure: str | None = None
    progress: list[str] = field(default_factory=list)

    def sandbox(self) -> None:
        return None


@pytest.fixture(autouse=True)
def on_this_machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """AppTest has no connection and no headers: the request came to a sandbox on this machine, by its own name."""
    st.cache_resource.clear()
    monkeypatch.setattr(guard, "_headers", lambda: {"Host": "localhost:8501"})
    monkeypatch.setattr(guard, "_cookies", dict)
    monkeypatch.setattr(guard, "_peer", lambda: "127.0.0.1")
    monkeypatch.setattr(guard, "_systems", lambda: (True, ()))
    monkeypatch.setattr(manifest_scanner, "scan_component_manifests", _scanned_once)
    yield
    st.cache_resource.clear()


Open = Callable[..., AppTest]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Open:
    """A function that opens a page of the dashboard on a snapshot: `open_page("status", snapshot)`."""

    def run(
        page: str,
        taken: Snapshot,
        *,
        settings: Settings | None = None,
        user: dict[str, Any] | None = None,
        state: dict[str, Any] | None = None,
        live: bool = False,
        action_service: ActionService | None = None,
    ) -> AppTest:
        clock = utc_now if live else lambda: NOW
        opens = {"open_action_service": lambda: action_service} if action_service else {}
        desk = DiagnosisService(settings or Settings(), lambda size: taken, clock, **opens)
        monkeypatch.setattr(runtime, "app_runtime", lambda: ReadyRuntime(desk))
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        # There is no browser that paints and then asks for the charts.
        for key, value in ({first_frame.PAINTED: True} | (state or {})).items():
            test.session_state[key] = value
        if user is not None:
            test.user = user
        test.run()
        return test if page == "status" else test.switch_page(f"pages/{page}_page.py").run()

    return run


@pytest.fixture
def fake_target() -> FakeTarget:
    """The world that the tests' action changes."""
    return FakeTarget()


@pytest.fixture
def action_service(tmp_path: Path, fake_target: FakeTarget) -> Iterator[ActionService]:
    """An action service with a journal of its own; all actions but two are the real ones, with no system behind."""
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
    journal = Journal.open(settings, utc_now)
    context = ActionContext(Sources(settings, Http(clock=utc_now), utc_now), settings, utc_now, synthetic.planted)
    switches = {switch.id: switch for switch in (Switch(fake_target), SafeSwitch(fake_target))}
    made = ActionService(
        Executor(journal, context, {**ACTIONS, **switches}, PreviewStore(), sleep=lambda seconds: None)
    )
    yield made
    made.close()
    journal.close()


def settled(action_service: ActionService) -> Request:
    """Wait until nothing is under way and return the newest request."""

    def newest() -> Request | None:
        action_service.changed()
        state = action_service.journal_state()
        over = state.requests and not state.busy and not action_service.runs_here(state.requests[0].id)
        return state.requests[0] if over else None

    return wait_until(newest)


def sent(test: AppTest) -> bytes:
    """Return everything that the page sent to the browser, as bytes."""
    protos = (node.proto for node in test.main.root if hasattr(node, "proto"))
    return b"\n".join(proto.SerializeToString() for proto in protos if proto is not None)
