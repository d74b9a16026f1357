"""A GPU's device node is missing.

You see
    cuInit gives 100, "No CUDA GPUs are available", nvidia-smi: "No devices found."; or fewer GPUs than were paid for.
Why
    The container has a GPU, but no /dev/nvidiaN for it: the container runtime makes it late, or left it out. N is the GPU's
    minor number on the host; a container with one GPU may well have /dev/nvidia4 and no /dev/nvidia0.
Cure
    Create the node where the container may: `mknod -m 666 /dev/nvidiaN c 195 N`, with N from "Device Minor" in
    /proc/driver/nvidia/gpus/*/information; firstlight does it. Else ask for another host.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """Fewer /dev/nvidiaN than GPUs that were granted, or none at all.

    How many the kernel lists does not count: where devices are injected by CDI it lists the host's, nodes or no nodes.
    """
    nodes = reading.gpu_nodes(facts)
    if isinstance(nodes, Unknown):
        return nodes
    needed = granted.needed(facts)
    gone = _gone(facts)
    if gone:
        return Evidence(f"{gone} is gone, through which CUDA worked when the app was started.", ((gone, "missing"),))
    if len(nodes) >= needed:
        return None
    minors = reading.kernel_minors(facts)
    here = ", ".join(node.path for node in nodes) or "none"
    quotes = (("/dev/nvidiaN", here), ("minors that the kernel driver has", reading.numbers(minors) if minors else "unknown"))
    missing = [f"/dev/nvidia{minor}" for minor in minors if f"/dev/nvidia{minor}" not in here.split(", ")]
    if nodes:
        sentence = f"This container was given {needed} GPUs, but has {len(nodes)} of their nodes: {here}."
    elif len(missing) == 1:
        sentence = f"There is no {missing[0]}, the node of this machine's GPU."
    else:
        sentence = "There is no /dev/nvidiaN at all, so no GPU can be opened."
    return Evidence(sentence, quotes)


def _gone(facts: Facts) -> str | None:
    """A GPU's node that CUDA has worked through, and that is no more."""
    worked = reading.worked(facts)
    paths = worked.nodes if worked else ()
    return next((path for path in paths if reading.is_gpu_path(path) and reading.node(facts, path) is None), None)


FAULT = Fault(
    id="gpu-node-missing",
    symptom="cuInit gives 100, or fewer GPUs than granted are there",
    layer=Layer.DEVICE,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.CREATE_DEVICE_NODES, Remedy.REPLACE_INSTANCE),
    host_fault=True,
    advice="Run `mknod -m 666 /dev/nvidiaN c 195 N` for the GPU's minor N with CAP_MKNOD, or move to another host.",
    evidence=evidence,
)
