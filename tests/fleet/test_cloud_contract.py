"""The local cloud is held against RunPod's document, and that can fail: whatever is changed in an answer is caught."""

from __future__ import annotations

import asyncio
import copy
import json
import sys
from pathlib import Path

import httpx2
import pytest
from cloud import capture, contract, inside, operations, routes, service, transport
from cloud.world import World
from hypothesis import given, strategies

from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client

DOCUMENT = contract.here()
needs_document = pytest.mark.skipif(
    DOCUMENT is None, reason="needs RunPod's document of its API beside the checkout, or in FIRSTLIGHT_CONTRACT"
)
BODY = {"name": "a", "image": "i", "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1}, "ports": ["22/tcp"], "env": {"A": "1"}}


@needs_document
@pytest.mark.parametrize("route", routes.ROUTES, ids=lambda route: route.operation)
def test_every_operation_is_the_documents(route):
    method, path, _, _ = DOCUMENT.operations[route.operation]
    assert (method, path) == (route.method, route.path)


def pod():
    """A pod as the cloud tells it."""
    world = World()
    made = world.create(BODY)
    world.hurry(made, "RUNNING")
    return world.told(made)


def without(name):
    def change(told):
        del told[name]

    return change


def with_value(*path_and_value):
    *path, name, value = path_and_value

    def change(told):
        for step in path:
            told = told[step]
        told[name] = value

    return change


REQUIRED = (
    "id name status actions image args disk mounts ports env registry cloud dataCenterId cudaVersion ssh template cost locked runtime "
    "createdAt startedAt globalNetworking"
).split()
WRONG = {
    "an unknown status": with_value("status", "MIGRATING"),
    "an unknown action": with_value("actions", ["reset"]),
    "no GPU of a GPU pod": with_value("gpu", "count", 0),
    "a number in env": with_value("env", "A", 1),
    "a date that is none": with_value("createdAt", "yesterday"),
    "two kinds of one port": with_value("ssh", "direct", "port", "22"),
    "a mount of no kind": with_value("mounts", {"disk": {}}),
    "half an endpoint": with_value("ssh", {"proxy": None}),
    "a text for a cost": with_value("cost", "0.69"),
    **{f"no {name}": without(name) for name in REQUIRED},
}


@needs_document
def test_a_pod_as_it_is_told_passes():
    assert DOCUMENT.response_errors("getPod", 200, "application/json", json.dumps(pod()).encode()) == []


@needs_document
@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_pod_is_caught_alone_and_in_a_list(change):
    told = copy.deepcopy(pod())
    change(told)
    assert DOCUMENT.response_errors("getPod", 200, "application/json", json.dumps(told).encode())
    assert DOCUMENT.response_errors("listPods", 200, "application/json", json.dumps({"pods": [pod(), told]}).encode())


@needs_document
@pytest.mark.parametrize(
    ("operation", "status", "media_type", "body"),
    [
        ("deletePod", 204, "application/json", b"{}"),
        ("getPod", 200, "text/html", b"<html></html>"),
        ("getPod", 200, "application/json", b"{"),
        ("getPod", 404, "application/json", b'{"title":"a","status":404,"detail":"b"}'),
        ("getPod", 404, "application/problem+json", b'{"error":"a","status":404}'),
        ("listPods", 200, "application/json", b"[]"),
    ],
)
def test_an_answer_of_another_kind_is_caught(operation, status, media_type, body):
    assert DOCUMENT.response_errors(operation, status, media_type, body)


@needs_document
@pytest.mark.parametrize(
    ("operation", "query", "body", "words"),
    [
        ("createPod", {}, {**BODY, "dockerArgs": "x"}, "dockerArgs"),
        ("createPod", {}, None, "body is missing"),
        ("getPod", {}, {}, "not taken"),
        ("podAction", {}, {"action": "reset"}, "reset"),
        ("getPodLogs", {"tail": "many"}, None, "tail"),
        ("getPodLogs", {"source": "kernel"}, None, "source"),
        ("listPods", {"includeClusterPods": "perhaps"}, None, "includeClusterPods"),
    ],
)
def test_a_wrong_request_is_caught(operation, query, body, words):
    assert words in " ".join(DOCUMENT.request_errors(operation, query, {}, body))


@needs_document
def test_what_a_service_answers_wrongly_is_written_down(monkeypatch):
    application = service.application(World(), DOCUMENT)
    right = operations.do

    def wrong(*arguments):
        status, told = right(*arguments)
        return status, {**told, "status": "MIGRATING"}

    monkeypatch.setattr(operations, "do", wrong)

    async def ask():
        headers = {"Authorization": f"Bearer {application.world.key}"}
        async with httpx2.AsyncClient(transport=transport.Transport(application), base_url="http://cloud", headers=headers) as http:
            await http.post("/v2/pods", json=BODY)
            return (await http.get("/_cloud/violations")).json()

    told = asyncio.run(ask())
    assert told["client"] == []
    assert ["MIGRATING" in words for words in told["ours"]] == [True]


def shape(value):
    """The fields and their kinds; lists by their first member."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return (
        "null" if value is None else "number" if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value).__name__
    )


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["", *inside.faults()])
def test_simulated_pods_report_as_the_installed_command_does(fault):
    """Where it fails because a field is new: `python testing/cloud/capture.py` with the names in testing/cloud/status."""
    assert shape(json.loads(inside.template(fault))) == shape(capture.capture(fault or "healthy"))


# What JSON can carry and a process can be given: no surrogates, no zero bytes.
TEXTS = strategies.text(strategies.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
NAMES = strategies.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,10}", fullmatch=True).filter(lambda name: not name.startswith("RUNPOD_"))


@given(
    env=strategies.dictionaries(NAMES, TEXTS, max_size=5),
    words=strategies.lists(TEXTS, min_size=1, max_size=5),
    stored=strategies.booleans(),
)
def test_any_value_and_any_command_come_out_of_the_container_as_they_went_in(env, words, stored):
    application = service.application(World(), DOCUMENT)

    async def story():
        async with Client(Access(key=application.world.key, api="http://cloud/v2"), transport.Transport(application)) as client:
            pod = await client.create_pod(BODY)
            command = (
                {"args": json.dumps({"entrypoint": ["sh", "-c"], "cmd": words})} if stored else {"entrypoint": ["sh", "-c"], "cmd": words}
            )
            return await client.update_pod(pod.id, {"env": env, **command})

    pod = asyncio.run(story())
    assert pod.env == env
    assert (pod.command.entrypoint, pod.command.cmd) == (("sh", "-c"), tuple(words))
    world = application.world
    world.hurry(world.pods[pod.id], "RUNNING")
    container = world.pods[pod.id].container
    assert (container.entrypoint, container.cmd) == (("sh", "-c"), tuple(words))
    assert env.items() <= container.env.items()
    assert application.violations == application.complaints == []


def test_the_cloud_says_where_it_listens():
    async def start():
        place = Path(__file__).parents[2] / "testing" / "cloud"
        process = await asyncio.create_subprocess_exec(sys.executable, place, "--port", "0", stdout=asyncio.subprocess.PIPE)
        told = json.loads(await process.stdout.readline())
        async with httpx2.AsyncClient() as http:
            answer = await http.get(told["api"] + "/pods", headers={"Authorization": f"Bearer {told['key']}"})
            hosts = await http.post(told["control"] + "/hosts", json={"name": "host-9", "fault": "gpu-lost"})
        process.terminate()
        return answer.json(), [host["name"] for host in hosts.json()], await process.wait(), told["proxy"]

    pods, hosts, code, proxy = asyncio.run(start())
    assert (pods, hosts, code) == ({"pods": []}, ["host-1", "host-2", "host-9"], 0)
    assert proxy.endswith("/proxy/{pod}/{port}")
