"""The one way from a snapshot to what the desk says."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from lib.diagnosis import checks as checks_
from lib.diagnosis.facts import Facts, Terms
from lib.diagnosis.headline import headline
from lib.diagnosis.hops import hops
from lib.diagnosis.hypotheses import weigh
from lib.diagnosis.tiles import tiles
from lib.model.verdict import Check, Headline, HopState, Hypothesis, Tile
from lib.snapshot import Snapshot


@dataclass(frozen=True)
class Diagnosis:
    """What the desk says of one snapshot. Checks are in the order of the flow, hypotheses the likeliest first."""

    facts: Facts
    headline: Headline
    checks: tuple[Check, ...]
    hypotheses: tuple[Hypothesis, ...]
    hops: tuple[HopState, ...]
    tiles: tuple[Tile, ...]

    def check(self, name: str) -> Check:
        return next(check for check in self.checks if check.id == name)


def diagnose(snapshot: Snapshot, now: datetime, terms: Terms | None = None) -> Diagnosis:
    """Answer every check from `snapshot` as of `now`, weigh the hypotheses and find the headline."""
    facts = Facts(snapshot, now, terms or Terms())
    checks = tuple(question.check(facts) for question in checks_.ALL)
    by_id = {check.id: check for check in checks}
    return Diagnosis(facts, headline(facts, by_id), checks, weigh(checks), hops(by_id), tiles(facts, by_id))
