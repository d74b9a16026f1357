"""What RunPod's API v2 answers, as far as we use it. Pure.

Fields that are missing or new, and values that no document names, are no errors: the service adds both. Whoever needs a
field that we do not know finds it in `raw`.
"""

from __future__ import annotations

import json
import math
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
    except (ValueError, RecursionError):
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
        volumes = _list(self.mounts.get("network"))
        return _text(_mapping(volumes[0]).get("volumeId")) if volumes else None


@dataclass(frozen=True)
class Template(Container):
    """What pods are made from, once: a later change of it reaches none of them."""

    serverless: bool
    public: bool  # everybody can see it, its variables too


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
    container = _container(told)
    return Template(
        **container,
        serverless=bool(told.get("serverless")),
        public=bool(told.get("public")),
    )


def pod(told: Mapping[str, Any]) -> Pod:
    """A pod out of its JSON."""
    container = _container(told)
    gpu = _mapping(told.get("gpu"))
    runtime = _mapping(told.get("runtime"))
    return Pod(
        **container,
        status=str(told.get("status", "")),
        actions=frozenset(str(action) for action in _list(told.get("actions"))),
        gpu=_text(gpu.get("id")),
        gpu_count=_whole(gpu.get("count")) or 0,
        cloud=str(told.get("cloud") or "SECURE"),
        data_center=_text(told.get("dataCenterId")),
        cuda_version=_text(told.get("cudaVersion")),
        ssh=_endpoint(_mapping(_mapping(told.get("ssh")).get("direct"))),
        cost=_number(told.get("cost")) or 0.0,
        locked=bool(told.get("locked")),
        cluster=bool(told.get("cluster")),
        ports_published={
            private: _published(port) for port in map(_mapping, _list(runtime.get("ports"))) if (private := _whole(port.get("private")))
        },
        uptime=_whole(runtime.get("uptime")),
        created_at=str(told.get("createdAt") or ""),
        started_at=_text(told.get("startedAt")),
    )


def price(told: Mapping[str, Any]) -> Price:
    """A price out of a GPU type's JSON."""
    listed = _mapping(told.get("price"))
    return Price(secure=_number(listed.get("secure")), community=_number(listed.get("community")))


def _container(told: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(told, dict) or not told.get("id"):
        raise ValueError("the answer holds something without an id")
    args = told.get("args")
    if args is None:  # a later generation may leave the stored form out
        args = Command(_words(told.get("entrypoint")), _words(told.get("cmd"))).args
    return {
        "id": str(told["id"]),
        "name": str(told.get("name") or ""),
        "image": str(told.get("image") or ""),
        "args": str(args),
        "env": {str(name): str(value) for name, value in _mapping(told.get("env")).items()},
        "ports": _words(told.get("ports")),
        "disk": _whole(told.get("disk")),
        "mounts": _mapping(told.get("mounts")),
        "raw": told,
    }


def _endpoint(told: Mapping[str, Any]) -> Endpoint | None:
    port = _whole(told.get("port"))
    return Endpoint(str(told["host"]), port, str(told.get("username") or "root")) if port and told.get("host") else None


def _published(port: Mapping[str, Any]) -> tuple[str, int] | None:
    public = _whole(port.get("public"))
    return (str(port["ip"]), public) if public and port.get("ip") else None


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _words(value: object) -> tuple[str, ...]:
    return tuple(str(word) for word in _list(value))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _number(value: object) -> float | None:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None  # Python reads NaN, which JSON has not


def _whole(value: object) -> int | None:
    number = _number(value)
    return None if number is None else int(number)
