"""CUDA is not ready, and the fabric between the GPUs will not make it so.

You see
    CUDA error 802 "system not yet initialized" that does not go away; `nvidia-smi -L` lists every GPU.
Why
    The GPU's registration with the NVLink fabric ended in a failure, or the fabric is not what CUDA waits for: then it is
    a GPU in confidential mode that is not yet marked ready, or a kernel on which the driver cannot map GPU memory.
Cure
    Move to another host. On this one the provider restarts the fabric manager and resets the GPUs; for confidential
    computing `nvidia-smi conf-compute -srs 1`; for the kernel the module option `uvm_disable_hmm=1` of nvidia-uvm.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Cause, Facts, NvmlGpu, Unknown

_NOT_READY = 802
_NOT_SUPPORTED, _COMPLETED = 0, 3


def evidence(facts: Facts) -> Verdict:
    """A completed registration with a bad status where that matters, or 802 where the fabric is done or does not exist."""
    not_ready = reading.first_error(facts, _NOT_READY)
    gpus = reading.nvml_gpus(facts)
    for gpu in gpus:
        status = reading.known(gpu.fabric_status)
        matters = not_ready is not None or (len(gpus) > 1 and granted.proof_is_whole(facts)) or _was_well(facts, gpu)
        if reading.known(gpu.fabric_state) == _COMPLETED and status and matters:
            return _failed(gpu, status, stops=not_ready is not None)
    if not_ready is None:
        return None
    states = [reading.known(gpu.fabric_state) for gpu in gpus]
    if not states or None in states:
        return Unknown("cannot tell the state of the fabric: NVML did not say", Cause.FAILED)
    if any(state not in (_NOT_SUPPORTED, _COMPLETED) for state in states):
        return None  # still on its way: fabric-in-progress
    done = "has no fabric to wait for" if _COMPLETED not in states else "has registered with the fabric"
    sentence = f"CUDA is not ready (802), yet every GPU {done}: confidential computing that is not ready, or the host's kernel."
    quotes = (("fabric state", reading.numbers([state for state in states if state is not None])), ("CUDA", str(not_ready)))
    return Evidence(sentence, quotes, persistence=Persistence.BOUNDED)


def _was_well(facts: Facts, gpu: NvmlGpu) -> bool:
    """Whether its registration had ended well when an app that runs was first looked at."""
    before = reading.nvml_before(facts, gpu)
    return before is not None and reading.known(before.fabric_state) == _COMPLETED and reading.known(before.fabric_status) == 0


def _failed(gpu: NvmlGpu, status: int, *, stops: bool) -> Evidence:
    sentence = f"GPU {gpu.index} ended its registration with the NVLink fabric in a failure (NVML status {status})."
    return Evidence(sentence, ((f"fabric, GPU {gpu.index}", f"state 3 (completed), status {status}"),), stops=stops)


FAULT = Fault(
    id="fabric-failed",
    symptom="CUDA error 802 that does not go away",
    layer=Layer.HARDWARE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Move to another host; on this one the provider must restart the fabric manager and reset the GPUs.",
    evidence=evidence,
)
