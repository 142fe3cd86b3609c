"""The one cache: values by key, made once for all who ask, with one rule of how long each is fresh."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

NEVER = float("-inf")


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    forgotten: int = 0  # how often
    made_at: float = NEVER
    value: Any = None
    error: Exception | None = None


class Cache:
    """Keeps what was made under each key. Thread-safe: who asks while it is being made waits for it.

    A value is fresh for `max_age` seconds (None: for ever), unless it is forgotten before, also while it is being made.
    An error of one of the kinds `errors` is kept and raised again for `retry_after` seconds; others are not kept.
    """

    def __init__(
        self,
        *,
        max_age: float | None = None,
        errors: tuple[type[Exception], ...] = (),
        retry_after: float = 0.0,
    ) -> None:
        self.max_age = max_age
        self.retry_after = retry_after
        self._errors = errors
        self._lock = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}

    def get(self, key: Hashable, make: Callable[[T | None], T]) -> T:
        """Return the fresh value under `key`, else what `make` makes of the value before (None if there is none)."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
        with entry.lock:
            age = time.monotonic() - entry.made_at
            if entry.error is not None and age < self.retry_after:
                raise entry.error.with_traceback(None)
            fresh = entry.made_at != NEVER and (self.max_age is None or age <= self.max_age)
            if not fresh or entry.error is not None:
                self._make(entry, make)
            value: T = entry.value
            return value

    def values(self, kind: type[T]) -> list[T]:
        """Return what is kept, fresh or not, of this kind."""
        with self._lock:
            kept = [entry.value for entry in self._entries.values()]
        return [value for value in kept if isinstance(value, kind)]

    def forget(self, key: Hashable) -> None:
        """Let the next one who asks for `key` have it made anew, from the value before."""
        with self._lock:
            entry = self._entries.get(key)
        if entry is not None:
            entry.forgotten += 1
            entry.made_at, entry.error = NEVER, None

    def _make(self, entry: _Entry, make: Callable[[T | None], T]) -> None:
        forgotten = entry.forgotten
        try:
            entry.value, entry.error = make(entry.value), None
        except self._errors as error:
            entry.value, entry.error, entry.made_at = None, error, time.monotonic()
            raise
        entry.made_at = time.monotonic() if entry.forgotten == forgotten else NEVER
