"""The previews that were shown lately, so that a refusal can say what has moved since.

A convenience and no guard: what binds is the digest. Nothing in a preview identifies a customer or is a secret.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from lib.actions.action import Preview, Target

log = logging.getLogger(__name__)

MOST = 200


@dataclass
class PreviewStore:
    """Keeps the newest previews' targets by digest; in `folder`, if given, so that the next process finds them."""

    folder: Path | None = None
    _targets: OrderedDict[str, Target] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def keep(self, preview: Preview) -> None:
        with self._lock:
            self._targets[preview.digest] = preview.target
            while len(self._targets) > MOST:
                self._targets.popitem(last=False)
        if self.folder is None:
            return
        try:
            _write(self.folder, preview)
            _forget_old(self.folder)
        except OSError as error:  # this process knows it all the same
            why = error.strerror or type(error).__name__
            log.warning("A preview could not be kept for other processes in %s: %s", self.folder, why)

    def find(self, digest: str) -> Target | None:
        """Return the target of the preview with this digest, or None if it was not seen here."""
        with self._lock:
            if digest in self._targets:
                return self._targets[digest]
        return self._read(digest)

    def _read(self, digest: str) -> Target | None:
        if self.folder is None or not digest.isalnum():
            return None
        try:
            document = json.loads((self.folder / f"{digest}.json").read_text(encoding="utf-8"))
            return Target(document["name"], tuple((n, v) for n, v in document["facts"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _write(folder: Path, preview: Preview) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"name": preview.target.name, "facts": preview.target.facts})
    (folder / f"{preview.digest}.json").write_text(text, encoding="utf-8")


def _forget_old(folder: Path) -> None:
    for path in sorted(folder.glob("*.json"), key=_written_at)[:-MOST]:
        path.unlink(missing_ok=True)


def _written_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0  # another process took it away meanwhile: old enough
