"""What an action is: a small class that says what it would do, checks that it may, does it once, and looks.

Nothing here runs anything. `lib.actions.executor` is the only caller of `run`.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, TypeVar

from pydantic import SecretStr

from lib.settings import Settings
from lib.snapshot import Snapshot
from lib.sources.source_registry import Sources

T = TypeVar("T")

Args = Mapping[str, str]
OnProgress = Callable[[str], None]


class Tier(IntEnum):
    """How much a mistake would hurt, and therefore how much is asked for."""

    READS = 0
    ONE_CLICK = 1
    CONFIRM = 2
    TYPED_PHRASE = 3


class Touches(StrEnum):
    """What of the running system an action may change. Looking, trying the flow and texting somebody change nothing."""

    CODE = "code"
    DATABASE = "database"
    NOTHING = "nothing"


class PreflightStatus(StrEnum):
    """What a preflight check says. BLOCK stops the action."""

    OK = "ok"
    WARN = "warn"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Preflight:
    """One thing that was looked at before acting."""

    id: str
    status: PreflightStatus
    message: str


@dataclass(frozen=True, slots=True)
class Target:
    """What the action is about, as the world has it now.

    `name` is what a person types to confirm. `facts` is the state that the action relies on: if one of them is
    another when it is to run, the world has moved and it is refused with the difference. Nothing here identifies a
    customer or is a secret.
    """

    name: str
    facts: tuple[tuple[str, str], ...]

    def difference(self, now: Target) -> tuple[str, ...]:
        """Return in words what is another in `now`."""
        before, after = dict(self.facts), dict(now.facts)
        names = dict.fromkeys((*before, *after))
        changed = [f"{n}: {before.get(n, '—')} → {after.get(n, '—')}" for n in names if before.get(n) != after.get(n)]
        return (*((f"target: {self.name} → {now.name}",) if self.name != now.name else ()), *changed)


@dataclass(frozen=True, slots=True)
class Preview:
    """Exactly what would be done and to what. `digest` binds a confirmation to it."""

    action: str
    title: str
    tier: Tier
    args: tuple[tuple[str, str], ...]
    target: Target
    calls: tuple[str, ...]
    will_differ: tuple[str, ...]
    undo: str
    preflight: tuple[Preflight, ...]

    @property
    def blocked(self) -> bool:
        return any(check.status is PreflightStatus.BLOCK for check in self.preflight)

    @property
    def phrase(self) -> str | None:
        """What has to be typed; None where a click is enough."""
        return self.target.name if self.tier is Tier.TYPED_PHRASE else None

    @property
    def digest(self) -> str:
        """SHA-256 over action, arguments, resolved target and calls."""
        parts = [self.action, self.args, self.target.name, self.target.facts, self.calls]
        return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Effect:
    """What running did: `before` and `after` in words, `found_by` the trace by which it can be found again.

    `since` is when it began, for actions whose trace is looked for by time. `token` opens what was made: by it the
    same process knows it again, and it is never written down.
    """

    message: str
    before: str
    after: str
    found_by: str | None = None
    since: datetime | None = None
    token: SecretStr | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether the sources agree that it worked. `agreed` is None while they cannot tell."""

    agreed: bool | None
    message: str


@dataclass(frozen=True)
class ActionContext:
    """What an action may use: the sources, the settings, the time, and what the desk sees now.

    `answers` keeps what was asked in this context, for a preview: it looks at the target once, at one moment.
    """

    sources: Sources
    settings: Settings
    clock: Callable[[], datetime]
    take_snapshot: Callable[[], Snapshot]
    answers: dict[Hashable, Any] | None = field(default=None, repr=False, compare=False)

    def for_one_look(self) -> ActionContext:
        """Return this context for one look at the outside world: each question is asked once."""
        return replace(self, answers={})

    def ask(self, question: Hashable, read: Callable[[], T]) -> T:
        """Return what `read` reads; within one look, what it read the first time. Raises as `read` does."""
        if self.answers is None:
            return read()
        if question not in self.answers:
            self.answers[question] = read()
        answer: T = self.answers[question]
        return answer


class Action(ABC):
    """One thing that changes the outside world. Instances hold no state: everything is resolved anew.

    `asks` are the names of the arguments it takes. `undo` is another action's id, or says that it cannot be undone.
    Methods raise `SourceError` when a source does not answer; `run` raises it only where nothing happened, its kind
    `OutcomeUnknownError` where nobody can say, and `FailedError` where its own words say what stays.
    `button` names the button that confirms it, by the act: a verb and its object, as "Cancel the build".
    `leaves_nothing` is for what only looks: there is no effect that anybody could doubt, so it never ends as unknown.
    """

    id: ClassVar[str]
    title: ClassVar[str]
    button: ClassVar[str] = ""
    tier: ClassVar[Tier]
    touches: ClassVar[Touches]
    asks: ClassVar[tuple[str, ...]] = ()
    undo: ClassVar[str]
    cooldown: ClassVar[timedelta] = timedelta(0)
    leaves_nothing: ClassVar[bool] = False
    per_hour: ClassVar[int | None] = None  # how many effects it may have within an hour, whoever asks; None: no limit
    counted_with: ClassVar[tuple[str, ...]] = ()  # other actions whose effects count towards the same limit
    pause: ClassVar[timedelta] = timedelta(0)  # the least time between two effects of the same name (`counted_effects`)
    timeout: ClassVar[timedelta] = timedelta(minutes=2)
    settles_within: ClassVar[timedelta] = timedelta(minutes=3)

    @abstractmethod
    def lock(self, context: ActionContext, args: Args) -> str:
        """Name what only one action may touch at a time. Known without looking at the outside world."""

    @abstractmethod
    def resolve(self, context: ActionContext, args: Args) -> Target:
        """Read the outside world and return what the action would touch. Raises `RefusedError`."""

    @abstractmethod
    def calls(self, context: ActionContext, target: Target, args: Args) -> tuple[str, ...]:
        """Return the exact calls or SQL, without secrets."""

    @abstractmethod
    def will_differ(self, target: Target) -> tuple[str, ...]:
        """Return what will be another afterwards."""

    @abstractmethod
    def preflight(self, context: ActionContext, target: Target, args: Args) -> tuple[Preflight, ...]:
        """Return what was looked at, and what blocks."""

    @abstractmethod
    def run(self, context: ActionContext, target: Target, args: Args, request_id: str, progress: OnProgress) -> Effect:
        """Do it, once. Only the executor calls this."""

    @abstractmethod
    def verify(self, context: ActionContext, target: Target, args: Args, effect: Effect) -> Verification:
        """Look once whether it worked; the executor asks again until it settles."""

    def button_for(self, args: Args) -> str:
        """Return the name of the button that confirms it, by the act."""
        return self.button or self.title

    def undo_for(self, args: Args) -> str:
        """Return how it is undone, or the words that it cannot be."""
        return self.undo

    def counted_effects(self, args: Args) -> tuple[str, ...]:
        """Name each thing that one run does, as its limits count it: one name for most actions."""
        return (self.id,)

    def find(
        self, context: ActionContext, target: Target, args: Args, request_id: str, since: datetime
    ) -> Effect | None:
        """After an unknown outcome: look for the trace of `request_id`. None: nothing is to be found."""
        return None

    def not_previewed(self, target: Target) -> Target:
        """Return today's target without what only the preview that was confirmed could have told."""
        return target

    def preview(self, context: ActionContext, args: Args) -> Preview:
        """Return what it would do now. Raises `RefusedError` or `SourceError`."""
        unknown = sorted(args.keys() - set(self.asks))
        missing = [name for name in self.asks if not args.get(name)]
        if unknown or missing:
            message = [f"{name} is not known here" for name in unknown] + [f"{name} is needed" for name in missing]
            raise RefusedError(f"{self.title}: {', '.join(message)}.")
        context = context.for_one_look()
        target = self.resolve(context, args)
        return Preview(
            action=self.id,
            title=self.title,
            tier=self.tier,
            args=tuple(sorted(args.items())),
            target=target,
            calls=self.calls(context, target, args),
            will_differ=self.will_differ(target),
            undo=self.undo_for(args),
            preflight=self.preflight(context, target, args),
        )


class RefusedError(Exception):
    """The desk will not do it; nothing happened. `str()` says why, `differences` what has moved."""

    def __init__(self, message: str, differences: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.differences = differences


class FailedError(Exception):
    """It was begun and did not come to its end. `str()` says what stays of it, `after` names that for the receipt."""

    def __init__(self, message: str, after: str = "") -> None:
        super().__init__(message)
        self.after = after


def ok(check: str, message: str) -> Preflight:
    return Preflight(check, PreflightStatus.OK, message)


def warn(check: str, message: str) -> Preflight:
    return Preflight(check, PreflightStatus.WARN, message)


def block(check: str, message: str) -> Preflight:
    return Preflight(check, PreflightStatus.BLOCK, message)
