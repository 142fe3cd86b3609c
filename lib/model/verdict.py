"""Checks, hypotheses and the headline: what the diagnosis says, and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from lib.model.reading import SourceName


class Hop(StrEnum):
    """One arrow of the flow, in order. SIGHT and CODE stand before it: can I see, and what runs."""

    VISIBILITY = "sight"
    DEMAND = "demand"
    CODE = "code"
    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    RECORDED = "recorded"
    LINK = "link"
    CONFIRMED = "confirmed"


class CheckStatus(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    CANNOT_TELL = "cannot_tell"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Check:
    """One question answered from a snapshot. `evidence` are short facts, the strongest first."""

    id: str
    hop: Hop
    question: str
    status: CheckStatus
    summary: str
    evidence: tuple[str, ...] = ()
    would_change: str = ""
    source: SourceName | None = None
    observed_at: datetime | None = None


class Verdict(StrEnum):
    CONFIRMED = "confirmed"
    LIKELY = "likely"
    POSSIBLE = "possible"
    RULED_OUT = "ruled_out"
    CANNOT_TELL = "cannot_tell"


@dataclass(frozen=True, slots=True)
class Remedy:
    """What would fix it: an action id where a button exists, and always the words."""

    message: str
    action: str | None = None


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One possible cause, with the checks for and against it."""

    id: str
    title: str
    verdict: Verdict
    for_owner: str
    for_engineer: str
    remedy: Remedy
    supports: tuple[str, ...] = ()
    refutes: tuple[str, ...] = ()


class HeadlineState(StrEnum):
    FLOWING = "flowing"
    DEGRADED = "degraded"
    BROKEN = "broken"
    NO_TRAFFIC = "no_traffic"
    CANNOT_TELL = "cannot_tell"

    @property
    def word(self) -> str:
        """How it is said wherever it is said: "NO TRAFFIC"."""
        return self.value.replace("_", " ").upper()


@dataclass(frozen=True, slots=True)
class Headline:
    """The one line everybody reads. `since` is None when nothing says since when."""

    state: HeadlineState
    sentence: str
    since: datetime | None
    hop: Hop | None = None  # the broken hop
    because: tuple[str, ...] = ()  # ids of the checks it rests on
    since_at_least: bool = False  # it may have begun before: the window, or what was read of it, begins there


@dataclass(frozen=True, slots=True)
class HopState:
    """One hop as the diagram draws it: the worst of its checks, and its shortest words."""

    hop: Hop
    status: CheckStatus
    message: str


@dataclass(frozen=True, slots=True)
class Tile:
    """One success criterion of the flow: `value` is a short count, `words` what it rests on."""

    id: str
    label: str
    status: CheckStatus
    value: str
    message: str
