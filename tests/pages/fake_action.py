"""A target for tests, a lamp, and the action that switches it: all of it is real except for the outside system."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Event
from typing import ClassVar

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
from lib.model.reading import FailureKind, SourceError
from lib.sources.http import OutcomeUnknownError
from tests.pages.synthetic import HOSTILE


def _open() -> Event:
    event = Event()
    event.set()
    return event


@dataclass
class FakeTarget:
    """Counts how often it was switched. `may_go_on` holds a switch up; `gone`: nobody answers; `lost`: no answer."""

    switched: int = 0
    colour: str = "red"
    broken: bool = False
    gone: bool = False
    lost: bool = False
    may_go_on: Event = field(default_factory=_open)


class Switch(Action):
    """Switches the lamp on."""

    id: ClassVar[str] = "run_migration"
    title: ClassVar[str] = "Switch the lamp"
    tier: ClassVar[Tier] = Tier.TYPED_PHRASE
    touches: ClassVar[Touches] = Touches.DATABASE
    asks: ClassVar[tuple[str, ...]] = ("name",)
    undo: ClassVar[str] = "It cannot be undone."

    def __init__(self, fake_target: FakeTarget) -> None:
        self.fake_target = fake_target

    def lock(self, desk: ActionContext, args: Args) -> str:
        return "lamp"

    def resolve(self, desk: ActionContext, args: Args) -> Target:
        if self.fake_target.gone:
            raise SourceError(FailureKind.UNAVAILABLE, "The lamp does not answer.", "Look at its cable.")
        return Target("hall lamp", (("colour", self.fake_target.colour), ("says", HOSTILE)))

    def calls(self, desk: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        return ("PATCH /lamp  on: true",)

    def will_differ(self, target: Target) -> tuple[str, ...]:
        return ("There will be light.",)

    def preflight(self, desk: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        return (block("bulb", "The bulb is broken.") if self.fake_target.broken else ok("bulb", "The bulb is whole."),)

    def run(self, desk: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        progress("Turning the switch")
        self.fake_target.may_go_on.wait(30)
        self.fake_target.switched += 1
        if self.fake_target.lost:
            raise OutcomeUnknownError(FailureKind.TIMEOUT, "The answer was lost.", "Look at the lamp.")
        return Effect("The switch was turned.", "dark", "light", "lamp-1")

    def verify(self, desk: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        return Verification(True, "There is light.")


class SafeSwitch(Switch):
    """The same lamp, for a click without a phrase."""

    id: ClassVar[str] = "redeploy"
    tier: ClassVar[Tier] = Tier.CONFIRM
    asks: ClassVar[tuple[str, ...]] = ()
