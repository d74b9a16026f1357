"""A pod as the cloud knows it, and as the API tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cloud import commands
from cloud.hosts import LOOPS, Host

PROVISIONING, STARTING, RUNNING, EXITED, ERROR, TERMINATED = "PROVISIONING STARTING RUNNING EXITED ERROR TERMINATED".split()

# How long a container lives that ends by itself, until it is started again, in seconds.
LOOP = 5.0

# What may be asked for in each state, as the document has it.
ACTIONS: Mapping[str, tuple[str, ...]] = {
    PROVISIONING: ("stop", "terminate"),
    STARTING: ("stop", "terminate"),
    RUNNING: ("stop", "restart", "terminate"),
    EXITED: ("start", "terminate"),
    ERROR: ("start", "terminate"),
    TERMINATED: (),
}


@dataclass(frozen=True, kw_only=True)
class Container:
    """One life of a pod's container, with what it was started with: a later change of the pod does not reach it."""

    number: int
    began: float  # on the world's clock
    env: Mapping[str, str]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...]
    ports: tuple[str, ...]
    gpus: tuple[str, ...]
    fault: str


@dataclass(kw_only=True)
class Pod:
    """All that is known of a pod."""

    id: str
    name: str
    image: str
    created_at: float
    args: str = ""
    disk: int = 20
    ports: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    registry: str | None = None
    mounts: dict[str, Any] = field(default_factory=dict)
    gpu: str | None = None
    gpu_count: int = 0
    cpu: dict[str, Any] | None = None
    cloud: str = "SECURE"
    host: Host
    locked: bool = False
    cluster: str | None = None
    start_ssh: bool = False
    start_jupyter: bool = False
    networking: bool = False
    price: float = 0.0
    status: str = PROVISIONING
    due: list[tuple[float, str]] = field(default_factory=list)  # what it will be, and when
    gpus: tuple[str, ...] = ()  # the UUIDs that it holds now
    zero_gpu: bool = False
    container: Container | None = None
    starts: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    public: dict[int, int] = field(default_factory=dict)  # private → public port of this life
    before: dict[int, int] = field(default_factory=dict)  # and of the life before
    stale_until: float = 0.0
    billed_since: float | None = None
    billed: float = 0.0  # USD, until billed_since
    logs: list[tuple[float, str, str]] = field(default_factory=list)  # when, source, line

    def cost_until(self, now: float) -> float:
        """USD so far."""
        running = self.price * (now - self.billed_since) / 3600 if self.billed_since is not None else 0.0
        return self.billed + running

    def published(self, now: float) -> Mapping[int, int]:
        """The public ports that the API tells; just after a start it may tell those of the life before."""
        return {**self.public, **self.before} if now < self.stale_until else self.public


def numbered(ports: tuple[str, ...], kind: str) -> list[int]:
    """The ports of a kind, such as tcp."""
    return [int(port.partition("/")[0]) for port in ports if port.endswith(f"/{kind}")]


def told(pod: Pod, now: float, stamp: Any) -> dict[str, Any]:
    """The pod as the API answers it; `stamp` turns a time of the clock into one of the calendar."""
    entrypoint, cmd = commands.parts(pod.args)
    found: dict[str, Any] = {
        "id": pod.id,
        "name": pod.name,
        "status": pod.status,
        "actions": list(ACTIONS[pod.status]),
        "image": pod.image,
        "args": pod.args,
        "entrypoint": list(entrypoint),
        "cmd": list(cmd),
        "disk": pod.disk,
        "mounts": pod.mounts,
        "ports": list(pod.ports),
        "env": dict(pod.env),
        "registry": pod.registry,
        "cloud": pod.cloud,
        "dataCenterId": pod.host.data_center,
        "cudaVersion": pod.host.cuda if pod.gpu else None,
        "ssh": {"proxy": _proxy(pod), "direct": _direct(pod, now)},
        "template": None,
        "cost": 0.0 if pod.status in (EXITED, TERMINATED) else pod.price,
        "locked": pod.locked,
        "globalNetworking": {"enabled": pod.networking},
        "runtime": _runtime(pod, now),
        "createdAt": stamp(pod.created_at),
        "startedAt": None if pod.started_at is None else stamp(pod.started_at),
    }
    if pod.gpu:
        found["gpu"] = {"id": pod.gpu, "count": pod.gpu_count}
    if pod.cpu:
        found["cpu"] = pod.cpu
    if pod.cluster:
        found["cluster"] = {"id": pod.cluster, "rank": 0}
    return found


def _proxy(pod: Pod) -> dict[str, Any]:
    user = f"{pod.id}-64411eb2"
    return {"host": "ssh.runpod.io", "port": 22, "username": user, "command": f"ssh {user}@ssh.runpod.io"}


def _direct(pod: Pod, now: float) -> dict[str, Any] | None:
    port = pod.published(now).get(22)
    if pod.status != RUNNING or port is None:
        return None
    return {"host": pod.host.address, "port": port, "username": "root", "command": f"ssh root@{pod.host.address} -p {port}"}


def _runtime(pod: Pod, now: float) -> dict[str, Any] | None:
    if pod.status != RUNNING or pod.container is None:
        return None
    uptime = now - pod.container.began
    if pod.container.fault == LOOPS:
        uptime %= LOOP
    ports = [
        {"private": private, "public": public, "type": "tcp", "ip": pod.host.address} for private, public in pod.published(now).items()
    ]
    ports += [{"private": port, "public": None, "type": "http", "ip": None} for port in numbered(pod.container.ports, "http")]
    return {
        "uptime": int(uptime),
        "gpus": [{"util": 0, "memoryUtil": 0} for _ in pod.container.gpus],
        "cpu": {"util": 1},
        "memory": {"util": 1},
        "ports": ports,
    }


def calendar(began: datetime, clock: float, moment: float) -> str:
    """A moment of the clock as RFC 3339 has it; `began` is what the calendar said at `clock`."""
    at = datetime.fromtimestamp(began.timestamp() + moment - clock, tz=began.tzinfo)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")
