"""What the tests of the served code share: one small file of TypeScript, read."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Mapping

from lib.model.served_code import ServedCode, SourceFile, Use
from lib.served_code import reader
from lib.served_code.archive import Files

HEAD = "import { supabase } from '@/lib/supabase'\n"


def read(code: str, path: str = "src/lib/sample.ts") -> SourceFile:
    """Read one file; a client called `supabase` is imported above the code, so that it begins on line 2."""
    return reader.source(path, (HEAD + code).encode())


def uses(code: str, path: str = "src/lib/sample.ts") -> tuple[Use, ...]:
    return read(code, path).uses


def use(code: str, path: str = "src/lib/sample.ts") -> Use:
    """Return the only use in the code."""
    (found,) = uses(code, path)
    return found


def app(files: Mapping[str, str], commit: str | None = "a" * 40) -> ServedCode:
    """Read the files of an app."""
    return reader.read(Files({path: text.encode() for path, text in files.items()}), commit)


def packed(files: Mapping[str, bytes], top: str = "owner-repo-abc1234") -> bytes:
    """Return files as GitHub's archive of a commit."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(f"{top}/{path}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def chunks(content: bytes, size: int = 64 * 1024) -> Iterable[bytes]:
    return (content[start : start + size] for start in range(0, len(content), size))
