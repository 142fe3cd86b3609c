"""The gate in front of the server: lets a request in, or answers it without opening a session.

Who has no token where one is needed gets a page with one field. Once they have shown it, a cookie holds for their
browser; a script of the page cannot read it, and no other site's page can send it. The guard of every page
(`lib.ui.guard`) decides by the same rules again, behind this gate or without it.
"""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, parse_qsl, quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lib import endpoints
from lib.settings import load
from lib.start_token import PARAMETER, START_TOKEN, TokenAttempt, cookie_name
from lib.ui import html_components as html
from lib.ui.guard import NO_TOKEN, TOO_MANY_TOKENS, WRONG_TOKEN, Asks, Refusal, host_is_plain, what_is_asked
from lib.ui.websockets import HEADER, STRANGER_MESSAGES, STRANGER_SECONDS, WEBSOCKETS, OpenWebsocket

# These judge themselves whom they answer, or hold no data: health for probes, our endpoints, Streamlit's own files.
_OPEN = frozenset({"/healthz", "/_stcore/health", "/metrics", "/api/status", "/favicon.png"})
_OPEN_FOLDER = "/static/"
# Streamlit's own numbers: how many sessions, how much memory.
_STREAMLIT_METRICS = "_stcore/metrics"

# A form with a token in it is short and comes at once.
FORM_BYTES = 4096
FORM_SECONDS = 5.0
_FORM = "application/x-www-form-urlencoded"


class RequestGate:
    """ASGI middleware that asks of every request what `lib.ui.guard` asks of a page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        if scope["type"] == "http":
            answer = await _answer(Request(scope, receive))
            await (answer or self._app)(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(HTTPConnection(scope), receive, send)
        else:
            await self._app(scope, receive, send)

    async def _websocket(self, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        asks = _what_is_asked(connection)
        let_in = asks is Asks.LOGIN or asks is Asks.NOTHING or (asks is Asks.TOKEN and _has_cookie(connection))
        # Where a login decides, the page will say who it is.
        websocket = WEBSOCKETS.open(_peer(connection), admitted=asks is not Asks.LOGIN) if let_in else None
        if websocket is None:
            await receive()
            await send({"type": "websocket.close", "code": 1013 if let_in else 1008})
            return
        scope = {**connection.scope, "headers": [*connection.scope["headers"]]}
        MutableHeaders(scope=scope)[HEADER] = websocket.id
        try:
            await self._app(scope, _until_ended(websocket, receive, send), _until_closed(websocket, send))
        finally:
            WEBSOCKETS.close(websocket)


def machine_refusal(request: Request) -> Response | None:
    """Return the answer to a program that may not read `/metrics` and the like; None if it may."""
    asks = _what_is_asked(request)
    authorization = request.headers.get("authorization")
    known = asks is Asks.NOTHING or (
        asks is Asks.TOKEN and (_has_cookie(request) or endpoints.shows_start_token(authorization, START_TOKEN))
    )
    answer = endpoints.may_read(authorization, load().status_token, known=known)
    if answer is endpoints.Access.WRONG_TOKEN:
        headers = {"WWW-Authenticate": "Bearer"}
        return JSONResponse({"error": "Show STATUS_TOKEN as a bearer token."}, 401, headers)
    if answer is endpoints.Access.NO_TOKEN_SET:
        return JSONResponse({"error": "Set STATUS_TOKEN to let machines read here."}, 403)
    return None


async def _answer(request: Request) -> Response | None:
    """Return our own answer to a request; None if it may pass."""
    if not _has_one_plain_host(request):
        return PlainTextResponse("The Host header is not a host.", 400)
    path = request.scope["path"]
    if path in _OPEN or path.startswith(_OPEN_FOLDER):
        return None
    if _STREAMLIT_METRICS in path:
        return await asyncio.to_thread(machine_refusal, request)
    asks = _what_is_asked(request)
    if isinstance(asks, Refusal):
        return _page(asks)
    if asks is not Asks.TOKEN:
        return None
    given = request.query_params.get(PARAMETER)
    if _has_cookie(request):
        return _without_token(request) if given is not None else None
    if request.method == "POST":
        given = await _typed_token(request)
    if given:
        return _judged(request, given)
    # A link on another site's page: the browser keeps the cookie back, but not when our own page asks again.
    if request.headers.get("sec-fetch-site") == "cross-site" and request.headers.get("sec-fetch-mode") == "navigate":
        return _page(NO_TOKEN, reload=True)
    return _page(NO_TOKEN)


def _judged(request: Request, given: str) -> Response:
    """Return the cookie for a token that was shown, or what is wrong with it."""
    attempt = START_TOKEN.attempt(given)
    if attempt is TokenAttempt.TOO_MANY:
        return _page(TOO_MANY_TOKENS, 429)
    if attempt is TokenAttempt.WRONG:
        return _page(WRONG_TOKEN)
    answer = _without_token(request)
    answer.set_cookie(
        cookie_name(request.headers["host"]),
        START_TOKEN.cookie,
        path="/",
        secure=request.scope["scheme"] == "https",
        httponly=True,
        samesite="strict",
    )
    return answer


def _without_token(request: Request) -> Response:
    """Return the way to the same address without the token in it."""
    kept = [(name, value) for name, value in parse_qsl(request.url.query, True) if name != PARAMETER]
    # One slash: two would begin the address of another host.
    path = "/" + quote(request.scope["path"].lstrip("/\\"))
    return RedirectResponse(f"{path}?{urlencode(kept)}" if kept else path, 303)


async def _typed_token(request: Request) -> str:
    """Return the token in a form; empty if there is none, or none that comes at once."""
    if not request.headers.get("content-type", "").startswith(_FORM):
        return ""
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for chunk in request.stream():
                body += chunk
                if len(body) > FORM_BYTES:
                    return ""
    except TimeoutError:
        return ""
    return parse_qs(body.decode(errors="replace")).get(PARAMETER, [""])[0].strip()


def _page(refusal: Refusal, status: int = 403, *, reload: bool = False) -> Response:
    field = PARAMETER if refusal.needs_token else None
    return HTMLResponse(html.entrance(refusal.title, refusal.sentence, token_field=field, reload=reload), status)


def _what_is_asked(connection: HTTPConnection) -> Asks | Refusal:
    if not _has_one_plain_host(connection):
        return Refusal("The Host header is not a host", "Open Switchboard by its name or address.")
    return what_is_asked(_peer(connection), connection.headers)


def _has_one_plain_host(connection: HTTPConnection) -> bool:
    hosts = connection.headers.getlist("host")
    return len(hosts) == 1 and host_is_plain(hosts[0])


def _has_cookie(connection: HTTPConnection) -> bool:
    return START_TOKEN.is_cookie(connection.cookies.get(cookie_name(connection.headers.get("host", "")), ""))


def _peer(connection: HTTPConnection) -> str:
    """Return the address of the other end; empty if it is not known, as on a unix socket."""
    return connection.client.host if connection.client else ""


def _until_ended(websocket: OpenWebsocket, receive: Receive, send: Send) -> Receive:
    """Return a `receive` that ends a stranger's websocket: after some minutes, too many messages, or for a newcomer."""
    loop = asyncio.get_running_loop()
    until = loop.time() + STRANGER_SECONDS

    async def receive_while_open() -> Message:
        if websocket.admitted:
            return await receive()
        waiting = asyncio.ensure_future(receive())
        ended = asyncio.ensure_future(websocket.ended.wait())
        try:
            while not waiting.done():
                if websocket.admitted:
                    return await waiting
                left = until - loop.time()
                if left <= 0 or websocket.ended.is_set():
                    break
                await asyncio.wait({waiting, ended}, timeout=min(left, 1.0), return_when=asyncio.FIRST_COMPLETED)
            websocket.messages += 1
            if waiting.done() and (websocket.admitted or websocket.messages <= STRANGER_MESSAGES):
                return waiting.result()
        finally:
            waiting.cancel()
            ended.cancel()
        websocket.ended.set()
        await send({"type": "websocket.close", "code": 1013})
        websocket.closed = True
        return {"type": "websocket.disconnect", "code": 1013}

    return receive_while_open


def _until_closed(websocket: OpenWebsocket, send: Send) -> Send:
    """Return a `send` that drops what a page still sends after we closed its websocket."""

    async def send_while_open(message: Message) -> None:
        if not websocket.closed:
            await send(message)

    return send_while_open
