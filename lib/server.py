"""The ASGI app: the dashboard with security headers, and endpoints for machines: health, metrics, the headline.

Run it with `streamlit run lib/server.py` or `uvicorn lib.server:app`. `streamlit run app.py` works as well,
without these.
"""

from __future__ import annotations

import asyncio
import base64
import ctypes
import gc
import hashlib
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# `streamlit run lib/server.py` puts this file's folder on the path, and not the project's.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

# Arrow's own allocator keeps the memory that ended threads have freed, and each run of a page is a thread. Arrow reads
# this when it first needs memory.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
# glibc gives each thread an arena of its own, up to eight per core, and each keeps what was freed in it, in pieces too
# small to give back. Under Python's one lock two arenas are enough, and memory use levels off (docs/decisions/0023).
_M_ARENA_MAX, _ARENAS = -8, 2
if sys.platform == "linux" and (mallopt := getattr(ctypes.CDLL(None), "mallopt", None)):  # musl has none
    mallopt(_M_ARENA_MAX, _ARENAS)

import streamlit as st  # noqa: E402
from prometheus_client import CONTENT_TYPE_LATEST  # noqa: E402
from starlette.datastructures import MutableHeaders  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402
from starlette.types import ASGIApp, Message, Receive, Scope, Send  # noqa: E402
from streamlit.errors import StreamlitAPIException  # noqa: E402

from lib import endpoints  # noqa: E402
from lib.journal.errors import JournalError  # noqa: E402
from lib.journal.journal import Journal  # noqa: E402
from lib.model.window import WindowSize  # noqa: E402
from lib.monitor.monitor_status import MonitorStatus  # noqa: E402
from lib.server_limits import end_waiting_connections, raise_descriptor_limit, watch_connections  # noqa: E402
from lib.settings import load  # noqa: E402
from lib.snapshot import utc_now  # noqa: E402
from lib.start_token import START_TOKEN  # noqa: E402
from lib.ui.gate import RequestGate, machine_refusal  # noqa: E402
from lib.ui.guard import asks_for_token  # noqa: E402
from lib.ui.monitor_thread import MonitorThread, monitor_health  # noqa: E402
from lib.ui.runtime import DiagnosisService, app_runtime  # noqa: E402
from lib.ui.styles import clock  # noqa: E402

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content_security_policy() -> str:
    """Return the policy: files of this server alone, and of inline scripts only Streamlit's own and the clock."""
    index = Path(st.__file__).parent / "static" / "index.html"
    inline = [*_INLINE_SCRIPT.findall(index.read_text(encoding="utf-8")), clock()]
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval' {' '.join(_digest(script) for script in inline)}",
            # Streamlit and Plotly write styles into the page while it runs.
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self' blob:",
            "object-src 'none'",
            "base-uri 'self'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class SecurityHeaders:
    """Adds the security headers to every HTTP response. Websockets pass."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._headers = {
            "Content-Security-Policy": content_security_policy(),
            "X-Frame-Options": "DENY",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
            "Cross-Origin-Opener-Policy": "same-origin",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and write the headers into the response as it starts."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Streamlit's own files carry a digest in their names and hold no data.
        cacheable = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not cacheable:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


def healthz(_: Request) -> Response:
    """Answer how process, diagnosis service and monitor are. No names, no data: a probe may ask without a login."""
    health = app_runtime().health()
    journal, monitor = _journal_and_monitor(app_runtime().desk)
    round_at = monitor.last_round_at if monitor else None
    answer = {
        "process": "ok",
        **health,
        "database": "ok" if monitor else "not opened" if journal is None else "unreachable",
        "monitor": monitor_health(monitor).value,
        "monitor_round_age_seconds": (utc_now() - round_at).total_seconds() if round_at else None,
    }
    return JSONResponse(answer, 503 if health["desk"] == "failed" else 200)


def for_machines(answer: Callable[[DiagnosisService], Response]) -> Callable[[Request], Response]:
    """Return the route of an endpoint that needs the diagnosis service, for machines that hold a token."""

    def route(request: Request) -> Response:
        if refusal := machine_refusal(request):
            return refusal
        desk = app_runtime().desk
        if desk is None:
            return JSONResponse({"error": "Switchboard is still starting."}, 503)
        return answer(desk)

    return route


def metrics(desk: DiagnosisService) -> Response:
    """Answer Prometheus. It costs the outside systems no more than one more viewer does."""
    journal, monitor = _journal_and_monitor(desk)
    outcomes = journal.outcomes() if journal and monitor else {}
    text = endpoints.exposition(desk.diagnosis(WindowSize.DAY), monitor, outcomes, utc_now())
    return Response(text, media_type=CONTENT_TYPE_LATEST)


def api_status(desk: DiagnosisService) -> Response:
    """Answer with the headline as JSON."""
    return JSONResponse(endpoints.status_document(desk.diagnosis(WindowSize.DAY), _journal_and_monitor(desk)[1]))


def _journal_and_monitor(desk: DiagnosisService | None) -> tuple[Journal | None, MonitorStatus | None]:
    """Return the journal, if it is open, and how the monitor stands, if the journal can be read."""
    action_service = desk.action_service() if desk else None
    if action_service is None:
        return None, None
    try:
        return action_service.journal, action_service.watched()
    except JournalError:
        return action_service.journal, None


# Until st.navigation was called once in a process, Streamlit takes the folder `pages` for its older kind of app and
# answers a deep link to a server that has just started with "page not found". The call needs no pages for that.
with suppress(StreamlitAPIException):
    st.navigation([])

watch_connections()

ROUTES = [
    Route("/healthz", healthz),
    Route("/metrics", for_machines(metrics)),
    Route("/api/status", for_machines(api_status)),
]


# Python's own collector waits until the garbage is a quarter of all objects, which is a lot with readings among them.
COLLECTED_AGAIN_SECONDS = 30.0


async def collect() -> None:
    """Free circular garbage now and then, instead of after every run of a page (.streamlit/config.toml)."""
    while True:
        await asyncio.sleep(COLLECTED_AGAIN_SECONDS)
        await asyncio.to_thread(free)


def free() -> None:
    """Collect garbage and give the freed memory back, which glibc would otherwise keep."""
    gc.collect()
    if sys.platform == "linux" and (trim := getattr(ctypes.CDLL(None), "malloc_trim", None)):  # musl has none
        trim(0)


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[None]:
    """Collect garbage and end idle connections while the server is up, and run the monitor unless it is off."""
    raise_descriptor_limit()
    every = load().monitor_every
    monitor = MonitorThread(every) if every else None
    if monitor:
        monitor.start()
    if await asyncio.to_thread(asks_for_token):
        START_TOKEN.announce()
    tasks = [asyncio.create_task(collect()), asyncio.create_task(end_waiting_connections())]
    yield
    for task in tasks:
        task.cancel()
    if monitor:
        await asyncio.to_thread(monitor.stop)


app = st.App(
    ROOT / "app.py", routes=ROUTES, middleware=[Middleware(SecurityHeaders), Middleware(RequestGate)], lifespan=lifespan
)
