"""A folder on this machine → the files of interest, within the same bounds as an archive; links are not followed."""

from __future__ import annotations

import os
from pathlib import Path

from lib.served_code.archive import PASSED_OVER, ArchiveError, Collector, Files, Limits, is_of_interest

# What a build leaves at the top of a folder; Git, and so an archive, does not hold it.
_BUILT = frozenset({"dist", "build", "out", "coverage"})


def read(folder: Path, limits: Limits = Limits()) -> Files:  # noqa: B008 - it is frozen
    """Return the files of interest below `folder`. Raises `ArchiveError` if it is no folder, or holds too much."""
    if not folder.is_dir():
        raise ArchiveError("That is no folder.")
    collector = Collector(limits)
    seen = 0
    for where, folders, names in os.walk(folder, followlinks=False):
        left = PASSED_OVER | _BUILT if Path(where) == folder else PASSED_OVER
        folders[:] = sorted(name for name in folders if name not in left)
        for name in sorted(names):
            seen += 1
            if seen > limits.entries:
                raise ArchiveError(f"The folder holds more than {limits.entries:,} files: it is not read.")
            file = Path(where, name)
            path = file.relative_to(folder).as_posix()
            if is_of_interest(path):
                _take(collector, file, path)
    return collector.files()


def _take(collector: Collector, file: Path, path: str) -> None:
    if file.is_symlink() or not file.is_file():
        return
    try:
        with file.open("rb") as source:
            collector.take(path, os.fstat(source.fileno()).st_size, source)
    except OSError:
        collector.leave(path, "It cannot be opened.")
