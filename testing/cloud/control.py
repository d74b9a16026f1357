"""What tests tell the cloud and ask of it, over HTTP. None of it is RunPod's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from cloud import catalogue
from cloud.habits import Trouble
from cloud.hosts import Host
from cloud.pods import Pod
from cloud.world import World

if TYPE_CHECKING:
    from cloud.service import Service


def truth(world: World, pod: Pod) -> dict[str, Any]:
    """All that is so of a pod, its host's name among it."""
    return {
        "id": pod.id,
        "name": pod.name,
        "status": pod.status,
        "host": pod.host.name,
        "fault": pod.host.fault,
        "gpus": list(pod.gpus),
        "env": dict(pod.env),
        "args": pod.args,
        "starts": pod.starts,
        "zero_gpu": pod.zero_gpu,
        "cost": pod.cost_until(world.now()),
        "created_at": pod.created_at,
        "ended_at": pod.ended_at,
    }


def _pods(service: Service, _: Any) -> Any:
    world = service.world
    world.settle()
    return [truth(world, pod) for pod in [*world.pods.values(), *world.ended.values()]]


def _hosts(service: Service, body: Any) -> Any:
    """Add hosts, or change those of the same name."""
    world = service.world
    for one in body if isinstance(body, list) else [body]:
        known = world.hosts.get(one["name"])
        if known is None:
            world.hosts[one["name"]] = Host(**one)
        else:
            for name, value in one.items():
                setattr(known, name, value)
    return [{**vars(host), "free": host.free} for host in world.hosts.values()]


def _faults(service: Service, body: Any) -> Any:
    service.world.troubles += [Trouble(**one) for one in (body if isinstance(body, list) else [body])]
    return [vars(one) for one in service.world.troubles]


def _habits(service: Service, body: Any) -> Any:
    service.world.habits = replace(service.world.habits, **(body or {}))
    return vars(service.world.habits)


_TOLD: dict[str, Callable[[Service, Any], Any]] = {
    "pods": _pods,
    "requests": lambda service, _: [call.plain() for call in service.calls],
    "proxied": lambda service, _: service.proxied,
    "violations": lambda service, _: {"ours": service.violations, "client": service.complaints},
    "hosts": lambda service, _: [{**vars(host), "free": host.free} for host in service.world.hosts.values()],
    "habits": lambda service, _: vars(service.world.habits),
    "bill": lambda service, _: {"spent": service.world.spent()},
}
_TAKEN: dict[str, Callable[[Service, Any], Any]] = {
    "hosts": _hosts,
    "faults": _faults,
    "habits": _habits,
    "templates": lambda service, body: catalogue.add_template(service.world, body),
    "volumes": lambda service, body: catalogue.add_volume(service.world, **(body or {})),
    "ssh-keys": lambda service, body: service.world.ssh_keys.extend(body),
}


async def answer(service: Service, request: Request, name: str) -> Response:
    """One question or order."""
    table = _TOLD if request.method == "GET" else _TAKEN
    if name not in table:
        return JSONResponse({"error": f"there is no {name} to {request.method}"}, 404)
    raw = await request.body()
    return JSONResponse(table[name](service, await request.json() if raw else None))
