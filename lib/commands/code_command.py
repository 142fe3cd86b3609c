"""The command `code`: what the code asks of the database and does not get: of production, a commit or a folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from lib.commands.terminal import AsJson, Exit, configured, diagnose_now, out, print_json, progress
from lib.diagnosis.code_findings import CodeFindings, hold, misfit_line
from lib.formatting import counted
from lib.model.database import AppliedMigration
from lib.model.reading import FailureKind, SourceError, SourceName
from lib.model.served_code import MigrationState, ServedCode
from lib.model.window import WindowSize
from lib.redaction import redact
from lib.served_code import code_report, folder, reader
from lib.served_code.archive import ArchiveError
from lib.settings import Settings
from lib.snapshot import utc_now
from lib.sources.http import Deadline
from lib.sources.source_registry import Sources, connect

SECONDS = 60.0
_SHA = re.compile(r"[0-9a-fA-F]{7,40}")
_STATES = {
    MigrationState.APPLIED: "applied",
    MigrationState.NOT_APPLIED: "not applied",
    MigrationState.NOT_IN_REPOSITORY: "applied, and not in the repository",
    MigrationState.NO_EFFECT: "recorded as applied, and its effect is not there",
    MigrationState.UNKNOWN: "not known",
}


@dataclass(frozen=True)
class _Answer:
    """What was found, and why no verdict may rest on it alone; `why` is empty if one may."""

    findings: CodeFindings
    why: str


def code(
    commit: Annotated[str | None, typer.Option(help="A commit instead of those that are served.")] = None,
    folder_: Annotated[
        Path | None, typer.Option("--folder", help="A folder with the app's code instead.", exists=True)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say which lines of the booking app do not match the database, by file and number, and which migration would help.

    Exit code: 0 if all on the way of a booking fits, 1 if something does not, 3 if it cannot be told, 64 wrong usage.
    """
    if commit is not None and folder_ is not None:
        raise typer.BadParameter("Give a commit or a folder, not both.")
    if commit is not None and not _SHA.fullmatch(commit):
        raise typer.BadParameter("A commit is 7 to 40 hexadecimal digits.")
    settings = configured()
    try:
        answer = _served(settings) if commit is None and folder_ is None else _given(settings, commit, folder_)
    except SourceError as error:
        progress.print(escape(f"{error} {error.failure.hint}".strip()))
        raise typer.Exit(Exit.CANNOT_TELL) from None
    if as_json:
        print_json(document(answer.findings))
    else:
        _print(answer)
    if answer.findings.on_flow:
        raise typer.Exit(Exit.DEGRADED)
    raise typer.Exit(Exit.CANNOT_TELL if answer.why else Exit.FLOWING)


def document(found: CodeFindings) -> dict[str, object]:
    """Return the findings for machines, as under the key `code` of `diagnose --json`."""
    return code_report.report((one.code for one in found.commits), found.misfits, found.migrations)


def _served(settings: Settings) -> _Answer:
    found = diagnose_now(settings, WindowSize.DAY).facts.code
    return _Answer(found, found.why_partial)


def _given(settings: Settings, commit: str | None, path: Path | None) -> _Answer:
    """Hold a commit or a folder against the database that is configured. Raises `SourceError`."""
    sources = connect(settings, utc_now)
    deadline = Deadline(SECONDS)
    with progress.status("Reading the code …"):
        read = _folder(path) if path is not None else _commit(sources, commit or "", deadline)
    with progress.status("Reading the database …"):
        schema = sources.catalog.live_schema(deadline).value
        history = _history(sources, deadline)
    root = _root(sources, deadline) if path is None and settings.configured(SourceName.VERCEL) else ""
    found = hold(read, schema, history, settings.served_code_addresses, root)
    missing = found.way.missing
    why = f"No file of the code answers {missing[0]}." if missing else ""
    return _Answer(CodeFindings((found,), (), why), why)


def _folder(path: Path) -> ServedCode:
    try:
        return reader.read(folder.read(path), None)
    except ArchiveError as error:
        raise SourceError(FailureKind.BAD_DATA, str(error)) from None


def _commit(sources: Sources, commit: str, deadline: Deadline) -> ServedCode:
    if len(commit) < 40:
        known = sources.github.required_commit(commit.lower(), deadline).value.commit
        if known is None:
            raise SourceError(FailureKind.NOT_FOUND, f"GitHub does not know the commit {commit}.")
        commit = known.sha
    return sources.github_archive.code(commit.lower(), deadline)


def _root(sources: Sources, deadline: Deadline) -> str:
    """Return the folder of the app in the repository, as Vercel builds it; "" where that is its root or not known."""
    try:
        return sources.vercel.project(deadline).value.root_directory or ""
    except SourceError as error:
        progress.print(escape(f"Which folder of the repository Vercel builds is not known. {error}"))
        return ""


def _history(sources: Sources, deadline: Deadline) -> tuple[AppliedMigration, ...] | None:
    """Return the migrations on record, or None where nobody can say: then the catalog alone tells."""
    try:
        return sources.catalog.migrations(deadline).value
    except SourceError as error:
        progress.print(escape(f"Which migrations are on record is not known. {error}"))
        return None


def _print(answer: _Answer) -> None:
    found = answer.findings
    for one in found.commits:
        name = (one.code.commit or "the folder")[:10]
        unread = f", {len(one.code.all_unread):,} unread" if one.code.all_unread else ""
        read = f"{counted(len(one.code.files), 'file')}, {counted(len(one.code.uses), 'use')} of the database{unread}"
        out.print(f"[bold]{escape(name)}[/]: {read}")
    on_flow = [misfit for one in found.commits for misfit in one.on_flow]
    for line in dict.fromkeys(map(misfit_line, on_flow)):
        out.print(f"  ✕ {escape(redact(line))}")
    elsewhere = len(found.misfits) - len(on_flow)
    if elsewhere:
        lines = counted(elsewhere, "line does", "lines do")
        out.print(f"  Elsewhere in the app, {lines} not match.")
    if found.commits and not found.misfits:
        out.print("  Everything that was read matches the database.")
    for gap in dict.fromkeys(gap for one in found.commits for gap in one.gaps):
        out.print(f"  ? {escape(redact(gap))}")
    for migration in found.migrations:
        if migration.state is not MigrationState.APPLIED:
            out.print(f"  {migration.version} {escape(redact(migration.name or ''))}: {_STATES[migration.state]}")
    if answer.why:
        progress.print(escape(answer.why))
