"""The ASGI door: the dashboard with security headers, and `/healthz`.

Run it with `streamlit run lib/server.py` or `uvicorn lib.server:app`. `streamlit run app.py` works as well,
without these two.
"""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# `streamlit run lib/server.py` puts this file's folder on the path, and not the project's.
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402
from starlette.datastructures import MutableHeaders  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import JSONResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402
from starlette.types import ASGIApp, Message, Receive, Scope, Send  # noqa: E402
from streamlit.runtime.pages_manager import PagesManager  # noqa: E402

from lib.ui.desk import opening  # noqa: E402
from lib.ui.look import clock  # noqa: E402

_INLINE_SCRIPT = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def _digest(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def content_security_policy() -> str:
    """Return the policy: our own files, and of inline scripts only Streamlit's own and the clock."""
    index = Path(st.__file__).parent / "static" / "index.html"
    inline = [*_INLINE_SCRIPT.findall(index.read_text(encoding="utf-8")), clock()]
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'wasm-unsafe-eval' {' '.join(_digest(script) for script in inline)}",
            # Streamlit's and Plotly's styles are written into the page as it runs.
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
        keeps = scope["path"].startswith("/static/")

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not keeps:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, with_headers)


async def healthz(_: Request) -> Response:
    """Say how the process and the desk are. No names, no data: a probe may ask without a login."""
    health = opening().health()
    return JSONResponse({"process": "ok", **health}, 503 if health["desk"] == "failed" else 200)


# Until st.navigation ran once, Streamlit takes the folder `pages` for its older kind of app, and greets a deep link
# to a server that has just started with "page not found". This attribute is not part of its promised interface:
# should it go, only that greeting comes back (the guard on every page does not depend on it).
PagesManager.uses_pages_directory = False

app = st.App(ROOT / "app.py", routes=[Route("/healthz", healthz)], middleware=[Middleware(SecurityHeaders)])
