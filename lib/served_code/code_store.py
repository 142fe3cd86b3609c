"""What was read of each commit, kept on disk by its SHA: what a commit holds never changes.

One file per commit. It is written whole or not at all; one that is broken, or was written by a reader that reads
otherwise, counts as not there. The oldest give way when there are too many or they are too large.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import re
import tempfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lib.model.served_code import ServedCode
from lib.served_code.reader import VERSION

_SHA = re.compile(r"[0-9a-f]{7,64}")
_ENDING = ".json.gz"
_LARGEST = 64 * 1024 * 1024  # unpacked; a file that unpacks to more was not written here
_DIGEST = 32


@dataclass(frozen=True, slots=True)
class Store:
    """A folder of readings. `most` is how many commits are kept, `most_bytes` how large they may be together."""

    folder: Path
    most: int = 12
    most_bytes: int = 64 * 1024 * 1024
    version: int = VERSION

    def get(self, commit: str) -> ServedCode | None:
        """Return what was read of a commit, or None if it must be read (again)."""
        path = self._path(commit)
        try:
            packed = path.read_bytes()
        except OSError:
            return None
        code = _unpacked(packed)
        if code is None or code.commit != commit:
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            os.utime(path)  # the ones in use are the last to give way
        return code

    def put(self, code: ServedCode) -> None:
        """Keep what was read of a commit. Raises `OSError` if the folder cannot be written to."""
        if code.commit is None:
            raise ValueError("A folder has no commit: what was read of it is not kept.")
        path = self._path(code.commit)
        self.folder.mkdir(parents=True, exist_ok=True)
        content = gzip.compress(_ADAPTER.dump_json(code), compresslevel=3, mtime=0)
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(content).digest() + content)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._make_room(path)

    def _path(self, commit: str) -> Path:
        if not _SHA.fullmatch(commit):
            raise ValueError("That is no SHA of a commit.")
        return self.folder / f"{commit}.v{self.version}{_ENDING}"

    def _make_room(self, newest: Path) -> None:
        """Remove what other readers wrote, and the oldest beyond the bounds; never the newest."""
        kept: list[tuple[float, int, Path]] = []
        for path in self.folder.glob(f"*{_ENDING}"):
            with suppress(OSError):
                if not path.name.endswith(f".v{self.version}{_ENDING}"):
                    path.unlink()
                elif path != newest:
                    stat = path.stat()
                    kept.append((stat.st_mtime, stat.st_size, path))
        kept.sort(reverse=True)
        total = newest.stat().st_size
        for number, (_, size, path) in enumerate(kept, start=2):
            total += size
            if number > self.most or total > self.most_bytes:
                with suppress(OSError):
                    path.unlink()


_ADAPTER: TypeAdapter[ServedCode] = TypeAdapter(ServedCode)


def _unpacked(packed: bytes) -> ServedCode | None:
    digest, content = packed[:_DIGEST], packed[_DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    try:
        unpack = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        text = unpack.decompress(content, _LARGEST)
        return _ADAPTER.validate_json(text) if unpack.eof else None
    except (zlib.error, ValidationError, RecursionError):
        return None
