"""When a start or a stop counts as done, from one look to the next."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from cloud import virtual

from firstlight import errors
from firstlight.fleet import power, start
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client
from firstlight.providers.runpod.shapes import Command, Pod


def told(status: str, **more: Any) -> dict[str, Any]:
    return {"id": "p1", "name": "one", "status": status, "gpu": {"id": "GPU", "count": 1}, **more}


def turn(action: str, before: str, *statuses: str, within: float | None = 600.0) -> tuple[power.Turned, list[str]]:
    """What comes of it where the service tells these statuses, the first of them in its answer to the order."""
    orders: list[str] = []
    seen = iter(statuses)
    last = [before]

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.method == "POST":
            orders.append(json.loads(request.content)["action"])
        last.append(next(seen, last[-1]))
        return httpx2.Response(200, json=told(last[-1]))

    async def ask() -> power.Turned:
        async with Client(Access("rpa_KEY"), httpx2.MockTransport(answer)) as client:
            turned = power.start if action == "start" else power.stop
            return await turned(client, shapes.pod(told(before)), within=within, tell=lambda *_: None)

    return virtual.run(ask), orders


@pytest.mark.parametrize(
    ("before", "statuses", "ok", "words"),
    [
        # The order is taken at once and followed later: the old status stands for a while.
        ("EXITED", ["EXITED", "EXITED", "PROVISIONING", "STARTING", "RUNNING"], True, "runs"),
        ("ERROR", ["ERROR", "ERROR", "STARTING", "RUNNING"], True, "runs"),
        ("EXITED", ["HIBERNATING", "RUNNING"], True, "runs"),
        ("EXITED", ["STARTING", "EXITED"], False, "cannot start pod p1: it is EXITED again"),
        ("EXITED", ["STARTING", "ERROR"], False, "cannot start pod p1: it is ERROR again"),
        ("EXITED", ["EXITED", "TERMINATED"], False, "cannot start pod p1: it is TERMINATED again"),
        ("EXITED", ["EXITED"], False, "cannot wait any longer for pod p1: after 600 s it is EXITED"),
    ],
)
def test_a_start_is_done_when_the_pod_runs(before: str, statuses: list[str], ok: bool, words: str) -> None:
    turned, orders = turn("start", before, *statuses)

    assert (turned.ok, turned.words[: len(words)]) == (ok, words)
    assert orders == ["start"]
    assert (turned.exit_code == 0) == ok


@pytest.mark.parametrize(
    ("before", "statuses", "ok", "words"),
    [
        ("RUNNING", ["RUNNING", "RUNNING", "EXITED"], True, "is stopped"),
        ("STARTING", ["EXITED"], True, "is stopped"),
        ("RUNNING", ["RUNNING", "ERROR"], False, "cannot stop pod p1: it is ERROR"),
        ("RUNNING", ["RUNNING"], False, "cannot wait any longer for pod p1: after 600 s it is RUNNING"),
    ],
)
def test_a_stop_is_done_when_the_pod_has_exited(before: str, statuses: list[str], ok: bool, words: str) -> None:
    turned, orders = turn("stop", before, *statuses)

    assert (turned.ok, turned.words[: len(words)]) == (ok, words)
    assert orders == ["stop"]


@pytest.mark.parametrize(
    ("action", "before", "words"),
    [
        ("start", "RUNNING", "runs"),
        ("start", "STARTING", "is starting"),
        ("stop", "EXITED", "is stopped"),
        ("stop", "TERMINATED", "is stopped"),
    ],
)
def test_what_is_so_already_is_not_ordered(action: str, before: str, words: str) -> None:
    turned, orders = turn(action, before, within=None)

    assert (turned.ok, turned.words, orders) == (True, words, [])


@pytest.mark.parametrize(
    ("more", "words"), [({"locked": True}, "it is locked"), ({"cluster": {"id": "c", "rank": 0}}, "it belongs to a cluster")]
)
def test_what_must_not_be_stopped(more: dict[str, Any], words: str) -> None:
    pods: list[Pod] = [shapes.pod(told("RUNNING")), shapes.pod(told("RUNNING", **more))]

    with pytest.raises(errors.UsageError, match=f"^cannot stop pod p1: {words}"):
        power.check_stop(pods)


@pytest.mark.parametrize(
    ("mounts", "words"),
    [
        ({}, "all that it holds, for it has no volume;"),
        ({"persistent": {"size": 20, "path": "/workspace"}}, "all outside of /workspace;"),
        ({"network": [{"volumeId": "v", "path": "/data"}]}, "all outside of /data;"),
    ],
)
def test_what_a_stop_costs(mounts: dict[str, Any], words: str) -> None:
    assert words in power.losses(shapes.pod(told("RUNNING", mounts=mounts)))


@pytest.mark.parametrize(
    ("command", "is_ours"),
    [
        (Command(("/bin/sh", "-c", "guard", "/workspace/firstlight/firstlight.pyz"), ("run", "--", "x")), True),
        (Command(cmd=("firstlight", "run", "--", "x")), True),
        (Command(cmd=("bash", "-c", "cd /x && exec firstlight.pyz run -- x")), True),
        (Command(cmd=("firstlight", "doctor")), False),
        (Command(cmd=("python", "firstlight_run.py")), False),
        (Command(cmd=("echo", "not firstlight")), False),
        (Command(), False),
    ],
)
def test_whether_a_pod_starts_firstlight(command: Command, is_ours: bool) -> None:
    assert start.runs_firstlight((*command.entrypoint, *command.cmd)) is is_ours
