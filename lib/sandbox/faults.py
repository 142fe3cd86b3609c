"""Makes the twins slow, failing, rate-limiting, silent or incoherent, each on its own, while they run."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

# The twins that can be made to fail, by the first part of their paths.
SYSTEMS = ("supabase", "management", "vercel", "github", "twilio", "app")

_HTML = "<!doctype html><html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>"


class Body(StrEnum):
    """How an answer's body is spoilt."""

    HTML = "html"
    TRUNCATED = "truncated"
    WRONG_TYPES = "wrong_types"


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """What is wrong with a system. Only the share `rate` of its requests is hit."""

    delay_ms: float = 0
    status: int | None = None  # answered without asking the twin
    retry_after: str | None = None  # the header, in seconds or as a date
    body: Body | None = None
    rate: float = 1
    refuse: bool = False  # the connection is closed without an answer
    spare: str | None = None  # requests whose User-Agent begins like this are not hit


def parse_fault(fields: dict[str, Any]) -> InjectedFault:
    """Read a fault from JSON. Raises `ValueError` with a sentence."""
    unknown = fields.keys() - asdict(InjectedFault()).keys()
    if unknown:
        raise ValueError(f"Unknown: {', '.join(sorted(unknown))}. Known: {', '.join(asdict(InjectedFault()))}.")
    retry_after, body, status = (fields.get(name) for name in ("retry_after", "body", "status"))
    if body is not None and body not in list(Body):
        raise ValueError(f"body must be one of {', '.join(Body)}.")
    try:
        return InjectedFault(
            delay_ms=float(fields.get("delay_ms") or 0),
            status=None if status is None else int(status),
            retry_after=None if retry_after is None else str(retry_after),
            body=None if body is None else Body(body),
            rate=float(fields.get("rate", 1)),
            refuse=bool(fields.get("refuse")),
            spare=None if fields.get("spare") is None else str(fields["spare"]),
        )
    except (TypeError, ValueError):
        raise ValueError("delay_ms, status and rate must be numbers.") from None


class Faults:
    """Middleware before the twins that applies the faults in `by_system`. The control API writes to it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.by_system: dict[str, InjectedFault] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        system = scope.get("path", "").lstrip("/").partition("/")[0]
        fault = self.by_system.get(system)
        spared = fault is None or random.random() >= fault.rate  # noqa: S311 - no secret hangs on it
        if fault is None or spared or _is_spared(fault, scope):
            await self._app(scope, receive, send)
            return
        await self._delay(fault, system, scope)
        if fault.refuse:
            await hang_up(scope, receive)
        elif fault.status is not None:
            await _refusal(fault, fault.status)(scope, receive, send)
        elif fault.body is not None:
            await self._spoil(fault.body, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _delay(self, fault: InjectedFault, system: str, scope: Scope) -> None:
        """Wait for the fault's delay, but no longer than the client waits or the fault lasts."""
        now = asyncio.get_running_loop().time
        end = now() + fault.delay_ms / 1000
        while now() < end and _is_open(scope) and self.by_system.get(system) is fault:
            await asyncio.sleep(min(end - now(), 0.05))

    async def _spoil(self, how: Body, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the twin answer, then send its answer with a spoilt body."""
        status, headers, body = 500, [], b""

        async def collect(message: Message) -> None:
            nonlocal status, headers, body
            if message["type"] == "http.response.start":
                status, headers = message["status"], list(message["headers"])
            elif message["type"] == "http.response.body":
                body += message.get("body", b"")

        # A compressed body cannot be spoilt in a way that arrives.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self._app({**scope, "headers": plain}, receive, collect)
        spoilt = Response(spoil(body, how), status)
        kept = [(name, value) for name, value in headers if name != b"content-length"]
        if how is Body.HTML:
            kept = [(name, value) for name, value in kept if name != b"content-type"]
            kept.append((b"content-type", b"text/html; charset=utf-8"))
        spoilt.raw_headers = [*kept, (b"content-length", str(len(spoilt.body)).encode())]
        await spoilt(scope, receive, send)


def _is_spared(fault: InjectedFault, scope: Scope) -> bool:
    if fault.spare is None:
        return False
    agent = next((value for name, value in scope.get("headers", ()) if name == b"user-agent"), b"")
    return bool(agent.startswith(fault.spare.encode()))


def _refusal(fault: InjectedFault, status: int) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    if fault.body is Body.HTML:
        return Response(_HTML, status, headers, media_type="text/html")
    message = json.dumps({"message": "The sandbox is set to fail."}).encode()
    return Response(message if fault.body is None else spoil(message, fault.body), status, headers, "application/json")


def spoil(body: bytes, how: Body) -> bytes:
    """Return `body` as HTML, cut in half, or as JSON of the same shape with all the wrong types."""
    if how is Body.HTML:
        return _HTML.encode()
    if how is Body.TRUNCATED:
        return body[: len(body) // 2]
    try:
        return json.dumps(_mistyped(json.loads(body))).encode()
    except ValueError:
        return b"7"  # it was no JSON: now it is, and no object


def _mistyped(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _mistyped(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_mistyped(item) for item in value]
    return {"unexpected": True} if isinstance(value, str) else "not what you expect"


# Hanging up ----------------------------------------------------------------------------------------------

_open_connections: dict[tuple[str, int], asyncio.Transport] = {}


class HangUpProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, remembering its connections: ASGI cannot close one without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self.client is not None:
            _open_connections[self.client] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            _open_connections.pop(self.client, None)
        super().connection_lost(exc)


def _is_open(scope: Scope) -> bool:
    return tuple(scope["client"]) in _open_connections


async def hang_up(scope: Scope, receive: Receive) -> None:
    """Close the connection that `scope` came over, without an answer; return when it is closed."""
    transport = _open_connections.get(tuple(scope["client"]))
    if transport is not None:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
