"""The server: security headers on every response, the health answer, and the HTTP endpoints."""

from __future__ import annotations

import asyncio
import base64
import gc
import hashlib
import os
import re
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias, cast

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from lib import access, endpoints, server
from lib.actions.executor import Executor
from lib.actions.preview_store import PreviewStore
from lib.diagnosis.diagnose import diagnose
from lib.journal.journal import Journal
from lib.journal.request import NewRequest
from lib.model.people import Actor, Role, Via
from lib.model.verdict import HeadlineState
from lib.monitor.monitor_status import MonitorStatus
from lib.settings import Settings
from lib.snapshot import utc_now
from lib.start_token import TRIES, StartToken, cookie_name
from lib.ui import gate, guard, styles
from lib.ui.action_service import ActionService
from lib.ui.runtime import AppRuntime, DiagnosisService
from tests.pages import synthetic

ROOT = Path(__file__).resolve().parent.parent
Headers: TypeAlias = dict[str, str] | list[tuple[str, str]]


@pytest.fixture(autouse=True)
def on_a_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """The server shows a sandbox and has no login, unless a test says otherwise."""
    monkeypatch.setattr(guard, "_systems", lambda: (True, ()))
    monkeypatch.setattr(access, "SECRETS_FILE", Path("/nonexistent/secrets.toml"))
    monkeypatch.setattr(gate, "START_TOKEN", StartToken())


@pytest.fixture
def live(monkeypatch: pytest.MonkeyPatch) -> StartToken:
    """The server shows live systems. Returns the token of this start."""
    monkeypatch.setattr(guard, "_systems", lambda: (False, ("VERCEL_API_URL",)))
    return gate.START_TOKEN


def get(path: str, headers: Headers | None = None, peer: str | None = "127.0.0.1", **more: Any) -> httpx.Response:
    routes = [
        Route("/", lambda _: PlainTextResponse("hello", headers={"Cache-Control": "public"})),
        Route("/static/a.js", lambda _: PlainTextResponse("a", headers={"Cache-Control": "public"})),
        Route("/_stcore/metrics", lambda _: PlainTextResponse("active_sessions 1")),
        *server.ROUTES,
    ]
    app = Starlette(routes=routes, middleware=[Middleware(server.SecurityHeaders), Middleware(gate.RequestGate)])

    async def from_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": (peer, 1) if peer else None}, receive, send)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(cast(Any, from_peer))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8501") as client:
            return await client.request(more.pop("method", "GET"), path, headers=headers, **more)

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
    digest = base64.b64encode(hashlib.sha256(styles.clock().encode()).digest()).decode()
    assert digest in scripts[1]


def test_health_tells_a_desk_that_cannot_open_from_one_that_is_ready(monkeypatch) -> None:
    runtime = AppRuntime.__new__(AppRuntime)
    runtime._desk, runtime.failure, runtime.progress = None, None, []
    monkeypatch.setattr(server, "app_runtime", lambda: runtime)
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["desk"]) == (200, "starting")
    runtime.failure = "It did not start."
    answer = get("/healthz")
    assert (answer.status_code, answer.json()["desk"]) == (503, "failed")
    assert "did not start" not in answer.text


@pytest.fixture
def ready(monkeypatch, tmp_path) -> DiagnosisService:
    """A diagnosis service that is ready, for the endpoints to answer from; its journal has one receipt."""
    settings = Settings.model_validate({"journal_url": f"sqlite:///{tmp_path / 'journal.sqlite3'}"})
    journal = Journal.open(settings, utc_now)
    ana = Actor("ana@example.org", Role.OPERATOR, Via.PAGE)
    request = journal.submit_request(NewRequest("redeploy", 2, "dpl_1", "0" * 64), ana)
    journal.refuse(request.id, "No.", ana)
    action_service = ActionService(Executor(journal, cast(Any, SimpleNamespace(clock=utc_now)), {}, PreviewStore()))
    runtime = AppRuntime.__new__(AppRuntime)
    runtime.failure, runtime.progress = None, []
    runtime._desk = DiagnosisService(
        settings, lambda size: synthetic.planted(), lambda: synthetic.NOW, open_action_service=lambda: action_service
    )
    monkeypatch.setattr(server, "app_runtime", lambda: runtime)
    yield runtime._desk
    action_service.close()
    journal.close()


def configure(monkeypatch, *, address: str, token: str | None) -> None:
    monkeypatch.setattr(gate, "load", lambda: Settings.model_validate({"status_token": token} if token else {}))
    monkeypatch.setattr(guard, "_listens_on", lambda: address)


@pytest.mark.parametrize("path", ["/metrics", "/api/status"])
@pytest.mark.parametrize(
    ("address", "token", "headers", "code"),
    [
        ("127.0.0.1", None, {}, 200),
        ("127.0.0.1", None, {"Host": "rebound.evil.example"}, 403),
        ("127.0.0.1", None, {"X-Forwarded-For": "203.0.113.7"}, 403),
        ("0.0.0.0", None, {}, 403),
        ("0.0.0.0", "swordfish", {}, 401),
        ("0.0.0.0", "swordfish", {"Authorization": "Bearer sword"}, 401),
        ("0.0.0.0", "swordfish", {"Authorization": "Basic swordfish"}, 401),
        ("0.0.0.0", "swordfish", {"Authorization": "Bearer swordfish"}, 200),
        ("127.0.0.1", "swordfish", {}, 401),
    ],
)
def test_machines_read_with_the_token_or_a_sandbox_from_this_machine(
    ready: DiagnosisService, monkeypatch, path: str, address: str, token: str | None, headers: dict[str, str], code: int
) -> None:
    configure(monkeypatch, address=address, token=token)
    answer = get(path, headers)
    assert answer.status_code == code
    if code != 200:
        assert "switchboard_" not in answer.text and "state" not in answer.text


def test_a_stranger_is_none_of_this_machine_whatever_name_they_say(ready: DiagnosisService, monkeypatch) -> None:
    configure(monkeypatch, address="127.0.0.1", token=None)
    assert get("/metrics", peer="203.0.113.7").status_code == 403


@pytest.mark.parametrize("path", ["/metrics", "/api/status", "/_stcore/metrics"])
def test_a_program_reads_live_systems_with_the_token_of_this_start_alone(
    ready: DiagnosisService, monkeypatch, live: StartToken, path: str
) -> None:
    configure(monkeypatch, address="127.0.0.1", token=None)
    cookie = f"{cookie_name('localhost:8501')}={live.cookie}"
    for refused in ({}, {"Authorization": "Bearer guess"}, {"Cookie": cookie[:-1]}, {"Authorization": live.text}):
        answer = get(path, refused)
        assert (answer.status_code, set(answer.json())) == (403, {"error"})
    assert get(path, {"Authorization": f"Bearer {live.text}"}).status_code == 200
    assert get(path, {"Cookie": cookie}).status_code == 200
    assert get(path, {"Cookie": cookie, "X-Forwarded-For": "203.0.113.7"}).status_code == 403


def test_streamlits_own_numbers_are_closed_to_strangers(monkeypatch) -> None:
    configure(monkeypatch, address="127.0.0.1", token="swordfish")
    assert get("/_stcore/metrics").status_code == 401
    assert get("/_stcore/metrics", {"Authorization": "Bearer swordfish"}).text == "active_sessions 1"


def test_without_the_token_a_browser_gets_one_field_and_nothing_else(live: StartToken) -> None:
    answer = get("/")
    assert answer.status_code == 403 and "hello" not in answer.text
    assert answer.text.count("<input") == 1 and "token of this start" in answer.text
    assert live.text not in answer.text and live.cookie not in answer.text


def test_the_token_in_the_address_becomes_a_cookie_and_leaves_the_address(live: StartToken) -> None:
    answer = get(f"/texts?window=7d&token={live.text}")
    assert (answer.status_code, answer.headers["Location"]) == (303, "/texts?window=7d")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(answer.headers["Set-Cookie"].split("; "))
    assert live.text not in str(answer.headers)
    cookie = answer.headers["Set-Cookie"].partition(";")[0]
    assert get("/", {"Cookie": cookie}).text == "hello"
    # An address with the token is opened again: the token leaves it, also if it is an old one.
    assert get("/?token=old", {"Cookie": cookie}).headers["Location"] == "/"


def test_no_address_with_a_token_leads_to_another_host(live: StartToken) -> None:
    for path in ("//evil.example/x", "/\\evil.example", "/%5Cevil.example", "///evil.example"):
        location = get(f"http://localhost:8501{path}?token={live.text}").headers["Location"]
        assert re.match(r"/[^/\\]", location)


def test_the_token_can_be_typed(live: StartToken) -> None:
    wrong = get("/texts?window=7d", method="POST", data={"token": "guess"})
    assert wrong.status_code == 403 and "That is not the token" in wrong.text and "Set-Cookie" not in wrong.headers
    right = get("/texts?window=7d", method="POST", data={"token": f" {live.text}\n"})
    assert (right.status_code, right.headers["Location"]) == (303, "/texts?window=7d")
    assert live.cookie in right.headers["Set-Cookie"]
    assert get("/", method="POST", data={"token": live.text, "more": "x" * gate.FORM_BYTES}).status_code == 403


def test_wrong_tokens_are_looked_at_a_few_times_a_minute(live: StartToken) -> None:
    codes = [get(f"/?token=guess{number}").status_code for number in range(TRIES + 2)]
    assert codes == [403] * TRIES + [429, 429]
    assert get(f"/?token={live.text}").status_code == 429
    # Who is in stays in.
    assert get("/", {"Cookie": f"{cookie_name('localhost:8501')}={live.cookie}"}).text == "hello"


def test_a_form_that_does_not_come_is_not_waited_for(live: StartToken, monkeypatch) -> None:
    monkeypatch.setattr(gate, "FORM_SECONDS", 0.05)

    async def slowly() -> AsyncIterator[bytes]:
        yield b"token="
        await asyncio.sleep(30)

    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert get("/", headers, method="POST", content=slowly()).status_code == 403


def test_a_link_on_another_site_is_followed_once_more_by_our_own_page(live: StartToken) -> None:
    """Browsers keep a strict cookie back when another site's page leads here, and send it when ours does."""
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert 'http-equiv="refresh"' in get("/texts", headers).text
    assert "refresh" not in get("/texts", {**headers, "Sec-Fetch-Site": "same-origin"}).text


@pytest.mark.parametrize(
    "headers",
    [
        *(
            [("Host", host)]
            for host in ("evil.example@localhost", "localhost/evil", "localhost#evil", "localhost?", "localhost:x", "")
        ),
        [("Host", "localhost:8501"), ("Host", "evil.example")],
    ],
)
def test_a_host_that_is_more_than_a_host_is_refused(headers: Headers) -> None:
    assert get("/", headers).status_code == 400
    assert get("/", {"Host": "localhost:8501"}).text == get("/", {"Host": "[::1]:8501"}).text == "hello"


def test_a_peer_that_is_not_known_is_not_this_machine(ready: DiagnosisService, monkeypatch) -> None:
    """On a unix socket uvicorn knows no address: a proxy may be at the other end."""
    configure(monkeypatch, address="127.0.0.1", token=None)
    assert get("/", peer=None).status_code == get("/metrics", peer=None).status_code == 403
    assert "A login is needed" in get("/", peer=None).text


def test_a_sandbox_that_is_mixed_with_live_systems_is_shown_to_nobody(monkeypatch) -> None:
    monkeypatch.setattr(guard, "_systems", lambda: (True, ("TWILIO_API_URL",)))
    answer = get("/")
    assert answer.status_code == 403 and "TWILIO_API_URL leads to a live system" in answer.text


def test_the_metrics_are_prometheus_text_of_ours_without_a_customer(ready: DiagnosisService, monkeypatch) -> None:
    configure(monkeypatch, address="127.0.0.1", token=None)
    families = list(text_string_to_metric_families(get("/metrics").text))
    assert families and all(family.name.startswith("switchboard_") for family in families)
    by_name = {family.name: family for family in families}
    states = {sample.labels["state"]: sample.value for sample in by_name["switchboard_headline"].samples}
    assert sum(states.values()) == 1 and len(states) == len(HeadlineState)
    (refused,) = by_name["switchboard_actions"].samples
    assert (refused.labels, refused.value) == ({"action": "redeploy", "outcome": "refused"}, 1)
    for secret in synthetic.PLANTED:
        assert secret not in get("/metrics").text and secret not in get("/api/status").text


def test_what_the_metrics_call_undelivered_is_what_they_count() -> None:
    """Messages that wait and messages that were given up are both not delivered."""
    diagnosis, now = diagnose(synthetic.planted(), synthetic.NOW), synthetic.NOW
    text = endpoints.exposition(diagnosis, MonitorStatus(now, "here 1", None, (), 3), {}, now).decode()
    (family,) = [one for one in text_string_to_metric_families(text) if one.name.endswith("undelivered")]
    assert [sample.value for sample in family.samples] == [3]
    assert "wait to be sent" in family.documentation and "given up" in family.documentation


def test_the_headline_is_json_with_stable_keys(ready: DiagnosisService, monkeypatch) -> None:
    configure(monkeypatch, address="127.0.0.1", token=None)
    document = get("/api/status").json()
    keys = {
        "state",
        "sentence",
        "since",
        "since_at_least",
        "cause",
        "next_step",
        "measured_at",
        "last_monitor_round_at",
    }
    assert set(document) == keys
    assert document["state"] in set(HeadlineState)


def test_health_needs_no_token_and_says_whether_the_database_answers(ready: DiagnosisService, monkeypatch) -> None:
    configure(monkeypatch, address="0.0.0.0", token="swordfish")
    answer = get("/healthz").json()
    assert (answer["process"], answer["database"], answer["monitor_round_age_seconds"]) == ("ok", "ok", None)


class Knot:
    """Something that only refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_only_refers_to_itself_is_freed_without_waiting_for_pythons_own_collector(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "COLLECTED_AGAIN_SECONDS", 0.01)
    gc.disable()
    try:
        knot = weakref.ref(Knot())
        assert knot() is not None

        async def a_moment() -> None:
            collecting = asyncio.create_task(server.collect())
            while knot() is not None:
                await asyncio.sleep(0.01)
            collecting.cancel()

        asyncio.run(asyncio.wait_for(a_moment(), 20))
    finally:
        gc.enable()


def test_arrow_takes_the_systems_allocator_which_gives_back_what_threads_freed() -> None:
    asks = "import lib.server, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    environ = {name: value for name, value in os.environ.items() if name != "ARROW_DEFAULT_MEMORY_POOL"}
    answer = subprocess.run(
        [sys.executable, "-c", asks], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.split() == ["system"]
