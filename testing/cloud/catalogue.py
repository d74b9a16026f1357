"""GPU types, templates and volumes of the world."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloud.world import World


def gpu(world: World, name: str) -> dict[str, Any]:
    """A GPU type with its prices."""
    secure, community = world.prices[name]
    most = {
        cloud: max((host.count for host in world.hosts.values() if host.gpu == name and host.cloud == cloud.upper()), default=0)
        for cloud in ("secure", "community")
    }
    return {
        "id": name,
        "name": name.removeprefix("NVIDIA ").removeprefix("GeForce "),
        "pool": None,
        "manufacturer": "NVIDIA",
        "memory": 24,
        "secure": bool(most["secure"]),
        "community": bool(most["community"]),
        "price": {"secure": secure, "community": community},
        "maxCount": most,
    }


def add_template(world: World, body: Mapping[str, Any]) -> dict[str, Any]:
    """A template of the account, with the document's defaults."""
    from cloud import orders

    name = f"tpl{len(world.templates) + 1:07d}"
    world.templates[name] = {
        "id": name,
        "name": body["name"],
        "image": body["image"],
        "args": orders.command("", body),
        "disk": body.get("disk", 20),
        "mounts": body.get("mounts", {}),
        "ports": list(body.get("ports", ())),
        "env": dict(body.get("env", {})),
        "registry": body.get("registry"),
        "serverless": body.get("serverless", False),
        "public": body.get("public", False),
        "category": body.get("category", "NVIDIA"),
        "startSsh": body.get("startSsh", True),
        "startJupyter": body.get("startJupyter", True),
        "allowedCudaVersions": list(body.get("allowedCudaVersions", ())),
    }
    return world.templates[name]


def add_volume(world: World, *, data_center: str = "EU-RO-1", name: str = "models", size: int = 50) -> dict[str, Any]:
    """A network volume."""
    key = f"vol{len(world.volumes) + 1:07d}"
    world.volumes[key] = {"id": key, "name": name, "size": size, "dataCenter": data_center, "type": "STANDARD"}
    return world.volumes[key]
