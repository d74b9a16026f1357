"""The node /dev/nvidia-uvm has a number that the kernel no longer uses.

You see
    nvidia-smi works, yet cuInit gives 999: "CUDA unknown error"; an open of /dev/nvidia-uvm fails with ENXIO.
Why
    The kernel gives nvidia-uvm a major number anew each time the module is loaded. The node was made before the host was
    rebooted or the module loaded again, and now leads nowhere, or to another driver.
Cure
    Make it anew where the container may (firstlight does): `rm /dev/nvidia-uvm; mknod -m 666 /dev/nvidia-uvm c MAJOR 0` with
    the MAJOR that /proc/devices names. Else delete the container and create it again: a restart may keep the old node.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, NodeKind, Unknown


def evidence(facts: Facts) -> Verdict:
    """A character device whose numbers are not those of the nvidia-uvm driver now."""
    node = reading.node(facts, reading.UVM_NODE)
    majors = facts.devices.majors
    if isinstance(node, Unknown) or node is None or node.kind is not NodeKind.CHAR:
        return node if isinstance(node, Unknown) else None
    if isinstance(majors, Unknown):
        return majors
    major = majors.get("nvidia-uvm")
    if major is None or (node.major, node.minor) == (major, 0):
        return None
    quotes = ((reading.UVM_NODE, f"char {node.major}:{node.minor}"), ("nvidia-uvm in /proc/devices", str(major)))
    if node.major == major:
        return Evidence(f"{reading.UVM_NODE} has minor {node.minor}, but the nvidia-uvm driver listens on minor 0.", quotes)
    sentence = (
        f"{reading.UVM_NODE} has major {node.major}, but the kernel's nvidia-uvm driver now has major {major}: "
        "the node is from before the module was loaded again."
    )
    return Evidence(sentence, quotes)


FAULT = Fault(
    id="uvm-major-stale",
    symptom="cuInit gives 999 although nvidia-smi works and /dev/nvidia-uvm exists",
    layer=Layer.DEVICE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.CREATE_DEVICE_NODES, Remedy.REPLACE_INSTANCE),
    host_fault=True,
    advice=(
        "Delete the container and create it again; with CAP_MKNOD: "
        "`rm /dev/nvidia-uvm; mknod -m 666 /dev/nvidia-uvm c $(awk '$2==\"nvidia-uvm\"{print $1}' /proc/devices) 0`."
    ),
    evidence=evidence,
)
