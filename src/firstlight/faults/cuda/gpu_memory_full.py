"""The GPU has too little free memory for one more process.

You see
    CUDA error 2, "out of memory", at the first use of a GPU, before the app has asked for any.
Why
    A process needs about half a gigabyte of GPU memory for CUDA itself, and others have taken what there was: a neighbour,
    an app that was left running, or one that died and whose memory is not yet given back.
Cure
    End what uses it (`nvidia-smi`, though processes of other containers do not show); firstlight waits a while for it. Else
    ask for another GPU.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts

_OUT_OF_MEMORY = 2
# A context takes 527 MiB on an H100, and its size differs by GPU and driver: with this much free, memory is not the cause.
_ENOUGH = 2 << 30


def evidence(facts: Facts) -> Verdict:
    """CUDA is out of memory on a GPU that, as far as NVML tells, has little left."""
    error = reading.first_error(facts, _OUT_OF_MEMORY)
    if error is None or error.gpu is None:
        return None
    gpu = reading.nvml_gpu(facts, error.gpu)
    total = reading.known(gpu.memory_total) if gpu else None
    used = reading.known(gpu.memory_used) if gpu else None
    name = f"GPU {error.gpu.ordinal}"
    if total is None or used is None:
        return Evidence(f"{name} has no memory left for a process: {error}.", (("CUDA", str(error)),))
    if total - used >= _ENOUGH:
        return None
    memory = f"{used >> 20:,} of {total >> 20:,} MiB are taken"
    # The figure changes from one probe to the next, and the sentence must not: by it a cause is known again.
    return Evidence(f"{name} has too little free memory for one more process.", (("CUDA", str(error)), (f"memory, {name}", memory)))


FAULT = Fault(
    id="gpu-memory-full",
    symptom="CUDA error 2, out of memory, before the app has asked for any",
    layer=Layer.CUDA,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="End what uses the GPU's memory (`nvidia-smi` lists it), or ask for another GPU.",
    evidence=evidence,
)
