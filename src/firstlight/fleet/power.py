"""Start and stop pods, and see that they do.

A pod that is stopped keeps its host and gives its GPUs back. So a start can be refused, for others may have rented them; and it can come
without any, so that data can be fetched.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio

from firstlight import errors
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.client import Client, CloudError
from firstlight.providers.runpod.shapes import Pod

# Seconds between two looks at a pod; more and more, since an image that is not there yet takes minutes.
_FIRST_LOOK = 1.0
_LONGEST_LOOK = 5.0

_ELSEWHERE = "RunPod keeps a stopped pod on its host, where others may have rented the GPU: start it later, or `firstlight pod relocate`"

# What the service has been seen to say of a host whose GPUs are taken. No document says how it answers.
_NO_GPU = ("free gpu", "enough gpu", "gpus available", "gpu available", "no longer any instances", "no instances", "capacity")

Tell = Callable[[Pod, str], None]


@dataclass(frozen=True, kw_only=True)
class Turned:
    """What came of it."""

    pod: Pod  # as it was last seen
    ok: bool
    words: str  # begins with "cannot" where it is not ok
    exit_code: int = errors.ExitCode.OK


def check_stop(pods: Sequence[Pod]) -> None:
    """Refuse before anything is stopped.

    Raises:
        UsageError: one of them must not be.
    """
    for pod in pods:
        if pod.locked:
            raise errors.UsageError(f"cannot stop pod {pod.id}: it is locked; whoever locked it can unlock it, on RunPod's page of it")
        if pod.cluster:
            raise errors.UsageError(f"cannot stop pod {pod.id}: it belongs to a cluster, which RunPod stops as a whole")


def losses(pod: Pod) -> str:
    """What a stop costs."""
    volume = pod.mounts.get("persistent")
    mounts = [volume] if isinstance(volume, dict) else [one for one in pod.mounts.get("network") or () if isinstance(one, dict)]
    places = [str(mount["path"]) for mount in mounts if mount.get("path")]
    kept = f"all outside of {' and '.join(places)}" if places else "all that it holds, for it has no volume"
    return f"its container disk is wiped: {kept}; its GPU is given back, and others may rent it"


async def start(cloud: Client, pod: Pod, *, within: float | None, tell: Tell) -> Turned:
    """Start a pod; with `within`, wait so many seconds until it runs."""
    if pod.status in (shapes.RUNNING, shapes.PROVISIONING, shapes.STARTING):
        asked = pod
    else:
        try:
            asked = await cloud.act(pod.id, "start")
        except CloudError as error:
            return _failed(pod, error, _advice(error))
        tell(asked, "asked to start")
    if within is None and asked.status != shapes.RUNNING:
        return Turned(pod=asked, ok=True, words="is starting")
    return await _until(cloud, pod, asked, _is_up, within or 0.0, tell)


async def stop(cloud: Client, pod: Pod, *, within: float | None, tell: Tell) -> Turned:
    """Stop a pod; with `within`, wait so many seconds until it has."""
    if pod.status in (shapes.EXITED, shapes.TERMINATED):
        return Turned(pod=pod, ok=True, words="is stopped")
    try:
        asked = await cloud.act(pod.id, "stop")
    except CloudError as error:
        return _failed(pod, error, "")
    tell(asked, "asked to stop")
    if within is None and asked.status != shapes.EXITED:
        return Turned(pod=asked, ok=True, words="is stopping")
    return await _until(cloud, pod, asked, _is_down, within or 0.0, tell)


async def each(pods: Sequence[Pod], turn: Callable[[Pod], Awaitable[Turned]]) -> list[Turned]:
    """All of them at once; the outcomes in their order."""
    found: dict[str, Turned] = {}

    async def one(pod: Pod) -> None:
        found[pod.id] = await turn(pod)

    async with anyio.create_task_group() as tasks:
        for pod in pods:
            tasks.start_soon(one, pod)
    return [found[pod.id] for pod in pods]


def exit_code(turned: Sequence[Turned]) -> int:
    """Of several: that of the first that failed."""
    return next((one.exit_code for one in turned if not one.ok), errors.ExitCode.OK)


_Judge = Callable[[Pod, Pod, bool], "Turned | None"]


async def _until(cloud: Client, before: Pod, asked: Pod, judge: _Judge, within: float, tell: Tell) -> Turned:
    """Look until it is decided. The service takes an order at once and follows it later: the old status may stand for a while."""
    now, moved, pause = asked, asked.status != before.status, _FIRST_LOOK
    turned = judge(before, now, moved)
    with anyio.move_on_after(within):
        while turned is None:
            await anyio.sleep(pause)
            pause = min(_LONGEST_LOOK, pause * 1.3)
            try:
                seen = await cloud.pod(before.id)
            except CloudError as error:
                return _failed(now, error, "")
            if seen.status != now.status:
                tell(seen, seen.status.lower())
            now, moved = seen, moved or seen.status != before.status
            turned = judge(before, now, moved)
    return turned or _not(now, f"cannot wait any longer for pod {before.id}: after {within:.0f} s it is {now.status}")


def _is_up(before: Pod, now: Pod, moved: bool) -> Turned | None:
    if now.status == shapes.RUNNING:
        if before.gpu is not None and now.gpu_count == 0:
            return _not(now, f"cannot use pod {now.id}: it was started without a GPU; {_ELSEWHERE}")
        return Turned(pod=now, ok=True, words="runs")
    if now.status == shapes.TERMINATED or (moved and now.status in (shapes.EXITED, shapes.ERROR)):
        return _not(now, f"cannot start pod {now.id}: it is {now.status} again; `firstlight pod logs {now.id} --source system` may say why")
    return None


def _is_down(before: Pod, now: Pod, moved: bool) -> Turned | None:
    if now.status in (shapes.EXITED, shapes.TERMINATED):
        return Turned(pod=now, ok=True, words="is stopped")
    if now.status == shapes.ERROR and moved:
        return _not(now, f"cannot stop pod {before.id}: it is {now.status}, at {now.cost:.2f} USD an hour")
    return None


def _advice(error: CloudError) -> str:
    if any(words in error.detail.lower() for words in _NO_GPU):
        return _ELSEWHERE
    if error.status == 409:
        return "it is not in a state from which it can be started: `firstlight pod list` says in which it is"
    if error.status is not None and error.status >= 500:  # seen where the host had no GPU left
        return f"its host may have no GPU left; {_ELSEWHERE}"
    return ""


def _failed(pod: Pod, error: CloudError, advice: str) -> Turned:
    words = f"{error}; {advice}" if advice else str(error)
    return Turned(pod=pod, ok=False, words=words, exit_code=error.exit_code)


def _not(pod: Pod, words: str) -> Turned:
    return Turned(pod=pod, ok=False, words=words, exit_code=errors.ExitCode.CLOUD)
