"""Strangers in front of a desk with a login: many websockets, half-sent requests, a unix socket. All on loopback."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.exceptions import ConnectionClosedError, WebSocketException
from websockets.frames import CloseCode

from lib.server_limits import HEADER_SECONDS, SWEEP_SECONDS
from lib.ui.websockets import STRANGERS_AT_ONCE
from tests.browser.conftest import ROOT
from tests.browser.test_every_path import live_desk
from tests.waiting import wait_until
from tests.wire_client import Who, logged_in, sees, session

pytestmark = pytest.mark.sandbox

MANY = 235  # as many as once used up 1,024 descriptors


def listening(port: int) -> psutil.Process:
    """Return the process that listens on a port of this machine."""
    (pid,) = {one.pid for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port}
    return psutil.Process(pid)


@pytest.mark.timeout(180)
def test_many_websockets_and_half_sent_requests_keep_nobody_out(
    play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    with live_desk(play("healthy"), tmp_path / "desk", login=True) as desk, ExitStack() as open_ones:
        port = int(desk.address.rpartition(":")[2])
        server = listening(port)
        assert sees(desk.address, logged_in(desk.address, "eve@example.org"))
        before = server.num_fds()

        let_in = 0
        for _ in range(MANY):
            with suppress(WebSocketException, OSError):
                open_ones.enter_context(session(desk.address, Who()))
                let_in += 1
        assert STRANGERS_AT_ONCE <= let_in < MANY
        assert server.num_fds() < before + 8 * STRANGERS_AT_ONCE
        # A browser tries again by itself: within two seconds one of the strangers' places is to be had.
        wait_until(lambda: sees(desk.address, logged_in(desk.address, "eve@example.org")), 10)

        with pytest.raises(ConnectionClosedError) as closed, session(desk.address, Who()) as opened:
            opened.send_raw(bytes(17_000_000))
        # The server may be gone before it has read the frame: then its reason does not arrive.
        assert closed.value.rcvd is None or closed.value.rcvd.code == CloseCode.MESSAGE_TOO_BIG

        half = [open_ones.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(100)]
        for number, one in enumerate(half):
            one.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Half: " if number % 2 else b"")
        assert httpx.get(f"{desk.address}/healthz").status_code == 200
        time.sleep(HEADER_SECONDS + 2 * SWEEP_SECONDS)
        for one in half:
            one.settimeout(1)
            with suppress(ConnectionResetError):
                assert one.recv(1) == b"", "it still waits"
        if sys.platform == "linux":
            soft, hard = server.rlimit(psutil.RLIMIT_NOFILE)
            assert soft == hard or soft >= 65_536
        output = desk.output()
        assert b"Uvicorn" in output or b"Switchboard is at" in output, "it is what was printed"
        assert b"Traceback" not in output


@pytest.mark.timeout(120)
def test_on_a_unix_socket_nobody_is_this_machine(play: Callable[[str], dict[str, str]], tmp_path: Path) -> None:
    settings = play("healthy") | {"JOURNAL_URL": f"sqlite:///{tmp_path / 'journal.sqlite3'}", "MONITOR_EVERY": "off"}
    path = tmp_path / "desk.sock"
    command = [sys.executable, "-m", "uvicorn", "lib.server:app", "--uds", str(path)]
    environ = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **settings}
    process = subprocess.Popen(command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(path.exists, 60)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost:8501") as client:
            for page in ("", "metrics", "api/status"):
                answer = client.get(f"/{page}")
                assert answer.status_code == 403 and "switchboard_" not in answer.text
            assert "A login is needed" in client.get("/").text
            assert client.get("/healthz").json()["sandbox"] is True
        with socket.socket(socket.AF_UNIX) as wire:
            wire.connect(str(path))
            wire.sendall(
                b"GET /_stcore/stream HTTP/1.1\r\nHost: localhost:8501\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            assert wire.recv(64).startswith(b"HTTP/1.1 403")
    finally:
        process.terminate()
        process.wait(30)
