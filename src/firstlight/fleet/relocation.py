"""Move a pod off its host: order one like it, prove it, and only then terminate the old one.

What is promised decides what an end in the middle means: until the new pod is proven, the new ones are owed to be terminated; from then
on the old one is. That turn is one write. Whoever does what is owed then, we or a sweep, finishes the move or undoes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import anyio
import httpx2

from firstlight import errors
from firstlight.fleet import cost, create, lease as leases, like, sweep, verify
from firstlight.fleet.inside import Report, Silence
from firstlight.fleet.lease import TERMINATE, Duty, Lease, LeaseError
from firstlight.fleet.ssh import Ssh
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError

# Seconds between two tries where nothing could be had: capacity comes and goes in minutes.
_PAUSE = 20.0

# Seconds for what is owed at the end, before it is left to a sweep.
_PATIENCE = 60.0

# Seconds until a pod that is to be stopped shows as stopped.
_STOP_PATIENCE = 180.0


class NotMovedError(errors.Error):
    """The pod could not be moved. It is as it was, but for `stopped` where it was to be stopped first."""

    exit_code = errors.ExitCode.CLOUD


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What whoever asks for the move wants and allows."""

    tries: int = 3
    cap: float = cost.CAP  # USD for all that is ordered on the way; what the new pod costs once it stays is not counted
    min_cuda: str | None = None
    stop_first: bool = False  # stop the old pod before another is ordered
    holds: bool = False  # whoever asks knows that its app does not run
    disk_may_go: bool = False  # the container disk of the old pod holds nothing that is needed
    patience: verify.Patience = field(default_factory=verify.Patience)
    ssh: Ssh | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing that was done on the way."""

    step: str  # stopping, ordering, no-capacity, ordered, leg, not-proven, proven, left
    words: str
    pod: str | None = None


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The new pod, and what it took."""

    old: str
    new: shapes.Pod
    tries: int
    seconds: float
    usd: float
    left: tuple[sweep.Owed, ...]  # what is still owed: a sweep will do it


@dataclass(frozen=True, kw_only=True)
class Move:
    """All that a move works with."""

    cloud: Client
    access: Access
    lease: Lease
    pod: shapes.Pod
    broken: frozenset[str]  # the GPUs that it is moved away from
    wish: Wish
    meter: cost.Meter
    hourly: float | None  # USD for a pod like it
    tell: Callable[[Step], None]
    http: httpx2.AsyncClient | None  # asks pods; None for one of its own


def refusal(pod: shapes.Pod, inside: Report | Silence, wish: Wish) -> str | None:
    """Why this pod is not to be moved as wished; None where it may be. Pure."""
    if pod.cluster:
        return "it belongs to a cluster, which is changed as a whole"
    if pod.locked:
        return "it is locked"
    if pod.gpu is None:
        return "it has no GPU whose host could be at fault"
    if isinstance(inside, Report) and inside.moving and not wish.holds:
        return "it is moving itself, with its own key"
    if pod.persistent:
        return "its volume lies on its host, and would be gone with it (copy what you need, and use a network volume)"
    if not pod.mounts and not wish.disk_may_go:
        return "all its data lies on the container disk, and would be gone with it (--even-if-container-disk-is-lost)"
    if pod.network_volume and pod.running and not (wish.stop_first or wish.holds):
        if isinstance(inside, Silence):
            return f"its app may still run, and two would write to one volume: {inside.words} (--stop-first)"
        if inside.runs:
            return "its app still runs, and two would write to one volume (--stop-first)"
    return None


def orders(pod: shapes.Pod, min_cuda: str | None) -> tuple[dict[str, Any], ...]:
    """What may be ordered in its place, best first. Pure. A network volume ties it to its data centre; anything else can be anywhere."""
    near = like.like(pod, min_cuda=min_cuda)
    if pod.network_volume or "dataCenterIds" not in near:
        return (near,)
    return near, {name: value for name, value in near.items() if name != "dataCenterIds"}


async def begin(
    cloud: Client,
    access: Access,
    pod: shapes.Pod,
    inside: Report | Silence,
    wish: Wish,
    *,
    place: str,
    tell: Callable[[Step], None],
    http: httpx2.AsyncClient | None = None,
) -> Moved:
    """Take a lease in the folder `place`, and move the pod under it. `refusal` was asked before; `http` asks pods (inside.client()).

    Raises:
        NotMovedError, CloudError, LeaseError: as `relocate` does.
    """
    mine = Lease.take(place, f"move {pod.id}", about=[pod.id])
    try:
        await _be_proven(cloud, pod)
        await _be_alone(cloud, place, mine, pod)  # after it was taken: of two that begin at once, at least one sees the other
        hourly = cost.rate(pod, await _price(cloud, pod))
    except BaseException:
        mine.close()  # it owes nothing yet
        raise
    move = Move(
        cloud=cloud,
        access=access,
        lease=mine,
        pod=pod,
        broken=frozenset(inside.granted if isinstance(inside, Report) else ()),
        wish=wish,
        meter=cost.Meter(cap=wish.cap),
        hourly=hourly,
        tell=tell,
        http=http,
    )
    return await relocate(move)


async def _be_proven(cloud: Client, pod: shapes.Pod) -> None:
    """A pod that is made like another is proven by whoever ordered it, and ended where it is not well. If it were moved meanwhile, what comes of that
    would be nobody's.

    Raises:
        NotMovedError: it is on trial.
    """
    original = leases.made_like(pod.env)
    if not original:
        return
    try:
        there = (await cloud.pod(original)).status != shapes.TERMINATED
    except CloudError as error:
        if error.status != 404:
            raise
        there = False
    if there:
        raise NotMovedError(
            f"cannot move {pod.id}: it was made like {original}, which is still there, under the lease {leases.made_under(pod.env)}; "
            "whoever ordered it proves it, and ends one of the two"
        )


async def _be_alone(cloud: Client, place: str, mine: Lease, pod: shapes.Pod) -> None:
    """Two moves of one pod would pay for two new ones. What a move that was killed has left is finished, or undone, before another begins.

    Raises:
        NotMovedError: there is another one, or was.
    """
    for path in leases.paths(place):
        try:
            terms = leases.read(path)
            if path == mine.path or terms is None or terms.what != mine.terms.what:
                continue
            away = await sweep.elsewhere(cloud, terms)
            other = None if away else Lease.adopt(path)
        except LeaseError:
            continue  # one that cannot be read stops nobody; a sweep tells of it
        if other is None:
            raise NotMovedError(f"cannot move {pod.id}: {away or 'it is being moved already'}, under the lease {terms.id}")
        turned = any(duty.pod == pod.id for duty in other.duties)
        left = await sweep.settle(cloud, other, _PATIENCE)
        if left:
            raise NotMovedError(f"cannot move {pod.id}: an earlier move of it still owes something: {left[0].words}")
        if turned:
            raise NotMovedError(f"cannot move {pod.id}: an earlier move of it was interrupted, and is finished now")
    if (doing := sweep.at_it(place, mine)) is not None:
        raise NotMovedError(f"cannot move {pod.id}: {doing}")


async def _price(cloud: Client, pod: shapes.Pod) -> shapes.Price | None:
    """What the catalogue says; a key that is good for little may not be told, and the order itself names its price."""
    try:
        return await cloud.price(pod.gpu) if pod.gpu else None
    except CloudError:
        return None


async def relocate(move: Move) -> Moved:
    """Do it. However this ends, the lease is closed, or holds what a sweep has to do.

    Raises:
        NotMovedError: no pod was proven within what is allowed.
        CloudError: RunPod does not do what was asked, whoever asks again.
        LeaseError: a promise cannot be written; nothing was done without one.
    """
    began = anyio.current_time()
    try:
        new, tries = await _place(move)
    finally:
        # Both ways: what was promised last says what is to be done.
        with anyio.CancelScope(shield=True):
            left = await sweep.settle(move.cloud, move.lease, _PATIENCE)
        for owed in left:
            move.tell(Step(step="left", words=f"to be done by `pod sweep --apply`: {owed.words}", pod=owed.duty.pod))
    now = anyio.current_time()
    return Moved(old=move.pod.id, new=new, tries=tries, seconds=now - began, usd=move.meter.spent(now), left=left)


async def _place(move: Move) -> tuple[shapes.Pod, int]:
    """A new pod that is proven, and instead of which the old one is owed from here on."""
    if move.wish.stop_first and move.pod.status != shapes.EXITED:
        await _stop(move)
    bodies = orders(move.pod, move.wish.min_cuda)
    last = "none was ordered"
    for number in range(1, move.wish.tries + 1):
        if move.hourly is not None and not move.meter.allows(move.hourly, anyio.current_time()):
            last = f"{last}; another try would pass the cap of {move.wish.cap:.2f} USD"
            break
        ordered = await _order(move, bodies, number)
        if isinstance(ordered, CloudError):
            last = ordered.detail or str(ordered)
            if number < move.wish.tries:
                await anyio.sleep(_PAUSE * number)
            continue
        why = await _prove(move, ordered)
        if why is None:
            others = tuple(duty for duty in move.lease.duties if duty.pod != ordered.id)
            move.lease.promise(*others, Duty(TERMINATE, move.pod.id, successor=ordered.id))
            move.meter.end(ordered.id, anyio.current_time())
            move.tell(Step(step="proven", words=f"{ordered.id} is proven; {move.pod.id} is terminated now", pod=ordered.id))
            return ordered, number
        # It keeps its place until the end, paid for, so that we are not given the same again: the API has no other way to say so.
        last = why
        move.tell(Step(step="not-proven", words=why, pod=ordered.id))
    raise NotMovedError(f"cannot move {move.pod.id}: no pod was proven in {move.wish.tries} tries; the last: {last}")


async def _order(move: Move, bodies: tuple[Mapping[str, Any], ...], number: int) -> shapes.Pod | CloudError:
    """A pod; or what was said where there is none to be had now."""
    said: CloudError | None = None
    for body in bodies:
        where = ", ".join(body.get("dataCenterIds") or ()) or "any data centre"
        move.tell(Step(step="ordering", words=f"try {number} of {move.wish.tries}: a pod like {move.pod.id} in {where}"))
        try:
            pod = await create.create(move.cloud, move.lease, body, original=move.pod.id)
        except CloudError as error:
            # A rule that is broken and a lack of machines look the same: 400. Anything else is the same for whatever is ordered next.
            if error.status != 400 or error.done:
                raise
            said = error
            move.tell(Step(step="no-capacity", words=str(error)))
            continue
        move.meter.begin(pod.id, pod.cost or move.hourly or 0.0, anyio.current_time())
        move.tell(Step(step="ordered", words=f"{pod.id} at {pod.cost or move.hourly or 0.0:.2f} USD/h", pod=pod.id))
        return pod
    assert said is not None
    return said


async def _prove(move: Move, pod: shapes.Pod) -> str | None:
    """Why the new pod will not do; None where it is proven."""

    def tell(leg: verify.Leg) -> None:
        words = f"{leg.name}: {leg.words}" if leg.ok else f"{leg.name} failed: {leg.words}"
        move.tell(Step(step="leg", words=words, pod=pod.id))

    found: verify.Verified | None = None
    with anyio.move_on_after(move.meter.left(anyio.current_time())):
        try:
            found = await verify.verify(
                move.cloud, move.access, pod.id, ssh=move.wish.ssh, patience=move.wish.patience, tell=tell, http=move.http
            )
        except CloudError as error:
            return str(error)
    if found is None:
        return f"it was not proven before the cap of {move.wish.cap:.2f} USD was reached"
    same = move.broken.intersection(found.gpus)
    if same:
        return f"it was given the same GPU as before: {', '.join(sorted(same))}"
    return None if found.ok else found.words


async def _stop(move: Move) -> None:
    """Stop the old pod, and wait until it has stopped: nothing is to write to the volume any more."""
    move.tell(Step(step="stopping", words=f"{move.pod.id} is stopped first", pod=move.pod.id))
    await move.cloud.act(move.pod.id, "stop")
    until = anyio.current_time() + _STOP_PATIENCE
    while (pod := await move.cloud.pod(move.pod.id)).status != shapes.EXITED:
        if anyio.current_time() >= until:
            raise NotMovedError(f"cannot move {move.pod.id}: it was to be stopped first, and is {pod.status} after {_STOP_PATIENCE:.0f} s")
        await anyio.sleep(5.0)
