"""What all viewers share: the diagnosis service, and the sandbox behind it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lib import launch
from lib import settings as settings_
from lib.model.people import Actor, Role, Via
from lib.model.reading import FailureKind, SourceError
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.sources.sandbox_control import SandboxControl, SandboxState
from lib.ui import runtime
from lib.ui.runtime import AppRuntime, DiagnosisService
from tests.pages import synthetic
from tests.waiting import wait_until

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)


def test_fifty_viewers_cost_what_one_does() -> None:
    taken: list[WindowSize] = []
    slow = threading.Event()

    def snapshots(size: WindowSize) -> Snapshot:
        taken.append(size)
        slow.wait(0.2)
        return synthetic.planted()

    desk = DiagnosisService(Settings(), snapshots, lambda: synthetic.NOW)
    viewers = [threading.Thread(target=desk.diagnosis, args=(WindowSize.DAY,)) for _ in range(50)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    assert taken == [WindowSize.DAY]


def test_what_has_no_newer_reading_is_not_judged_again_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SHARED_SECONDS", -1.0)
    snapshot = synthetic.planted()
    desk = DiagnosisService(Settings(), lambda size: snapshot, lambda: synthetic.NOW)
    first = desk.diagnosis(WindowSize.DAY)
    assert desk.diagnosis(WindowSize.DAY) is first
    monkeypatch.setattr(runtime, "JUDGED_AGAIN_SECONDS", -1.0)
    assert desk.diagnosis(WindowSize.DAY) is not first


def test_who_asks_to_look_again_gets_new_answers_and_fifty_who_ask_cost_what_one_does() -> None:
    asked: list[str] = []

    def of(kind: str) -> Callable[[WindowSize], Snapshot]:
        return lambda size: asked.append(kind) or synthetic.planted()  # type: ignore[func-returns-value]

    desk = DiagnosisService(Settings(), of("due"), lambda: synthetic.NOW, fresh=of("fresh"))
    desk.diagnosis(WindowSize.DAY)
    for _ in range(50):
        desk.recheck()
        desk.diagnosis(WindowSize.DAY)
    assert asked == ["due", "fresh"]


@pytest.mark.sandbox
def test_a_manual_fix_in_the_sandbox_is_seen_with_the_key_that_the_desk_was_given(play) -> None:
    app = AppRuntime(settings_.load(play("rls-blind")), {})
    try:
        state = app.sandbox()
        assert state is not None and state.manual_fix is not None and not state.manual_fix.done
        assert app.desk is not None
        assert app.desk.diagnosis(WindowSize.DAY).headline.state is HeadlineState.CANNOT_TELL
        app.manual_fix()
        assert app.desk.diagnosis(WindowSize.DAY).headline.state is HeadlineState.FLOWING
        state = app.sandbox()
        assert state is not None and state.manual_fix is not None and state.manual_fix.done
    finally:
        app.close()


@pytest.mark.sandbox
def test_the_desk_follows_a_sandbox_that_somebody_else_switched(play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "SHARED_SECONDS", -1.0)
    app = AppRuntime(settings_.load(play("healthy")), {})
    try:
        state = app.sandbox()
        before = app.desk
        assert state is not None and state.scenario == "healthy"
        play("quiet-day")
        state = app.sandbox()
        assert state is not None and state.scenario == "quiet-day"
        assert app.desk is not before
        app.play("code-not-deployed")
        state = app.sandbox()
        assert state is not None and state.scenario == "code-not-deployed"
        assert app.health()["sandbox"] is True
    finally:
        app.close()


@pytest.mark.sandbox
def test_a_desk_that_opens_late_takes_the_keys_that_the_sandbox_gives_out_now(play) -> None:
    environ = play("healthy")
    play("rls-blind")
    app = AppRuntime(settings_.load(environ), environ)
    try:
        assert app.sandbox() is not None and app.desk is not None
        assert app.desk.diagnosis(WindowSize.DAY).headline.state is HeadlineState.CANNOT_TELL
    finally:
        app.close()


@pytest.mark.sandbox
def test_the_desk_follows_a_switch_that_happened_while_the_control_address_did_not_answer(
    play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "SHARED_SECONDS", -1.0)
    app = AppRuntime(settings_.load(play("healthy")), {})
    try:
        assert app.sandbox() is not None
        before = app.desk
        with monkeypatch.context() as silence:
            silence.setattr(SandboxControl, "state", _silent)
            assert app.sandbox() is None
        play("quiet-day")
        assert app.sandbox() is not None and app.desk is not before
    finally:
        app.close()


def _silent(_: SandboxControl) -> SandboxState:
    raise SourceError(FailureKind.UNAVAILABLE, "The sandbox cannot be reached.", "")


@pytest.mark.sandbox
def test_a_scenario_that_there_is_not_is_refused_with_a_sentence(sandbox) -> None:
    control = SandboxControl(sandbox.settings["SANDBOX_URL"], runtime.Http())
    with pytest.raises(SourceError) as error:
        control.play("no-such-scenario")
    assert "sandbox" in str(error.value)


def test_without_an_answer_of_the_control_address_no_sandbox_is_shown() -> None:
    settings = Settings.model_validate(
        {"sandbox_url": "http://127.0.0.1:9/sandbox", "booking_app_url": "http://127.0.0.1:9"}
    )
    app = AppRuntime(settings, {})
    assert app.desk is not None and app.sandbox() is None
    with pytest.raises(SourceError) as error:
        app.play("healthy")
    assert error.value.kind is FailureKind.UNAVAILABLE


def test_a_sandbox_that_cannot_start_leaves_a_plain_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(on_progress: launch.OnProgress) -> launch.LaunchedSandbox:
        raise launch.LaunchError("The sandbox did not start: there is no Node.")

    monkeypatch.setattr(launch, "start_sandbox", fails)
    app = AppRuntime(Settings(), {})
    wait_until(lambda: app.failure is not None)
    assert app.desk is None and "no Node" in app.failure
    assert app.health()["desk"] == "failed"


def test_a_launch_that_ends_early_repeats_the_last_lines() -> None:
    with pytest.raises(launch.LaunchError) as error:
        launch.start_sandbox("no-such-scenario")
    assert "no-such-scenario" in str(error.value)


@pytest.mark.sandbox
def test_what_is_tried_in_a_sandbox_stands_in_its_own_journal_whatever_is_set_for_the_business(tmp_path: Path) -> None:
    ours = tmp_path / "journal.sqlite3"
    environ = {"JOURNAL_URL": f"sqlite:///{ours}"}
    app = AppRuntime(settings_.load(environ), environ)
    try:
        wait_until(lambda: app.desk or app.failure)
        app.play("rls-blind")  # a scenario without a database of its own to fall back on
        action_service = app.desk.action_service() if app.desk else None
        assert action_service is not None
        action_service.journal.freeze("trying it out", ANA)
    finally:
        app.close()
    assert not ours.exists()


@pytest.mark.sandbox
def test_a_launched_sandbox_says_how_far_it_is_and_is_gone_when_it_is_stopped() -> None:
    said: list[str] = []
    sandbox = launch.start_sandbox("healthy", said.append)
    assert settings_.load({**os.environ, **sandbox.settings}).sandbox_url
    assert said
    sandbox.stop()
    assert sandbox.process.poll() is not None
