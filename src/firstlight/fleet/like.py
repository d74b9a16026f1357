"""A pod like another one: the body that orders it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from firstlight.fleet.lease import MARK
from firstlight.providers.runpod import shapes

# What the service itself gives each pod anew. The old pod's would be wrong.
_ITS_OWN = re.compile(r"RUNPOD_(POD_ID|API_KEY|DC_ID|POD_HOSTNAME|PUBLIC_IP|TCP_PORT_\d+)|" + MARK)

# What can be said at creation alone, and is told to nobody afterwards.
UNTOLD = (
    "whether Jupyter was to be started (startJupyter)",
    "which CUDA versions of the host were allowed",
    "how much memory and how many processors of the host each GPU was to have at least",
)


def like(pod: shapes.Pod, *, min_cuda: str | None = None) -> dict[str, Any]:
    """The body of an order for a pod like this one, in the same data centre; `min_cuda` is what its host must be able to.

    What cannot be read of a pod is left to the service: `UNTOLD`.
    """
    raw = pod.raw
    networking = raw.get("globalNetworking")
    body: dict[str, Any] = {
        "name": pod.name or pod.id,
        "image": pod.image,
        "env": {name: value for name, value in pod.env.items() if not _ITS_OWN.fullmatch(name)},
        "ports": list(pod.ports),
        "cloud": pod.cloud,
        "startSsh": "22/tcp" in pod.ports,
        "globalNetworking": isinstance(networking, Mapping) and networking.get("enabled") is True,
    }
    if pod.args:  # in the one form in which it is stored: no lexer touches it again
        body["args"] = pod.args
    if pod.disk is not None:
        body["disk"] = pod.disk
    if pod.mounts:
        body["mounts"] = dict(pod.mounts)
    if raw.get("registry") is not None:
        body["registry"] = raw["registry"]
    if pod.data_center is not None:
        body["dataCenterIds"] = [pod.data_center]
    if pod.gpu is not None:
        # An order without a count matches no machine. One that was started with none had one at least.
        body["gpu"] = {"id": pod.gpu, "count": max(pod.gpu_count, 1), **({"minCudaVersion": min_cuda} if min_cuda else {})}
    elif isinstance(raw.get("cpu"), Mapping):
        body["cpu"] = {name: raw["cpu"][name] for name in ("id", "vcpuCount") if name in raw["cpu"]}
    return body
