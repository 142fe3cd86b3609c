"""Websockets of strangers: few, short, and none of anybody else's concern."""

from __future__ import annotations

import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from lib.start_token import StartToken, cookie_name
from lib.ui import gate, guard, websockets
from lib.ui.websockets import HEADER, STRANGER_MESSAGES, STRANGER_MIN_SECONDS, STRANGERS_AT_ONCE, Websockets, admit

HOST = "localhost:8501"


class Clock:
    """Monotonic seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_newcomer_gets_the_place_of_the_oldest_stranger_but_not_of_one_that_just_came() -> None:
    clock = Clock()
    kept = Websockets(clock)
    opened = [kept.open("127.0.0.1", admitted=False) for _ in range(STRANGERS_AT_ONCE)]
    assert all(opened) and kept.open("127.0.0.1", admitted=False) is None
    clock.now = STRANGER_MIN_SECONDS
    assert kept.open("127.0.0.1", admitted=False) is not None
    assert [one is not None and one.ended.is_set() for one in opened] == [True] + [False] * (STRANGERS_AT_ONCE - 1)


def test_who_may_look_takes_no_strangers_place_and_loses_none_to_one() -> None:
    clock = Clock()
    kept = Websockets(clock)
    for _ in range(STRANGERS_AT_ONCE):
        admit(kept.open("127.0.0.1", admitted=False))
    strangers = [kept.open("127.0.0.1", admitted=False) for _ in range(STRANGERS_AT_ONCE)]
    assert all(strangers) and kept.open("127.0.0.1", admitted=True) is not None
    assert kept.strangers() == STRANGERS_AT_ONCE


class Client:
    """A websocket client in front of the gate, and the server behind it: what each got."""

    def __init__(self, messages: list[Message], headers: dict[str, str], peer: str | None = "127.0.0.1") -> None:
        self.messages, self.headers, self.peer = messages, {"host": HOST, **headers}, peer
        self.got: list[Message] = []
        self.served: list[Message] = []
        self.header: str | None = None

    async def run(self) -> None:
        sent = iter(self.messages)

        async def receive() -> Message:
            if (message := next(sent, None)) is not None:
                return message
            await asyncio.sleep(3600)
            raise AssertionError

        async def send(message: Message) -> None:
            self.got.append(message)

        scope = {
            "type": "websocket",
            "path": "/_stcore/stream",
            "headers": [(name.encode(), value.encode()) for name, value in self.headers.items()],
            "client": (self.peer, 1) if self.peer else None,
        }
        await asyncio.wait_for(gate.RequestGate(self._serve)(scope, receive, send), 20)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.header = dict(scope["headers"])[HEADER.encode()].decode()
        await send({"type": "websocket.accept"})
        while True:
            message = await receive()
            self.served.append(message)
            if message["type"] == "websocket.disconnect":
                await send({"type": "websocket.send", "bytes": b"late"})
                return


@pytest.fixture(autouse=True)
def live_without_login(monkeypatch: pytest.MonkeyPatch) -> StartToken:
    """A live desk without a login. Returns its token."""
    token = StartToken()
    monkeypatch.setattr(gate, "START_TOKEN", token)
    monkeypatch.setattr(gate, "WEBSOCKETS", Websockets())
    monkeypatch.setattr(guard, "_systems", lambda: (False, ("VERCEL_API_URL",)))
    monkeypatch.setattr(guard, "login_configured", lambda: False)
    return token


CONNECT: Message = {"type": "websocket.connect"}
FRAME: Message = {"type": "websocket.receive", "bytes": b"x"}
GONE: Message = {"type": "websocket.disconnect", "code": 1000}


@pytest.mark.parametrize(
    ("cookie", "more", "peer"),
    [
        ("", {}, "127.0.0.1"),
        ("wrong", {}, "127.0.0.1"),
        ("right", {"origin": "http://localhost:3000"}, "127.0.0.1"),
        ("right", {"x-forwarded-for": "127.0.0.1"}, "127.0.0.1"),
        ("right", {}, "203.0.113.7"),
        ("right", {}, None),
    ],
)
def test_no_session_is_opened_without_the_token_or_from_elsewhere(
    live_without_login: StartToken, cookie: str, more: dict[str, str], peer: str | None
) -> None:
    value = live_without_login.cookie if cookie == "right" else cookie
    client = Client([CONNECT, FRAME], {"cookie": f"{cookie_name(HOST)}={value}", **more}, peer)
    asyncio.run(client.run())
    assert [message["type"] for message in client.got] == ["websocket.close"] and client.served == []


def test_with_the_cookie_a_session_opens_and_no_limit_holds(live_without_login: StartToken) -> None:
    frames = [FRAME] * (STRANGER_MESSAGES + 50)
    client = Client([CONNECT, *frames, GONE], {"cookie": f"{cookie_name(HOST)}={live_without_login.cookie}"})
    asyncio.run(client.run())
    assert client.served == [CONNECT, *frames, GONE]


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "login_configured", lambda: True)


@pytest.mark.usefixtures("login")
def test_a_stranger_who_sends_too_much_is_shown_out_and_nothing_is_sent_after(monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client([CONNECT, *[FRAME] * (STRANGER_MESSAGES + 50)], {})
    asyncio.run(client.run())
    assert len(client.served) == STRANGER_MESSAGES + 1
    assert [message["type"] for message in client.got] == ["websocket.accept", "websocket.close"]


@pytest.mark.usefixtures("login")
def test_a_stranger_who_stays_is_shown_out_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "STRANGER_SECONDS", 0.1)
    client = Client([CONNECT, FRAME], {})
    asyncio.run(client.run())
    assert client.got[-1]["type"] == "websocket.close" and gate.WEBSOCKETS.strangers() == 0


@pytest.mark.usefixtures("login")
def test_no_client_chooses_the_name_by_which_a_page_knows_its_websocket() -> None:
    client = Client([CONNECT, GONE], {HEADER: "mine"})
    asyncio.run(client.run())
    assert client.header not in (None, "mine")


def test_the_page_admits_the_websocket_that_it_was_asked_through() -> None:
    kept = Websockets()
    websocket = kept.open("203.0.113.7", admitted=False)
    assert websocket is not None and kept.of({HEADER: websocket.id}) is websocket
    admit(kept.of({HEADER: websocket.id}))
    assert kept.strangers() == 0
    kept.close(websocket)
    assert kept.of({HEADER: websocket.id}) is None
    admit(kept.of({HEADER: "of nobody"}))
    assert websockets.WEBSOCKETS.of({}) is None
