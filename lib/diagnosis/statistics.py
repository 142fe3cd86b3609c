"""Honest statistics for small numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

_Z95 = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `total`, with the 95 % Wilson interval of the rate behind it."""

    count: int
    total: int

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the lower and upper bound of the rate, or None when nothing was counted."""
        return wilson(self.count, self.total) if self.total else None

    @property
    def message(self) -> str:
        """The counts first, the interval after: "9 of 10 (60–98 %)"."""
        interval = self.interval
        if interval is None:
            return "0 of 0"
        low, high = interval
        return f"{self.count:,} of {self.total:,} ({100 * low:.0f}–{100 * high:.0f} %)"


def percent(rate: float) -> str:
    """Return `rate` in a sentence: "42 %". What is neither none nor all never reads as such."""
    if 0 < rate < 0.005:
        return "less than 1 %"
    if 0.995 < rate < 1:
        return "more than 99 %"
    return f"{100 * rate:.0f} %"


def wilson(count: int, total: int) -> tuple[float, float]:
    """Return the 95 % Wilson score interval of `count` of `total` (`total` > 0)."""
    rate = count / total
    z2 = _Z95**2 / total
    centre = (rate + z2 / 2) / (1 + z2)
    half = _Z95 * math.sqrt(rate * (1 - rate) / total + z2 / (4 * total)) / (1 + z2)
    return max(0.0, centre - half), min(1.0, centre + half)


def chance_of_silence(expected: float) -> float:
    """Return the probability of no event at all where `expected` were to be expected (Poisson)."""
    return math.exp(-max(0.0, expected))


def chance_of_at_least(count: int, total: int, rate: float) -> float:
    """Return the probability of `count` or more of `total` where each happens at `rate` (binomial)."""
    return sum(math.comb(total, k) * rate**k * (1 - rate) ** (total - k) for k in range(count, total + 1))
