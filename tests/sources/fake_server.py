"""A real HTTP server on loopback with scripted answers."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Scripted:
    """One answer. `waits` holds it back until the server is closed; `cut` bytes of the body are never sent."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    waits: bool = False
    cut: int = 0


def as_json(value: Any, status: int = 200, **headers: str) -> Scripted:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Scripted(json.dumps(value).encode(), status, {"Content-Type": "application/json", **named})


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    connection: tuple[str, int]


class FakeServer:
    """The server: `answers` holds per path what is answered, one after the other, the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Scripted]] = {}
        self.everything: Scripted | None = None
        self.asked: list[Asked] = []
        self.closing = threading.Event()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def tell(self, path: str, *answers: Scripted) -> None:
        self.answers[path] = list(answers)

    def tell_all(self, bodies: dict[str, Any]) -> None:
        for path, body in bodies.items():
            self.tell(path, body if isinstance(body, Scripted) else as_json(body))

    def asked_for(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    def answer(self, asked: Asked) -> Scripted:
        with self._lock:
            self.asked.append(asked)
            if self.everything is not None:
                return self.everything
            left = self.answers.get(asked.path)
            if not left:
                return as_json({"message": "Not Found", "error": {"code": "not_found", "message": "Not Found"}}, 404)
            return left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(server: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet: two would wait 40 ms for each other

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            scripted = server.answer(
                Asked(self.command, parts.path, query, dict(self.headers), body, self.client_address)
            )
            if scripted.waits:
                server.closing.wait(30)
                return
            self.send_response(scripted.status)
            for name, value in scripted.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(scripted.body)))
            self.end_headers()
            self.wfile.write(scripted.body[: len(scripted.body) - scripted.cut])
            self.wfile.flush()
            if scripted.cut:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _handle  # noqa: N815 - the base class names them so

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output to the test."""

    return Handler
