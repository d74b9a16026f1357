"""The GPUs are still joining the NVLink fabric.

You see
    CUDA error 802 "system not yet initialized" in the first minutes of a machine; `nvidia-smi -L` lists every GPU.
Why
    On machines with NVSwitch each GPU registers with the fabric manager before CUDA may use it. That takes from seconds
    to some minutes after the host came up, and for ever where the host activated no partition for this GPU.
Cure
    Wait: firstlight does. If it does not end, move to another host; on this one the provider restarts the fabric manager.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, NvmlGpu

_NOT_READY = 802
_STATES = {1: "has not started to join", 2: "is still joining"}


def evidence(facts: Facts) -> Verdict:
    """A registration under way; or 802 alone where NVML cannot tell the state, worth a bounded wait then."""
    cuda = reading.asked_cuda(facts)
    not_ready = reading.first_error(facts, _NOT_READY)
    if cuda is not None and not_ready is None:
        return None  # whatever the fabric does, it is not what CUDA waits for
    gpus = reading.nvml_gpus(facts)
    for gpu in gpus:
        state = reading.known(gpu.fabric_state)
        if state in _STATES and not _was_so(facts, gpu):
            sentence = f"GPU {gpu.index} {_STATES[state]} the NVLink fabric, and CUDA may not start before it has (802)."
            return Evidence(sentence, ((f"fabric state, GPU {gpu.index}", str(state)), *_quote(not_ready)))
    if not_ready is None or (gpus and all(reading.known(gpu.fabric_state) is not None for gpu in gpus)):
        return None
    sentence = "CUDA says that the system is not ready yet (802), as it does while GPUs join the NVLink fabric."
    return Evidence(sentence, _quote(not_ready), persistence=Persistence.BOUNDED)


def _was_so(facts: Facts, gpu: NvmlGpu) -> bool:
    """Whether CUDA worked all the same: it was so when an app that runs was first looked at, or nothing tells how it was."""
    before = reading.nvml_before(facts, gpu)
    return reading.worked(facts) is not None and (before is None or reading.known(before.fabric_state) in _STATES)


def _quote(error: reading.CudaError | None) -> tuple[tuple[str, str], ...]:
    return (("CUDA", str(error)),) if error else ()


FAULT = Fault(
    id="fabric-in-progress",
    symptom="CUDA error 802 while the host comes up",
    layer=Layer.HARDWARE,
    persistence=Persistence.TRANSIENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Wait for some minutes; if it does not end, move to another host, for this one's fabric manager does not finish.",
    evidence=evidence,
)
