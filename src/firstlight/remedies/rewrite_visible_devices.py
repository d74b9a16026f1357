"""Rewrite CUDA_VISIBLE_DEVICES to the UUIDs of this container's own GPUs.

What the user chose rightly stays, in the user's order; only what names no GPU of this container goes. Where nothing is
left, every granted GPU is shown: a healthy GPU is never hidden.
"""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.faults import reading
from firstlight.probe.facts import Facts
from firstlight.remedies.plan import Plan, Refused, Risk, SetVariable

RISK = Risk.NONE
_NAME = "CUDA_VISIBLE_DEVICES"


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """Set the variable to UUIDs, or take it away where no UUID is known."""
    value = environment.get(_NAME)
    if value is None:
        return Refused(f"{_NAME} is not set")
    granted = _granted(facts)
    kept = [uuid for uuid in (_named(entry.strip(), granted) for entry in value.split(",")) if uuid is not None]
    wanted = list(dict.fromkeys(kept)) or granted
    return Plan((SetVariable(_NAME, ",".join(wanted) or None),))


def _granted(facts: Facts) -> list[str]:
    """UUIDs of the usable GPUs, in NVML's order, which is that of CUDA_DEVICE_ORDER=PCI_BUS_ID."""
    seen = [gpu for gpu in reading.nvml_gpus(facts) if gpu.error == 0]
    instances = [uuid for gpu in seen for uuid in reading.known(gpu.mig_uuids) or ()]
    if instances:
        return instances
    whole = [reading.known(gpu.uuid) for gpu in seen]
    if not seen:
        minors = {item.minor for item in reading.right_gpu_nodes(facts)}
        listed = reading.known(facts.driver.gpus) or ()
        whole = [reading.known(gpu.uuid) for gpu in listed if reading.known(gpu.minor) in minors]
    # With one UUID missing the list would hide that GPU.
    return [uuid for uuid in whole if uuid is not None] if None not in whole else []


def _named(entry: str, granted: list[str]) -> str | None:
    """The GPU that one entry of the user's names."""
    if entry.isascii() and entry.isdigit():
        return granted[int(entry)] if int(entry) < len(granted) else None
    matches = [uuid for uuid in granted if entry and uuid.lower().startswith(entry.lower())]
    return matches[0] if len(matches) == 1 else None
