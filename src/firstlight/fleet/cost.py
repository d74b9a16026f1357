"""What a test may cost, and what it has cost. Pure: whoever calls brings the time.

Counted is what RunPod asks for the GPUs, from the moment a start was accepted until the stop was confirmed. Storage is not: it is paid
whether anybody tests or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from firstlight.providers.runpod.shapes import Pod, Price

CAP = 5.0  # USD

# Minutes that a cycle is expected to be paid for: the container, CUDA, an app that loads its models, and the stop.
MINUTES = 5.0

# Seconds for which each pod that runs will still be paid when all is to be stopped: what the cap keeps back for it.
STOPPING = 60.0

_HOUR = 3600.0


def rate(pod: Pod, price: Price | None) -> float | None:
    """USD an hour for this pod while it runs; None where nobody says. A stopped pod costs nothing, so the catalogue is asked then."""
    if pod.cost > 0:
        return pod.cost
    if price is None:
        return None
    one = price.community if pod.cloud == "COMMUNITY" else price.secure
    return None if one is None or one <= 0 else one * max(pod.gpu_count, 1)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a test is expected to cost.

    Attributes:
        hourly: USD an hour for all its pods together.
        cycles: how many each pod still has to go through.
        usd: of them all.
    """

    pods: int
    cycles: int
    minutes: float
    hourly: float
    usd: float

    @property
    def words(self) -> str:
        """The sum, so that it can be checked in the head."""
        pods = "1 pod" if self.pods == 1 else f"{self.pods} pods"
        cycles = "1 cycle" if self.cycles == 1 else f"{self.cycles} cycles"
        return (
            f"{cycles} of {pods}, about {self.minutes:g} min each, at {self.hourly:.2f} USD an hour in all: "
            f"about {self.usd:.2f} USD, storage not included"
        )


def estimate(rates: Sequence[float], cycles: int, minutes: float = MINUTES) -> Estimate:
    """The estimate for pods of these prices."""
    hourly = sum(rates)
    return Estimate(pods=len(rates), cycles=cycles, minutes=minutes, hourly=hourly, usd=hourly * cycles * minutes / 60)


@dataclass
class Meter:
    """What is spent, while it is spent. Times are monotonic seconds.

    Attributes:
        cap: USD that must not be passed.
        before: USD that earlier runs of the same test have cost.
    """

    cap: float
    before: float = 0.0
    _open: dict[str, tuple[float, float]] = field(default_factory=dict)  # pod → USD an hour, since when
    _closed: dict[str, float] = field(default_factory=dict)  # pod → USD
    _taken: dict[str, float] = field(default_factory=dict)

    def begin(self, pod_id: str, hourly: float, now: float) -> None:
        """From now on this pod is paid for, at this price."""
        self.end(pod_id, now)
        self._open[pod_id] = (hourly, now)

    def end(self, pod_id: str, now: float) -> None:
        """It is not any more."""
        if pod_id in self._open:
            self._closed[pod_id] = self._of(pod_id, now)
            del self._open[pod_id]

    def forget(self, pod_id: str) -> None:
        """It was never begun."""
        self._open.pop(pod_id, None)

    def take(self, pod_id: str, now: float) -> float:
        """What this pod has cost since it was last asked for: each dollar is written down once."""
        cost = self._of(pod_id, now) - self._taken.get(pod_id, 0.0)
        self._taken[pod_id] = self._of(pod_id, now)
        return cost

    def spent(self, now: float) -> float:
        """USD until now."""
        running = sum(hourly * (now - since) for hourly, since in self._open.values())
        return self.before + sum(self._closed.values()) + running / _HOUR

    def allows(self, hourly: float, now: float) -> bool:
        """Whether another pod of this price may begin, and all be stopped again, below the cap."""
        return self.spent(now) + (self._burning + hourly) * STOPPING / _HOUR < self.cap

    def left(self, now: float) -> float:
        """Seconds until all that runs must be stopped, so that the cap is not passed while it stops; infinite while nothing runs."""
        if self._burning <= 0:
            return float("inf")
        return max(0.0, (self.cap - self.spent(now)) / self._burning * _HOUR - STOPPING)

    @property
    def _burning(self) -> float:
        return sum(hourly for hourly, _ in self._open.values())

    def _of(self, pod_id: str, now: float) -> float:
        hourly, since = self._open.get(pod_id, (0.0, now))
        return self._closed.get(pod_id, 0.0) + hourly * (now - since) / _HOUR
