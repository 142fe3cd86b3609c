"""The one way from a snapshot to what the desk says."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from lib.cache import Cache
from lib.diagnosis.check_api import Answers, CheckSpec
from lib.diagnosis.checks import answer_all
from lib.diagnosis.facts import Facts, Terms
from lib.diagnosis.headline import headline
from lib.diagnosis.hops import hops
from lib.diagnosis.hypotheses import weigh
from lib.diagnosis.tiles import tiles
from lib.model.verdict import Check, Headline, HopState, Hypothesis, Tile, Verdict
from lib.snapshot import Snapshot

T = TypeVar("T")


@dataclass(frozen=True)
class Diagnosis:
    """What the desk says of one snapshot. Answers are in the order of the flow, hypotheses the likeliest first."""

    facts: Facts
    headline: Headline
    answers: Answers
    hypotheses: tuple[Hypothesis, ...]
    hops: tuple[HopState, ...]
    tiles: tuple[Tile, ...]
    _cache: Cache = field(default_factory=Cache, init=False, repr=False, compare=False)

    @property
    def checks(self) -> tuple[Check, ...]:
        """The answers in the order of the flow."""
        return tuple(self.answers.values())

    def check(self, spec: CheckSpec) -> Check:
        return self.answers[spec]

    @property
    def likeliest(self) -> Hypothesis | None:
        """The first hypothesis, if the evidence speaks for it."""
        first = next(iter(self.hypotheses), None)
        return first if first and first.verdict in (Verdict.CONFIRMED, Verdict.LIKELY) else None

    def cached(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what `make` makes of this diagnosis, made once for all who look at it.

        `key` names it, with everything but the diagnosis that it depends on.
        """
        return self._cache.get(key, lambda _: make())


def diagnose(snapshot: Snapshot, now: datetime, terms: Terms | None = None) -> Diagnosis:
    """Answer every check from `snapshot` as of `now`, weigh the hypotheses and find the headline."""
    facts = Facts(snapshot, now, terms or Terms())
    answers = answer_all(facts)
    return Diagnosis(facts, headline(facts, answers), answers, weigh(answers), hops(answers), tiles(facts, answers))
