"""The archive of a commit (`tar.gz`) → the files of interest, in memory and within bounds; nothing is written.

GitHub packs a commit under one folder (`owner-repo-sha/`), which is taken off. Sizes are counted while they stream:
what a header says is never trusted. Links, devices and names that leave the folder are passed over.
"""

from __future__ import annotations

import io
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from lib.model.served_code import Unread

CODE = (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs")
_CONFIGURATION = re.compile(r"(?:tsconfig[\w.-]*|jsconfig|package|vercel)\.json$|next\.config\.\w+$")
# Other people's code and what a build leaves. Tests and declarations of types are not served.
PASSED_OVER = frozenset({"node_modules", ".next", ".git", ".vercel", ".turbo"})
_MIGRATIONS = re.compile(r"(?:^|/)supabase/migrations/[^/]+\.sql$")
_TESTS = re.compile(r"(?:^|/)(?:__tests__|__mocks__|e2e|cypress)/|\.(?:test|spec|stories)\.\w+$|\.d\.[mc]?ts$")
_CHUNK = 64 * 1024
# The kinds of a tar's entries that hold what its other entries are called, and may be as long as somebody likes.
_LONGEST_EXTENSION = 1024 * 1024


class ArchiveError(Exception):
    """The archive cannot be used as a whole. Its words are one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an archive or folder is read. Sizes in bytes.

    `compressed` and `unpacked` bound the whole, `entries` their number, `file` one file, `kept` and `files` what stays
    in memory.
    """

    compressed: int = 200 * 1024 * 1024
    unpacked: int = 1024 * 1024 * 1024
    entries: int = 50_000
    file: int = 512 * 1024
    kept: int = 48 * 1024 * 1024
    files: int = 6_000


@dataclass(frozen=True, slots=True)
class Files:
    """The files of interest by their path from the root, and what was not read."""

    contents: dict[str, bytes] = field(default_factory=dict)
    unread: tuple[Unread, ...] = ()


def is_of_interest(path: str) -> bool:
    """Whether a file with this path (from the root, `/` between) can say something of tables or of the flow."""
    folders = path.split("/")[:-1]
    if PASSED_OVER.intersection(folders) or _TESTS.search(path):
        return False
    return path.endswith(CODE) or bool(_MIGRATIONS.search(path)) or bool(_CONFIGURATION.search(path))


def read(chunks: Iterable[bytes], limits: Limits = Limits()) -> Files:
    """Return the files of interest of a `tar.gz` that arrives in `chunks`. Raises `ArchiveError`."""
    collector = Collector(limits)
    stream = _Unpacked(chunks, limits)
    try:
        for path, size, source in _entries(stream, limits):
            collector.take(path, size, source)
    except (tarfile.TarError, zlib.error, EOFError, ValueError, OverflowError, OSError) as error:
        raise ArchiveError("The archive of the commit is broken: it cannot be unpacked.") from error
    return collector.files()


class Collector:
    """Keeps what is of interest within the bounds, and says what it left."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._contents: dict[str, bytes] = {}
        self._kept = 0
        self._unread: list[Unread] = []

    def take(self, path: str, size: int, source: io.BufferedIOBase | None) -> None:
        """Take one file of `size` bytes, if it is of interest. Without `source` it cannot be opened."""
        if not is_of_interest(path):
            return
        if source is None:
            self.leave(path, "It cannot be opened.")
        elif size > self._limits.file:
            self.leave(path, f"It is longer than {self._limits.file // 1024:,} KB.")
        elif self._kept + size > self._limits.kept or len(self._contents) >= self._limits.files:
            self.leave(path, "There are more files than are read at once.")
        else:
            content = source.read(size)
            self._kept += len(content)
            self._contents[path] = content

    def leave(self, path: str, reason: str) -> None:
        self._unread.append(Unread(path, reason))

    def files(self) -> Files:
        return Files(self._contents, tuple(self._unread))


class _Unpacked(io.RawIOBase):
    """The unpacked bytes of a gzip stream, counted on both sides."""

    def __init__(self, chunks: Iterable[bytes], limits: Limits) -> None:
        super().__init__()
        self._chunks = self._checked(chunks, limits.compressed)
        self._limits = limits
        self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        self._rest = b""
        self._total = 0
        self._ended = False

    @staticmethod
    def _checked(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if total > most:
                raise ArchiveError(f"The archive of the commit is larger than {most // 1024**2:,} MB: it is not read.")
            yield chunk

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` unpacked bytes; fewer only at the end."""
        parts: list[bytes] = []
        wanted = size if size >= 0 else self._limits.unpacked
        while wanted > 0:
            part = self._some(min(wanted, _CHUNK))
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)

    def _some(self, most: int) -> bytes:
        while not self._ended:
            waiting = self._inflate.unconsumed_tail or self._rest
            self._rest = b""
            if not waiting:
                waiting = next(self._chunks, b"")
                if not waiting:
                    raise EOFError
            part = self._inflate.decompress(waiting, most)
            if self._inflate.eof:
                self._next_member()
            if part:
                self._total += len(part)
                if self._total > self._limits.unpacked:
                    most = self._limits.unpacked // 1024**2
                    raise ArchiveError(f"The archive of the commit unpacks to more than {most:,} MB: it is not read.")
                return part
        return b""

    def _next_member(self) -> None:
        """After one gzip member comes another, or the end; padding of zeros is the end too."""
        rest = self._inflate.unused_data or next(self._chunks, b"")
        if rest.startswith(b"\x1f"):
            self._inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
            self._rest = rest
        else:
            self._ended = True


class _Entry(tarfile.TarInfo):
    """An entry whose name is not allowed to fill the memory: `tarfile` reads long names and headers at once."""

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        extension = self.type in (
            tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE,
            tarfile.SOLARIS_XHDTYPE,
        )  # fmt: skip
        if extension and self.size > _LONGEST_EXTENSION:
            raise ArchiveError("The archive of the commit is broken: the name of a file has no end.")
        if self.type == tarfile.GNUTYPE_SPARSE:
            raise ArchiveError("The archive of the commit holds a file with holes, which Git does not make.")
        found: tarfile.TarInfo = super()._proc_member(archive)  # type: ignore[misc]
        return found


def _entries(stream: _Unpacked, limits: Limits) -> Iterator[tuple[str, int, io.BufferedIOBase | None]]:
    with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Entry, bufsize=_CHUNK) as archive:
        for number, entry in enumerate(archive, start=1):
            if number > limits.entries:
                raise ArchiveError(
                    f"The archive of the commit holds more than {limits.entries:,} files: it is not read."
                )
            archive.members = []  # type: ignore[attr-defined]  # it would keep every entry
            path = _inside(entry.name)
            if path and entry.isreg() and not entry.issparse():
                # Only now: to ask for a file of an entry that is passed over costs nothing, to read it does.
                source = archive.extractfile(entry) if is_of_interest(path) else None
                yield path, entry.size, source  # type: ignore[misc]


def _inside(name: str) -> str | None:
    """Return the path of an entry below the archive's one folder, or None if it leaves it."""
    if name.startswith("/") or "\\" in name or "\0" in name or len(name) > 1024:
        return None
    parts = PurePosixPath(name).parts
    if ".." in parts or len(parts) < 2:
        return None
    return "/".join(parts[1:])
