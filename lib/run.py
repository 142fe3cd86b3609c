"""Starts everything for `scripts/run`: a sandbox, where nothing is configured, and the dashboard on it.

The sandbox is a child that watches a pipe of ours: however this process ends, it ends too.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
import urllib.request
import webbrowser
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from lib.launch import LaunchedSandbox, LaunchError, start_sandbox
from lib.settings import load
from lib.start_token import PARAMETER, START_TOKEN

HOST = "127.0.0.1"
DEFAULT_PORT = 8501
PORTS_TO_TRY = 50
READY_SECONDS = 60.0

console = Console(stderr=True, highlight=False)


def run(
    port: Annotated[
        int | None, typer.Option(help=f"The port; by default the first free one from {DEFAULT_PORT}.")
    ] = None,
    scenario: Annotated[str | None, typer.Option(help="The sandbox's scenario; only without credentials.")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the dashboard in a browser.")] = True,
) -> None:
    """Start the dashboard: on the systems that are configured, or else on a sandbox."""
    settings = load()
    for problem in settings.problems:
        console.print(f"[yellow]{escape(problem.sentence)}[/]")
    if scenario and settings.anything_configured:
        raise typer.BadParameter("--scenario is for the sandbox, and credentials are set: unset them first.")
    chosen = _free_port(port)
    sandbox = None if settings.anything_configured else _sandbox(scenario)
    # The server raises the signal again when it has closed its doors: then we still have to stop the sandbox.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if sandbox is not None:
            os.environ.update(sandbox.settings)
        START_TOKEN.announced()  # it stands in the address that is printed
        threading.Thread(target=_announce, args=(chosen, browser), daemon=True).start()
        _serve(chosen)
    except KeyboardInterrupt:
        console.print("Stopping.")
    finally:
        if sandbox is not None:
            sandbox.stop()


def _sandbox(scenario: str | None) -> LaunchedSandbox:
    console.print("No credentials are set: starting the sandbox, with local twins of all six systems.")
    try:
        return start_sandbox(scenario, lambda line: console.print(f"  {escape(line)}"))
    except LaunchError as error:
        console.print(f"[red]{escape(str(error))}[/]")
        raise typer.Exit(1) from None


def _serve(port: int) -> None:
    # Imported late: Streamlit reads its configuration from the environment when it is imported.
    from lib.server import app

    app.run(config={"server.port": port, "server.address": HOST, "server.headless": True})


def _free_port(wanted: int | None) -> int:
    """Return `wanted`, or the first free port from the default. A port in use that was asked for is an error."""
    if wanted is not None:
        if not _is_free(wanted):
            raise typer.BadParameter(f"Port {wanted} is in use: choose another with --port, or omit it.")
        return wanted
    for port in range(DEFAULT_PORT, DEFAULT_PORT + PORTS_TO_TRY):
        if _is_free(port):
            if port != DEFAULT_PORT:
                console.print(f"Port {DEFAULT_PORT} is in use; taking {port}.")
            return port
    raise typer.BadParameter(f"No port from {DEFAULT_PORT} to {port} is free: choose one with --port.")


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _announce(port: int, browser: bool) -> None:
    """Print the address once the dashboard answers there."""
    address = f"http://{HOST}:{port}"
    end = time.monotonic() + READY_SECONDS
    while time.monotonic() < end:
        if _answers(address):
            to_print, to_open = _addresses(address)
            console.print(f"\n[bold]Switchboard is at {to_print}[/]   (Ctrl-C stops it)\n", soft_wrap=True)
            if browser:
                webbrowser.open(to_open)
            return
        time.sleep(0.1)
    console.print(f"[yellow]Nothing answers at {address} yet.[/]")


def _addresses(address: str) -> tuple[str, str]:
    """Return the address to print and the one to open: with a token, if the desk asks for one.

    Other users of this machine can read with what a browser was started: that token works once.
    """
    from lib.ui.guard import asks_for_token  # late, as the server

    if not asks_for_token():
        return address, address
    return f"{address}/?{PARAMETER}={START_TOKEN.text}", f"{address}/?{PARAMETER}={START_TOKEN.one_use()}"


def _answers(address: str) -> bool:
    try:
        # The body decides: any unknown path of the server answers 200 too.
        with urllib.request.urlopen(f"{address}/healthz", timeout=5) as answer:  # noqa: S310 - our own address
            return b'"process"' in answer.read()
    except OSError:
        return False


if __name__ == "__main__":
    typer.run(run)
