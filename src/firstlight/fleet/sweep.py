"""Do what is owed, whoever left it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass

import anyio

from firstlight.fleet import create, lease as leases
from firstlight.fleet.lease import START, STOP, TERMINATE, Duty, Lease, LeaseError, Terms, made_under
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.client import Client, CloudError

# Seconds between two looks at what is under way.
_PAUSE = 5.0

# What the service shows once an order has come about.
_SHOWN = {START: shapes.RUNNING, STOP: shapes.EXITED}


@dataclass(frozen=True)
class Owed:
    """A duty that is not settled, and why. `waits`: nothing failed, it only cannot be known yet."""

    duty: Duty
    words: str
    waits: bool


async def fulfil(cloud: Client, lease: Lease) -> tuple[Owed, ...]:
    """Do what a lease owes, once through. What is done leaves the lease; what is left is told. It is not closed."""
    left = [await fulfil_one(cloud, lease, duty) for duty in lease.duties]
    return tuple(owed for owed in left if owed is not None)


async def fulfil_one(cloud: Client, lease: Lease, duty: Duty) -> Owed | None:
    """Do one thing that a lease owes. None where it is done, and has left the lease."""
    try:
        owed = await _fulfil(cloud, lease, duty)
    except CloudError as error:
        owed = Owed(duty, str(error), waits=False)
    if owed is None:
        lease.settle(duty)
    return owed


async def settle(cloud: Client, lease: Lease, patience: float) -> tuple[Owed, ...]:
    """Do what a lease owes until nothing is left, and close it; or for `patience` seconds: then what is left is for a sweep.

    It ends by then also where the service does not answer: whoever shields this from an end need not wait for longer.
    """
    known: dict[Duty, Owed] = {}
    with anyio.move_on_after(patience):
        while left := await fulfil(cloud, lease):
            known = {owed.duty: owed for owed in left}
            await anyio.sleep(_PAUSE)
    if not lease.duties:
        lease.close()
        return ()
    lease.release()
    return tuple(known.get(duty) or Owed(duty, f"there was no time left to {words(duty)}", waits=True) for duty in lease.duties)


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
        if successor.status != shapes.RUNNING:  # it was proven once; whether it ever gets a GPU again, nobody knows
            return Owed(duty, f"{duty.pod} stays while {successor.id}, which replaces it, is {successor.status}", waits=True)
    if duty.action == TERMINATE:
        await cloud.terminate(duty.pod)
        return None
    if duty.action in _SHOWN:
        return await _turn(cloud, duty, pod)
    return Owed(duty, f"cannot do {duty.action!r}: this version knows no such duty", waits=False)


async def _turn(cloud: Client, duty: Duty, pod: shapes.Pod) -> Owed | None:
    """Stopped, or started, is what the service shows as such: what was ordered before may come about after our word."""
    if pod.status == _SHOWN[duty.action]:
        return None
    if duty.action in pod.actions:
        await cloud.act(pod.id, duty.action)
        return Owed(duty, f"{pod.id} was told to {duty.action}", waits=True)
    return Owed(duty, f"{pod.id} is {pod.status}, and takes no order to {duty.action} now", waits=True)


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


# A whole folder of leases


@dataclass(frozen=True, kw_only=True)
class Found:
    """One lease, and what became of it.

    Attributes:
        state: lives (its process does its own), elsewhere (only there can be told whether it lives), unreadable (or nobody says
            whether it lives), or left.
        owed: what it still owes, after all that was done.
        settled: it was left, and owes nothing any more.
    """

    path: str
    state: str
    words: str
    terms: Terms | None = None
    owed: tuple[Owed, ...] = ()
    settled: bool = False


@dataclass(frozen=True, kw_only=True)
class Swept:
    """All that was found. `strangers` carry the mark of a lease that is not kept here; nobody touches them."""

    leases: tuple[Found, ...]
    strangers: tuple[shapes.Pod, ...]


async def sweep(cloud: Client, place: str, *, act: bool) -> Swept:
    """Look through the leases of a folder, and do what those owe that were left, where we are to act.

    Raises:
        CloudError: RunPod does not answer at all.
        LeaseError: the folder cannot be listed.
    """
    pods = await cloud.pods()
    found = [one for path in leases.paths(place) if (one := await _sweep(cloud, path, act=act)) is not None]
    known = {one.terms.id for one in found if one.terms is not None}
    strangers = tuple(pod for pod in pods if made_under(pod.env) not in {"", *known} and pod.status != shapes.TERMINATED)
    return Swept(leases=tuple(found), strangers=strangers)


async def _sweep(cloud: Client, path: str, *, act: bool) -> Found | None:
    """One lease; None where its process has closed it meanwhile. What is wrong with one is no matter of the others."""
    terms = None
    try:
        terms = leases.read(path)
        if terms is None:
            return None
        away = await elsewhere(cloud, terms)
        if away:
            return Found(path=path, state="elsewhere", words=away, terms=terms)
        lease = Lease.adopt(path)
        if lease is None:
            return Found(path=path, state="lives", words="its process lives, and does its own", terms=terms)
        try:
            return await _sweep_left(cloud, lease, act=act)
        finally:
            lease.release()
    except (CloudError, LeaseError) as error:
        return Found(path=path, state="unreadable", words=str(error), terms=terms)


async def _sweep_left(cloud: Client, lease: Lease, *, act: bool) -> Found:
    terms = lease.terms  # as it is now that nobody else writes it
    if not act:
        owed = tuple(Owed(duty, words(duty), waits=False) for duty in lease.duties)
        return Found(path=lease.path, state="left", words="its process is gone", terms=terms, owed=owed)
    owed = await fulfil(cloud, lease)
    if not owed:
        lease.close()
    return Found(path=lease.path, state="left", words="its process is gone", terms=terms, owed=owed, settled=not owed)


def at_it(place: str, mine: Lease) -> str | None:
    """What somebody else on this machine does now with a pod that our lease is about; None where nobody does.

    Ask after it was taken: of two that begin at once, at least one sees the other.
    """
    for path in leases.paths(place):
        try:
            terms = leases.read(path)
            both = set(terms.about) & set(mine.terms.about) if terms is not None and path != mine.path else None
            if terms is None or not both:
                continue
            left = Lease.adopt(path)
        except LeaseError:
            continue  # one that cannot be read stops nobody; a sweep tells of it
        if left is not None:
            left.release()  # its process is gone; what it owes is another matter
        elif os.path.exists(path):
            return f"something is done with {min(both)} already ({terms.what}), under the lease {terms.id}"
    return None


async def elsewhere(cloud: Client, terms: Terms) -> str | None:
    """Why a lease is not ours to judge: a lock tells nothing across machines. None where it is."""
    if terms.home is not None:
        if terms.home == os.environ.get("RUNPOD_POD_ID"):
            return None
        home = await _pod(cloud, terms.home)
        running = home is not None and home.status not in (shapes.EXITED, shapes.TERMINATED)
        return f"it was taken in pod {terms.home}, which runs" if running else None
    return None if terms.host == socket.gethostname() else f"it was taken on {terms.host}"


def words(duty: Duty) -> str:
    """A duty for people."""
    whom = "whatever was made under it" if duty.pod is None else f"pod {duty.pod}"
    return f"{duty.action} {whom}" + (f", which {duty.successor} replaces" if duty.successor else "")
