"""A test: every cycle of every pod that is not done yet, so many pods at once, and all of them brought back to how they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import anyio

from firstlight import errors
from firstlight.fleet import cold_start, sweep
from firstlight.fleet.cold_start import Ended
from firstlight.fleet.cycle import Cycle, Ground, Outcome, Subject
from firstlight.fleet.lease import START, STOP, Duty, Lease, LeaseError, paths, read
from firstlight.fleet.record import Mode, Plan, Record, Return
from firstlight.providers.runpod.client import CloudError
from firstlight.system import clock

# Seconds between two looks at what is spent; the reserve of the cap is far more.
_LOOK = 5.0

# Seconds in which what was created must be gone, however long it may take to be seen.
_PATIENCE = 1200.0

# What another try at once would come to as well.
_NO_LUCK = frozenset((Outcome.REFUSED, Outcome.ZERO_GPU, Outcome.UNANSWERED))

# How often a pod that ran before is started again, when it is refused.
_TRIES = 3


@dataclass
class Stand:
    """How far the cycles of one pod have come.

    Attributes:
        left: the numbers of those that are to be done.
        host: GPUs and driver of its last proof.
        last: what came of its last cycle.
        returned: nothing has been done with it since it was brought back.
    """

    left: list[int]
    host: tuple[tuple[str, ...], str | None] | None = None
    last: Outcome | None = None
    returned: bool = True

    def add(self, cycle: Cycle) -> Cycle:
        """Take one into account. The same, with what the ones before it tell of it."""
        if cycle.number in self.left:
            self.left.remove(cycle.number)
        self.returned = False
        self.last = cycle.outcome
        if not cycle.gpus:
            return cycle
        before, self.host = self.host, (tuple(sorted(cycle.gpus)), cycle.driver)
        return replace(cycle, host_changed=before is not None and before != self.host)


def stands(record: Record, *, resumed: bool) -> tuple[dict[str, Stand], float]:
    """How far each pod has come, and what all of it has cost."""
    found = {subject.id: Stand(list(range(1, record.plan.cycles + 1))) for subject in record.plan.subjects}
    cost = 0.0
    for line in record.lines():
        cost += line.cost
        if isinstance(line, Cycle):
            found[line.pod].add(line)
        else:
            found[line.pod].returned = line.ok
    for stand in found.values():
        if resumed and stand.left:  # who was killed left no word of the cycle that was under way
            stand.returned = False
    return found, cost


@dataclass
class Trial:
    """One run of a test.

    Attributes:
        bodies: what a pod like each subject is created from; for Mode.RECREATE alone.
        kept: leases of a run that was killed, by the pod that this one brings back in its place.
        pause: seconds after a start that was refused, or came to no GPU.
        ended: why it ended early; None while nothing has ended it.
        error: what ended it, where that was an error.
        not_returned: the pods that could not be brought back.
    """

    on: Ground
    record: Record
    leases: str
    parallel: int
    pause: float
    stands: Mapping[str, Stand]
    bodies: Mapping[str, Mapping[str, Any]]
    kept: dict[str, Lease] = field(default_factory=dict)
    ended: str | None = None
    error: errors.Error | None = None
    not_returned: list[str] = field(default_factory=list)
    _scope: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def run(self) -> None:
        """Do what is left, and bring all back; look at the attributes then."""
        subjects = iter([one for one in self.record.plan.subjects if self.stands[one.id].left or not self.stands[one.id].returned])
        async with anyio.create_task_group() as beside:
            beside.start_soon(self.on.standing.run)
            beside.start_soon(self._watch_cost)
            with self._scope:
                async with anyio.create_task_group() as workers:
                    for _ in range(min(self.parallel, len(self.record.plan.subjects))):
                        workers.start_soon(self._work, subjects)
            beside.cancel_scope.cancel()

    def end(self, why: str) -> None:
        """Begin no cycle, cut those under way, and bring all pods back."""
        self.ended = self.ended or why
        self._scope.cancel()

    def abandon(self) -> None:
        """Do not even bring them back: what is owed is in the leases."""
        self._scope.cancel()
        self.on.abandon()

    async def _watch_cost(self) -> None:
        while (left := self.on.meter.left(anyio.current_time())) > 0:  # noqa: ASYNC110 - time itself is waited for
            await anyio.sleep(min(left, _LOOK))
        self._reach_cap()

    def _reach_cap(self) -> None:
        spent = self.on.meter.spent(anyio.current_time())
        self.end(f"{spent:.2f} USD are spent, and stopping all would not leave the rest below the cap of {self.on.meter.cap:.2f} USD")

    async def _work(self, subjects: Iterator[Subject]) -> None:
        """One pod after the other, until there is none left."""
        for subject in subjects:
            try:
                await self._test(subject)
            except CloudError as error:
                if cold_start.hopeless(error):
                    self.error = self.error or error
                    self.end(str(error))
                else:
                    self.on.tell(subject, 0, str(error), leg=False)
                    self.not_returned.append(subject.id)
            except errors.Error as error:
                self.error = self.error or error
                self.end(str(error))

    async def _test(self, subject: Subject) -> None:
        plan = self.record.plan
        stand = self.stands[subject.id]
        duty = _back(plan, subject) if plan.mode is Mode.STOP_START else None
        lease = self.kept.pop(subject.id, None)
        if lease is None and (duty is not None or plan.mode is Mode.RECREATE):
            lease = Lease.take(self.leases, f"{title(plan.id)}pod {subject.id}")
            if duty is not None:
                lease.promise(duty)
        try:
            for number in tuple(stand.left):
                if not self.on.meter.allows(subject.hourly, anyio.current_time()):
                    self._reach_cap()
                await anyio.lowlevel.checkpoint()
                stand.returned = False
                if plan.mode is Mode.STOP_START:
                    cycle = await cold_start.stop_and_start(self.on, subject, number)
                else:
                    assert lease is not None
                    try:
                        cycle = await cold_start.create_and_prove(self.on, subject, number, self.bodies[subject.id], lease)
                    finally:
                        await self._terminate(subject, lease)
                self._keep(subject, stand.add(replace(cycle, cost=self.on.meter.take(subject.id, anyio.current_time()))))
                if cycle.outcome in _NO_LUCK and stand.left:
                    await anyio.sleep(self.pause)
        finally:
            await self._bring_back(subject, stand, lease)

    def _keep(self, subject: Subject, cycle: Cycle) -> None:
        self.record.add(cycle)
        ready = "" if cycle.to_ready is None else f", ready after {cycle.to_ready:.1f} s"
        changed = ", another host than before" if cycle.host_changed else ""
        words = f": {cycle.words}" if cycle.words and cycle.outcome is not Outcome.PROVEN else ""
        self.on.tell(subject, cycle.number, f"{cycle.outcome.value}{ready}{changed}{words}", leg=False)

    async def _terminate(self, subject: Subject, lease: Lease) -> None:
        """End what a cycle has created; a creation that nobody heard of is left to the end."""
        async with self.on.finish():
            left = await sweep.fulfil(self.on.cloud, lease)
            if not left:
                self.on.meter.end(subject.id, anyio.current_time())

    async def _bring_back(self, subject: Subject, stand: Stand, lease: Lease | None) -> None:
        if stand.returned:  # nothing was begun
            if lease is not None:
                lease.close()
            return
        try:
            async with self.on.finish():
                try:
                    ok, words = await self._returned(subject, stand, lease)
                except (CloudError, Ended) as error:
                    ok, words = False, str(error)
                now = anyio.current_time()
                cost = self.on.meter.take(subject.id, now)
                stand.returned = ok
                self.on.tell(subject, 0, words, leg=False)
                if ok:
                    self.on.meter.end(subject.id, now)
                else:
                    self.not_returned.append(subject.id)
                self.record.add(Return(pod=subject.id, at=clock.wall(), ok=ok, words=words, cost=cost))
        finally:
            if lease is not None:
                lease.release()  # where all is well, it is closed already; else a sweep finds it

    async def _returned(self, subject: Subject, stand: Stand, lease: Lease | None) -> tuple[bool, str]:
        """Whether it is as it was, and how."""
        if self.record.plan.mode is Mode.RECREATE:
            assert lease is not None
            left = await sweep.settle(self.on.cloud, lease, _PATIENCE)
            return not left, "; ".join(owed.words for owed in left) or "all that was created is terminated"
        if _back(self.record.plan, subject) is None:
            return True, "goes on running, as told"
        words = await (self._started(subject, stand) if subject.was_running else self._stopped(subject))
        if lease is not None:
            lease.close()
        return True, words

    async def _stopped(self, subject: Subject) -> str:
        self.on.tell(subject, 0, "is being stopped again", leg=False)
        await cold_start.stopped(self.on, subject)
        return "stopped again, as it was"

    async def _started(self, subject: Subject, stand: Stand) -> str:
        if not cold_start.is_stopped(await self.on.standing.pod(subject.id)):
            if stand.last is Outcome.ZERO_GPU:
                move = f"`firstlight pod relocate {subject.id}` moves it to a host that has one"
                raise Ended(Outcome.ZERO_GPU, f"goes on running, and without its GPU, which it had before: {move}")
            return "goes on running, as before"
        for again in reversed(range(_TRIES)):
            try:
                await cold_start.started(self.on, subject)
            except Ended:
                if not again:
                    raise
                await anyio.sleep(self.pause)
            else:
                break
        return "started again: it was running before"


def _back(plan: Plan, subject: Subject) -> Duty | None:
    """What brings a pod that is stopped and started back to how it was; None where it is to go on running, whatever it did before. Pure."""
    if subject.was_running:
        return Duty(START, subject.id)
    return None if plan.keep_running else Duty(STOP, subject.id)


@contextmanager
def alone(place: str, plan: Plan) -> Iterator[None]:
    """Be the only one that does something with the pods: two that stop and start one would take each other's doing for the pod's own.

    Raises:
        FolderError: no lease can be kept in this folder.
        UsageError: somebody is at one of them already.
    """
    touched = [subject.id for subject in plan.subjects] if plan.mode is Mode.STOP_START else []
    mine = Lease.take(place, f"{title(plan.id)}all its pods", about=touched)
    try:
        if (doing := sweep.at_it(place, mine)) is not None:
            raise errors.UsageError(f"cannot test: {doing}")
        yield
    finally:
        mine.close()


def title(test_id: str) -> str:
    """What the names of the leases of a test begin with."""
    return f"pod test {test_id}: "


async def settle_last(on: Ground, place: str, test_id: str, stands: Mapping[str, Stand]) -> tuple[list[str], dict[str, Lease]]:
    """Do what a run of this test that was killed has left undone. What is left still, in words; and the leases for `Trial.kept`.

    A pod that is to be started again is not: the run that goes on with it will see to that.

    Raises:
        CloudError: RunPod does not let us.
        LeaseError: a lease cannot be written.
    """
    words: list[str] = []
    kept: dict[str, Lease] = {}
    for path in paths(place):
        try:
            terms = read(path)
            lease = Lease.adopt(path) if terms is not None and terms.what.startswith(title(test_id)) else None
        except LeaseError:
            continue  # perhaps nothing of this test; a sweep tells of it
        if lease is None:
            continue
        back = next((duty.pod for duty in lease.duties if duty.action == START and duty.pod in stands), None)
        if back is not None and not stands[back].returned:
            kept[back] = lease
        else:
            words += [owed.words for owed in await sweep.settle(on.cloud, lease, _PATIENCE)]
    return words, kept
