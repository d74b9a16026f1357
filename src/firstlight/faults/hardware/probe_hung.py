"""The GPU does not answer: a call into the driver hung.

You see
    nvidia-smi or the app stands still, often in state D, where no signal ends it; after some 45 seconds perhaps an error.
Why
    The processor on the GPU that serves the driver (GSP) has stopped, or the driver waits on a lock that a dying process
    holds. A first start can be slow as well: some seconds a GPU where the host keeps none of them initialised.
Cure
    Nothing inside a container helps a stopped GSP. Move to another host; on this one the provider resets the GPU.
"""

from __future__ import annotations

from collections.abc import Iterator

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Nvml


def evidence(facts: Facts) -> Verdict:
    """Whichever question was never answered, the lowest first."""
    for what, value in _answers(facts):
        if reading.hung(value):
            reason = getattr(value, "reason", "")
            return Evidence(f"{what} did not return: the GPU or its driver does not answer.", ((what, reason),))
    return None


def _answers(facts: Facts) -> Iterator[tuple[str, object]]:
    for node in reading.known(facts.devices.nodes) or ():
        yield f"The open of {node.path}", node.opened
    yield "NVML", facts.nvml
    if isinstance(facts.nvml, Nvml):
        yield "NVML's start", facts.nvml.init
        yield "NVML's list of GPUs", facts.nvml.gpus
    for seen in reading.nvml_gpus(facts):
        yield f"What NVML knows of GPU {seen.index}", seen.uuid
    yield "CUDA", facts.cuda
    cuda = reading.asked_cuda(facts)
    if cuda is None:
        return
    yield "The load of libcuda", cuda.library
    yield "cuInit", cuda.init
    yield "CUDA's count of GPUs", cuda.count
    for gpu in cuda.gpus:
        yield f"The context on GPU {gpu.ordinal}", gpu.context
        yield f"The kernel on GPU {gpu.ordinal}", gpu.kernel
        yield f"The proof of GPU {gpu.ordinal}", gpu.proven


FAULT = Fault(
    id="probe-hung",
    symptom="nvidia-smi or the app stands still and cannot be killed",
    layer=Layer.HARDWARE,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Move to another host; on this one the provider must reset the GPU or reboot.",
    evidence=evidence,
)
