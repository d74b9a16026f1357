"""What the scenario leaves open about a GPU, made from its place in the list, the same in every rehearsal."""

from __future__ import annotations

import uuid as uuids

from firstlight.rehearse.scenario import Gpu


def uuid(gpu: Gpu, place: int) -> str:
    """A GPU's UUID, "GPU-…"."""
    return gpu.uuid or f"GPU-{uuids.uuid5(uuids.NAMESPACE_URL, f'firstlight-gpu-{place}')}"


def minor(gpu: Gpu, place: int) -> int:
    """The minor number of a GPU's node."""
    return place if gpu.minor < 0 else gpu.minor


def bus_id(gpu: Gpu, place: int) -> str:
    """Where a GPU sits on the bus: "0000:19:00.0"."""
    return gpu.bus_id or f"0000:{0x19 + 0x22 * place:02x}:00.0"
