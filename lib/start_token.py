"""The token of this start. On live systems without a login, who holds it may look and act.

It is made when the process starts, kept in memory alone, and printed for whoever started the process. A browser gets
a cookie for it that only the server can read.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum

# The name of the token in an address and in a form.
PARAMETER = "token"
# So many wrong tokens within so many seconds are looked at, whoever sends them.
TRIES, TRIES_SECONDS = 10, 60.0
# How long the token that a browser is opened with can be used. It stands on a command line, where others may read it.
ONE_USE_SECONDS = 300.0
_BYTES = 32


class TokenAttempt(StrEnum):
    """What became of a token that somebody showed."""

    RIGHT = "right"
    WRONG = "wrong"
    TOO_MANY = "too_many"


class StartToken:
    """A token, the cookie that stands for it, and how many wrong ones were shown lately. Thread-safe.

    `clock` returns monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.text = secrets.token_urlsafe(_BYTES)
        # Another secret: a browser holds it, and old cookies are no tries.
        self.cookie = secrets.token_urlsafe(_BYTES)
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: deque[float] = deque(maxlen=TRIES)
        self._one_use: dict[str, float] = {}
        self._announced = False

    def one_use(self) -> str:
        """Return a token that works once, within five minutes."""
        code = secrets.token_urlsafe(_BYTES)
        with self._lock:
            self._one_use[code] = self._clock() + ONE_USE_SECONDS
        return code

    def attempt(self, given: str) -> TokenAttempt:
        """Judge a token that somebody shows. After ten wrong ones within a minute none is looked at for a while."""
        now = self._clock()
        with self._lock:
            if len(self._wrong) == TRIES and now - self._wrong[0] < TRIES_SECONDS:
                return TokenAttempt.TOO_MANY
            if self.matches(given) or self._used(given, now):
                return TokenAttempt.RIGHT
            self._wrong.append(now)
            return TokenAttempt.WRONG

    def matches(self, given: str) -> bool:
        """Return whether this is the token itself, in a time that says nothing of how much of it is right."""
        return _same(given, self.text)

    def is_cookie(self, given: str) -> bool:
        """Return whether this is the cookie that a browser got for the token."""
        return _same(given, self.cookie)

    def announce(self, write: Callable[[str], object] = sys.stderr.write) -> None:
        """Print the token once, for whoever started the process. Not through the log, which takes tokens out."""
        with self._lock:
            if self._announced:
                return
            self._announced = True
        write(
            "Switchboard is connected to live systems and has no login: it asks for the token of this start.\n"
            f"Add /?{PARAMETER}={self.text} to its address, or type the token where it is asked for.\n"
        )

    def announced(self) -> None:
        """Note that whoever started the process was given the token in another way."""
        with self._lock:
            self._announced = True

    def _used(self, given: str, now: float) -> bool:
        """Return whether `given` is a token for one use, and use it up. Lock held."""
        self._one_use = {code: until for code, until in self._one_use.items() if until > now}
        found = [code for code in self._one_use if _same(given, code)]
        for code in found:
            del self._one_use[code]
        return bool(found)


def cookie_name(host: str) -> str:
    """Return the name of the cookie for a `Host` header: browsers send one cookie to every port of a host."""
    port = host.rpartition(":")[2]
    return f"switchboard_{port if port.isdecimal() else 'start'}"


def _same(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode(errors="surrogatepass"), right.encode())


START_TOKEN = StartToken()
