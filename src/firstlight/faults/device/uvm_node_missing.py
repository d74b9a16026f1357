"""The container has no /dev/nvidia-uvm.

You see
    nvidia-smi works, yet cuInit gives 999: "CUDA unknown error - this may be due to an incorrectly set up environment".
Why
    The container was created before the host had loaded nvidia-uvm, or its runtime makes the node late. The environment
    that the message blames has nothing to do with it.
Cure
    Create the node where the container may (firstlight does); its major is in /proc/devices, and new at each load:
    `mknod -m 666 /dev/nvidia-uvm c $(awk '$2=="nvidia-uvm"{print $1}' /proc/devices) 0`. Else ask for another host.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, NodeKind, Unknown


def evidence(facts: Facts) -> Verdict:
    """No such node, or something that is no device in its place."""
    node = reading.node(facts, reading.UVM_NODE)
    if isinstance(node, Unknown):
        return node
    if node is not None and node.kind is NodeKind.CHAR:
        return None
    is_now = "missing" if node is None else f"a {node.kind.value}"
    major = (reading.known(facts.devices.majors) or {}).get("nvidia-uvm")
    quotes = ((reading.UVM_NODE, is_now), ("nvidia-uvm in /proc/devices", str(major or "unknown")))
    loaded = f", though the host has loaded the module (major {major})" if major else ""
    return Evidence(f"{reading.UVM_NODE} is {is_now}{loaded}; CUDA cannot start without it.", quotes)


FAULT = Fault(
    id="uvm-node-missing",
    symptom="cuInit gives 999 although nvidia-smi works",
    layer=Layer.DEVICE,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.CREATE_DEVICE_NODES, Remedy.REPLACE_INSTANCE),
    host_fault=True,
    advice="Run `mknod -m 666 /dev/nvidia-uvm c $(awk '$2==\"nvidia-uvm\"{print $1}' /proc/devices) 0`, or move to another host.",
    evidence=evidence,
)
