"""What a test is to do, and whether it may. Pure."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import firstlight
from firstlight import errors
from firstlight.fleet import cost, cuda, inside
from firstlight.fleet.cycle import Subject
from firstlight.fleet.record import Mode, Plan
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import Pod, Price
from firstlight.system import clock

_ALIVE = frozenset((shapes.PROVISIONING, shapes.STARTING, shapes.RUNNING))


def refusal(pod: Pod, mode: Mode, *, disk_may_go: bool) -> str | None:
    """Why this pod may not be tested; None where it may."""
    if pod.cluster:
        return "it belongs to a cluster, and RunPod starts and stops those as a whole"
    if pod.status == shapes.TERMINATED:
        return "it is terminated"
    if pod.gpu is None:
        return "it has no GPU"
    if (missing := inside.configured(pod)) != "":
        return f"{missing}, so no start of it could be proven; `firstlight pod configure {pod.id}` sees to that"
    if mode is Mode.RECREATE:
        return None  # it is looked at, and not touched
    if pod.locked:
        return "it is locked, so that nobody stops it; unlock it on RunPod's page of it, or say --mode recreate"
    if not pod.persistent and pod.network_volume is None and not disk_may_go:
        return "it has no volume, and a stop wipes its container disk; --even-if-container-disk-is-lost allows that, --mode recreate leaves it alone"
    return None


def price(pod: Pod, prices: Mapping[str, Price]) -> float:
    """What the pod costs an hour.

    Raises:
        UsageError: nobody says.
    """
    hourly = cost.rate(pod, prices.get(pod.gpu or ""))
    if hourly is None:
        raise errors.UsageError(f"cannot test pod {pod.id}: RunPod tells no price of {pod.gpu}, so no cap could be held")
    return hourly


def plan(
    pods: Sequence[Pod],
    prices: Mapping[str, Price],
    *,
    mode: Mode,
    cycles: int,
    cap: float,
    ssh: bool,
    keep_running: bool,
    disk_may_go: bool,
    min_cuda: str | None = None,
) -> Plan:
    """The plan for these pods.

    Raises:
        UsageError: one of them may not be tested, or all that would cost more than the cap.
    """
    if mode is Mode.RECREATE and keep_running:
        raise errors.UsageError("cannot keep pods running that a test creates: --keep-running is for --mode stop-start")
    for pod in pods:
        why = refusal(pod, mode, disk_may_go=disk_may_go)
        if why is not None:
            raise errors.UsageError(f"cannot test pod {pod.id}: {why}")
    subjects = tuple(
        Subject(
            id=pod.id,
            name=pod.name,
            gpu=pod.gpu or "",
            gpu_count=max(pod.gpu_count, 1),
            hourly=price(pod, prices),
            was_running=pod.status in _ALIVE,
        )
        for pod in pods
    )
    estimate = cost.estimate([subject.hourly for subject in subjects], cycles)
    if estimate.usd > cap:
        raise errors.UsageError(
            f"cannot test for at most {cap:.2f} USD: {estimate.words}; give fewer cycles, fewer pods, or a higher --max-cost"
        )
    versions = {cuda.minimum(pod.image) for pod in pods}
    return Plan(
        id=secrets.token_hex(8),
        made_at=clock.wall(),
        made_by=firstlight.__version__,
        mode=mode,
        cycles=cycles,
        cap=cap,
        expected=estimate.usd,
        ssh=ssh,
        keep_running=keep_running,
        min_cuda=min_cuda or (versions.pop() if mode is Mode.RECREATE and len(versions) == 1 else None),
        subjects=subjects,
    )
