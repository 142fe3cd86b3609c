"""All actions by id, and the way to an executor that may run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from lib.actions.action import Action, ActionContext, Touches
from lib.actions.booking_actions import RecheckLink, ResendLink, ResendLinks, TestBooking, TestValidation
from lib.actions.deployment_actions import (
    CancelBuild,
    DeployCommit,
    ForceDeploy,
    Promote,
    Redeploy,
    RedeployNewest,
    RollBack,
)
from lib.actions.dry_run import DryRunMigration
from lib.actions.executor import Executor
from lib.actions.migration_actions import InstallReporting, RunMigration, UndoMigration
from lib.actions.preview_store import PreviewStore
from lib.actions.repository_migration import DryRunRepositoryMigration, RunRepositoryMigration
from lib.journal.engine import PROJECT
from lib.journal.journal import Journal
from lib.migrations.catalogue import catalogue
from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.sources.source_registry import Sources

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
        DryRunMigration(),
        UndoMigration(),
        InstallReporting(),
        RunRepositoryMigration(),
        DryRunRepositoryMigration(),
        TestBooking(),
        TestValidation(),
        ResendLink(),
        ResendLinks(),
        RecheckLink(),
    )
}


def undo_message(undo: str) -> str:
    """Return how something is undone, in words: `undo` may be the id of an action, or the name of a migration."""
    name = undo.partition(",")[0]
    if name in ACTIONS:
        return f"{ACTIONS[name].title}."
    return f"{catalogue()[name].title}." if name in catalogue() else undo


def touched_by(action_id: str) -> Touches | None:
    """Return what of the running system an action may change; None of one that is not known here."""
    action = ACTIONS.get(action_id)
    return action.touches if action else None


def open_executor(
    settings: Settings, sources: Sources, take_snapshot: Callable[[], Snapshot], clock: Callable[[], datetime]
) -> Executor:
    """Open the journal and return the executor on it. Raises `JournalError` if the journal cannot be reached."""
    return executor_on(Journal.open(settings, clock), settings, sources, take_snapshot, clock)


def executor_on(
    journal: Journal,
    settings: Settings,
    sources: Sources,
    take_snapshot: Callable[[], Snapshot],
    clock: Callable[[], datetime],
) -> Executor:
    """Return an executor on a journal that is open already."""
    return Executor(
        journal, ActionContext(sources, settings, clock, take_snapshot), ACTIONS, PreviewStore(PREVIEWS_FOLDER)
    )
