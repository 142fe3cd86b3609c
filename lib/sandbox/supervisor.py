"""Runs one child process and ends it when its own parent is gone, even killed with -9.

Run as a script: `python supervisor.py [--user UID:GID] -- COMMAND …`. The parent keeps the other end of our
standard input open and writes nothing. Whatever ends the parent closes that pipe; no other
sign of a parent's end exists on every system. It uses only the standard library, so that it starts in a few
milliseconds, and because other users may not read root's virtual environment.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import IO

# PostgreSQL takes SIGINT as "fast shutdown"; Node programs as Ctrl-C.
STOP_SIGNAL = signal.SIGINT
GRACE_SECONDS = 5.0


class SupervisedProcess:
    """A command run under a supervisor: it ends with `stop()`, or with this process."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: dict[str, str],
        user: tuple[int, int] | None = None,
        cwd: Path | None = None,
    ) -> None:
        """Start `command` with the environment `env`, as `user` (uid, gid) if given; its output is appended to `log`.

        `env` is no option: what a child inherits by default holds every key of ours.
        """
        as_user = ["--user", "{}:{}".format(*user)] if user else []
        with log.open("ab") as output:
            self._supervisor = subprocess.Popen(  # noqa: S603
                [sys.executable, "-I", "-S", __file__, *as_user, "--", *map(str, command)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Its own session: Ctrl-C in our terminal reaches us, and we stop things in order.
                start_new_session=True,
                cwd=cwd,
                env=env,
            )

    @property
    def running(self) -> bool:
        return self._supervisor.poll() is None

    def stop(self) -> None:
        """Stop the command and wait until it is gone."""
        pipe: IO[bytes] | None = self._supervisor.stdin
        if pipe is not None:
            pipe.close()
        self._supervisor.wait()


def supervise(command: Sequence[str], user: tuple[int, int] | None) -> int:
    """Run `command` until it ends or our standard input closes; return its exit code."""
    uid, gid = user or (None, None)
    child = subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.DEVNULL, user=uid, group=gid, extra_groups=[] if user else None
    )

    def stop(_signal: int = 0, _frame: FrameType | None = None) -> None:
        child.send_signal(STOP_SIGNAL)
        last_resort = threading.Timer(GRACE_SECONDS, child.kill)
        last_resort.daemon = True
        last_resort.start()

    def stop_with_parent() -> None:
        wait_until_closed(sys.stdin.fileno())
        stop()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGHUP, stop)
    threading.Thread(target=stop_with_parent, daemon=True).start()
    return child.wait()


def wait_until_closed(pipe: int) -> None:
    """Return when the last process that holds the other end of `pipe` has closed it or is gone."""
    while os.read(pipe, 1024):
        pass


def _main(arguments: list[str]) -> int:
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    user = None
    if options:
        uid, gid = options[1].split(":")
        user = (int(uid), int(gid))
    return supervise(command, user)


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
