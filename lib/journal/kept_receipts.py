"""Receipts that could not be written to the journal: kept in files beside it until they can be.

Each file is written as a whole or not at all, for us alone, and holds what the entry would have held: a receipt that is
redacted already. The next process that opens the journal writes it there.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from lib.journal.entry import Kind, Receipt, dumped, loaded
from lib.model.people import Actor, Role, Via

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptReceipt:
    """A receipt, of which request, by whom, and since when it is kept."""

    request_id: UUID
    receipt: Receipt
    actor: Actor
    at: datetime


class KeptReceipts:
    """The receipts in files whose paths begin with `beside`."""

    def __init__(self, beside: Path) -> None:
        self._beside = beside

    def keep(self, kept: KeptReceipt) -> Path:
        """Write one, and return its file. Raises `OSError`, and `JournalError` if it must not be stored."""
        path = self._path(str(kept.request_id))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        text = json.dumps(
            {
                "request_id": str(kept.request_id),
                "actor": kept.actor.name,
                "role": kept.actor.role.value,
                "via": kept.actor.via.value,
                "at": kept.at.isoformat(),
                "receipt": json.loads(dumped(kept.receipt)),
            }
        )
        unfinished = path.with_name(f"{path.name}.{uuid4().hex}")
        try:
            with os.fdopen(os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)
        return path

    def forget(self, request_id: UUID) -> None:
        """Remove the file of a request whose receipt is in the journal."""
        self._path(str(request_id)).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[KeptReceipt]:
        """Yield those that can be read. What cannot is left where it is, and logged."""
        for path in sorted(self._beside.parent.glob(self._path("*").name)):
            try:
                yield _read(path)
            except (OSError, ValueError, KeyError, TypeError, AssertionError) as error:
                log.warning("The receipt kept in %s cannot be read (%s).", path, type(error).__name__)

    def _path(self, request_id: str) -> Path:
        return self._beside.with_name(f"{self._beside.name}.receipt-{request_id}.json")


def _read(path: Path) -> KeptReceipt:
    stored = json.loads(path.read_text(encoding="utf-8"))
    receipt = loaded(Kind.RECEIPT, json.dumps(stored["receipt"]))
    if not isinstance(receipt, Receipt):
        raise TypeError
    return KeptReceipt(
        UUID(stored["request_id"]),
        receipt,
        Actor(stored["actor"], Role(stored["role"]), Via(stored["via"])),
        datetime.fromisoformat(stored["at"]),
    )
