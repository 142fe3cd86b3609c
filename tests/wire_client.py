"""A viewer without a browser: whatever headers it likes, and the frames that somebody else's browser sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlsplit

import httpx
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from lib.start_token import cookie_name

SECRET = "a-secret-of-this-test-that-signs-its-cookies"
SECTION_AUTH = f"""[auth]
redirect_uri = "http://127.0.0.1/oauth2callback"
cookie_secret = "{SECRET}"
client_id = "test"
client_secret = "test"
server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"
"""
# How long to wait for an answer: a first page takes a while, and a frame for what is not there gets none.
SECONDS, REPLAY_SECONDS = 30, 2
QUIET_SECONDS = 1.0


@dataclass(frozen=True)
class Who:
    """Somebody in front of the desk: the cookies of their browser, and whether it says where the page is from."""

    cookies: dict[str, str] = field(default_factory=dict)
    origin: bool = False

    def headers(self) -> dict[str, str]:
        """Return the headers of their requests, but for the websocket's Origin."""
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": cookies} if cookies else {}


def holder(address: str, cookie: str) -> Who:
    """Somebody whose browser has this cookie for the token of the start, right or wrong."""
    return Who({cookie_name(urlsplit(address).netloc): cookie})


def logged_in(address: str, email: str | None) -> Who:
    """A browser in which `email` is logged in, as the login itself would have it; None: at the login's page."""
    answer = httpx.get(f"{address}/_stcore/health")
    cookies = {name: one.value for name, one in SimpleCookie(answer.headers.get("set-cookie", "")).items()}
    if email:
        user = json.dumps({"origin": address, "is_logged_in": True, "email": email})
        cookies["_streamlit_user"] = create_signed_value(SECRET, "_streamlit_user", user).decode()
    return Who(cookies, origin=True)


class Session:
    """One session over a websocket: what was sent, and every frame that came back."""

    def __init__(self, wire: ClientConnection) -> None:
        self._wire = wire
        self.patience: float = SECONDS
        self.frames: list[bytes] = []

    def send(self, frame: bytes) -> None:
        """Send a frame, and return once the page was run for it and is at rest.

        A frame for a part of the page that this session does not have is not answered: that is waited for a while.
        Frames that run nothing are left out.
        """
        if BackMsg.FromString(frame).WhichOneof("type") != "rerun_script":
            return
        self._wire.send(frame)
        finished = False
        while True:
            try:
                # A callback may have the whole page run again: that begins at once.
                got = self._wire.recv(timeout=QUIET_SECONDS if finished else self.patience, decode=False)
            except TimeoutError:
                return
            self.frames.append(got)
            kind = ForwardMsg.FromString(got).WhichOneof("type")
            finished = kind == "script_finished" or (finished and kind != "new_session")

    def send_raw(self, frame: bytes) -> bytes:
        """Send a frame that need not be a message, and return what comes back for it next."""
        self._wire.send(frame)
        return self._wire.recv(timeout=self.patience, decode=False)

    def open(self, page: str = "") -> bytes:
        """Open a page and return everything that was sent for it."""
        ask = BackMsg()
        ask.rerun_script.page_name = page
        self.send(ask.SerializeToString())
        return b"\n".join(self.frames)


@contextmanager
def session(address: str, who: Who, **headers: str) -> Iterator[Session]:
    """Open a session at `address`. Raises `WebSocketException` or `OSError` if the server does not let it open."""
    xsrf = who.cookies.get("_streamlit_xsrf")
    with connect(
        re.sub("^http", "ws", address) + "/_stcore/stream",
        subprotocols=["streamlit", *([xsrf] if xsrf else [])],  # type: ignore[list-item]
        origin=address if who.origin else None,  # type: ignore[arg-type]
        additional_headers={**who.headers(), **headers},
        open_timeout=SECONDS,
        max_size=None,
    ) as wire:
        yield Session(wire)


def sees(address: str, who: Who, **headers: str) -> bool:
    """Return whether somebody sees the desk's headline over a websocket."""
    try:
        with session(address, who, **headers) as opened:
            return b"sb-headline" in opened.open()
    except (WebSocketException, OSError):
        return False


def replays(address: str, who: Who, frames: list[bytes], **headers: str) -> bool:
    """Send the frames of somebody else's browser; return whether a session opened for it."""
    try:
        with session(address, who, **headers) as opened:
            opened.patience = REPLAY_SECONDS
            for frame in frames:
                opened.send(frame)
            return True
    except (WebSocketException, OSError):
        return False
