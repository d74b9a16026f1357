"""The container has no /dev/nvidiactl.

You see
    cuInit gives 100, "No CUDA GPUs are available"; nvidia-smi: "couldn't communicate with the NVIDIA driver".
Why
    Every program reaches the driver through this node first. The container runtime did not make it, or makes it late.
Cure
    `mknod -m 666 /dev/nvidiactl c 195 255`, where the container may; firstlight does it. Else ask for another host.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, NodeKind, Unknown


def evidence(facts: Facts) -> Verdict:
    """No such node, or something else in its place, while the kernel has the driver."""
    node = reading.node(facts, reading.CONTROL_NODE)
    if isinstance(node, Unknown):
        return node
    right = f"{reading.gpu_major(facts)}:{reading.CONTROL_MINOR}"
    if node is None:
        sentence = f"There is no {reading.CONTROL_NODE}, the node through which every program reaches the driver."
        return Evidence(sentence, ((reading.CONTROL_NODE, "missing"), ("it should be", f"char {right}")))
    if node.kind is NodeKind.CHAR and f"{node.major}:{node.minor}" == right:
        return None
    is_now = f"{node.kind.value} {node.major}:{node.minor}" if node.kind is NodeKind.CHAR else f"a {node.kind.value}"
    sentence = f"{reading.CONTROL_NODE} is {is_now}, and not the character device {right} of the driver."
    return Evidence(sentence, ((reading.CONTROL_NODE, is_now),))


FAULT = Fault(
    id="nvidiactl-missing",
    symptom="cuInit gives 100 and nvidia-smi cannot communicate with the driver",
    layer=Layer.DEVICE,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.CREATE_DEVICE_NODES, Remedy.REPLACE_INSTANCE),
    host_fault=True,
    advice="Run `mknod -m 666 /dev/nvidiactl c 195 255` with CAP_MKNOD, or start the container on another host.",
    evidence=evidence,
)
