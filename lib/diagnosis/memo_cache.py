"""What is made of one diagnosis, made once for all who look at it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class _MemoEntry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    done: bool = False
    value: Any = None


class MemoCache:
    """Keeps what was made under each key. Thread-safe: who asks while it is being made waits for it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._made: dict[Hashable, _MemoEntry] = {}

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what stands under `key`; what `make` makes, if nothing does. What `make` raises is not kept."""
        with self._lock:
            made = self._made.setdefault(key, _MemoEntry())
        with made.lock:
            if not made.done:
                made.value = make()
                made.done = True
            value: T = made.value
            return value
