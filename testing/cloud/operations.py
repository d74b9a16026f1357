"""What each operation does, apart from HTTP: status and body; None for no body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from cloud import catalogue, commands, pods
from cloud.refusals import RefusedError
from cloud.world import World

Answer = tuple[int, Any]


def do(world: World, operation: str, name: str, body: Any, query: Mapping[str, str], size: int) -> Answer:
    """One operation on what is called `name`.

    Raises:
        RefusedError: the answer is no.
    """
    body = body if body is not None else {}
    if operation == "listPods":
        return 200, _page(world, query)
    if operation == "createPod":
        return 201, world.told(world.create(body, size))
    if operation == "getPod":
        return 200, world.told(world.pod(name))
    if operation == "updatePod":
        return 200, world.told(world.update(name, body, size))
    if operation == "deletePod":
        world.terminate(name)
        return 204, None
    if operation == "podAction":
        if body["action"] == "terminate":
            world.terminate(name)
            return 204, None
        return 200, world.told(world.act(name, body["action"]))
    return _OTHERS[operation](world, name, body)


def _page(world: World, query: Mapping[str, str]) -> dict[str, Any]:
    """The list, or as much of it as goes on a page."""
    found = [world.told(pod) for pod in world.listed(clusters=query.get("includeClusterPods") == "true")]
    most = world.habits.page
    if not most:
        return {"pods": found}
    cursor = query.get("cursor", "")
    at = int(cursor) if cursor.isdecimal() else 0
    rest = str(at + most) if at + most < len(found) else None
    told: dict[str, Any] = {"pods": found[at : at + most]}
    if world.habits.page_form == "block":
        return {**told, "pagination": {"nextCursor": rest, "hasMore": rest is not None}}
    return told if rest is None else {**told, "nextCursor": rest}


def _template(told: Mapping[str, Any]) -> dict[str, Any]:
    entrypoint, cmd = commands.parts(told["args"])
    return {**told, "entrypoint": list(entrypoint), "cmd": list(cmd)}


def _find(found: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in found:
        raise RefusedError(404, f"{what} not found")
    return found[name]


def _create_template(world: World, _: str, body: Any) -> Answer:
    if any(one["name"] == body["name"] for one in world.templates.values()):
        raise RefusedError(400, "a template of this name exists already")
    return 201, _template(catalogue.add_template(world, body))


def _update_template(world: World, name: str, body: Any) -> Answer:
    template = _find(world.templates, name, "template")
    try:
        template["args"] = commands.merged(template["args"], body)
    except commands.ContradictionError as error:
        raise RefusedError(400, str(error)) from None
    template.update(
        {key: value for key, value in body.items() if key in template and key != "args" and not (key == "mounts" and not value)}
    )
    return 200, _template(template)


def _delete_template(world: World, name: str, _: Any) -> Answer:
    _find(world.templates, name, "template")
    del world.templates[name]
    return 204, None


def _put_keys(world: World, _: str, body: Any) -> Answer:
    world.ssh_keys = list(body["keys"])
    return 200, {"keys": world.ssh_keys}


def _create_volume(world: World, _: str, body: Any) -> Answer:
    return 201, catalogue.add_volume(world, data_center=body["dataCenter"], name=body["name"], size=body["size"])


_OTHERS: Mapping[str, Callable[[World, str, Any], Answer]] = {
    "listTemplates": lambda world, _, __: (200, {"templates": [_template(one) for one in world.templates.values()]}),
    "createTemplate": _create_template,
    "getTemplate": lambda world, name, _: (200, _template(_find({**world.others, **world.templates}, name, "template"))),
    "updateTemplate": _update_template,
    "deleteTemplate": _delete_template,
    "listNetworkVolumes": lambda world, _, __: (200, {"networkVolumes": list(world.volumes.values())}),
    "createNetworkVolume": _create_volume,
    "getNetworkVolume": lambda world, name, _: (200, _find(world.volumes, name, "network volume")),
    "listGpuTypes": lambda world, _, __: (200, {"gpus": [catalogue.gpu(world, one) for one in world.prices]}),
    "getGpuType": lambda world, name, _: (200, catalogue.gpu(world, _find(dict.fromkeys(world.prices, name), name, "GPU type"))),
    "getSshKeys": lambda world, _, __: (200, {"keys": world.ssh_keys}),
    "updateSshKeys": _put_keys,
}


def strange(world: World, operation: str, told: Any) -> Any:
    """The answer as a service newer than the document would give it; None where it stays as it is."""
    habits = world.habits
    if told is None or not (habits.strange_status or habits.strange_fields or habits.tells_zero):
        return None
    found = json.loads(json.dumps(told))
    listed = found.get("pods", [found] if "status" in found else [])
    for pod in listed:
        if habits.strange_status and pod["status"] == pods.STARTING:
            pod["status"] = habits.strange_status
        if habits.tells_zero and world.pods.get(pod["id"]) and world.pods[pod["id"]].zero_gpu:
            pod["gpu"]["count"] = 0
        if habits.strange_fields:
            pod["placementGroup"] = {"id": "pg-1"}
    if habits.strange_fields:
        found["generation"] = 3
    return found
