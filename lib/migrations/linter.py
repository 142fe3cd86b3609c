"""squawk, the linter for migrations: what it says of a file, in words.

It is a program of its own (Apache-2.0 or MIT), installed beside Python. It gets the file on its standard input, in
the transaction in which the file would run, and neither runs anything nor reaches the database.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_SECONDS = 10.0
_MOST_COMPLAINTS = 200
# PostgreSQL 15 is the oldest that Supabase still runs.
_ASKED = ("--reporter", "json", "--pg-version", "15")
# Matters of taste in an app's own migrations: they say nothing of what happens to the database when the file runs.
_TASTE = (
    "prefer-bigint-over-int", "prefer-bigint-over-smallint", "prefer-identity", "prefer-robust-stmts",
    "prefer-text-field", "prefer-timestamptz", "ban-char-field", "require-enum-value-ordering",
)  # fmt: skip
_BEFORE = "begin;\nset local lock_timeout = '2s';\nset local statement_timeout = '15s';\n"
_AFTER = "\n;\ncommit;\n"
# With such a comment a file could silence the linter.
_SILENCER, _SILENCED = "squawk-ignore", "squawk-noticed"


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that the linter says of a file. `line` counts from 1."""

    rule: str
    line: int
    message: str

    @property
    def is_destructive(self) -> bool:
        """Whether data, or what the served code relies on, is lost by it."""
        return self.rule in _DESTRUCTIVE


_DESTRUCTIVE = frozenset(
    {
        "ban-drop-column", "ban-drop-database", "ban-drop-table", "ban-truncate-cascade", "renaming-column",
        "renaming-table",
    }
)  # fmt: skip


class LinterError(Exception):
    """The linter did not answer. `str()` says why, in one sentence."""


@lru_cache(maxsize=32)
def complaints(sql: str) -> tuple[Complaint, ...]:
    """Return what squawk says of a file, in the order of its lines. Raises `LinterError`."""
    program = _program()
    script = _BEFORE + sql.replace(_SILENCER, _SILENCED) + _AFTER
    command = [program, *_ASKED, *(part for rule in _TASTE for part in ("--exclude", rule))]
    try:
        told = subprocess.run(  # noqa: S603 - our own program, and the file is no argument
            command, input=script, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LinterError(f"The linter did not answer ({type(error).__name__}).") from None
    if told.returncode not in (0, 1):
        raise LinterError(f"The linter ended with {told.returncode}.")
    try:
        found = [_complaint(one) for one in json.loads(told.stdout)[:_MOST_COMPLAINTS]]
    except (ValueError, KeyError, TypeError):
        raise LinterError("What the linter answered is not understood.") from None
    last = sql.count("\n") + 1
    return tuple(sorted((one for one in found if 1 <= one.line <= last), key=lambda one: (one.line, one.rule)))


def _complaint(answer: dict[str, object]) -> Complaint:
    # Its lines count from 0, and the file begins after our own.
    line = int(str(answer["line"])) + 1 - _BEFORE.count("\n")
    words = [str(answer["message"]), *([str(answer["help"])] if answer.get("help") else [])]
    return Complaint(str(answer["rule_name"]), line, " ".join(f"{one.rstrip('.')}." for one in words))


def _program() -> str:
    beside = Path(sys.executable).with_name("squawk")
    found = str(beside) if beside.exists() else shutil.which("squawk")
    if found is None:
        raise LinterError("The linter squawk is not installed.")
    return found
