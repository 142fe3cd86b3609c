"""Loopback ports, and the error that a sandbox that cannot start ends with."""

from __future__ import annotations

import socket


class SandboxError(Exception):
    """The sandbox cannot start or go on. `str()` is one sentence for people."""


def listen(port: int = 0) -> socket.socket:
    """Return a listening socket on 127.0.0.1. Raises `SandboxError` when `port` is taken; 0 takes a free one."""
    # The protocol is named because asyncio switches Nagle's delay off only for sockets that say they are TCP.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    # A port that an earlier run left in TIME_WAIT is free.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen()
    except OSError:
        listener.close()
        raise SandboxError(f"Port {port} is taken: choose another one, or none.") from None
    return listener


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with listen() as listener:
        return int(listener.getsockname()[1])
