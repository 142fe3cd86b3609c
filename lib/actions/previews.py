"""The previews that were shown lately, so that a refusal can say what has moved since.

A convenience and no guard: what binds is the digest. Nothing in a preview identifies a customer or is a secret.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

from lib.actions.action import Preview, Target

MOST = 200


@dataclass
class Previews:
    """Keeps the newest previews' targets by digest; in `folder`, if given, so that the next process finds them."""

    folder: Path | None = None
    _targets: OrderedDict[str, Target] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def keep(self, preview: Preview) -> None:
        with self._lock:
            self._targets[preview.digest] = preview.target
            while len(self._targets) > MOST:
                self._targets.popitem(last=False)
        if self.folder is not None:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            target = preview.target
            text = json.dumps({"name": target.name, "facts": target.facts})
            (self.folder / f"{preview.digest}.json").write_text(text, encoding="utf-8")
            self._forget_old()

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

    def _forget_old(self) -> None:
        kept = sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime) if self.folder else []
        for path in kept[:-MOST]:
            path.unlink(missing_ok=True)
