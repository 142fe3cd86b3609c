"""Reads the catalogue: one file per migration, its header the promises that code and people rely on."""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
_STEP = re.compile(r"^-- step: (?P<words>.+)$", re.MULTILINE)
_SECONDS = re.compile(r"[1-9][0-9]{0,2}s")
_LISTS = frozenset({"cures", "visible", "functions", "allows", "also_locks"})


@dataclass(frozen=True, slots=True)
class MigrationStep:
    """Statements that run in one transaction."""

    message: str
    sql: str


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration of the catalogue.

    `button` names the button that runs it, by the act. `cures` names the breaches that it fixes, as
    `kind:table.column`. `requires` and `verify` are questions that answer with one boolean, whether the columns that
    they are about exist or not. `lock_timeout` and `statement_timeout` are whole seconds, as "2s". `visible` are the
    columns, as `table.column`, and `functions` the functions of `public` that the Data API must know afterwards.
    Exactly one of `undone_by` and `cannot_be_undone` is set. `allows` are lint rules that it breaks on purpose, and
    `because`. `also_locks` are further tables that it locks.
    """

    name: str
    title: str
    button: str
    table: str
    cures: tuple[str, ...]
    lock: str
    lock_timeout: str
    statement_timeout: str
    verify: str
    steps: tuple[MigrationStep, ...]
    visible: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    requires: str | None = None
    requires_message: str = ""
    undone_by: str | None = None
    cannot_be_undone: str | None = None
    allows: tuple[str, ...] = ()
    because: str = ""
    also_locks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a header that promises too little. Raises `ValueError`."""
        whole = all(map(_SECONDS.fullmatch, (self.lock_timeout, self.statement_timeout)))
        checks = {
            "say either undone_by or cannot_be_undone": (self.undone_by is None) != (self.cannot_be_undone is None),
            "give whole seconds, as 2s": whole,
            "say in requires_message what it requires": (self.requires is None) == (not self.requires_message),
            "say because of what it breaks the rules it allows": bool(self.allows) == bool(self.because),
            "have longer for a statement than for its lock": whole and self.statement_seconds > self.lock_seconds,
        }
        for duty, done in checks.items():
            if not done:
                raise ValueError(f"The migration {self.name} must {duty}.")

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it locks."""
        return (self.table, *self.also_locks)

    @property
    def lock_seconds(self) -> int:
        """How long it waits for a lock, and others may have to wait behind it."""
        return int(self.lock_timeout.removesuffix("s"))

    @property
    def statement_seconds(self) -> int:
        """How long one statement may take, its wait for a lock included."""
        return int(self.statement_timeout.removesuffix("s"))

    @property
    def sql(self) -> str:
        """All statements, without the transactions around them."""
        return "\n\n".join(step.sql for step in self.steps)

    @property
    def digest(self) -> str:
        """SHA-256 of the statements: what was approved is what runs."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def catalogue() -> Mapping[str, Migration]:
    """Return all migrations by name. Raises `ValueError` for a header that promises too little."""
    return {path.stem: _read(path) for path in sorted(FOLDER.glob("*.sql"))}


def _read(path: Path) -> Migration:
    header, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    given = tomllib.loads("\n".join(line.removeprefix("-- ") for line in header.splitlines()))
    unknown = given.keys() - {field.name for field in fields(Migration)}
    if unknown:
        raise ValueError(f"{path.name} has fields that nobody reads: {', '.join(sorted(unknown))}.")
    known: dict[str, Any] = {name: tuple(value) if name in _LISTS else value for name, value in given.items()}
    return Migration(name=path.stem, steps=_steps(given["title"], body), **known)


def _steps(title: str, body: str) -> tuple[MigrationStep, ...]:
    """Split the statements at `-- step:` lines; without any, they are one step."""
    first, *rest = _STEP.split(body)
    if not rest:
        return (MigrationStep(title, first.strip()),)
    return tuple(MigrationStep(message, sql.strip()) for message, sql in zip(rest[::2], rest[1::2], strict=True))
