"""Do what is owed, whoever left it."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from firstlight.fleet import create
from firstlight.fleet.lease import STOP, TERMINATE, Duty, Lease
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.client import Client, CloudError

# Seconds between two looks at what is under way.
_PAUSE = 5.0


@dataclass(frozen=True)
class Owed:
    """A duty that is not settled, and why. `waits`: nothing failed, it only cannot be known yet."""

    duty: Duty
    words: str
    waits: bool


async def fulfil(cloud: Client, lease: Lease) -> tuple[Owed, ...]:
    """Do what a lease owes, once through. What is done leaves the lease; what is left is told. It is not closed."""
    left = []
    for duty in lease.duties:
        try:
            owed = await _fulfil(cloud, lease, duty)
        except CloudError as error:
            owed = Owed(duty, str(error), waits=False)
        if owed is None:
            lease.settle(duty)
        else:
            left.append(owed)
    return tuple(left)


async def settle(cloud: Client, lease: Lease, patience: float) -> tuple[Owed, ...]:
    """Do what a lease owes until nothing is left, and close it; or until `patience` is over: then what is left is for a sweep."""
    until = anyio.current_time() + patience
    while left := await fulfil(cloud, lease):
        if anyio.current_time() + _PAUSE > until:
            lease.release()
            return left
        await anyio.sleep(_PAUSE)
    lease.close()
    return ()


async def _fulfil(cloud: Client, lease: Lease, duty: Duty) -> Owed | None:
    if duty.pod is None:
        return await _end_marked(cloud, lease, duty)
    pod = await _pod(cloud, duty.pod)
    if pod is None:  # only what was just ordered may come to be seen yet
        return _unseen(lease, duty) if duty.action == TERMINATE and duty.successor is None else None
    if pod.status == shapes.TERMINATED:
        return None
    if duty.successor is not None:
        successor = await _pod(cloud, duty.successor)
        if successor is None or successor.status == shapes.TERMINATED:
            return None  # what was to replace it is gone: it may be the only one that is left
    if duty.action == TERMINATE:
        await cloud.terminate(duty.pod)
        return None
    if duty.action == STOP:
        return await _stop(cloud, duty, pod)
    return Owed(duty, f"cannot do {duty.action!r}: this version knows no such duty", waits=False)


async def _stop(cloud: Client, duty: Duty, pod: shapes.Pod) -> Owed | None:
    """Stopped is what the service shows as stopped: a start that is under way may come after our word."""
    if pod.status == shapes.EXITED:
        return None
    if "stop" in pod.actions:
        await cloud.act(pod.id, "stop")
        return Owed(duty, f"{pod.id} is being stopped", waits=True)
    return Owed(duty, f"{pod.id} is {pod.status}, and cannot be stopped now", waits=True)


async def _end_marked(cloud: Client, lease: Lease, duty: Duty) -> Owed | None:
    """End whatever came of an order whose end is not known."""
    for pod in create.marked(await cloud.pods(), lease.id):
        await cloud.terminate(pod.id)
    return _unseen(lease, duty)


def _unseen(lease: Lease, duty: Duty) -> Owed | None:
    """Whether what is not there may come to be seen yet: an order takes effect late at times."""
    wait = create.SETTLED - lease.terms.age
    if wait <= 0:
        return None
    what = "a pod of this lease" if duty.pod is None else duty.pod
    return Owed(duty, f"{what} may still come to be seen, for {wait:.0f} s more", waits=True)


async def _pod(cloud: Client, pod_id: str) -> shapes.Pod | None:
    try:
        return await cloud.pod(pod_id)
    except CloudError as error:
        if error.status == 404:
            return None
        raise
