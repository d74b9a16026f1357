"""The cloud's state and rules, without any network. Time is whatever the given clock says; what is due happens when somebody looks."""

from __future__ import annotations

import functools
import random
import string
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Protocol, TypeVar

from cloud import commands, hosts, orders, pods
from cloud.habits import Habits, Trouble
from cloud.hosts import Host
from cloud.pods import Container, Pod
from cloud.refusals import NO_CAPACITY, NO_GPU, RefusedError

# What a request may weigh, in bytes, with its template's settings.
LARGEST = 102_400

# USD an hour for one GPU, on each cloud; and its name, memory in GB, and largest machine.
PRICES: Mapping[str, tuple[float, float]] = {
    "NVIDIA GeForce RTX 4090": (0.69, 0.34),
    "NVIDIA L40S": (0.86, 0.79),
    "NVIDIA H100 80GB HBM3": (2.99, 2.69),
}

_KEY = "rpa_TESTKEY0000000000000000000000000000000000"


class Runner(Protocol):
    """What makes containers real."""

    def publish(self, pod: Pod) -> dict[int, int]:
        """The public ports, by private port, of the life that begins."""

    def begin(self, pod: Pod) -> None:
        """Start pod.container, or start it anew."""

    def end(self, pod: Pod, *, gone: bool) -> None:
        """End its container; where it is `gone`, its volume too."""

    def address(self, pod: Pod, port: int) -> int | None:
        """Where on this machine's loopback a port of the pod is reached."""


_Method = TypeVar("_Method", bound=Callable[..., Any])


def _alone(method: _Method) -> _Method:
    """One at a time: tests ask from a thread of their own."""

    @functools.wraps(method)
    def locked(self: World, *arguments: Any, **named: Any) -> Any:
        with self.lock:
            return method(self, *arguments, **named)

    return locked  # type: ignore[return-value]


class World:
    """One account and the machines that it can rent.

    Attributes:
        keys: what each API key may do: all, read, or pod:ID.
    """

    def __init__(
        self,
        machines: Iterable[Host] = (),
        *,
        habits: Habits | None = None,
        clock: Callable[[], float] = time.monotonic,
        began: datetime | None = None,
        seed: int = 0,
        runner: Runner | None = None,
    ) -> None:
        self.habits = habits or Habits()
        self.clock = clock
        self.random = random.Random(seed)
        self.hosts: dict[str, Host] = {}
        for host in machines or (Host(name="host-1"), Host(name="host-2")):
            self.hosts[host.name] = host
            if runner:
                host.address = "127.0.0.1"  # where their ports are
        self.pods: dict[str, Pod] = {}
        self.ended: dict[str, Pod] = {}
        self.templates: dict[str, dict[str, Any]] = {}
        self.others: dict[str, dict[str, Any]] = {}  # public templates of other accounts: read by their ids, and no more
        self.volumes: dict[str, dict[str, Any]] = {}
        self.ssh_keys: list[str] = []
        self.prices = dict(PRICES)
        self.forbidden: set[str] = set()  # GPU types of pools that the account may not have
        self.balance: float | None = None  # USD; None: enough
        self.keys: dict[str, str] = {_KEY: "all"}
        self.troubles: list[Trouble] = []
        self.given: dict[str, str] = {}  # further variables of every container
        self.runner = runner
        self._start_clock: float | None = None
        self.lock = threading.RLock()
        self._began = began or datetime.now(timezone.utc)

    @property
    def key(self) -> str:
        """The account's own API key."""
        return _KEY

    def now(self) -> float:
        """The time on the clock. It is not read before the first question, since a loop's clock needs its loop."""
        now = self.clock()
        if self._start_clock is None:
            self._start_clock = now
        return now

    def stamp(self, moment: float) -> str:
        """A moment of the clock as the calendar has it."""
        return pods.calendar(self._began, self._start_clock or 0.0, moment)

    # What time does

    @_alone
    def settle(self) -> float:
        """Let happen what is due. The time now."""
        now = self.now()
        for pod in self.pods.values():
            while pod.due and pod.due[0][0] <= now:
                at, status = pod.due.pop(0)
                self._become(pod, status, at)
        return now

    @_alone
    def hurry(self, pod: Pod, status: str) -> None:
        """Let a pod become now what it would become later."""
        while pod.status != status:
            _, following = pod.due.pop(0)
            self._become(pod, following, self.now())

    def _become(self, pod: Pod, status: str, at: float) -> None:
        pod.status = status
        pod.logs.append((at, "system", {pods.STARTING: "create container " + pod.image}.get(status, f"{status.lower()} container")))
        if status == pods.RUNNING:
            self._begin(pod, at)
        elif status == pods.EXITED:
            self._free(pod, at)
            if self.runner:
                self.runner.end(pod, gone=False)

    def _begin(self, pod: Pod, at: float) -> None:
        host = pod.host
        entrypoint, cmd = commands.parts(pod.args)
        fault = host.fault
        if host.lives is not None:
            host.lives -= 1
            if host.lives < 0:
                host.fault = fault = ""
        pod.starts += 1
        pod.started_at = at
        pod.before = pod.public
        pod.stale_until = at + self.habits.stale_port if pod.before else at
        if self.runner:
            pod.public = self.runner.publish(pod)
        else:
            pod.public = {port: self.random.randint(10_000, 60_000) for port in pods.numbered(pod.ports, "tcp")}
        pod.container = Container(
            number=pod.starts,
            began=at,
            env=self._environment(pod),
            entrypoint=entrypoint,
            cmd=cmd,
            ports=pod.ports,
            gpus=pod.gpus,
            fault="gpu-not-granted" if pod.zero_gpu else fault,
        )
        pod.logs.append((at, "container", f"container {pod.starts} of {pod.name} began"))
        if self.runner:
            self.runner.begin(pod)

    def _environment(self, pod: Pod) -> dict[str, str]:
        """What the container is given: the pod's own, and what the service puts beside it."""
        given = dict(pod.env)
        if pod.start_ssh and self.ssh_keys:
            given.setdefault("PUBLIC_KEY", "\n".join(self.ssh_keys))
        if pod.start_jupyter:
            given.setdefault("JUPYTER_PASSWORD", "jupyter-" + pod.id)
        given |= {
            "RUNPOD_POD_ID": pod.id,
            "RUNPOD_DC_ID": pod.host.data_center,
            "RUNPOD_POD_HOSTNAME": f"{pod.id}-64411eb2",
            "RUNPOD_GPU_COUNT": str(len(pod.gpus)),
            "RUNPOD_CPU_COUNT": "8",
            "RUNPOD_MEM_GB": "32",
            "RUNPOD_PUBLIC_IP": pod.host.address,
            "RUNPOD_API_KEY": self.pod_key(pod),
            **self.given,
        }
        if pod.gpu:
            given["RUNPOD_GPU_NAME"] = pod.gpu.replace(" ", "+")
        for volume in pod.mounts.get("network") or ():
            given["RUNPOD_VOLUME_ID"] = volume["volumeId"]
        return given | {f"RUNPOD_TCP_PORT_{private}": str(public) for private, public in pod.public.items()}

    def pod_key(self, pod: Pod) -> str:
        """The key that a pod's own programs find. What it may do is a habit: no document says."""
        key = f"rpa_POD{pod.id}"
        rights = {"none": "", "own": f"pod:{pod.id}", "all": "all"}[self.habits.pod_key]
        if rights:
            self.keys[key] = rights
        return key

    def _free(self, pod: Pod, at: float) -> None:
        """Its GPUs and its money; others may be quicker than its next start."""
        pod.container = None
        pod.gpus = ()
        for _ in range(pod.host.release(pod.id)):
            if self.random.random() < self.habits.rivals:
                pod.host.taken += 1
        pod.billed, pod.billed_since = pod.cost_until(at), None

    # Pods

    def pod(self, pod_id: str) -> Pod:
        """One that there is."""
        self.settle()
        if pod_id not in self.pods:
            raise RefusedError(404, "pod not found")
        return self.pods[pod_id]

    def told(self, pod: Pod) -> dict[str, Any]:
        """The pod as the API answers it. Whoever has found it has let happen what was due."""
        return pods.told(pod, self.now(), self.stamp)

    def listed(self, *, clusters: bool = False) -> list[Pod]:
        """What a list holds: all but pods of clusters, and pods that have only just been made."""
        now = self.settle()
        return [pod for pod in self.pods.values() if (clusters or not pod.cluster) and now >= pod.created_at + self.habits.list_lag]

    @_alone
    def create(self, body: Mapping[str, Any], size: int = 0) -> Pod:
        """A new pod, on a host that fits.

        Raises:
            RefusedError: by a rule, or for want of such a host.
        """
        now = self.settle()
        spec = orders.resolved(body, {**self.others, **self.templates}, size, LARGEST)
        orders.check_create(spec, self.volumes)
        gpu = spec.get("gpu") or {}
        if self.balance is not None and self.balance <= self.spent():
            raise RefusedError(402, "Insufficient balance.")
        if gpu.get("id") in self.forbidden:
            raise RefusedError(403, "Your account cannot access the requested pool.")
        host = self._place(spec)
        self._count += 1
        pod = Pod(
            id=self._id(),
            name=spec["name"],
            image=spec["image"],
            created_at=now,
            args=orders.command("", spec),
            disk=spec.get("disk", 20),
            ports=tuple(spec.get("ports", ())),
            env=dict(spec.get("env", {})),
            registry=spec.get("registry"),
            mounts=spec.get("mounts", {}),
            gpu=gpu.get("id"),
            gpu_count=gpu.get("count", 0),
            cpu={**spec["cpu"], "memory": 16} if spec.get("cpu") else None,
            cloud=spec.get("cloud", "SECURE"),
            host=host,
            start_ssh=spec.get("startSsh", False),
            start_jupyter=spec.get("startJupyter", False),
            networking=spec.get("globalNetworking", False),
            price=self.price(gpu["id"], spec.get("cloud", "SECURE")) * gpu.get("count", 1) if gpu else 0.06,
        )
        pod.gpus = host.hold(pod.id, pod.gpu_count)
        pod.billed_since = now
        self.pods[pod.id] = pod
        self._schedule_start(pod, now)
        return pod

    _count = 0

    def _id(self) -> str:
        return "".join(self.random.choices(string.ascii_lowercase + string.digits, k=10)) + f"{self._count:04x}"

    def _place(self, spec: Mapping[str, Any]) -> Host:
        wanted = orders.Wanted.of(spec, self.volumes)
        fitting = [host for host in self.hosts.values() if wanted.fits(host)]
        if not fitting:
            raise RefusedError(400, NO_CAPACITY)
        return self.random.choice(fitting) if self.habits.placement == "random" else fitting[0]

    def _schedule_start(self, pod: Pod, now: float) -> None:
        pod.status = pods.PROVISIONING
        pod.due = [(now + self.habits.provisioning, pods.STARTING)]
        if pod.host.fault != hosts.NEVER_STARTS:
            pod.due.append((now + self.habits.provisioning + self.habits.starting, pods.RUNNING))

    def price(self, gpu: str, cloud: str) -> float:
        """USD an hour of one GPU."""
        return self.prices[gpu][cloud == "COMMUNITY"]

    @_alone
    def update(self, pod_id: str, body: Mapping[str, Any], size: int = 0) -> Pod:
        """Change what a body names."""
        pod = self.pod(pod_id)
        orders.own(pod)
        change = orders.resolved(body, {**self.others, **self.templates}, size, LARGEST, creates=False)
        changed = orders.check_update(pod, change)
        pod.args = orders.command(pod.args, change)
        for name in ("name", "image", "disk", "registry", "locked"):
            if name in change:
                setattr(pod, name, change[name])
        pod.networking = change.get("globalNetworking", pod.networking)
        pod.ports = tuple(change.get("ports", pod.ports))
        pod.env = dict(change.get("env", pod.env))
        if change.get("mounts"):
            pod.mounts = change["mounts"]
        if changed and pod.status == pods.RUNNING and self.habits.patch_resets:
            self._restart(pod)
        return pod

    @_alone
    def act(self, pod_id: str, action: str) -> Pod:
        """Start, stop or restart."""
        pod = self.pod(pod_id)
        now = self.settle()
        orders.own(pod)
        if action not in pods.ACTIONS[pod.status]:
            raise RefusedError(409, f"cannot {action} a pod that is {pod.status}")
        if pod.locked and action in ("stop", "restart"):
            raise RefusedError(409, f"cannot {action} a pod that is locked")
        if action == "stop":
            if not any(status == pods.EXITED for _, status in pod.due):  # a second order does not make the first one later
                pod.due = [(now + self.habits.stopping, pods.EXITED)]
        elif action == "restart":
            self._restart(pod)
        else:
            self._start(pod, now)
        return pod

    def _restart(self, pod: Pod) -> None:
        now = self.now()
        pod.container = None
        pod.status = pods.STARTING
        pod.due = [(now + self.habits.restarting, pods.RUNNING)]
        if self.runner:
            self.runner.end(pod, gone=False)

    def _start(self, pod: Pod, now: float) -> None:
        """On the host where it was, if that still has a GPU for it."""
        if pod.host.fault == hosts.REFUSES:
            raise RefusedError(500, "Something went wrong. Please try again later or contact support.")
        pod.zero_gpu = pod.host.free < pod.gpu_count
        if pod.zero_gpu and self.habits.no_gpu == "refuse":
            pod.zero_gpu = False
            raise RefusedError(self.habits.no_gpu_status, NO_GPU)
        pod.gpus = pod.host.hold(pod.id, 0 if pod.zero_gpu else pod.gpu_count)
        pod.billed_since = now
        self._schedule_start(pod, now)

    @_alone
    def terminate(self, pod_id: str) -> None:
        """Delete it, with what lies on its host."""
        pod = self.pod(pod_id)
        orders.own(pod)
        self._end(pod)

    def _end(self, pod: Pod) -> None:
        now = self.now()
        self._free(pod, now)
        pod.status, pod.due, pod.ended_at = pods.TERMINATED, [], now
        self.keys.pop(f"rpa_POD{pod.id}", None)
        self.ended[pod.id] = self.pods.pop(pod.id)
        if self.runner:
            self.runner.end(pod, gone=True)

    def spent(self) -> float:
        """USD so far."""
        now = self.now()
        return sum(pod.cost_until(now) for pod in [*self.pods.values(), *self.ended.values()])
