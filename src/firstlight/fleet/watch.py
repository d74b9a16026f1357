"""Watch pods, for as long as it is wanted: one list a round, and each pod's own word through the proxy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import anyio
import anyio.abc
import httpx2

from firstlight import errors
from firstlight.fleet import inside, moves, relocation, watching
from firstlight.fleet.lease import LeaseError
from firstlight.fleet.watching import Seen, Told
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError

# Pods that are asked at once.
_AT_ONCE = 16

# Seconds until a pod that could not be moved is tried again. What was in the way seldom goes away in less.
_AGAIN = 900.0


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What to do about a host that is at fault.

    Attributes:
        moves: pods are moved off it; otherwise it is only told.
        per_day: so many moves at most in any day, those that failed included.
        wish: what a move of this pod may take.
        place: the folder of leases, where the moves are counted as well.
    """

    every: float
    moves: bool
    per_day: int
    wish: Callable[[shapes.Pod], relocation.Wish]
    place: str


@dataclass
class Watch:
    """A watch under way.

    Attributes:
        wanted: ids of the pods that are watched; None for all of the account. One that is moved is followed.
        looked: how they stood at the last look.
    """

    cloud: Client
    access: Access
    http: httpx2.AsyncClient
    wanted: set[str] | None
    rules: Rules
    tell: Callable[[Told], None]
    looked: dict[str, Seen] = field(default_factory=dict)
    _moving: set[str] = field(default_factory=set)
    _not_before: dict[str, float] = field(default_factory=dict)
    _full: bool = False  # it was told that the day's moves are used up
    _deaf: bool = False  # it was told that RunPod does not answer

    async def go_on(self) -> None:
        """Look, and look again, until cancelled. A move that is under way then is finished or undone.

        Raises:
            CloudError: RunPod does not take the key.
        """
        refused: CloudError | None = None
        async with anyio.create_task_group() as group:
            while refused is None:
                began = anyio.current_time()
                try:
                    for pod in await self.look():
                        self._consider(pod, group)
                except CloudError as error:  # a task group would wrap it
                    refused = error
                    group.cancel_scope.cancel()
                await anyio.sleep(max(0.0, began + self.rules.every - anyio.current_time()))
        if refused is not None:
            raise refused

    async def look(self) -> tuple[shapes.Pod, ...]:
        """One look at all of them: tell what is new, and give those whose host is at fault.

        Raises:
            CloudError: RunPod does not take the key.
        """
        try:
            pods = {pod.id: pod for pod in await self.cloud.pods() if self.wanted is None or pod.id in self.wanted}
        except CloudError as error:
            if error.status in (401, 403):
                raise
            if not self._deaf:  # nothing is concluded from that
                self.tell(Told(event="cloud-unreachable", pod="", words=str(error)))
            self._deaf = True
            return ()
        self._deaf = False
        words = await self._ask(pods.values())
        for pod_id in [pod_id for pod_id in self.looked if pod_id not in pods]:
            before = self.looked.pop(pod_id)
            if pod_id not in self._moving:
                self._say(watching.tell(before, watching.gone(before)))
        for pod in pods.values():
            known = self.looked.get(pod.id)
            self.looked[pod.id] = watching.look(known, pod, words.get(pod.id))
            self._say(watching.tell(known, self.looked[pod.id]))
        return tuple(pod for pod in pods.values() if watching.to_move(self.looked[pod.id]))

    async def _ask(self, pods: Iterable[shapes.Pod]) -> dict[str, inside.Report | inside.Silence]:
        words: dict[str, inside.Report | inside.Silence] = {}
        limit = anyio.Semaphore(_AT_ONCE)

        async def ask(pod: shapes.Pod) -> None:
            async with limit:
                words[pod.id] = await inside.ask(self.http, self.access, pod)

        async with anyio.create_task_group() as group:
            for pod in pods:
                if pod.running:
                    group.start_soon(ask, pod)
        return words

    def _say(self, events: Iterable[Told]) -> None:
        for event in events:
            self.tell(event)

    def _consider(self, pod: shapes.Pod, group: anyio.abc.TaskGroup) -> None:
        """Move it, where the rules allow that now."""
        if not self.rules.moves or pod.id in self._moving or anyio.current_time() < self._not_before.get(pod.id, 0.0):
            return
        told = self.looked[pod.id].inside or inside.Silence("it was not asked")
        wish = self.rules.wish(pod)
        why = relocation.refusal(pod, told, wish)
        if why is not None:
            self._put_off(pod, f"cannot move it: {why}")
            return
        try:
            claimed = moves.claim(self.rules.place, self.rules.per_day)
        except LeaseError as error:
            self._put_off(pod, str(error))
            return
        if not claimed:
            if not self._full:
                self.tell(
                    Told(event="not-moved", pod=pod.id, words=f"cannot move it: there were {self.rules.per_day} moves in a day already")
                )
            self._full = True
            return
        self._full = False
        self._moving.add(pod.id)
        group.start_soon(self._move, pod, told, wish)

    def _put_off(self, pod: shapes.Pod, words: str) -> None:
        """It cannot be moved, and not in a moment either."""
        self._not_before[pod.id] = anyio.current_time() + _AGAIN
        self.tell(Told(event="not-moved", pod=pod.id, words=words))

    async def _move(self, pod: shapes.Pod, told: inside.Report | inside.Silence, wish: relocation.Wish) -> None:
        def tell(step: relocation.Step) -> None:
            self.tell(Told(event=step.step, pod=step.pod or pod.id, words=step.words))

        try:
            moved = await relocation.begin(self.cloud, self.access, pod, told, wish, place=self.rules.place, tell=tell, http=self.http)
        except errors.Error as error:
            self._put_off(pod, str(error))
        else:
            if self.wanted is not None:
                self.wanted = self.wanted - {pod.id} | {moved.new.id}
            self.looked.pop(pod.id, None)
            self.tell(Told(event="moved", pod=moved.new.id, words=f"{pod.id} is {moved.new.id} now, for {moved.usd:.2f} USD"))
        finally:
            self._moving.discard(pod.id)
