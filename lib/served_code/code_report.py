"""The key `code` of `diagnose --json`, and the answer of `python -m lib code --json`: stable keys, plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lib.model.served_code import Misfit, RepositoryMigration, ServedCode


def report(
    commits: Iterable[ServedCode], misfits: Iterable[Misfit], migrations: Iterable[RepositoryMigration]
) -> dict[str, Any]:
    """Return what was read and found. `files` counts files that were read, `unread` places and files that were not."""
    return {
        "commits": [_commit(code) for code in commits],
        "misfits": [_misfit(misfit) for misfit in misfits],
        "migrations": [
            {"version": migration.version, "name": migration.name, "state": migration.state.value}
            for migration in migrations
        ],
    }


def _commit(code: ServedCode) -> dict[str, Any]:
    return {"sha": code.commit, "files": len(code.files), "uses": len(code.uses), "unread": len(code.all_unread)}


def _misfit(misfit: Misfit) -> dict[str, Any]:
    return {
        "commit": misfit.commit,
        "file": misfit.file,
        "line": misfit.line,
        "table": misfit.table,
        "column": misfit.column,
        "operation": misfit.use.operation.value,
        "problem": misfit.problem.value,
        "error": misfit.error.value,
        "on_flow": misfit.on_flow,
        "migration": misfit.migration,
    }
