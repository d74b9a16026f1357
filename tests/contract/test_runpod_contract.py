"""What we read of RunPod's answers, and what we send it, is in the document of its API.

Whoever sends something new adds a line to `SENT`; whoever reads a field, one to the table of its shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import anyio
import httpx2
import pytest
from cloud import contract
from runpod_document import Document, Read

from firstlight.fleet import like
from firstlight.providers.runpod import shapes
from firstlight.providers.runpod.access import API, Access
from firstlight.providers.runpod.client import Client

PLACE = contract.path()

pytestmark = pytest.mark.skipif(PLACE is None, reason="needs RunPod's document of its API beside the checkout, or in FIRSTLIGHT_CONTRACT")


@pytest.fixture(scope="module")
def told() -> Mapping[str, Any]:
    assert PLACE is not None
    return json.loads(PLACE.read_text())


@pytest.fixture(scope="module")
def document(told: Mapping[str, Any]) -> Document:
    return Document(told)


CONTAINER = {
    "id": {"string"},
    "name": {"string"},
    "image": {"string"},
    "args": {"string"},
    "disk": {"integer"},
    "env": {"object"},
    "ports": {"array"},
    "mounts": {"object"},
    "mounts.persistent": {"object"},
}
POD = {
    **CONTAINER,
    "mounts.network": {"array"},
    "mounts.network[].volumeId": {"string"},
    "status": {"string"},
    "actions": {"array"},
    "gpu": {"object"},
    "gpu.id": {"string"},
    "gpu.count": {"integer"},
    "cloud": {"string"},
    "dataCenterId": {"string", "null"},
    "cudaVersion": {"string", "null"},
    "ssh": {"object"},
    "ssh.direct": {"object", "null"},
    "ssh.direct.host": {"string"},
    "ssh.direct.port": {"integer"},
    "ssh.direct.username": {"string"},
    "cost": {"number"},
    "locked": {"boolean"},
    "cluster": {"object"},
    "runtime": {"object", "null"},
    "runtime.uptime": {"integer"},
    "runtime.ports": {"array"},
    "runtime.ports[].private": {"integer"},
    "runtime.ports[].public": {"integer", "null"},
    "runtime.ports[].ip": {"string", "null"},
    "createdAt": {"string"},
    "startedAt": {"string", "null"},
}
TEMPLATE = {**CONTAINER, "serverless": {"boolean"}, "public": {"boolean"}}
PRICE = {"price": {"object"}, "price.secure": {"number"}, "price.community": {"number"}}


@pytest.mark.parametrize(
    ("name", "shape", "fields"),
    [("Pod", shapes.pod, POD), ("Template", shapes.template, TEMPLATE), ("GpuType", shapes.price, PRICE)],
)
def test_every_field_that_is_read_is_in_the_document_with_its_type(
    name: str, shape: Callable[[Mapping[str, Any]], Any], fields: Mapping[str, set[str]], document: Document
) -> None:
    schema = document.schema(name)
    read: set[str] = set()

    made = shape(Read(document.example(schema), read))
    if isinstance(made, shapes.Container):
        assert (made.persistent, made.network_volume is not None) == (True, name == "Pod")

    assert {path: document.types(document.at(schema, path) or {}) for path in sorted(fields)} == {
        path: fields[path] for path in sorted(fields)
    }
    # A template has no network volume, by the document; what is common to both looks for one.
    assert read - {"mounts.network"} == fields.keys() - {"mounts.network"}


def test_a_pod_with_every_field_is_understood(document: Document) -> None:
    pod = shapes.pod(document.example(document.schema("Pod")))

    assert (pod.id, pod.status, pod.gpu, pod.gpu_count, pod.cost) == ("pod_abc123", "PROVISIONING", "NVIDIA GeForce RTX 4090", 1, 0.35)
    assert (pod.ssh, pod.ports_published) == (shapes.Endpoint("ssh.runpod.io", 22, "7h9k2m4n6p-64411eb2"), {8888: ("45.23.12.1", 43210)})
    assert (pod.disk, pod.uptime, pod.locked, pod.cluster, pod.data_center, pod.cuda_version) == (50, 3600, False, True, "US-TX-3", "12.8")


def test_the_words_that_we_know_are_the_documents(document: Document) -> None:
    known = [shapes.PROVISIONING, shapes.STARTING, shapes.RUNNING, shapes.EXITED, shapes.ERROR, shapes.TERMINATED]

    assert document.schema("PodStatus")["enum"] == known


def test_the_address_is_the_documents(told: Mapping[str, Any]) -> None:
    assert [f"{server['url']}/v2" for server in told["servers"]] == [API]


# What is sent: the call, and the operation that the document knows it as.

Sent = Callable[[Client], Awaitable[Any]]


async def _some_lines(client: Client) -> None:
    lines = client.logs("p1", source="system", tail=0, since="2026-06-01T12:02:03Z", follow=False)
    assert [line.line async for line in lines] == []


async def _lines_after(client: Client) -> None:
    assert [line async for line in client.logs("p1", after="2026-06-01T12:02:03Z", follow=False)] == []


COMMAND = shapes.Command(("/bin/sh", "-c", 'exec "$@"'), ("run", "--", "python", "it's.py"))
ORDER = {
    "name": "new",
    "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
    "args": COMMAND.args,
    "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1, "minCudaVersion": "12.8"},
    "env": {"NAME": "value"},
    "ports": ["8188/http", "22/tcp"],
    "disk": 50,
    "cloud": "SECURE",
    "dataCenterIds": ["US-KS-2"],
    "mounts": {"network": [{"volumeId": "vol_xyz", "path": "/workspace"}]},
    "startSsh": True,
}
CHANGE = {"args": COMMAND.args, "env": {"NAME": "value"}, "ports": ["8188/http"]}

SENT: list[tuple[str, Sent]] = [
    ("listPods", lambda client: client.pods()),
    ("getPod", lambda client: client.pod("p1")),
    ("createPod", lambda client: client.create_pod(ORDER)),
    ("updatePod", lambda client: client.update_pod("p1", CHANGE)),
    ("podAction", lambda client: client.act("p1", "start")),
    ("podAction", lambda client: client.act("p1", "stop")),
    ("podAction", lambda client: client.act("p1", "restart")),
    ("deletePod", lambda client: client.terminate("p1")),
    ("getPodLogs", _some_lines),
    ("getPodLogs", _lines_after),
    ("listTemplates", lambda client: client.templates()),
    ("getTemplate", lambda client: client.template("t1")),
    ("updateTemplate", lambda client: client.update_template("t1", CHANGE)),
    ("getGpuType", lambda client: client.price("NVIDIA GeForce RTX 4090")),
]


def sent(call: Sent, document: Mapping[str, Any]) -> list[httpx2.Request]:
    """What a call sends, each request answered with the document's own example."""
    requests: list[httpx2.Request] = []
    known = Document(document)
    answers = {
        "listPods": {"pods": []},
        "listTemplates": {"templates": []},
        "getGpuType": known.example(known.schema("GpuType")),
        **dict.fromkeys(("getTemplate", "updateTemplate"), known.example(known.schema("Template"))),
    }

    def answer(request: httpx2.Request) -> httpx2.Response:
        requests.append(request)
        name = operation(request, document)
        if name == "deletePod":
            return httpx2.Response(204)
        if name == "getPodLogs":
            return httpx2.Response(200, content=b": nothing\n\n", headers={"content-type": "text/event-stream"})
        return httpx2.Response(200, json=answers.get(name, known.example(known.schema("Pod"))))

    async def ask() -> None:
        async with Client(Access("rpa_KEY"), httpx2.MockTransport(answer)) as client:
            await call(client)

    anyio.run(ask)
    return requests


def operation(request: httpx2.Request, document: Mapping[str, Any]) -> str:
    """The operation that a request asks for."""
    for place, item in document["paths"].items():
        if re.fullmatch(re.sub(r"\\{\w+\\}", "[^/]+", re.escape(place)), request.url.path) and request.method.lower() in item:
            return item[request.method.lower()]["operationId"]
    raise AssertionError(f"the document has no {request.method} {request.url.path}")


@pytest.mark.parametrize(("name", "call"), SENT)
def test_what_is_sent_is_in_the_document(name: str, call: Sent, told: Mapping[str, Any]) -> None:
    (request,) = sent(call, told)

    assert operation(request, told) == name
    body = json.loads(request.content) if request.content else None
    assert contract.Contract(told).request_errors(name, dict(request.url.params), request.headers, body) == []
    # The service passes over a parameter that it does not know, and answers what was not asked.
    parameters = {one["name"] for one in contract.Contract(told).operations[name][3]}
    assert set(request.url.params) <= parameters


def test_an_order_for_a_like_pod_is_in_the_document(told: Mapping[str, Any], document: Document) -> None:
    """Made from a pod that has every field that there is."""
    every = document.example(document.schema("Pod"))
    for mounts in ({}, {"persistent": every["mounts"]["persistent"]}, {"network": every["mounts"]["network"]}):
        gpu = {name: value for name, value in every.items() if name != "cpu"}
        cpu = {name: value for name, value in every.items() if name != "gpu"}
        for pod in (gpu, cpu):
            body = like.like(shapes.pod({**pod, "mounts": mounts}), min_cuda="12.8" if pod is gpu else None)
            assert contract.Contract(told).request_errors("createPod", {}, {}, body) == []


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("createPod", {**ORDER, "gpuTypeIds": ["NVIDIA L40S"]}),
        ("createPod", {**ORDER, "gpu": {"id": "NVIDIA L40S", "count": "1"}}),
        ("updatePod", {"dockerArgs": "true"}),
        ("podAction", {"action": "reset"}),
        ("updateTemplate", {"env": {"NUMBER": 1}}),
    ],
)
def test_the_check_finds_what_is_not(name: str, body: Mapping[str, Any], told: Mapping[str, Any]) -> None:
    assert contract.Contract(told).request_errors(name, {}, {}, body) != []
