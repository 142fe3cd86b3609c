"""All actions by id, and the way to an executor that may run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from lib.actions.action import Action, Desk, Touches
from lib.actions.booking import RecheckLink, ResendLink, TestBooking, TestValidation
from lib.actions.deployments import (
    CancelBuild,
    DeployCommit,
    ForceDeploy,
    Promote,
    Redeploy,
    RedeployNewest,
    RollBack,
)
from lib.actions.executor import Executor
from lib.actions.migration import InstallReporting, RunMigration, UndoMigration
from lib.actions.previews import Previews
from lib.actions.rehearsal import RehearseMigration
from lib.journal.database import PROJECT
from lib.journal.store import Journal
from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.sources.connected import Sources

PREVIEWS_FOLDER = PROJECT / ".switchboard" / "previews"

ACTIONS: Mapping[str, Action] = {
    action.id: action
    for action in (
        Redeploy(),
        RedeployNewest(),
        DeployCommit(),
        Promote(),
        RollBack(),
        CancelBuild(),
        ForceDeploy(),
        RunMigration(),
        RehearseMigration(),
        UndoMigration(),
        InstallReporting(),
        TestBooking(),
        TestValidation(),
        ResendLink(),
        RecheckLink(),
    )
}


def touched_by(action_id: str) -> Touches | None:
    """Return what of the running system an action may change; None of one that is not known here."""
    action = ACTIONS.get(action_id)
    return action.touches if action else None


def open_executor(
    settings: Settings, sources: Sources, look: Callable[[], Snapshot], clock: Callable[[], datetime]
) -> Executor:
    """Open the journal and return the executor on it. Raises `JournalError` if the journal cannot be reached."""
    return executor_on(Journal.open(settings, clock), settings, sources, look, clock)


def executor_on(
    journal: Journal,
    settings: Settings,
    sources: Sources,
    look: Callable[[], Snapshot],
    clock: Callable[[], datetime],
) -> Executor:
    """Return an executor on a journal that is open already."""
    return Executor(journal, Desk(sources, settings, clock, look), ACTIONS, Previews(PREVIEWS_FOLDER))
