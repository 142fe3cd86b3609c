"""How imports find files: the `paths` of `tsconfig.json`, and the packages of the same repository."""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Mapping
from typing import Any

from lib.model.served_code import Package, PathAlias, Unread

_CONFIG = re.compile(r"(?:^|/)(?:tsconfig|jsconfig)\.json$")
_DEEPEST = 5
# Strings first: what looks like a comment inside of one is none.
_COMMENT = re.compile(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])')


def read(contents: Mapping[str, bytes]) -> tuple[tuple[PathAlias, ...], tuple[Package, ...], tuple[Unread, ...]]:
    """Return the aliases and packages that the configuration files of a repository set, and which could not be read."""
    aliases: list[PathAlias] = []
    packages: list[Package] = []
    unread: list[Unread] = []
    for path, content in contents.items():
        is_package = posixpath.basename(path) == "package.json"
        if not is_package and not _CONFIG.search(path):
            continue
        document = _document(content)
        if document is None:
            unread.append(Unread(path, "It is not JSON."))
        elif is_package:
            package = _package(posixpath.dirname(path), document)
            packages += [package] if package is not None else []
        else:
            aliases += _aliases(path, document, contents)
    return tuple(aliases), tuple(packages), tuple(unread)


def _document(content: bytes) -> dict[str, Any] | None:
    """Read JSON with comments and trailing commas, as TypeScript does."""
    try:
        text = content.decode("utf-8-sig")
        text = _COMMENT.sub(lambda found: found[1] or "", text)
        document = json.loads(_LAST_COMMA.sub(lambda found: found[1] or "", text))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _aliases(path: str, document: dict[str, Any], contents: Mapping[str, bytes]) -> list[PathAlias]:
    folder, where = posixpath.dirname(path), path
    for _ in range(_DEEPEST):
        options = document.get("compilerOptions")
        options = options if isinstance(options, dict) else {}
        base = options.get("baseUrl")
        base = posixpath.join(posixpath.dirname(where), base) if isinstance(base, str) else None
        paths = options.get("paths")
        if isinstance(paths, dict) or base is not None:
            found = [
                PathAlias(
                    folder, pattern, tuple(_joined(base or posixpath.dirname(where), one) for one in _texts(targets))
                )
                for pattern, targets in (paths.items() if isinstance(paths, dict) else ())
            ]
            return found + ([PathAlias(folder, "*", (_joined(base, "*"),))] if base is not None else [])
        extended = document.get("extends")
        if not isinstance(extended, str) or not extended.startswith("."):
            return []
        where = _joined(posixpath.dirname(where), extended)
        where = where if where.endswith(".json") else f"{where}.json"
        inherited = _document(contents.get(where, b""))
        if inherited is None:
            return []
        document = inherited
    return []


def _joined(folder: str, path: str) -> str:
    joined = posixpath.normpath(posixpath.join(folder, path))
    return "" if joined == "." else joined


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _package(folder: str, document: dict[str, Any]) -> Package | None:
    name = document.get("name")
    if not isinstance(name, str) or not folder:
        return None
    exports = document.get("exports")
    points = {".": exports} if isinstance(exports, str) else exports if isinstance(exports, dict) else {}
    if "." not in points and isinstance(document.get("main"), str):
        points = {**points, ".": document["main"]}
    found = ((key, _target(value)) for key, value in points.items() if isinstance(key, str) and key.startswith("."))
    return Package(name, folder, tuple((key, value) for key, value in found if value is not None))


def _target(value: Any) -> str | None:
    """Return the file behind an entry point: a path, or the first of several conditions."""
    for _ in range(_DEEPEST):
        if isinstance(value, str):
            return value
        if isinstance(value, dict):
            value = value.get("import") or value.get("default") or next(iter(value.values()), None)
        else:
            return None
    return None
