"""This container has no NVIDIA driver.

You see
    "Found no NVIDIA driver on your system", "libcuda.so.1: cannot open shared object file", CUDA error 35 with version 0;
    nvidia-smi is not found.
Why
    The container runtime adds the driver's libraries and device nodes when it creates a container, and here it added
    none: no GPU was asked for, the runtime is not NVIDIA's, or the host's driver was not loaded at that moment.
Cure
    Start the container again with a GPU: `docker run --gpus all`, the runtime class `nvidia`, or a GPU pod. Nothing that is
    installed inside can stand in for the host's driver.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Node, NodeKind, Unknown


def evidence(facts: Facts) -> Verdict:
    """No kernel driver, or nothing of the user-mode driver and no sign that part of it was given on purpose."""
    if isinstance(facts.devices.nodes, Unknown):
        return facts.devices.nodes
    nodes = tuple(node for node in facts.devices.nodes if node.kind is NodeKind.CHAR)
    files = reading.driver_libcuda(facts)
    persistence = None if granted.promised(facts) else Persistence.PERMANENT
    quotes = _quotes(facts, nodes, len(files))
    if reading.absent(facts.driver.version):
        if not nodes:
            return Evidence("There is no NVIDIA driver here: none in the kernel, and no device node.", quotes, persistence)
        return _nothing_behind(facts, nodes, quotes)
    if files or not isinstance(facts.libraries.libcuda, Unknown) or reading.driver_nvml(facts):
        return None
    if not reading.absent(facts.libraries.libcuda):
        return facts.libraries.libcuda
    if not nodes:
        sentence = "The host has an NVIDIA driver, but nothing of it was given to this container: no library, no device node."
        return Evidence(sentence, quotes, persistence)
    if granted.left_out_compute(facts) is not None:
        return None
    return Evidence("The device nodes are here, but none of the driver's libraries.", quotes, persistence)


def _nothing_behind(facts: Facts, nodes: tuple[Node, ...], quotes: tuple[tuple[str, str], ...]) -> Verdict:
    """Nodes of a driver that is gone: none in /proc/devices, and no node opens. (A sandbox may show no driver, and have one.)"""
    if facts.devices.majors != {}:
        return facts.devices.majors if isinstance(facts.devices.majors, Unknown) else None
    if any(node.opened == 0 for node in nodes):
        return None
    untried = next((node.opened for node in nodes if isinstance(node.opened, Unknown)), None)
    if untried is not None:
        return untried
    sentence = f"{nodes[0].path} is here, but the kernel has no NVIDIA driver behind it now: it was unloaded, or not yet loaded again."
    return Evidence(sentence, quotes)


def _quotes(facts: Facts, nodes: tuple[Node, ...], files: int) -> tuple[tuple[str, str], ...]:
    kernel = reading.known(facts.driver.version) or "absent"
    return (("/dev/nvidia*", str(len(nodes) or "none")), ("kernel driver", kernel), ("libcuda of a driver", str(files or "none")))


FAULT = Fault(
    id="driver-not-injected",
    symptom="no libcuda, no nvidia-smi, no device node: the container runtime added no driver",
    layer=Layer.DRIVER,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    advice="Start the container again with a GPU: `docker run --gpus all …`, the runtime class nvidia, or a GPU pod.",
    evidence=evidence,
)
