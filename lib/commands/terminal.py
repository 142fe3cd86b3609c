"""What all commands share: data on stdout, progress on stderr, exit codes, the actor and the opened journal."""

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

from lib.access import login_configured
from lib.actions.action import RefusedError
from lib.diagnosis.diagnose import Diagnosis, diagnose
from lib.diagnosis.facts import Terms
from lib.formatting import json_text
from lib.journal.errors import JournalError
from lib.journal.journal import Journal
from lib.model.people import Actor, Role, Via, is_listed
from lib.model.verdict import HeadlineState
from lib.model.window import WindowSize
from lib.settings import Settings, load, unclear_who_acts
from lib.snapshot import Snapshot, take, utc_now
from lib.sources.source_registry import connect

out = Console(highlight=False)
progress = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, with stable keys.")]
InWindow = Annotated[WindowSize, typer.Option("--window", help="How far back to look.")]

# The forms in which a moment may be given.
MOMENTS = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]

# Names the actor, if the name of the login is not the one in OPERATORS.
USER_VARIABLE = "SWITCHBOARD_USER"


class Exit(IntEnum):
    """The exit codes of commands that only read."""

    FLOWING = 0
    DEGRADED = 1
    BROKEN = 2
    CANNOT_TELL = 3
    WRONG_USAGE = 64


class ActionExit(IntEnum):
    """The exit codes of commands that act: how the action ended, or that it waits for a second person."""

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
    """Return the exit code for the headline."""
    return _EXIT_OF[diagnosis.headline.state]


def print_json(document: Any) -> None:
    """Print one JSON document. Not through rich, which would wrap long lines."""
    sys.stdout.write(json_text(document))


def configured() -> Settings:
    """Return the settings. Those that cannot be used are named on stderr and left out."""
    settings = load()
    for problem in settings.problems:
        progress.print(escape(problem.sentence))
    return settings


def take_snapshot(settings: Settings, window: WindowSize) -> Snapshot:
    """Read every configured source."""
    with progress.status("Asking every source …"):
        return take(connect(settings, utc_now), window)


def diagnose_now(settings: Settings, window: WindowSize) -> Diagnosis:
    """Read every configured source, and return the diagnosis."""
    snapshot = take_snapshot(settings, window)
    return diagnose(snapshot, utc_now(), Terms.of(settings))


def actor(settings: Settings) -> Actor:
    """Return the actor.

    If OPERATORS is set, only they may act. If it cannot be read, nobody may, and where it is empty and a login is
    configured, nobody may either: the pages let nobody act then.
    """
    name = os.environ.get(USER_VARIABLE) or getpass.getuser()
    everybody = not settings.operators and not _login_configured()
    may_act = not unclear_who_acts(settings) and (everybody or is_listed(name, settings.operators))
    role = Role.OPERATOR if may_act else Role.VIEWER
    return Actor(name, role, Via.COMMAND_LINE)


def _login_configured() -> bool:
    """Whether a login is configured. If the file cannot be read nobody can tell, and it counts as if there were one."""
    try:
        return login_configured()
    except (OSError, ValueError, RecursionError):
        return True


def local_instant(clock: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a local time in `zone`, in UTC: adding a length to a local time ignores clock changes."""
    return clock.replace(tzinfo=zone).astimezone(UTC)


@contextmanager
def opened_journal(*, writes: bool = False, or_else: int = ActionExit.REFUSED) -> Iterator[tuple[Journal, Actor]]:
    """Open the journal. A `JournalError` or `RefusedError` becomes one sentence on stderr and the exit code `or_else`.

    With `writes`, a viewer is refused at once, after the names of unusable settings, which may be the reason.
    """
    settings = configured() if writes else load()
    try:
        who = actor(settings)
        if writes and who.role is not Role.OPERATOR:
            raise RefusedError("Viewers can look but not write: ask an operator.")
        journal = Journal.open(settings, utc_now)
        try:
            yield journal, who
        finally:
            journal.close()
    except (JournalError, RefusedError) as error:
        progress.print(f"refused: {escape(str(error))}")
        raise typer.Exit(or_else) from None
