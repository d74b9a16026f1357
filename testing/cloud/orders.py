"""What may be ordered: the rules between fields, which no schema can hold. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloud import commands, hosts, pods
from cloud.hosts import Host
from cloud.pods import Pod
from cloud.refusals import RefusedError

# The console's document has them; enough for the API.
MOST_VARIABLES = 50
MOST_HTTP_PORTS = 10

# What a template gives to a pod.
_FROM_TEMPLATE = ("image", "args", "disk", "ports", "env", "registry")
_AT_CREATION = ("startSsh", "startJupyter", "mounts")

# A change of these reaches a container only by starting it anew.
_OF_THE_CONTAINER = ("image", "args", "entrypoint", "cmd", "disk", "ports", "env", "registry", "mounts")


def resolved(
    body: Mapping[str, Any], templates: Mapping[str, Mapping[str, Any]], size: int, largest: int, *, creates: bool = True
) -> dict[str, Any]:
    """The body with its template's settings in it, this once.

    Raises:
        RefusedError: there is no such template, it is none for pods, or the whole is too large.
    """
    spec = dict(body)
    name = spec.pop("templateId", None)
    if name is not None:
        template = templates.get(name)
        if template is None:
            raise RefusedError(404, "template not found")
        if template["serverless"]:
            raise RefusedError(422, "Request validation failed.", ["$.templateId: a serverless template cannot be used for a pod"])
        spec = {**_settings(template, body, creates=creates), **spec}
        if template["env"] or "env" in body:
            spec["env"] = {**template["env"], **body.get("env", {})}
    if max(size, len(json.dumps(spec, ensure_ascii=False).encode())) > largest:
        raise RefusedError(413, "request body too large")
    return spec


def _settings(template: Mapping[str, Any], body: Mapping[str, Any], *, creates: bool) -> dict[str, Any]:
    found = {name: template[name] for name in (*_FROM_TEMPLATE, *(_AT_CREATION if creates else ()))}
    if {"args", "entrypoint", "cmd"} & set(body):
        del found["args"]
    if not found.get("mounts") or "cpu" in body:
        found.pop("mounts", None)
    gpu = body.get("gpu")
    if creates and gpu and not {"allowedCudaVersions", "minCudaVersion"} & set(gpu) and template["allowedCudaVersions"]:
        found["gpu"] = {**gpu, "allowedCudaVersions": template["allowedCudaVersions"]}
    return found


def command(args: str, body: Mapping[str, Any]) -> str:
    """The stored command after a body."""
    try:
        return commands.merged(args, body)
    except commands.ContradictionError as error:
        raise RefusedError(400, str(error)) from None


def own(pod: Pod) -> None:
    """Pods of clusters are another API's."""
    if pod.cluster:
        raise RefusedError(409, f"pod belongs to cluster {pod.cluster}; manage it through /v2/clusters/{pod.cluster}")


def _check_container(spec: Mapping[str, Any]) -> None:
    if len(spec.get("env", {})) > MOST_VARIABLES:
        raise RefusedError(400, f"a pod may have {MOST_VARIABLES} environment variables at most")
    for port in spec.get("ports", ()):
        number, _, kind = port.partition("/")
        if kind not in ("http", "tcp") or not number.isdecimal() or int(number) < 1:
            raise RefusedError(400, f"invalid port: {port}")
    if len(pods.numbered(tuple(spec.get("ports", ())), "http")) > MOST_HTTP_PORTS:
        raise RefusedError(400, f"a pod may expose {MOST_HTTP_PORTS} HTTP ports at most")


def check_create(spec: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> None:
    """The rules of a new pod.

    Raises:
        RefusedError: it breaks one.
    """
    gpu, cpu, mounts = spec.get("gpu"), spec.get("cpu"), spec.get("mounts", {})
    if bool(gpu) == bool(cpu):
        raise RefusedError(400, "exactly one of gpu or cpu must be set")
    if gpu and gpu.get("allowedCudaVersions") and gpu.get("minCudaVersion"):
        raise RefusedError(400, "gpu.allowedCudaVersions and gpu.minCudaVersion are mutually exclusive")
    if "persistent" in mounts and "network" in mounts:
        raise RefusedError(400, "mounts.persistent and mounts.network are mutually exclusive")
    if cpu and "persistent" in mounts:
        raise RefusedError(400, "mounts.persistent is not supported on CPU pods")
    if mounts.get("network") == []:
        raise RefusedError(400, "mounts.network must not be empty")
    for mount in mounts.get("network", ()):
        if mount["volumeId"] not in volumes:
            raise RefusedError(400, f"network volume {mount['volumeId']} not found")
        if spec.get("cloud", "SECURE") != "SECURE":
            raise RefusedError(400, "network volumes are available on SECURE cloud only")
    _check_container(spec)
    command("", spec)


def check_update(pod: Pod, change: Mapping[str, Any]) -> bool:
    """The rules of a change: whether it is one of the container.

    Raises:
        RefusedError: it breaks one.
    """
    _check_container(change)
    command(pod.args, change)
    mounts = change.get("mounts") or {}
    if mounts.get("network") == []:
        raise RefusedError(400, "mounts.network cannot be cleared")
    if "persistent" in mounts and "network" in mounts:
        raise RefusedError(400, "mounts.persistent and mounts.network are mutually exclusive")
    for kind in mounts:
        if kind not in pod.mounts:
            raise RefusedError(400, f"cannot add a {kind} mount to this pod: the kind of mount is fixed at create")
    if "network" in mounts and mounts["network"][0]["volumeId"] != pod.mounts["network"][0]["volumeId"]:
        raise RefusedError(400, "the volumeId of a network mount is immutable")
    touched = any(name in change for name in _OF_THE_CONTAINER)
    if touched and pod.locked and change.get("locked") is not False:
        raise RefusedError(400, "pod is locked")
    return touched


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a host must have for a new pod."""

    gpu: str | None
    count: int | None
    cloud: str
    data_centers: frozenset[str]
    versions: frozenset[str]
    floor: str | None

    @classmethod
    def of(cls, spec: Mapping[str, Any], volumes: Mapping[str, Mapping[str, Any]]) -> Wanted:
        """What an order asks for. A volume ties it to its data centre."""
        gpu = spec.get("gpu") or {}
        centers = frozenset(spec.get("dataCenterIds") or ())
        for mount in spec.get("mounts", {}).get("network", ()):
            here = frozenset((volumes[mount["volumeId"]]["dataCenter"],))
            centers = centers & here or frozenset(("nowhere",)) if centers else here
        return cls(
            gpu=gpu.get("id"),
            # Left out, no machine matches, whatever the document says of a default.
            count=gpu.get("count") if gpu else 0,
            cloud=spec.get("cloud", "SECURE"),
            data_centers=centers,
            versions=frozenset(gpu.get("allowedCudaVersions") or ()),
            floor=gpu.get("minCudaVersion"),
        )

    def fits(self, host: Host) -> bool:
        """Whether a host has it."""
        return (
            self.count is not None
            and host.free >= self.count
            and (self.gpu is None or host.gpu == self.gpu)
            and host.cloud == self.cloud
            and (not self.data_centers or host.data_center in self.data_centers)
            and (not self.versions or host.cuda in self.versions)
            and (self.floor is None or hosts.at_least(host.cuda, self.floor))
        )
