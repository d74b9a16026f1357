"""What a list of pods tells of each. Pure. No value of an environment is in it, and no start command: both may hold secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from firstlight.fleet import start
from firstlight.providers.runpod.shapes import Pod


@dataclass(frozen=True, kw_only=True)
class Listed:
    """One pod."""

    id: str
    name: str
    status: str
    gpu: str | None
    gpu_count: int
    cloud: str
    data_center: str | None
    cuda_version: str | None
    cost: float  # USD an hour
    image: str
    ports: tuple[str, ...]
    network_volume: str | None
    host_volume: bool  # it has data that lie on its host and go with it
    locked: bool
    ssh: str | None  # host:port of its own sshd
    uptime: int | None
    created_at: str
    started_at: str | None
    firstlight: bool  # its start command is firstlight's


def listed(pod: Pod) -> Listed:
    """What there is to tell of a pod."""
    return Listed(
        id=pod.id,
        name=pod.name,
        status=pod.status,
        gpu=pod.gpu,
        gpu_count=pod.gpu_count,
        cloud=pod.cloud,
        data_center=pod.data_center,
        cuda_version=pod.cuda_version,
        cost=pod.cost,
        image=pod.image,
        ports=pod.ports,
        network_volume=pod.network_volume,
        host_volume=pod.persistent,
        locked=pod.locked,
        ssh=None if pod.ssh is None else f"{pod.ssh.host}:{pod.ssh.port}",
        uptime=pod.uptime,
        created_at=pod.created_at,
        started_at=pod.started_at,
        firstlight=start.runs_firstlight((*pod.command.entrypoint, *pod.command.cmd)),
    )


def plain(pods: Sequence[Listed]) -> dict[str, Any]:
    """The same for JSON."""
    return {"version": 1, "pods": [asdict(pod) for pod in pods], "cost": hourly(pods)}


def hourly(pods: Sequence[Listed]) -> float:
    """USD an hour for all of them."""
    return round(sum(pod.cost for pod in pods), 4)
