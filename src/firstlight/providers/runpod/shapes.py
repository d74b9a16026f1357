"""What RunPod's API v2 answers, as far as we use it. Pure.

Fields that are missing or new, and values that no document names, are no errors: the service adds both. Whoever needs a
field that we do not know finds it in `raw`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# What the documents name of `status`; others may come.
PROVISIONING, STARTING, RUNNING, EXITED, ERROR, TERMINATED = "PROVISIONING STARTING RUNNING EXITED ERROR TERMINATED".split()


@dataclass(frozen=True)
class Command:
    """What a container is started with. An empty part is the image's own."""

    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()

    @property
    def args(self) -> str:
        """The form in which RunPod stores it: JSON, so that no lexer ever splits it; empty where all is the image's own."""
        parts = {"entrypoint": list(self.entrypoint), "cmd": list(self.cmd)}
        told = {name: words for name, words in parts.items() if words}
        return json.dumps(told, separators=(",", ":")) if told else ""


def command(args: str) -> Command:
    """What RunPod makes of its stored form: JSON as it is, anything else split as a shell would, run by none."""
    try:
        told = json.loads(args)
    except ValueError:
        told = None
    if isinstance(told, dict) and told.keys() <= {"entrypoint", "cmd"} and all(_is_words(words) for words in told.values()):
        return Command(entrypoint=tuple(told.get("entrypoint", ())), cmd=tuple(told.get("cmd", ())))
    try:
        return Command(cmd=tuple(shlex.split(args)))
    except ValueError:
        return Command(cmd=tuple(args.split()))


def _is_words(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


@dataclass(frozen=True)
class Endpoint:
    """Where a pod's own sshd is reached."""

    host: str
    port: int
    username: str


@dataclass(frozen=True)
class Container:
    """What a pod and a template have in common."""

    id: str
    name: str
    image: str
    args: str
    env: Mapping[str, str]
    ports: tuple[str, ...]  # such as 8188/http, 22/tcp
    disk: int | None  # GB
    mounts: Mapping[str, Any]  # persistent {size, path}, or network [{volumeId, path}]; empty for neither
    raw: Mapping[str, Any]  # all that was answered

    @property
    def command(self) -> Command:
        """The start command, whichever form the service stores it in."""
        return command(self.args)

    @property
    def persistent(self) -> bool:
        """Data lies on the host itself: it stays through a stop, and goes with the pod."""
        return bool(self.mounts.get("persistent"))

    @property
    def network_volume(self) -> str | None:
        """The volume that any pod of the same data centre can have."""
        volumes = self.mounts.get("network") or ()
        return str(volumes[0].get("volumeId")) if volumes else None


@dataclass(frozen=True)
class Template(Container):
    """What pods are made from, once: a later change of it reaches none of them."""

    serverless: bool
    public: bool  # everybody can see it, its variables too
    allowed_cuda_versions: tuple[str, ...]


@dataclass(frozen=True)
class Pod(Container):
    """A pod, as it was when it was asked for."""

    status: str
    actions: frozenset[str]  # what it may be asked now: start, stop, restart, terminate
    gpu: str | None  # the type's id; None for a pod without
    gpu_count: int
    cloud: str
    data_center: str | None
    cuda_version: str | None  # of the host; None where it is not known
    ssh: Endpoint | None  # its own sshd; may be stale for a while after a start
    cost: float  # USD an hour; 0 while it is stopped
    locked: bool
    cluster: bool
    ports_published: Mapping[int, tuple[str, int] | None]  # private → public ip and port; None for http, which the proxy has
    uptime: int | None  # seconds; None while nothing runs
    created_at: str
    started_at: str | None

    @property
    def running(self) -> bool:
        """Its container runs, as the service sees it. That says nothing of what is in it."""
        return self.status == RUNNING


@dataclass(frozen=True)
class LogLine:
    """One line of a pod's log."""

    id: str
    at: str
    source: str  # container or system
    line: str


@dataclass(frozen=True)
class Price:
    """USD an hour for one GPU of a type, by cloud; None where it is not told."""

    secure: float | None
    community: float | None


def template(told: Mapping[str, Any]) -> Template:
    """A template out of its JSON."""
    return Template(
        **_container(told),
        serverless=bool(told.get("serverless")),
        public=bool(told.get("public")),
        allowed_cuda_versions=tuple(str(version) for version in told.get("allowedCudaVersions") or ()),
    )


def pod(told: Mapping[str, Any]) -> Pod:
    """A pod out of its JSON."""
    gpu = _mapping(told.get("gpu"))
    runtime = _mapping(told.get("runtime"))
    direct = _mapping(_mapping(told.get("ssh")).get("direct"))
    return Pod(
        **_container(told),
        status=str(told.get("status", "")),
        actions=frozenset(str(action) for action in told.get("actions") or ()),
        gpu=None if gpu.get("id") is None else str(gpu["id"]),
        gpu_count=int(gpu.get("count") or 0),
        cloud=str(told.get("cloud") or "SECURE"),
        data_center=told.get("dataCenterId"),
        cuda_version=told.get("cudaVersion"),
        ssh=Endpoint(str(direct["host"]), int(direct["port"]), str(direct.get("username") or "root")) if direct.get("port") else None,
        cost=float(told.get("cost") or 0.0),
        locked=bool(told.get("locked")),
        cluster=bool(told.get("cluster")),
        ports_published={int(port["private"]): _published(port) for port in runtime.get("ports") or () if port.get("private")},
        uptime=runtime.get("uptime"),
        created_at=str(told.get("createdAt") or ""),
        started_at=told.get("startedAt"),
    )


def _container(told: Mapping[str, Any]) -> dict[str, Any]:
    args = told.get("args")
    if args is None:  # a later generation may leave the stored form out
        args = Command(tuple(told.get("entrypoint") or ()), tuple(told.get("cmd") or ())).args
    return {
        "id": str(told["id"]),
        "name": str(told.get("name") or ""),
        "image": str(told.get("image") or ""),
        "args": str(args),
        "env": {str(name): str(value) for name, value in _mapping(told.get("env")).items()},
        "ports": tuple(str(port) for port in told.get("ports") or ()),
        "disk": told.get("disk"),
        "mounts": _mapping(told.get("mounts")),
        "raw": told,
    }


def _published(port: Mapping[str, Any]) -> tuple[str, int] | None:
    return (str(port["ip"]), int(port["public"])) if port.get("ip") and port.get("public") else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
