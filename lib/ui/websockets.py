"""The open websockets: which belong to somebody who may look, and how the others are kept few and short.

The gate (`lib.ui.gate`) notes each as it opens. Where a login decides, only the page knows who it is: it admits the
websocket once its guard let somebody in. Until then it is a stranger's.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

# Strangers see the page that asks for a login: so many at once, for so long, with so many messages.
STRANGERS_AT_ONCE = 16
STRANGER_SECONDS = 300.0
STRANGER_MESSAGES = 100
# When all places are taken, a newcomer gets that of the longest-standing stranger, but none that is newer than this.
STRANGER_MIN_SECONDS = 2.0

# By this header of the handshake a page knows its websocket. The gate writes it, over whatever a client sent.
HEADER = "x-switchboard-websocket"


@dataclass(eq=False)
class OpenWebsocket:
    """One open websocket. `peer` is the address of the other end; empty if it is not known."""

    peer: str
    opened_at: float
    admitted: bool
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    messages: int = 0
    closed: bool = False


class Websockets:
    """All websockets that are open. Opened and closed on the event loop, admitted from any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, OpenWebsocket] = {}

    def open(self, peer: str, *, admitted: bool) -> OpenWebsocket | None:
        """Note a new websocket; None if it is a stranger's and there is no place for it."""
        now = self._clock()
        with self._lock:
            strangers = [one for one in self._open.values() if not one.admitted and not one.ended.is_set()]
            if not admitted and len(strangers) >= STRANGERS_AT_ONCE:
                oldest = strangers[0]
                if now - oldest.opened_at < STRANGER_MIN_SECONDS:
                    return None
                oldest.ended.set()
            websocket = OpenWebsocket(peer, now, admitted)
            self._open[websocket.id] = websocket
            return websocket

    def close(self, websocket: OpenWebsocket) -> None:
        """Forget a websocket that was closed."""
        with self._lock:
            self._open.pop(websocket.id, None)

    def of(self, headers: Mapping[str, str]) -> OpenWebsocket | None:
        """Return the websocket whose handshake had these headers; None if no gate stands before the server."""
        return self._open.get(headers.get(HEADER, ""))

    def strangers(self) -> int:
        """Return how many websockets belong to nobody who may look."""
        return sum(not one.admitted for one in list(self._open.values()))


def admit(websocket: OpenWebsocket | None) -> None:
    """Note that somebody who may look is at the other end: no stranger's limit holds any more."""
    if websocket is not None:
        websocket.admitted = True


WEBSOCKETS = Websockets()
