"""One move, or one round of recreations, in a cloud whose time is the loop's, with a kill at any step; and the sweep that follows it."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import anyio
import httpx2
from cloud import hosts, service, transport
from cloud.habits import Habits, Trouble
from cloud.hosts import Host
from cloud.pods import RUNNING, Pod
from cloud.world import World

from firstlight import errors
from firstlight.fleet import create, inside, lease as leases, like, relocation, sweep, verify
from firstlight.fleet.lease import MARK, Lease
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client
from firstlight.system import clock

VOLUME = "vol-1"
PATIENCE = verify.Patience(status=120, settle=10, health=60, cuda=60, ready=120, proxy=30)


class Killed(BaseException):
    """SIGKILL: nothing of the process is done any more, its cleaning up included."""


@dataclass
class Mortal:
    """A process that is killed at its step number `at`; None for never. Each request, answer and promise is a step.

    Attributes:
        steps: how many it has taken.
    """

    at: int | None
    steps: int = 0
    held: list[Lease] = field(default_factory=list)

    def step(self) -> None:
        """Take one; the dead take none."""
        self.steps += 1
        if self.at is not None and self.steps >= self.at:
            raise Killed

    def bury(self) -> None:
        """The kernel takes its locks."""
        for lease in self.held:
            lease.release()


class Wire(httpx2.AsyncBaseTransport):
    """The network between a mortal process and the cloud: it may die before its request is sent, and before the answer is there."""

    def __init__(self, application: service.Service, mortal: Mortal) -> None:
        self._inner = transport.Transport(application)
        self._mortal = mortal

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self._mortal.step()
        await anyio.sleep(0.05)
        try:
            return await self._inner.handle_async_request(request)
        finally:
            self._mortal.step()


@contextlib.contextmanager
def mortal_leases(mortal: Mortal) -> Iterator[None]:
    """Let the process die before and after each write of a lease."""
    write, init = leases._write, Lease.__init__

    def dying_write(path: str, terms: leases.Terms) -> int:
        mortal.step()
        descriptor = write(path, terms)
        try:
            mortal.step()
        except Killed:
            leases.os.close(descriptor)
            raise
        return descriptor

    def kept(self: Lease, *arguments: Any) -> None:
        init(self, *arguments)
        mortal.held.append(self)

    def close(self: Lease) -> None:
        mortal.step()
        closing(self)

    closing = Lease.close
    leases._write, Lease.__init__, Lease.close = dying_write, kept, close
    try:
        yield
    finally:
        leases._write, Lease.__init__, Lease.close = write, init, closing


@contextlib.contextmanager
def loops_calendar() -> Iterator[None]:
    """The wall clock goes with the loop's."""
    began = datetime(2026, 1, 1, tzinfo=timezone.utc)
    wall = clock.wall
    clock.wall = lambda: (began + timedelta(seconds=anyio.current_time())).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    try:
        yield
    finally:
        clock.wall = wall


@dataclass(frozen=True, kw_only=True)
class Story:
    """What a cloud holds against one run."""

    machines: tuple[Host, ...]
    habits: Habits
    troubles: tuple[Trouble, ...]
    seed: int


def trouble(chance: random.Random) -> Trouble:
    """What can go wrong with a request. Who says no has not done it; where the service fails, nobody knows."""
    operation = chance.choice(("createPod", "createPod", "createPod", "getPod", "listPods", "deletePod", "podAction", "*"))
    status = chance.choice((None, None, 500, 502, 503, 429, 400))
    lost = status is None or status >= 500
    return Trouble(
        on=operation, status=status, after=lost and chance.random() < 0.5, skip=chance.randint(0, 3), times=chance.choice((1, 1, 2, 9))
    )


def story(seed: int) -> Story:
    """A cloud with bad luck: the same for the same seed."""
    chance = random.Random(seed)
    faults = ("", "", "", "", "uvm-open-fails", hosts.NEVER_STARTS, hosts.DARK, hosts.LOOPS)
    others = tuple(Host(name=f"host-{number}", fault=chance.choice(faults)) for number in range(chance.randint(0, 4)))
    lags = (0.0, 0.0, 30.0, create._LONGEST_SEARCH - 30.0)
    habits = Habits(
        provisioning=5,
        starting=10,
        stopping=5,
        agent_after=3,
        ready_after=20,
        list_lag=chance.choice(lags),
        placement="random",
        rivals=chance.choice((0.0, 0.3)),
        error_shape=chance.choice(("problem", "error")),
    )
    troubles = tuple(trouble(chance) for _ in range(chance.randint(0, 4)))
    return Story(machines=(Host(name="old", fault="uvm-open-fails"), *others), habits=habits, troubles=troubles, seed=seed)


class Account:
    """A cloud of such a story, and who asks it."""

    def __init__(self, told: Story, folder: str) -> None:
        self.world = World([replace(told.machines[0], held={})], habits=told.habits, clock=anyio.current_time, seed=told.seed)
        self.world.volumes[VOLUME] = {"id": VOLUME, "dataCenter": "EU-RO-1"}
        self.service = service.application(self.world)
        self.access = Access(key=self.world.key, api="http://cloud/v2", proxy="http://cloud/proxy/{pod}/{port}")
        self.folder = folder
        self.old = self.world.create(self.body())
        self.world.hurry(self.old, RUNNING)
        self.world.hosts |= {host.name: replace(host, held={}) for host in told.machines[1:]}
        self.world.troubles += [replace(trouble) for trouble in told.troubles]

    def body(self) -> dict[str, Any]:
        """What the user's pod was ordered with."""
        return {
            "name": "mine",
            "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
            "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1},
            "dataCenterIds": ["EU-RO-1"],
            "ports": ["8188/http", "8421/http", "22/tcp"],
            "env": {"FIRSTLIGHT_TOKEN": "t" * 43},
            "args": '{"entrypoint":["/workspace/firstlight.pyz"],"cmd":["run","--app","comfyui","--serve","0.0.0.0:8421","--","python3","main.py"]}',
            "mounts": {"network": [{"volumeId": VOLUME, "path": "/workspace"}]},
        }

    def marked(self) -> list[Pod]:
        """The pods that a lease has made and that are paid for."""
        return [pod for pod in self.world.pods.values() if MARK in pod.env]

    async def live(self, mortal: Mortal, life: Callable[[Client, Mortal], Awaitable[None]]) -> bool:
        """One process from its start to its end; whether it was killed."""
        with mortal_leases(mortal):
            try:
                async with Client(self.access, Wire(self.service, mortal)) as cloud:
                    await life(cloud, mortal)
            except errors.Error:
                pass  # it could not; that is an end as good as any
            except BaseException:
                if mortal.at is None or mortal.steps < mortal.at:
                    raise
                return True
            finally:
                mortal.bury()
        return False

    async def move(self, cloud: Client, mortal: Mortal) -> None:
        """`pod relocate`."""
        wish = relocation.Wish(tries=3, cap=5.0, min_cuda="12.8", patience=PATIENCE)
        async with inside.client(Wire(self.service, mortal)) as http:
            pod = await cloud.pod(self.old.id)
            told = await inside.ask(http, self.access, pod)
            why = relocation.refusal(pod, told, replace(wish, holds=True))
            assert why is None, why
            await relocation.begin(cloud, self.access, pod, told, wish, place=self.folder, tell=lambda _: None, http=http)

    async def recreate(self, cloud: Client, mortal: Mortal) -> None:
        """Pods made, verified and terminated one after the other under one lease."""
        lease = Lease.take(self.folder, "test")
        try:
            async with inside.client(Wire(self.service, mortal)) as http:
                body = like.like(await cloud.pod(self.old.id))
                for _ in range(3):
                    pod = await create.create(cloud, lease, body, original=self.old.id)
                    await verify.verify(cloud, self.access, pod.id, ssh=None, patience=PATIENCE, tell=lambda _: None, http=http)
                    if await sweep.fulfil(cloud, lease):
                        break
        finally:
            await sweep.settle(cloud, lease, 60.0)

    async def sweep(self, cloud: Client, mortal: Mortal) -> None:
        """`pod sweep --apply`."""
        await sweep.sweep(cloud, self.folder, act=True)


def check(account: Account) -> None:
    """What must hold whatever happened."""
    world, old = account.world, account.old
    assert leases.paths(account.folder) == []
    marked = account.marked()
    if old.id in world.pods:
        assert marked == []
        assert old.status == RUNNING
    else:
        (new,) = marked
        assert new.host.fault == ""
        assert new.started_at is not None
        assert old.ended_at is not None
        assert new.started_at + world.habits.ready_after <= old.ended_at, "the old pod was terminated before the new one served"
    orders = [call for call in account.service.calls if call.operation == "createPod" and call.status not in (400, 429)]
    assert len(orders) <= 3, "an order whose answer was lost was given again"
