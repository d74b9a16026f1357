"""One cold start of one pod, from the order to the proof: what came of it, and how long each leg took."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Protocol

import anyio
import httpx2

from firstlight.fleet import create, verify as verifying
from firstlight.fleet.cost import Meter
from firstlight.fleet.lease import Lease
from firstlight.fleet.ssh import Ssh
from firstlight.fleet.standing import Standing
from firstlight.fleet.verify import Leg, Verified
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.shapes import Pod
from firstlight.system import clock

# Seconds within which a stop is real, and after which a stop that shows no effect is ordered again.
STOP_PATIENCE = 300.0
_ORDER_AGAIN = 30.0

# Legs of our own, before those of a verification.
STOP, START, CREATE = "stop", "start", "create"

_HOPELESS = frozenset((401, 402, 403))


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


_BY_LEG = {
    verifying.STATUS: Outcome.NEVER_UP,
    verifying.ENDPOINT: Outcome.NEVER_UP,
    verifying.HEALTH: Outcome.NEVER_UP,
    verifying.CUDA: Outcome.CUDA_ILL,
    verifying.SSH: Outcome.SSH_ILL,
    verifying.SSH_CUDA: Outcome.SSH_ILL,
    verifying.READY: Outcome.NOT_READY,
    verifying.PROXY: Outcome.NO_PROXY,
}


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


class Ended(Exception):  # noqa: N818 - an answer, which becomes a cycle's outcome
    """A cycle came to its end before anything could be verified.

    Attributes:
        outcome: what that amounts to.
    """

    def __init__(self, outcome: Outcome, words: str) -> None:
        super().__init__(words)
        self.outcome = outcome


@dataclass
class _Course:
    """A cycle under way: its legs as they are gone, and the pod as it was last seen."""

    on: Ground
    subject: Subject
    number: int
    instance: str = ""
    began_at: str = field(default_factory=clock.wall)
    ordered: float = field(default_factory=anyio.current_time)
    legs: list[Leg] = field(default_factory=list)
    seen: Pod | None = None

    async def pod(self, pod_id: str) -> Pod:
        """How it stands, for whoever verifies."""
        self.seen = await self.on.standing.pod(pod_id)
        return self.seen

    async def verify(self) -> Verified:
        began = anyio.current_time()
        return await verifying.verify(
            self,
            self.on.access,
            self.instance,
            ssh=self.on.ssh,
            patience=self.on.patience,
            http=self.on.http,
            tell=lambda leg: self.add(replace(leg, began=began + leg.began)),
        )

    def end(self, name: str, began: float, words: str = "") -> None:
        """A leg of our own ends now."""
        self.add(Leg(name=name, began=began, seconds=anyio.current_time() - began, ok=True, words=words))

    def add(self, leg: Leg) -> None:
        """A leg has ended."""
        self.legs.append(leg)
        words = f": {leg.words}" if leg.words else ""
        self.on.tell(self.subject, self.number, f"{leg.name} {'' if leg.ok else 'failed after '}{leg.seconds:.1f} s{words}", leg=True)

    async def close(self, way: Awaitable[Verified]) -> Cycle:
        """Go it to its end, whatever that is."""
        found = None
        try:
            found = await way
            outcome, words = judge(found), found.words
        except Ended as ended:
            outcome, words = ended.outcome, str(ended)
        except CloudError as error:
            if hopeless(error):
                raise
            outcome, words = Outcome.UNANSWERED, str(error)
        return Cycle(
            pod=self.subject.id,
            number=self.number,
            instance=self.instance or self.subject.id,
            began_at=self.began_at,
            outcome=outcome,
            words=words,
            legs=tuple(replace(leg, began=round(leg.began - self.ordered, 3), seconds=round(leg.seconds, 3)) for leg in self.legs),
            gpus=found.gpus if found else (),
            driver=found.driver if found else None,
            fault=found.fault if found else None,
            host_fault=found.host_fault if found else False,
            data_center=self.seen.data_center if self.seen else None,
            cuda_version=self.seen.cuda_version if self.seen else None,
        )


async def stop_and_start(on: Ground, subject: Subject, number: int) -> Cycle:
    """Stop the pod, start it, and prove it. What must be undone if we die is promised before.

    Raises:
        CloudError: one that no later cycle would be spared.
    """
    course = _Course(on, subject, number)

    async def way() -> Verified:
        began = anyio.current_time()
        await stopped(on, subject)
        course.end(STOP, began)
        course.ordered = anyio.current_time()
        course.instance = subject.id
        await started(on, subject)
        course.end(START, course.ordered)
        return await course.verify()

    return await course.close(way())


async def create_and_prove(on: Ground, subject: Subject, number: int, body: Mapping[str, Any], lease: Lease) -> Cycle:
    """Create a pod like the subject, which itself is not touched, and prove it. The lease says that it is owed to be terminated.

    Raises:
        CloudError: one that no later cycle would be spared.
    """
    course = _Course(on, subject, number)

    async def way() -> Verified:
        async with on.finish():
            on.meter.begin(subject.id, subject.hourly, anyio.current_time())
            try:
                made = await create.create(on.cloud, lease, body)
            except CloudError as error:
                if not error.done:
                    on.meter.forget(subject.id)
                if error.done or hopeless(error):
                    raise
                raise Ended(Outcome.REFUSED, error.detail or str(error)) from None
            on.meter.begin(subject.id, made.cost or subject.hourly, anyio.current_time())
        course.instance = made.id
        course.end(CREATE, course.ordered, made.id)
        return await course.verify()

    return await course.close(way())


async def started(on: Ground, subject: Subject) -> None:
    """Order a stopped pod to start; it is paid for from then on.

    Raises:
        Ended: it was refused.
        CloudError: one that no later cycle would be spared.
    """
    async with on.finish():
        on.meter.begin(subject.id, subject.hourly, anyio.current_time())
        try:
            await on.cloud.act(subject.id, "start")
        except CloudError as error:
            # Nobody said no: the pod itself shows whether it was done.
            if error.done and not is_stopped(await on.standing.pod(subject.id)):
                return
            on.meter.forget(subject.id)
            if hopeless(error):
                raise
            raise Ended(Outcome.REFUSED, error.detail or str(error)) from None


async def stopped(on: Ground, subject: Subject) -> None:
    """Bring a pod to a stop that the service shows, not one that it has promised; it is paid for until then.

    Once begun, it is finished: a pod whose stop is under way looks like one that runs, and would be left as such.

    Raises:
        Ended: it did not stop in time.
        CloudError: RunPod does not let us, or knows no such pod.
    """
    async with on.finish():
        begun = anyio.current_time()
        ordered: float | None = None
        while not is_stopped(pod := await on.standing.pod(subject.id)):
            now = anyio.current_time()
            if now - begun > STOP_PATIENCE:
                raise Ended(Outcome.NOT_STOPPED, f"{pod.status} still, {now - begun:.0f} s after the order to stop")
            if "stop" in pod.actions and (ordered is None or now - ordered > _ORDER_AGAIN):
                try:
                    await on.cloud.act(subject.id, "stop")
                    ordered = now
                except CloudError as error:
                    # 409: something else is under way. The next look shows what came of it, as it does where nobody knows.
                    if error.status != 409 and not error.done:
                        raise
    on.meter.end(subject.id, anyio.current_time())


def is_stopped(pod: Pod) -> bool:
    """The service shows that nothing of it runs, and that it can be started."""
    return pod.status == shapes.EXITED or (pod.status == shapes.ERROR and "stop" not in pod.actions)


def judge(found: Verified) -> Outcome:
    """What a verification amounts to. Pure."""
    if found.ok:
        return Outcome.PROVEN
    if found.zero_gpu:
        return Outcome.ZERO_GPU
    if found.fault is not None:
        return Outcome.CUDA_ILL
    failed = next((leg.name for leg in found.legs if not leg.ok), None)
    return _BY_LEG.get(failed or "", Outcome.NEVER_UP)


def hopeless(error: CloudError) -> bool:
    """No other pod and no later cycle would be answered otherwise: the key is wrong or has no rights, or the account has no money."""
    return error.status in _HOPELESS
