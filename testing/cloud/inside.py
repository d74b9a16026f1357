"""What the programs in a simulated pod answer: firstlight's agent and the app.

The shape of status.json is that of a real one: `status/` holds what the installed command told on simulated machines (capture.py),
and a test holds them against what it tells today.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.responses import JSONResponse, PlainTextResponse, Response

from cloud import hosts
from cloud.pods import Container, Pod
from cloud.world import World

_KEPT = Path(__file__).parent / "status"
_APP_PORT = 8188


@functools.cache
def template(fault: str) -> str:
    """A real status.json, as text; of a machine with this fault, or of a good one."""
    return (_KEPT / f"{fault or 'healthy'}.json").read_text()


def faults() -> list[str]:
    """The faults that a simulated pod can report."""
    return sorted(name.removesuffix(".json") for name in os.listdir(_KEPT) if name != "healthy.json")


def answer(world: World, pod: Pod, port: int, path: str, headers: Mapping[str, str]) -> Response | None:
    """What a port of the pod answers; None where nothing listens."""
    container = pod.container
    assert container is not None
    if container.fault in (hosts.LOOPS, hosts.DARK):
        return None
    age = world.now() - container.began
    served = agent_port(container)
    if port == served:
        if age < world.habits.agent_after:
            return None
        return _agent(world, pod, container, path, headers)
    if port == _APP_PORT and age >= world.habits.ready_after and not container.fault:
        return JSONResponse({"system": {"os": "posix"}, "devices": [{"name": "cuda:0"}]}) if path == "/system_stats" else _plain(404, "404")
    return None


def agent_port(container: Container) -> int | None:
    """Where firstlight serves, if it is what the container runs: `run --serve ADDRESS` among its words."""
    words = [*container.entrypoint, *container.cmd]
    for place, word in enumerate(words):
        if word == "--":
            return None
        value = (
            word.partition("=")[2]
            if word.startswith("--serve=")
            else words[place + 1]
            if word == "--serve" and place + 1 < len(words)
            else ""
        )
        number = value.rpartition(":")[2]
        if number.isdecimal() and "run" in words[:place]:
            return int(number)
    return None


def _agent(world: World, pod: Pod, container: Container, path: str, headers: Mapping[str, str]) -> Response:
    told = status(world, pod, container)
    if path == "/livez":
        return _plain(200, "ok")
    if path == "/readyz":
        return _plain(200, "ok") if told["ready"] else _plain(503, "not ok")
    if path != "/status.json":
        return _plain(404, "cannot find this")
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        return JSONResponse({name: told[name] for name in ("ready", "stage", "since")})
    if token != container.env.get("FIRSTLIGHT_TOKEN"):
        return PlainTextResponse("cannot accept this token\n", 401, {"WWW-Authenticate": "Bearer"})
    return JSONResponse(told)


def status(world: World, pod: Pod, container: Container) -> dict[str, Any]:
    """What /status.json tells of this life."""
    told: dict[str, Any] = json.loads(template(container.fault))
    age = world.now() - container.began
    told["boot"] = f"{pod.id}-{container.number}"
    for name, moment in (("started_at", container.began), ("since", container.began), ("updated_at", world.now())):
        told[name] = world.stamp(moment)
    told["seconds"] = round(age, 4)
    told["expected"] = max(1, len(container.gpus)) if pod.gpu else 0
    gpu = told["gpus"][0] if told["gpus"] else {}
    told["gpus"] = [{**gpu, "uuid": uuid, "name": pod.gpu} for uuid in container.gpus] if gpu else []
    told["driver"] = pod.host.driver
    told["ssh_host_keys"] = [host_key(pod, container)]
    if not container.fault:
        told["usable"] = len(container.gpus)
        if age < world.habits.ready_after:
            told |= {"stage": "app", "ready": False, "started": False, "ready_after": None, "headline": "The app is starting"}
            told["spans"] = [span for span in told["spans"] if span["stage"] != "ready"]
        else:
            told |= {"ready_after": round(world.habits.ready_after, 4), "stage_at": round(world.habits.ready_after, 4)}
    return told


def host_key(pod: Pod, container: Container) -> str:
    """The fingerprint of this life's SSH host key: another one at each start."""
    digest = hashlib.sha256(f"{pod.id}/{container.number}".encode()).digest()
    return "SHA256:" + b64encode(digest).decode().rstrip("=")


def _plain(code: int, words: str) -> Response:
    return PlainTextResponse(f"{words}\n", code)
