"""The door: security headers on every response, and a health answer that says something."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re

import httpx
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from lib import server
from lib.ui import look
from lib.ui.desk import Opening


def get(path: str) -> httpx.Response:
    routes = [
        Route("/", lambda _: PlainTextResponse("hello", headers={"Cache-Control": "public"})),
        Route("/static/a.js", lambda _: PlainTextResponse("a", headers={"Cache-Control": "public"})),
        Route("/healthz", server.healthz),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(server.SecurityHeaders)])

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_every_response_carries_the_security_headers_and_no_page_is_kept() -> None:
    headers = get("/").headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"


def test_streamlits_own_files_may_be_kept() -> None:
    assert get("/static/a.js").headers["Cache-Control"] == "public"


def test_the_policy_allows_our_script_by_its_digest_and_no_inline_script_beside() -> None:
    scripts = re.search(r"script-src ([^;]*)", server.content_security_policy())
    assert scripts is not None and "unsafe-inline" not in scripts[1] and "unsafe-eval" not in scripts[1].split("'")
    digest = base64.b64encode(hashlib.sha256(look.clock().encode()).digest()).decode()
    assert digest in scripts[1]


def test_health_tells_a_desk_that_cannot_open_from_one_that_is_ready(monkeypatch) -> None:
    door = Opening.__new__(Opening)
    door._desk, door.failure, door.progress = None, None, []
    monkeypatch.setattr(server, "opening", lambda: door)
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["desk"]) == (200, "starting")
    door.failure = "It did not start."
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["desk"]) == (503, "failed")
    assert "did not start" not in answer.text
