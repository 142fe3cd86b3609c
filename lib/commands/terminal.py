"""The terminal that every command talks to: data on stdout, progress on stderr; who sits at it, and what they ask."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from enum import IntEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.markup import escape

from lib.actions.action import RefusedError
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.formatting import json_text
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.model.people import Actor, Role, Via
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.settings import SECRETS_FILE, Settings, load
from lib.snapshot import Snapshot, take, utc_now
from lib.sources.source_registry import connect

out = Console(highlight=False)
progress = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, with stable keys.")]
InWindow = Annotated[WindowSize, typer.Option("--window", help="How far back to look.")]

# How a moment may be written.
MOMENTS = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]

# Who acts, where the name of the login is not the one in OPERATORS.
USER_VARIABLE = "SWITCHBOARD_USER"


class Exit(IntEnum):
    """What the exit code of a command that looks says."""

    FLOWING = 0
    DEGRADED = 1
    BROKEN = 2
    CANNOT_TELL = 3
    WRONG_USAGE = 64


class ActionExit(IntEnum):
    """What the exit code of a command that acts says: how the action ended, or that it waits for a second person."""

    SUCCEEDED = 0
    FAILED = 1
    REFUSED = 2
    UNKNOWN = 3
    WAITING = 4


_EXIT_OF = {
    HeadlineState.FLOWING: Exit.FLOWING,
    HeadlineState.NO_TRAFFIC: Exit.FLOWING,
    HeadlineState.DEGRADED: Exit.DEGRADED,
    HeadlineState.BROKEN: Exit.BROKEN,
    HeadlineState.CANNOT_TELL: Exit.CANNOT_TELL,
}


def exit_code(diagnosis: Diagnosis) -> Exit:
    """Return what the headline is as an exit code."""
    return _EXIT_OF[diagnosis.headline.state]


def print_json(document: Any) -> None:
    """Print one document. Not through rich, which would wrap its long lines."""
    sys.stdout.write(json_text(document))


def configured() -> Settings:
    """Return the settings; what of them cannot be used is said, and left out."""
    settings = load()
    for problem in settings.problems:
        progress.print(escape(problem.sentence))
    return settings


def take_snapshot(settings: Settings, window: WindowSize) -> Snapshot:
    """Ask every source that is configured."""
    with progress.status("Asking every source …"):
        return take(connect(settings, utc_now), window)


def diagnose_now(settings: Settings, window: WindowSize) -> Diagnosis:
    """Ask every source that is configured, and judge what they answer."""
    snapshot = take_snapshot(settings, window)
    return diagnose(snapshot, utc_now(), Terms.of(settings))


def actor(settings: Settings) -> Actor:
    """Return who is at the command line. Where operators are named, only they may act; where it is unclear, nobody."""
    name = os.environ.get(USER_VARIABLE) or getpass.getuser()
    known = {operator.casefold() for operator in settings.operators}
    unclear = any(problem.name in ("OPERATORS", SECRETS_FILE.name) for problem in settings.problems)
    may_act = not unclear and (not known or name.casefold() in known)
    role = Role.OPERATOR if may_act else Role.VIEWER
    return Actor(name, role, Via.COMMAND_LINE)


def instant(clock: datetime, zone: ZoneInfo) -> datetime:
    """Return when the clock in `zone` says that. In UTC, because a length added to a clock's time skips its changes."""
    return clock.replace(tzinfo=zone).astimezone(UTC)


@contextmanager
def opened_journal(*, writes: bool = False, or_else: int = ActionExit.REFUSED) -> Iterator[tuple[Journal, Actor]]:
    """Open the journal; what it or the desk refuses becomes one sentence and the exit code `or_else`.

    With `writes` a viewer is refused at once, and first hears of settings that may be why.
    """
    settings = configured() if writes else load()
    try:
        who = actor(settings)
        if writes and who.role is not Role.OPERATOR:
            raise RefusedError("Viewers may look and not write: ask an operator.")
        journal = Journal.open(settings, utc_now)
        try:
            yield journal, who
        finally:
            journal.close()
    except (JournalError, RefusedError) as error:
        progress.print(f"refused: {escape(str(error))}")
        raise typer.Exit(or_else) from None
