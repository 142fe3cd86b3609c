"""The desk behind a real proxy on the same machine: its visitors are strangers, whatever the proxy says of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import ROOT, free_port
from tests.browser.test_every_path import browser_of, cookie_of, frames_of_a_redeploy, live_desk
from tests.waiting import wait_until
from tests.wire_client import Who, holder, logged_in, replays, sees

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

HOSTING = ROOT / "docs" / "hosting"
WEBSOCKET_LINES = (
    'proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'
)
FORWARDED_LINES = (
    "proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header X-Forwarded-Proto $scheme; "
    "proxy_set_header X-Forwarded-Host $http_host; proxy_set_header X-Real-IP $remote_addr;"
)
# By name: the lines beside proxy_pass, as people write them, and whether whoever holds the token gets in with them.
VARIANTS = {
    "plain": ("", False),
    "websocket": (WEBSOCKET_LINES, True),
    "forwarded": (FORWARDED_LINES, False),
    "websocket and forwarded": (WEBSOCKET_LINES + FORWARDED_LINES, False),
    "websocket and host": (WEBSOCKET_LINES + "proxy_set_header Host $http_host;", True),
}


def installed(name: str) -> str:
    path = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if path is None:
        pytest.skip(f"NOT TESTED: {name} is not installed (apt-get install {name}-light or {name}).")
    return path


@contextmanager
def proxy(command: list[str], port: int) -> Iterator[str]:
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        if process.poll() is not None:
            pytest.fail(f"The proxy ended: {process.communicate()[0].decode()[-2000:]}")
        try:
            return httpx.get(f"{address}/_stcore/health", timeout=2).text == "ok"
        except httpx.TransportError:
            return False

    try:
        wait_until(answers)
        yield address
    finally:
        process.terminate()
        process.communicate(timeout=30)


@contextmanager
def nginx(inside_http: str, folder: Path, port: int) -> Iterator[str]:
    folder.mkdir(parents=True)
    temporary = " ".join(f"{name}_temp_path {folder};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"daemon off; {user} worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; "
        f"events {{ worker_connections 512; }} http {{ access_log off; {temporary}\n{inside_http}\n}}"
    )
    command = [installed("nginx"), "-p", str(folder), "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"]
    with proxy(command, port) as address:
        yield address


@pytest.mark.timeout(240)
def test_no_visitor_of_a_proxy_sees_or_acts_without_the_token(
    chromium: Browser, play: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    installed("nginx")
    with live_desk(play("healthy"), tmp_path / "desk") as desk:
        cookie = cookie_of(desk)
        page = browser_of(chromium, desk.address, holder(desk.address, cookie))
        page.goto(f"{desk.address}/deployments")
        frames = frames_of_a_redeploy(page)
        page.context.close()
        behind = desk.address.removeprefix("http://")
        for number, (name, (lines, gets_in)) in enumerate(VARIANTS.items()):
            port = free_port()
            server = f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass {desk.address}; {lines} }} }}"
            with nginx(server, tmp_path / str(number), port) as address:
                # What the desk is asked for is its own address, unless the proxy passes the visitor's on.
                asked_for = address if "Host $http_host" in lines else f"http://{behind}"
                for who in (Who(), holder(asked_for, "guess"), Who(origin=True)):
                    for path in ("", "texts", "metrics", "api/status", "_stcore/metrics", "_stcore/host-config"):
                        answer = httpx.get(f"{address}/{path}", headers=who.headers())
                        assert answer.status_code == 403 and "switchboard_" not in answer.text, (name, path)
                        assert "sentence" not in answer.text and "active_sessions" not in answer.text, (name, path)
                    assert not sees(address, who), name
                    assert not replays(address, who, frames), name
                assert len(desk.journal.requests()) == 1, name
                # The lines do pass a websocket on: who holds the token gets in, unless the proxy says that it is one.
                assert sees(address, holder(asked_for, cookie)) is gets_in, name


@contextmanager
def documented_nginx(desk: str, folder: Path) -> Iterator[str]:
    port = free_port()
    text = (HOSTING / "nginx.conf").read_text(encoding="utf-8")
    text = re.sub(r"(?m)^ *ssl_.*\n", "", text).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    assert "http://127.0.0.1:8501" in text and "listen 127.0.0.1" in text
    with nginx(text.replace("http://127.0.0.1:8501", desk), folder, port) as address:
        yield address


@contextmanager
def documented_caddy(desk: str, folder: Path) -> Iterator[str]:
    port = free_port()
    text = (HOSTING / "Caddyfile").read_text(encoding="utf-8")
    assert "desk.example.com {" in text and "reverse_proxy 127.0.0.1:8501" in text
    text = text.replace("desk.example.com {", f"http://127.0.0.1:{port} {{")
    folder.mkdir(parents=True)
    file = folder / "Caddyfile"
    file.write_text(
        "{\n\tadmin off\n\tauto_https off\n}\n" + text.replace("127.0.0.1:8501", desk.removeprefix("http://"))
    )
    command = [installed("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]
    with proxy(command, port) as address:
        yield address


@pytest.mark.timeout(180)
@pytest.mark.parametrize("through", [documented_nginx, documented_caddy])
def test_the_documented_proxy_lets_people_in_who_logged_in_and_nobody_else(
    play: Callable[[str], dict[str, str]], tmp_path: Path, through: Callable[[str, Path], Iterator[str]]
) -> None:
    installed(through.__name__.removeprefix("documented_"))
    with (
        live_desk(play("healthy"), tmp_path / "login", login=True) as desk,
        through(desk.address, tmp_path / "proxy-login") as address,
    ):
        assert sees(address, logged_in(address, "eve@example.org"))
        assert not sees(address, logged_in(address, None))
        assert not sees(address, logged_in(address, "stranger@example.org"))
        assert not sees(address, Who())
        codes = [httpx.get(f"{address}/{path}").status_code for path in ("metrics", "api/status", "_stcore/metrics")]
        assert codes == [403, 403, 404]
    with (
        live_desk(play("healthy"), tmp_path / "token") as desk,
        through(desk.address, tmp_path / "proxy-token") as address,
    ):
        answer = httpx.get(f"{address}/")
        assert answer.status_code == 403 and "A login is needed" in answer.text
        assert not sees(address, holder(address, cookie_of(desk))), "a proxy that says so needs a login"
