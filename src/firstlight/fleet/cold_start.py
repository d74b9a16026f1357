"""Make a cold start: stop and start a pod, or create one like it, and prove it."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from firstlight.fleet import create, verify as verifying
from firstlight.fleet.cycle import CREATE, START, STOP, Cycle, Ground, Outcome, Subject
from firstlight.fleet.lease import Lease
from firstlight.fleet.verify import Leg, Verified
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.client import CloudError
from firstlight.providers.runpod.shapes import Pod
from firstlight.system import clock

# Seconds within which a stop is real, and after which a stop that shows no effect is ordered again.
STOP_PATIENCE = 300.0
_ORDER_AGAIN = 30.0

_HOPELESS = frozenset((401, 402, 403))

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
            if hopeless(error) or (error.status == 404 and self.instance in ("", self.subject.id)):  # the pod itself is gone
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
                made = await create.create(on.cloud, lease, body, original=subject.id)
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
