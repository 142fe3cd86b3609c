"""An executor on a journal of its own, and an action whose effects can be counted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

import pytest

from lib.actions.action import (
    Action,
    ActionContext,
    Args,
    Effect,
    OnProgress,
    Preflight,
    Target,
    Tier,
    Touches,
    Verification,
    block,
    ok,
)
from lib.actions.executor import Executor
from lib.actions.preview_store import PreviewStore
from lib.journal.journal import Journal
from lib.model.people import Actor, Role, Via
from lib.settings import Settings

OPERATOR = Actor("ana@example.org", Role.OPERATOR, Via.PAGE)
SECOND = Actor("ben@example.org", Role.OPERATOR, Via.PAGE)
VIEWER = Actor("eve@example.org", Role.VIEWER, Via.PAGE)


@dataclass
class FakeAction(Action):
    """A lamp in a file: switching it on is the effect, and each time is a line."""

    id: ClassVar[str] = "switch_on"
    title: ClassVar[str] = "Switch the lamp on"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    touches: ClassVar[Touches] = Touches.NOTHING
    undo: ClassVar[str] = "It cannot be undone."
    timeout: ClassVar[timedelta] = timedelta(seconds=30)
    settles_within: ClassVar[timedelta] = timedelta(0)

    effects: Path
    colour: str = "green"
    blocked: bool = False
    in_run: Callable[[], None] = lambda: None
    after_effect: Callable[[], None] = lambda: None
    seen: bool | None = True
    on_find: Callable[[Target], None] = lambda target: None
    reports: ClassVar[tuple[str, ...]] = ()
    _count: list[int] = field(default_factory=list)

    def lock(self, context: ActionContext, args: Args) -> str:
        return "lamp"

    def resolve(self, context: ActionContext, args: Args) -> Target:
        return Target("lamp", (("colour", self.colour),))

    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return (f"switch on, {self.colour}",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return ("It is light.",)

    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        return (block("bulb", "The bulb is missing."),) if self.blocked else (ok("bulb", "The bulb is there."),)

    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        self.in_run()
        for message in self.reports:
            progress(message)
        with self.effects.open("a") as lines:
            lines.write(f"{request_id}\n")
        self.after_effect()
        return Effect("It was switched on.", "dark", "light", request_id)

    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        return Verification(self.seen, "It is light." if self.seen else "It is dark.")

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        self.on_find(target)
        if self.effects.exists() and request_id in self.effects.read_text().split():
            return Effect("The lamp has it.", "dark", "light", request_id)
        return None

    @property
    def times(self) -> int:
        """How often the effect happened."""
        return len(self.effects.read_text().splitlines()) if self.effects.exists() else 0


def executor_for(journal_file: Path, fake_target: FakeAction, **settings: Any) -> Executor:
    """An executor as one process has it: its own connection to the shared journal."""
    configured = Settings(journal_url=f"sqlite:///{journal_file}", **settings)
    journal = Journal.open(configured, lambda: datetime.now(UTC))
    context = ActionContext(cast(Any, None), configured, lambda: datetime.now(UTC), cast(Any, None))
    return Executor(journal, context, {fake_target.id: fake_target}, PreviewStore(), sleep=lambda _: None)


@pytest.fixture
def fake_target(tmp_path: Path) -> FakeAction:
    return FakeAction(tmp_path / "effects")


@pytest.fixture
def executor(tmp_path: Path, fake_target: FakeAction) -> Executor:
    return executor_for(tmp_path / "journal.sqlite3", fake_target)


def another(fake_target: FakeAction, **changes: Any) -> FakeAction:
    """The same lamp as the world has it now."""
    return replace(fake_target, **changes)
