"""Try a migration: it runs as it would, is looked at, and is rolled back."""

from __future__ import annotations

from datetime import timedelta
from typing import ClassVar

from lib.actions.action import ActionContext, Args, Effect, FailedError, OnProgress, Target, Tier, Touches, Verification
from lib.actions.migration_actions import RunMigration, runner_on
from lib.migrations.runner import MigrationOutcome
from lib.migrations.script import scripts


class DryRunMigration(RunMigration):
    """Run one migration of the catalogue and roll it back. It takes the same locks as the real thing."""

    id: ClassVar[str] = "rehearse_migration"
    title: ClassVar[str] = "Try a migration and roll it back (dry run)"
    button: ClassVar[str] = "Try it and roll back"
    tier: ClassVar[Tier] = Tier.CONFIRM
    touches: ClassVar[Touches] = Touches.NOTHING
    undo: ClassVar[str] = "Nothing to undo: it is rolled back."
    settles_within: ClassVar[timedelta] = timedelta(0)
    leaves_nothing: ClassVar[bool] = True

    def undo_for(self, args: Args) -> str:
        return self.undo

    def button_for(self, args: Args) -> str:
        return self.button

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return tuple(step.sql for step in scripts(self.migration(args), dry_run=True))

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return (
            "The migration runs as it would, and is rolled back: nothing stays of it.",
            "Writes to the table may have to wait for milliseconds.",
        )

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        result = runner_on(context).run(self.migration(args), dry_run=True, on_progress=progress)
        if result.outcome is not MigrationOutcome.DRY_RUN:
            raise FailedError(result.message)
        return Effect(result.message, "not in place", "not in place: it was rolled back", self.migration(args).name)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        if runner_on(context).inspect(self.migration(args)).in_place:
            return Verification(False, "It is in place: somebody else ran it meanwhile.")
        return Verification(True, "The catalog is as it was.")
