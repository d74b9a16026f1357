"""The client against a server that we did not write: Stoplight's Prism, made from RunPod's own document.

Our own cloud (testing/cloud) was written by those who wrote the client, and may share their misreadings of the document. Prism reads it
by itself, holds each request against it, and answers with the document's examples.

What it cannot tell us: it has no state, so nothing that is asked changes anything; it knows no rule that stands in prose alone; it lets
pass a key that the document forbids by unevaluatedProperties, as it does at the top of a new pod (our own cloud does not); its example
of a log lacks the empty line that ends an event, so no line comes out. Its example of the RateLimit header says that nothing is
left, which the client rightly waits out: the copy that it is given says otherwise, and is RunPod's document in all else.
"""

from __future__ import annotations

import inspect
import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import fetched
import httpx2
import pytest
from cloud import contract

from firstlight.providers.runpod.access import Access
from firstlight.providers.runpod.client import Client, CloudError

PRISM = ("@stoplight/prism-cli", "5.14.2", "prism")
PLACE = contract.path()

pytestmark = [
    pytest.mark.skipif(PLACE is None, reason="needs RunPod's document of its API beside the checkout, or in FIRSTLIGHT_CONTRACT"),
    pytest.mark.slow,
]


async def lines(client: Client) -> list[Any]:
    """The log, as far as there is one."""
    return [line async for line in client.logs("pod_abc123", source="container", tail=5, follow=False)]


# Each public method of the client, with all that we ever send.
CALLS: dict[str, Callable[[Client], Any]] = {
    "pods": lambda client: client.pods(),
    "pod": lambda client: client.pod("pod_abc123"),
    "create_pod": lambda client: client.create_pod(
        {
            "name": "one",
            "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
            "args": '{"entrypoint":["/bin/sh","-c"],"cmd":["a"]}',
            "entrypoint": ["/bin/sh", "-c"],
            "cmd": ["a"],
            "env": {"FIRSTLIGHT_LEASE": "a-b"},
            "ports": ["8421/http", "22/tcp"],
            "disk": 50,
            "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1, "minCudaVersion": "12.8"},
            "cloud": "SECURE",
            "dataCenterIds": ["EU-RO-1"],
            "mounts": {"network": [{"volumeId": "vol_xyz", "path": "/workspace"}]},
            "startSsh": True,
        }
    ),
    "update_pod": lambda client: client.update_pod("pod_abc123", {"env": {"A": 'quote " and $(x)'}, "args": "a 'b c'", "ports": []}),
    "act": lambda client: client.act("pod_abc123", "start"),
    "terminate": lambda client: client.terminate("pod_abc123"),
    "templates": lambda client: client.templates(),
    "template": lambda client: client.template("tpl_abc"),
    "update_template": lambda client: client.update_template("tpl_abc", {"env": {"A": "b"}, "cmd": [], "entrypoint": []}),
    "price": lambda client: client.price("NVIDIA GeForce RTX 4090"),
    "logs": lines,
}


@pytest.fixture(scope="module")
def prism(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where Prism listens. It refuses what the document does not allow."""
    argv = fetched.node_program(*PRISM)
    folder = tmp_path_factory.mktemp("prism")
    assert PLACE is not None
    document = json.loads(PLACE.read_text())
    document["components"]["schemas"]["RateLimitHeader"]["examples"] = ['"minute";r=59;t=12']
    copy = folder / "document.json"
    copy.write_text(json.dumps(document))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*argv, "mock", "--errors", "--port", "0", str(copy)], stdout=log, stderr=log)
    try:
        yield _address(process, folder / "log")
    finally:
        process.terminate()
        process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    while True:
        said = log.read_text()
        if "Prism is listening on " in said:
            return said.partition("Prism is listening on ")[2].split()[0]
        assert process.poll() is None, said
        time.sleep(0.1)


@pytest.mark.parametrize("name", CALLS)
def test_what_the_client_asks_is_as_the_document_has_it(prism, name):
    async def ask() -> Any:
        async with Client(Access(key="rpa_1", api=f"{prism}/v2")) as client:
            return await CALLS[name](client)

    answer = anyio.run(ask)
    if name not in ("terminate", "logs"):
        assert answer


def test_every_method_of_the_client_is_called():
    public = {name for name, member in inspect.getmembers(Client, inspect.isfunction) if not name.startswith("_")}
    assert public == set(CALLS)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v2/pods", {"name": "one", "image": "a", "mounts": {"disk": {}}}),
        ("POST", "/v2/pods", {"image": "a"}),
        ("PATCH", "/v2/pods/pod_abc123", {"env": {"A": 1}}),
        ("POST", "/v2/pods/pod_abc123/action", {"action": "reset"}),
    ],
)
def test_prism_refuses_what_is_not_in_the_document(prism, method, path, body):
    answer = httpx2.request(method, prism + path, json=body, headers={"Authorization": "Bearer rpa_1"}, timeout=30)
    assert answer.status_code == 422


def test_the_client_reads_a_refusal_of_prism(prism):
    async def ask() -> None:
        async with Client(Access(key="rpa_1", api=f"{prism}/v2")) as client:
            await client.create_pod({"name": ""})

    with pytest.raises(CloudError) as caught:
        anyio.run(ask)
    assert (caught.value.status, caught.value.done) == (422, False)
