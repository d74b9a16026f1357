from __future__ import annotations

import json
import random

from firstlight.fleet.like import like
from firstlight.providers.runpod import shapes

TOLD = {
    "id": "p1",
    "name": "mine",
    "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
    "status": "RUNNING",
    "args": '{"entrypoint":["/bin/sh","-c"],"cmd":["a  b"]}',
    "env": {"A": "1", "FIRSTLIGHT_LEASE": "old", "RUNPOD_POD_ID": "p1", "RUNPOD_API_KEY": "k", "RUNPOD_MINE": "kept"},
    "ports": ["8188/http", "22/tcp"],
    "disk": 40,
    "mounts": {"network": [{"volumeId": "v", "path": "/workspace"}]},
    "registry": "reg-1",
    "gpu": {"id": "NVIDIA L40S", "count": 2},
    "cloud": "SECURE",
    "dataCenterId": "EU-RO-1",
    "globalNetworking": {"enabled": True, "ip": "10.0.0.1"},
}


def test_all_that_can_be_read_is_said_again():
    assert like(shapes.pod(TOLD), min_cuda="12.8") == {
        "name": "mine",
        "image": "runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404",
        "args": TOLD["args"],
        "env": {"A": "1", "RUNPOD_MINE": "kept"},
        "ports": ["8188/http", "22/tcp"],
        "disk": 40,
        "mounts": TOLD["mounts"],
        "registry": "reg-1",
        "gpu": {"id": "NVIDIA L40S", "count": 2, "minCudaVersion": "12.8"},
        "cloud": "SECURE",
        "dataCenterIds": ["EU-RO-1"],
        "globalNetworking": True,
        "startSsh": True,
    }


def test_a_pod_without_anything_has_nothing_and_still_counts_its_gpus():
    bare = like(shapes.pod({"id": "p", "image": "i", "gpu": {"id": "g"}}))
    assert bare == {
        "name": "p",
        "image": "i",
        "env": {},
        "ports": [],
        "cloud": "SECURE",
        "startSsh": False,
        "globalNetworking": False,
        "gpu": {"id": "g", "count": 1},
    }


def test_any_value_and_any_command_survive():
    chance = random.Random(0)
    for _ in range(200):
        text = "".join(chr(chance.choice([*range(1, 128), 0xE9, 0x1F600])) for _ in range(chance.randint(0, 40)))
        args = json.dumps({"cmd": [text, text]})
        body = like(shapes.pod({**TOLD, "env": {"V": text}, "args": args}))
        assert body["env"] == {"V": text}
        assert shapes.command(body["args"]).cmd == (text, text)
