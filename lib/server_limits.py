"""What keeps clients that send nothing from using the server up: limits of descriptors and of idle connections.

uvicorn waits for the rest of a request's headers for as long as the client likes, and has no setting for it. So each
connection is noted as it is made, and closed when no whole request came within a few seconds.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

# A request's headers must be there within so many seconds of the connection or of the answer before. uvicorn itself
# ends a connection on which nothing at all follows an answer after five.
HEADER_SECONDS = 10.0
SWEEP_SECONDS = 2.0
# So many connections may wait for a request at once. One more ends the one that has waited longest.
WAITING_AT_ONCE = 256
DESCRIPTORS = 65_536

_PROTOCOLS = (
    ("uvicorn.protocols.http.h11_impl", "H11Protocol"),
    ("uvicorn.protocols.http.httptools_impl", "HttpToolsProtocol"),
)


def raise_descriptor_limit(wanted: int = DESCRIPTORS) -> int | None:
    """Let this process open `wanted` descriptors, or as many as it may; return how many. None where it has no limit."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return None
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if allowed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(soft, allowed)


class WaitingConnections:
    """The connections of an HTTP server that wait for a whole request, and since when (monotonic seconds).

    A connection is uvicorn's protocol object: `cycle` is the request that it last began to answer.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: WeakKeyDictionary[Any, tuple[Any, float]] = WeakKeyDictionary()

    def add(self, connection: Any) -> None:
        """Note a new connection. If too many wait, the one that has waited longest is ended."""
        self._since[connection] = (None, self._clock())
        waiting = self._waiting()
        if len(waiting) > WAITING_AT_ONCE:
            self._end(min(waiting, key=waiting.__getitem__))

    def sweep(self) -> int:
        """End the connections that have waited for too long; return how many."""
        before = self._clock() - HEADER_SECONDS
        late = [connection for connection, since in self._waiting().items() if since < before]
        for connection in late:
            self._end(connection)
        return len(late)

    def _waiting(self) -> dict[Any, float]:
        waiting: dict[Any, float] = {}
        for connection, (cycle, since) in list(self._since.items()):
            transport = connection.transport
            if transport.is_closing() or transport.get_protocol() is not connection:  # it became a websocket
                del self._since[connection]
            elif connection.cycle is not cycle or (cycle is not None and not cycle.response_complete):
                self._since[connection] = (connection.cycle, self._clock())
            else:
                waiting[connection] = since
        return waiting

    def _end(self, connection: Any) -> None:
        self._since.pop(connection, None)
        connection.transport.abort()


_WAITING = WaitingConnections()


def watch_connections() -> None:
    """Have uvicorn's HTTP connections noted from now on. Safe to call again."""
    for module, name in _PROTOCOLS:
        try:
            protocol = getattr(importlib.import_module(module), name)
        except ImportError:  # httptools is optional
            continue
        if not hasattr(protocol, "noted_by_switchboard"):
            protocol.noted_by_switchboard = True
            protocol.connection_made = _noting(protocol.connection_made)


def _noting(connection_made: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    def noted(self: Any, transport: Any) -> None:
        connection_made(self, transport)
        _WAITING.add(self)

    return noted


async def end_waiting_connections() -> None:
    """End connections that wait for too long, for as long as the server runs."""
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        _WAITING.sweep()
