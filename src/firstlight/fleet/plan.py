"""What a pod or a template is to become, and whether that may be done. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.shapes import Container, Pod, Template

# What RunPod allows.
MOST_VARIABLES = 50
MOST_HTTP_PORTS = 10
LONGEST_REQUEST = 102_400  # bytes, of a template together with what a pod is created with


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A container before and after."""

    before: Container = field(repr=False)
    args: str = field(repr=False)  # a command may hold secrets, as variables may
    env: Mapping[str, str] = field(repr=False)
    ports: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Such as: pod."""
        return kind(self.before)

    @property
    def title(self) -> str:
        """Such as: pod abc123 (comfy)."""
        return title(self.before)

    @property
    def body(self) -> dict[str, Any]:
        """The fields to send: those that are to change. `env` replaces the whole map, so it goes whole."""
        body: dict[str, Any] = {}
        if self.args != self.before.args:
            body["args"] = self.args
        if dict(self.env) != dict(self.before.env):
            body["env"] = dict(self.env)
        if self.ports != self.before.ports:
            body["ports"] = list(self.ports)
        return body

    def differs(self, now: Container) -> list[str]:
        """What of a container, as it is now, is not as it should be: fields, and names of variables; never a value."""
        found = [] if now.command == shapes.command(self.args) else ["start command"]
        found += [] if sorted(now.ports) == sorted(self.ports) else ["ports"]
        names = sorted(name for name in self.env.keys() | now.env.keys() if self.env.get(name) != now.env.get(name))
        return found + names


def kind(container: Container) -> str:
    """A pod, or a template."""
    return "template" if isinstance(container, Template) else "pod"


def title(container: Container) -> str:
    """What it is called."""
    return f"{kind(container)} {container.id}" + (f" ({container.name})" if container.name else "")


def same(one: Container, other: Container) -> bool:
    """Nobody has changed what a plan would."""
    return (one.args, dict(one.env), one.ports, one.image) == (other.args, dict(other.env), other.ports, other.image)


def mount_paths(container: Container) -> tuple[str, ...]:
    """Where a volume is mounted."""
    mounts = [container.mounts.get("persistent") or {}, *(container.mounts.get("network") or ())]
    return tuple(str(mount["path"]).rstrip("/") or "/" for mount in mounts if mount.get("path"))


def forbidden(container: Container, *, lose_disk: bool) -> list[str]:
    """Why it may not be changed at all."""
    if isinstance(container, Template):
        return ["it is for serverless workers, which have start commands of their own kind"] if container.serverless else []
    assert isinstance(container, Pod)
    found = []
    if container.locked:
        found.append("it is locked, so that nobody resets it: unlock it first, on RunPod's page of it")
    if container.cluster:
        found.append("it belongs to a cluster, and RunPod changes those as a whole")
    if container.status == shapes.TERMINATED:
        found.append("it is terminated")
    if container.status != shapes.EXITED and not mount_paths(container) and not lose_disk:
        found.append(
            "it has no volume, so all that it holds lies on its container disk, which the change wipes; "
            "copy what you need, then say --even-if-container-disk-is-lost"
        )
    return found


def warnings(container: Container) -> list[str]:
    """What the change does to it."""
    if isinstance(container, Template):
        return ["pods that were made from it do not change: RunPod reads a template once, when a pod is made"]
    assert isinstance(container, Pod)
    if container.status == shapes.EXITED:
        return ["it is stopped: this takes effect when it is started"]
    where = " and ".join(mount_paths(container))
    outside = f"what lies outside of {where}" if where else "all that it holds"
    return [f"RunPod resets a running pod: what it computes ends, {outside} is lost, and its external TCP ports change"]


def excess(container: Container, *, args: str, env: Mapping[str, str], ports: tuple[str, ...]) -> list[str]:
    """What is more than RunPod takes."""
    found = []
    if len(env) > MOST_VARIABLES:
        found.append(f"it would have {len(env)} variables, and RunPod allows {MOST_VARIABLES}")
    if (count := sum(port.endswith("/http") for port in ports)) > MOST_HTTP_PORTS:
        found.append(f"it would have {count} http ports, and RunPod allows {MOST_HTTP_PORTS}")
    whole = {"name": container.name, "image": container.image, "args": args, "env": dict(env), "ports": ports, "mounts": container.mounts}
    if (size := len(json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogatepass"))) > LONGEST_REQUEST:
        found.append(f"it would be {size} bytes long, and RunPod takes {LONGEST_REQUEST}")
    return found
