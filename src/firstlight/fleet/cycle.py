"""One cold start of one pod, from the order to the proof: whose it is, what came of it, and what all of them stand on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

import anyio
import httpx2

from firstlight.fleet import verify as verifying
from firstlight.fleet.cost import Meter
from firstlight.fleet.ssh import Ssh
from firstlight.fleet.standing import Standing
from firstlight.fleet.verify import Leg
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client

# Legs of our own, before those of a verification.
STOP, START, CREATE = "stop", "start", "create"


class Outcome(str, Enum):
    """What came of a cycle. Each is counted for itself."""

    PROVEN = "proven"  # CUDA is proven, the app ready, and whatever else was asked for too
    REFUSED = "refused"  # the start or the creation was refused: no GPU was free, or another reason that RunPod gives
    ZERO_GPU = "zero-gpu"  # it was started without a GPU
    NEVER_UP = "never-up"  # it was accepted, and its agent never answered
    CUDA_ILL = "cuda-ill"  # the pod itself says why
    SSH_ILL = "ssh-ill"  # sshd was not reached, or a session has no CUDA
    NOT_READY = "not-ready"  # CUDA works, the app did not become ready
    NO_PROXY = "no-proxy"  # ready, but not reached from outside
    NOT_STOPPED = "not-stopped"  # it did not stop, so there was no cold start
    UNANSWERED = "unanswered"  # RunPod's API did not answer as it should


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A pod that is tested, as it was when the test was planned.

    Attributes:
        hourly: USD an hour while it runs.
        was_running: what it is brought back to.
    """

    id: str
    name: str
    gpu: str
    gpu_count: int
    hourly: float
    was_running: bool


@dataclass(frozen=True, kw_only=True)
class Cycle:
    """What came of one cycle.

    Attributes:
        pod: the pod under test.
        instance: the pod that ran: the same, or one that was created for this cycle.
        legs: `began` counts from the order to start, so what went before has a negative one.
        host_changed: other GPUs or another driver than at the last proof of this pod.
        cost: USD.
    """

    pod: str
    number: int
    instance: str
    began_at: str
    outcome: Outcome
    words: str
    legs: tuple[Leg, ...] = ()
    gpus: tuple[str, ...] = ()
    driver: str | None = None
    fault: str | None = None
    host_fault: bool = False
    host_changed: bool = False
    data_center: str | None = None
    cuda_version: str | None = None
    cost: float = 0.0

    @property
    def to_ready(self) -> float | None:
        """Seconds from the order to start until the app was ready; None unless all was proven."""
        if self.outcome is not Outcome.PROVEN:
            return None
        ends = {leg.name: leg.began + leg.seconds for leg in self.legs}
        return ends.get(verifying.READY, max(ends.values(), default=None))


class Tell(Protocol):
    """Hears how it goes."""

    def __call__(self, subject: Subject, number: int, words: str, *, leg: bool) -> None:
        """Whose cycle, which (0 for none), and what; `leg`: only one leg of it has ended."""


@dataclass(kw_only=True)
class Ground:
    """What all cycles of a test stand on.

    Attributes:
        abandoned: nothing is finished any more.
    """

    cloud: Client
    standing: Standing
    access: Access
    ssh: Ssh | None
    patience: verifying.Patience
    meter: Meter
    tell: Tell
    http: httpx2.AsyncClient | None = None  # asks all pods; without it there is one for each
    abandoned: bool = False
    _finishing: set[anyio.CancelScope] = field(default_factory=set)

    @asynccontextmanager
    async def finish(self) -> AsyncIterator[None]:
        """What is begun here is finished though all else is cancelled: an order whose answer nobody heard is the worst of all ends."""
        with anyio.CancelScope(shield=True) as scope:
            if self.abandoned:
                scope.cancel()
            self._finishing.add(scope)
            try:
                yield
            finally:
                self._finishing.discard(scope)
        if scope.cancelled_caught:  # a scope of its own swallows the end: what follows would be done as if this had been
            await anyio.lowlevel.checkpoint()
            raise AssertionError

    def abandon(self) -> None:
        """Leave even that, and what would be begun on the way out."""
        self.abandoned = True
        for scope in self._finishing:
            scope.cancel()
