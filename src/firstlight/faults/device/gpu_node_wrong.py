"""A GPU's device node does not lead to a GPU.

You see
    cuInit gives 100 or 101, "No CUDA GPUs are available", nvidia-smi: "No devices found.", although /dev/nvidiaN exists.
Why
    The node is a plain file, or its numbers are not those of the GPU: it was renamed, copied, baked into an image, or made
    for another machine. CUDA looks for the name /dev/nvidiaN with the minor N of the GPU on the host, and for no other.
Cure
    Remove it and make the right one where the container may: `rm /dev/nvidiaN; mknod -m 666 /dev/nvidiaN c 195 N`;
    firstlight does it. Else start the container anew.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """A /dev/nvidiaN of the wrong kind or numbers, where the right ones are too few."""
    nodes = reading.gpu_nodes(facts)
    if isinstance(nodes, Unknown):
        return nodes
    wrong = [(node, reason) for node in nodes if (reason := reading.wrong_about(facts, node)) is not None]
    if not wrong or len(nodes) - len(wrong) >= granted.needed(facts):
        return None
    quotes = tuple((node.path, f"{node.kind.value} {node.major}:{node.minor}") for node, _ in wrong)
    node, reason = wrong[0]
    return Evidence(f"{node.path} {reason}.", quotes)


FAULT = Fault(
    id="gpu-node-wrong",
    symptom="cuInit gives 100 or 101 although /dev/nvidiaN exists",
    layer=Layer.DEVICE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.CREATE_DEVICE_NODES, Remedy.REPLACE_INSTANCE),
    host_fault=True,
    advice="Run `rm /dev/nvidiaN; mknod -m 666 /dev/nvidiaN c 195 N` with CAP_MKNOD, or start the container anew.",
    evidence=evidence,
)
