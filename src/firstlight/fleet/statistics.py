"""What a number of cycles says, and how far it can be trusted. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# The two-sided 95 % point of the normal distribution.
_Z = 1.959963984540054


@dataclass(frozen=True)
class Interval:
    """Where the true rate lies, in 95 of 100 such tests."""

    low: float
    high: float


def wilson(successes: int, trials: int) -> Interval:
    """Wilson's interval of a success rate. It is of use for few trials and for rates of 0 and 1, where the usual one is not.

    Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials}")
    if not trials:
        return Interval(0.0, 1.0)
    rate = successes / trials
    weight = _Z * _Z / trials
    centre = (rate + weight / 2) / (1 + weight)
    half = _Z * math.sqrt(rate * (1 - rate) / trials + weight / (4 * trials)) / (1 + weight)
    # A rate of 0 or 1 is a bound of its own interval; rounding would leave it out.
    return Interval(0.0 if not successes else max(0.0, centre - half), 1.0 if successes == trials else min(1.0, centre + half))


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that `percent` of all do not exceed (nearest rank): always one that was measured.

    Raises:
        ValueError: there is none.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"percentile {percent} of {len(values)} values")
    return sorted(values)[math.ceil(percent * len(values) / 100) - 1]


@dataclass(frozen=True, kw_only=True)
class Spread:
    """How measured times lie. Seconds."""

    count: int
    lowest: float
    p50: float
    p90: float
    p99: float
    highest: float

    @property
    def caution(self) -> str | None:
        """What its percentiles cannot tell: one of them stands on no more than the slowest value."""
        if self.count < 10:
            return f"of {self.count} alone, p90 and p99 are the slowest one"
        if self.count < 100:
            return f"of {self.count} alone, p99 is the slowest one"
        return None


def spread(values: Iterable[float]) -> Spread | None:
    """None where nothing was measured."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(
        count=len(ordered),
        lowest=ordered[0],
        p50=percentile(ordered, 50),
        p90=percentile(ordered, 90),
        p99=percentile(ordered, 99),
        highest=ordered[-1],
    )
