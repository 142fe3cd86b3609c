"""The project's own source, read and parsed once for all tests that are about it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("lib", "pages", "scripts", "tests")
_NOT_OURS = frozenset({"node_modules", "__pycache__"})


@dataclass(frozen=True)
class SourceFile:
    """One Python file. Its tree is parsed on first use and kept."""

    path: Path

    @property
    def name(self) -> str:
        """The path from the root of the project: `lib/sources/http.py`."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def part(self) -> str:
        """The part of the project that it belongs to: `sources` for `lib/sources/http.py` and for its tests."""
        inside = self.path.relative_to(ROOT).parts
        return (inside[1] if inside[0] in ("lib", "tests") and len(inside) > 1 else inside[0]).removesuffix(".py")

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """Every node of its syntax tree."""
        return tuple(ast.walk(self.tree))

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.path.read_text(encoding="utf-8"))

    @cached_property
    def imports(self) -> tuple[str, ...]:
        """Every module that it imports anywhere in it, by its full name, and every name taken from one."""
        return tuple(_imported(self))


def _imported(file: SourceFile) -> Iterator[str]:
    for node in file.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}: imports are absolute"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def every_file() -> tuple[Path, ...]:
    """Return all files of `lib`, `pages`, `scripts`, `tests` and `docs`, and `app.py`."""
    inside = [path for folder in (*FOLDERS, "docs") for path in (ROOT / folder).rglob("*") if path.is_file()]
    return (*sorted(path for path in inside if not _NOT_OURS & set(path.parts)), ROOT / "app.py")


@cache
def source_files() -> tuple[SourceFile, ...]:
    """Return all Python files, tests and scripts included."""
    return tuple(SourceFile(path) for path in every_file() if path.suffix == ".py")


@cache
def app_files() -> tuple[SourceFile, ...]:
    """Return the Python files of the application itself: `lib`, `pages` and `app.py`."""
    return tuple(file for file in source_files() if file.name.partition("/")[0] in ("lib", "pages", "app.py"))
