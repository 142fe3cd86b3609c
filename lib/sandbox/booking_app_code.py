"""The source code of the booking app: what the repository holds, by what a commit does.

`app/every` is in every commit; a folder beside it holds what one way of recording texts, or the login, adds to it. What
the twin of the app does is what this code says.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).with_name("app")
_EVERY, _LOGIN = "every", "login"
# A migration of the app's own, which came with the commit that the fix builds on.
METADATA_MIGRATION = ("20251103101500", "pending_bookings_metadata")
ADD_METADATA = "alter table public.pending_bookings add column if not exists metadata jsonb"


@cache
def files(variant: str) -> Mapping[str, str]:
    """Return the files of one folder of `app`, by their path in the repository."""
    folder = _FOLDER / variant
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@cache
def digest() -> str:
    """Return what tells this source code from that of another version of the sandbox: 40 hexadecimal digits."""
    content = hashlib.sha1(usedforsecurity=False)
    for path in sorted(_FOLDER.rglob("*")):
        if path.is_file():
            content.update(path.relative_to(_FOLDER).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return content.hexdigest()


def tree(records_texts: str, confirmation_needs_login: bool, committed: Mapping[str, str]) -> dict[str, str]:
    """Return all files of a commit. Of `committed` those without content only say that they changed."""
    parts = [files(_EVERY), files(records_texts), files(_LOGIN) if confirmation_needs_login else {}]
    whole = {path: text for part in parts for path, text in part.items()}
    return whole | {path: text for path, text in committed.items() if text.strip()}


def archive(folder: str, whole: Mapping[str, str]) -> bytes:
    """Pack files below one `folder`, as GitHub packs a commit."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, text in sorted(whole.items()):
            content = text.encode()
            entry = tarfile.TarInfo(f"{folder}/{path}")
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return packed.getvalue()
