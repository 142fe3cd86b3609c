"""The guard: who is let in, and that no page can be had around it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from lib import access
from lib.model.people import Role
from lib.settings import Settings
from lib.start_token import StartToken, cookie_name
from lib.ui import guard
from lib.ui.guard import Refusal, Viewer, role_of
from lib.ui.websockets import HEADER, Websockets
from tests.pages import synthetic
from tests.pages.conftest import EVERY_PAGE, ROOT, Open, sent

SETTINGS = Settings.model_validate({"operators": "Ana@example.com", "viewers": "owner@example.com"})


@pytest.mark.parametrize(
    ("user", "role"),
    [
        ({"is_logged_in": True, "email": "ana@example.com"}, Role.OPERATOR),
        ({"is_logged_in": True, "email": " OWNER@example.com"}, Role.VIEWER),
        ({"is_logged_in": True, "email": "owner@example.com", "email_verified": True}, Role.VIEWER),
    ],
)
def test_people_on_the_lists_are_let_in(user: dict[str, object], role: Role) -> None:
    answer = role_of(user, SETTINGS)
    assert isinstance(answer, Viewer) and answer.role is role


@pytest.mark.parametrize(
    "user",
    [
        {},
        {"is_logged_in": False, "email": "ana@example.com"},
        {"is_logged_in": True},
        {"is_logged_in": True, "email": ""},
        {"is_logged_in": True, "email": "stranger@example.com"},
        {"is_logged_in": True, "email": "ana@example.com", "email_verified": False},
    ],
)
def test_everybody_else_is_refused(user: dict[str, object]) -> None:
    assert isinstance(role_of(user, SETTINGS), Refusal)


@pytest.mark.parametrize(
    ("address", "peer", "headers", "let_in"),
    [
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost:8501"}, True),
        ("::1", "::1", {"Host": "[::1]:8501"}, True),
        ("localhost", "127.0.0.1", {"Host": "127.0.0.1"}, True),
        ("127.0.0.1", "127.0.0.1", {"host": "localhost:8501", "origin": "http://localhost:8501"}, True),
        ("0.0.0.0", "127.0.0.1", {"Host": "localhost:8501"}, False),
        ("", "127.0.0.1", {"Host": "localhost:8501"}, False),
        # Started as uvicorn --host 0.0.0.0 the setting still says loopback.
        ("127.0.0.1", "203.0.113.7", {"Host": "localhost:8501"}, False),
        ("127.0.0.1", "", {"Host": "localhost:8501"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "rebound.evil.example:8501"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost["}, False),
        ("127.0.0.1", "127.0.0.1", {}, False),
        # A name in the midst of something else is no name that was asked for.
        ("127.0.0.1", "127.0.0.1", {"Host": "desk.example.com@localhost:8501"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost:8501/desk.example.com"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost#desk.example.com"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost:8501?"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost:port"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost\\@desk.example.com"}, False),
        # Another site on this machine: a dev server's page, or a file.
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost:8501", "Origin": "http://localhost:3000"}, False),
        ("127.0.0.1", "127.0.0.1", {"Host": "localhost:8501", "Origin": "null"}, False),
        *(
            ("127.0.0.1", "127.0.0.1", {"Host": "localhost:8501", name: "https"}, False)
            for name in (
                "X-Forwarded-For",
                "x-forwarded-for",
                "X-Forwarded-Host",
                "X-Forwarded-Proto",
                "X-Forwarded-Port",
                "Forwarded",
                "Via",
                "X-Real-Ip",
                "CF-Connecting-IP",
                "True-Client-IP",
            )
        ),
    ],
)
def test_without_a_login_only_this_machine_is_let_in(
    address: str, peer: str, headers: Mapping[str, str], let_in: bool
) -> None:
    assert guard._only_this_machine(address, peer, headers) is let_in


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_a_page_that_runs_alone_and_logged_out_shows_the_login_only(page: str) -> None:
    cold = AppTest.from_file(str(ROOT / f"pages/{page}_page.py"), default_timeout=60)
    cold.user = {"is_logged_in": False}
    cold.run()
    assert [button.label for button in cold.button] == ["Log in"]
    assert not cold.exception and b"sb-" not in sent(cold)


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_a_page_that_runs_alone_from_elsewhere_shows_nothing(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "_headers", lambda: {"Host": "desk.example.com"})
    cold = AppTest.from_file(str(ROOT / f"pages/{page}_page.py"), default_timeout=60).run()
    assert "has no login" in cold.error[0].value
    assert b"sb-" not in sent(cold)


def test_a_stranger_who_is_logged_in_sees_nothing(open_page: Open) -> None:
    test = open_page("status", synthetic.planted(), user={"is_logged_in": True, "email": "stranger@example.com"})
    assert [button.label for button in test.button] == ["Log out"]
    assert b"sb-headline" not in sent(test)


def test_a_secrets_file_that_cannot_be_read_lets_nobody_in(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = ROOT.__class__(str(tmp_path)) / "secrets.toml"
    broken.write_text("[auth\nclient_secret = 'abc'")
    monkeypatch.setattr(access, "SECRETS_FILE", broken)
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
    assert "cannot be read" in test.error[0].value
    assert b"sb-" not in sent(test) and b"abc" not in sent(test)


def test_a_folder_in_place_of_the_secrets_lets_nobody_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "SECRETS_FILE", tmp_path / "secrets.toml")
    (tmp_path / "secrets.toml").mkdir()
    assert isinstance(guard.who_looks(), Refusal)
    assert isinstance(guard.what_is_asked("127.0.0.1", {"Host": "localhost"}), Refusal)


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> StartToken:
    """The desk is on live systems and has no login. Returns the token of this start."""
    token = StartToken()
    token.announced()
    monkeypatch.setattr(guard, "START_TOKEN", token)
    monkeypatch.setattr(guard, "_systems", lambda: (False, ("VERCEL_API_URL",)))
    return token


@pytest.mark.parametrize("page", EVERY_PAGE)
def test_a_page_that_runs_alone_on_live_systems_asks_for_the_token(page: str, token: StartToken) -> None:
    """Session state is no proof: what it holds is compared again."""
    for kept in ("", "guess", token.cookie, True):
        cold = AppTest.from_file(str(ROOT / f"pages/{page}_page.py"), default_timeout=60)
        cold.session_state["start_token"] = kept
        cold.run()
        assert [field.label for field in cold.text_input] == ["Token of this start"] and not cold.exception
        assert b"sb-" not in sent(cold) and token.text.encode() not in sent(cold)


def test_the_token_is_typed_once_in_a_session(open_page: Open, token: StartToken) -> None:
    test = open_page("status", synthetic.planted())
    test.text_input(key="start_token_typed").set_value("guess").run()
    test.button(key="start_token_open").click().run()
    assert "That is not the token" in test.warning[0].value and b"Key figures" not in sent(test)
    test.text_input(key="start_token_typed").set_value(token.text).run()
    test.button(key="start_token_open").click().run()
    assert b"Key figures" in sent(test) and token.text.encode() not in sent(test)
    test.run()
    assert b"Key figures" in sent(test)


def test_the_token_in_the_address_is_taken_out_of_it(open_page: Open, token: StartToken) -> None:
    test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    test.query_params["token"] = "guess"
    test.query_params["window"] = "7d"
    test.run()
    assert "That is not the token" in test.warning[0].value
    assert dict(test.query_params) == {"window": "7d"}


def test_the_cookie_of_the_gate_lets_a_page_in(monkeypatch: pytest.MonkeyPatch, token: StartToken) -> None:
    name = cookie_name("localhost:8501")
    for cookies, let_in in (({name: token.cookie}, True), ({name: token.text}, False), ({"x": token.cookie}, False)):
        monkeypatch.setattr(guard, "_headers", lambda: {"host": "localhost:8501"})
        monkeypatch.setattr(guard, "_cookies", lambda cookies=cookies: cookies)
        assert isinstance(guard.who_looks(), Viewer) is let_in


def test_with_the_gate_in_front_the_page_knows_who_is_at_the_other_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit returns no address for this machine, and none where it knows none."""
    monkeypatch.undo()
    websockets = Websockets()
    monkeypatch.setattr(guard, "WEBSOCKETS", websockets)
    for peer in ("", "203.0.113.7", "127.0.0.1"):
        opened = websockets.open(peer, admitted=False)
        assert opened is not None
        monkeypatch.setattr(guard, "_headers", lambda opened=opened: {HEADER: opened.id})
        assert guard._peer() == peer
