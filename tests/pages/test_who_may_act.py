"""A viewer cannot act: not on a page, by a link, with session state, in a dialog that is stale, or past the pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from uuid import uuid4

import pytest
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from lib import access
from lib.__main__ import app as command_line
from lib.actions.action import RefusedError
from lib.actions.action_registry import ACTIONS
from lib.actions.executor import Order
from lib.commands.terminal import ActionExit, actor
from lib.journal.entry import Outcome
from lib.journal.request import NewRequest, Request, RequestState
from lib.model.people import Actor, Role, Via
from lib.settings import Settings, load
from lib.ui import action_dialog, guard, header
from lib.ui.action_dialog import OpenDialog
from lib.ui.action_service import ActionService
from tests.pages import synthetic
from tests.pages.conftest import PAGES, Open, sent, settled
from tests.pages.fake_action import FakeTarget

ANA = Actor("ana@example.com", Role.OPERATOR, Via.PAGE)
EVE = Actor("eve@example.com", Role.VIEWER, Via.PAGE)
NOBODY_YET = Settings.model_validate({"operators": "", "viewers": "ana@example.com,eve@example.com"})
BOTH = Settings.model_validate({"operators": "ana@example.com", "viewers": "eve@example.com"})
# Buttons that change nothing outside of the session and the desk's own look.
HARMLESS = {"log_out"}
LOOKS = ("story_", "strip_dismiss_")

Roles = Callable[[Settings], None]


@pytest.fixture
def roles(monkeypatch: pytest.MonkeyPatch) -> Roles:
    """A function that says who is what from now on, as an administrator does in the settings."""

    def set_roles(settings: Settings) -> None:
        monkeypatch.setattr(guard.settings_, "load", lambda: settings)

    set_roles(BOTH)
    return set_roles


def user(actor: Actor) -> dict[str, object]:
    return {"is_logged_in": True, "email": actor.name}


@pytest.mark.parametrize("page", PAGES)
def test_no_page_offers_a_viewer_anything_that_acts(
    open_page: Open, action_service: ActionService, roles: Roles, page: str
) -> None:
    action_service.journal.open_incident("Texts do not arrive", ANA)
    everything_open = {f"step_{step}": True for step in ("redeploy", "migration", "verify_fix", "force_deployment")}
    test = open_page(
        page, synthetic.planted(), action_service=action_service, settings=BOTH, user=user(EVE), state=everything_open
    )
    assert not test.exception
    assert {button.key for button in test.button if not str(button.key).startswith(LOOKS)} <= HARMLESS


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_an_operator_has_every_system_asked_anew_and_changes_what_the_sandbox_plays(
    monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    """Looking anew opens a customer's link; a callback runs for whatever a browser sends."""
    who = ANA if role == "operator" else EVE
    done: list[str] = []
    monkeypatch.setattr(action_dialog, "who_looks", lambda: guard.Viewer(Role(role), who.name))
    monkeypatch.setattr(
        action_dialog, "diagnosis_service", lambda: SimpleNamespace(recheck=lambda: done.append("look"))
    )
    opening = SimpleNamespace(
        manual_fix=lambda: done.append("manual_fix"),
        play=lambda _: done.append("play"),
        set_pace=lambda _: done.append("pace"),
    )
    monkeypatch.setattr(header.runtime, "app_runtime", lambda: opening)
    monkeypatch.setattr(header.st, "session_state", {"scenario": "healthy", "pace": 1})
    for callback in (action_dialog.recheck_everything, header._apply_manual_fix, header._play, header._set_pace):
        callback()
    assert done == (["look", "manual_fix", "play", "pace"] if role == "operator" else [])


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_a_dialog_in_a_viewers_session_state_is_not_drawn(
    open_page: Open, action_service: ActionService, roles: Roles, action: str
) -> None:
    ask = OpenDialog(action, dict.fromkeys(ACTIONS[action].asks, "x"))
    test = open_page(
        "plan", synthetic.planted(), action_service=action_service, settings=BOTH, user=user(EVE), state={"ask": ask}
    )
    assert {button.key for button in test.button} <= HARMLESS
    assert action_service.journal.requests() == ()


@pytest.mark.parametrize("action", ["run_migration", "redeploy"])
def test_who_is_an_operator_no_more_cannot_confirm_the_dialog_they_had_open(
    open_page: Open, action_service: ActionService, fake_target: FakeTarget, roles: Roles, action: str
) -> None:
    """The two actions are those of the fake target: one with a phrase, one for a click."""
    ask = OpenDialog(action, dict.fromkeys(action_service.executor.actions[action].asks, "x"))
    test: AppTest = open_page(
        "plan", synthetic.planted(), action_service=action_service, settings=BOTH, user=user(ANA), state={"ask": ask}
    )
    if action == "run_migration":
        test.text_input(key="ask_phrase").set_value("hall lamp")
        test.text_input(key="ask_reason").set_value("it is dark").run()
    roles(NOBODY_YET)
    test.button(key="ask_confirm").click().run()
    assert any("Viewers can look but not act" in warning.value for warning in test.warning)
    assert (fake_target.switched, action_service.journal.requests()) == (0, ())


@pytest.fixture
def lost(action_service: ActionService, fake_target: FakeTarget) -> Request:
    """A request whose outcome is unknown."""
    fake_target.lost = True
    digest = action_service.preview("redeploy", {}).digest
    action_service.submit(Order("redeploy", {}, digest), ANA)
    request = settled(action_service)
    assert request.state is RequestState.UNKNOWN
    return request


def test_a_viewer_is_not_asked_what_happened(
    open_page: Open, action_service: ActionService, roles: Roles, lost: Request
) -> None:
    test = open_page("status", synthetic.planted(), action_service=action_service, settings=BOTH, user=user(EVE))
    assert b"never run again by itself" in sent(test)
    assert {button.key for button in test.button if not str(button.key).startswith(LOOKS)} <= HARMLESS
    assert not [field.key for field in test.text_input if str(field.key).startswith("strip_")]


def test_who_is_an_operator_no_more_cannot_say_what_happened(
    open_page: Open, action_service: ActionService, roles: Roles, lost: Request
) -> None:
    test = open_page("plan", synthetic.planted(), action_service=action_service, settings=BOTH, user=user(ANA))
    test.text_input(key=f"strip_seen_{lost.id}").set_value("It is light.").run()
    roles(NOBODY_YET)
    test.button(key=f"strip_happened_{lost.id}").click().run()
    assert any("Viewers can look but not act" in warning.value for warning in test.warning)
    assert action_service.journal.request(lost.id).state is RequestState.UNKNOWN


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.parametrize("role", [Role.VIEWER, Role.DESK])
def test_past_the_pages_the_executor_takes_nothing_from_who_may_not_act(
    action_service: ActionService, action: str, role: Role
) -> None:
    order = Order(action, dict.fromkeys(ACTIONS[action].asks, "x"), digest="0" * 64, phrase="x", reason="x")
    eve = Actor(EVE.name, role, Via.PAGE)
    waiting = action_service.journal.submit_request(
        NewRequest(action, int(ACTIONS[action].tier), "target", "0" * 64, uuid4(), needs_approval=True), ANA
    )
    for ask in (
        lambda: action_service.submit(order, eve),
        lambda: action_service.click(order, eve),
        lambda: action_service.approve(waiting.id, eve),
        lambda: action_service.recheck(waiting.id, eve),
        lambda: action_service.executor.carry_out(waiting.id, eve),
        lambda: action_service.executor.recheck(waiting.id, eve),
        lambda: action_service.record_observation(waiting.id, Outcome.SUCCEEDED, "It is there.", eve),
        lambda: action_service.executor.record_observation(waiting.id, Outcome.SUCCEEDED, "It is there.", eve),
    ):
        with pytest.raises(RefusedError, match="Viewers can look but not act"):
            ask()
    assert [request.state for request in action_service.journal.requests()] == [RequestState.WAITING]


@pytest.fixture
def eve_at_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A viewer runs the commands, on a journal of their own."""
    for name, value in {
        "JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}",
        "OPERATORS": "ana@example.com",
        "SWITCHBOARD_USER": "eve@example.com",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("action", sorted(ACTIONS))
@pytest.mark.usefixtures("eve_at_the_command_line")
def test_the_command_line_acts_for_operators_alone(action: str) -> None:
    given = [f"--arg={name}=x" for name in ACTIONS[action].asks]
    command = ["act", action, *given, "--digest", "0" * 64, "--confirm", "x", "--reason", "x", "--json"]
    answer = CliRunner().invoke(command_line, command)
    assert answer.exit_code == ActionExit.REFUSED
    assert json.loads(answer.stdout)["outcome"] == "refused" and "Viewers can look" in answer.stdout


@pytest.mark.parametrize(
    "text",
    [
        "OPERATORS = 5",
        "OPERATORS = ana@example.com",
        "VERCEL_TOKEN = vcp_x",
        "OPERATOR = 'ana@example.com'",
        "operators = 'ana@example.com'",
        "[auth]\nOPERATORS = 'ana@example.com'",
        "[Auth]\nclient_id = 'x'",
    ],
)
def test_where_nobody_can_tell_who_the_operators_are_nobody_at_the_command_line_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """No operators at all would mean that everybody may act."""
    file = tmp_path / "secrets.toml"
    file.write_text(text)
    file.chmod(0o600)
    monkeypatch.setenv("SWITCHBOARD_USER", "ana@example.com")
    assert actor(load({}, file)).role is Role.VIEWER
    assert actor(load({}, tmp_path / "absent.toml")).role is Role.OPERATOR


@pytest.mark.parametrize("text", ["[auth]\nclient_id = 'x'", "[auth]", "auth = 1", "x = [", "\ufeff[auth]"])
def test_with_a_login_and_no_operators_nobody_acts_at_the_command_line_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    file = tmp_path / "secrets.toml"
    monkeypatch.setattr(access, "SECRETS_FILE", file)
    monkeypatch.setenv("STREAMLIT_SECRETS_FILES", str(file))  # and not what is at home
    assert actor(Settings()).role is Role.OPERATOR
    file.write_text(text, encoding="utf-8")
    assert actor(Settings()).role is Role.VIEWER
    monkeypatch.setenv("SWITCHBOARD_USER", "ANA@example.com")
    assert actor(Settings.model_validate({"operators": "ana@example.com"})).role is Role.OPERATOR


@pytest.mark.parametrize("name", ["\u017fam@example.com", "sam@example.com\u200b"])
def test_a_name_that_only_looks_like_an_operators_is_none_at_the_command_line(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("SWITCHBOARD_USER", name)
    assert actor(Settings.model_validate({"operators": "sam@example.com"})).role is Role.VIEWER


@pytest.mark.parametrize("command", [["act", "redeploy", "--digest", "0" * 64], ["incident", "open", "No texts"]])
def test_a_setting_that_cannot_be_used_is_named_before_anybody_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("JOURNAL_URL", f"sqlite:///{tmp_path / 'journal.sqlite3'}")
    monkeypatch.setenv("OPERATORS_FILE", str(tmp_path / "planted"))
    monkeypatch.setenv("REQUIRE_SECOND_PERSON", "2 people")
    answer = CliRunner().invoke(command_line, command)
    assert answer.exit_code == ActionExit.REFUSED
    said = " ".join(answer.stderr.split())
    assert "OPERATORS_FILE names a file" in said and "REQUIRE_SECOND_PERSON must be true or false." in said
    assert "Viewers can look" in said and "planted" not in said and "2 people" not in said


@pytest.mark.parametrize("option", ["--happened", "--did-not-happen"])
@pytest.mark.usefixtures("eve_at_the_command_line")
def test_the_command_line_takes_no_viewers_word_for_what_happened(option: str) -> None:
    answer = CliRunner().invoke(command_line, ["requests", str(uuid4()), option, "It is there.", "--json"])
    assert answer.exit_code == ActionExit.REFUSED
    assert "Viewers can look" in json.loads(answer.stdout)["words"]
