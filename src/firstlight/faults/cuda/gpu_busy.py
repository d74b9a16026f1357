"""The GPU takes no further process.

You see
    CUDA error 46, "CUDA-capable device(s) is/are busy or unavailable", at the first use of a GPU.
Why
    The GPU is in exclusive mode and another process has it, perhaps one that is dying; or its mode prohibits every process;
    or it is being reset or drained (an open of its node then gives EBUSY).
Cure
    Wait for the other process to end; firstlight does, for a while. Only the host changes the mode: `nvidia-smi -c 0`.
"""

from __future__ import annotations

import errno

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown

_UNAVAILABLE = 46
_PROHIBITED, _EXCLUSIVE = 2, 3


def evidence(facts: Facts) -> Verdict:
    """CUDA's code with what NVML knows of the mode, a GPU node whose open gives EBUSY, or a mode that prohibits all."""
    error = reading.first_error(facts, _UNAVAILABLE)
    if error is not None:
        return _from_code(facts, error)
    busy = reading.refused(facts, errno.EBUSY, granted.needed(facts))
    if not isinstance(busy, Unknown) and any(reading.minor_in_path(node) is not None for node in busy):
        return Evidence(f"{busy[0].path} is busy: its GPU is being reset or drained.", ((busy[0].path, "open: EBUSY"),))
    prohibited = [gpu for gpu in reading.nvml_gpus(facts) if reading.known(gpu.compute_mode) == _PROHIBITED]
    if prohibited:
        return _prohibited(prohibited[0].index)
    return None


def _from_code(facts: Facts, error: reading.CudaError) -> Evidence:
    gpu = reading.nvml_gpu(facts, error.gpu)
    mode = reading.known(gpu.compute_mode) if gpu else None
    if gpu is not None and mode == _PROHIBITED:
        return _prohibited(gpu.index)
    quotes = (("CUDA", str(error)), ("compute mode", "unknown" if mode is None else str(mode)))
    if gpu is not None and mode == _EXCLUSIVE:
        processes = reading.known(gpu.processes)
        holder = "one uses it" if processes else "another one has it, perhaps outside this container"
        return Evidence(f"GPU {gpu.index} is in exclusive mode, for one process at a time, and {holder}.", quotes)
    return Evidence(f"The GPU takes no further process now: {error}.", quotes)


def _prohibited(index: int) -> Evidence:
    sentence = f"GPU {index} is in the mode that prohibits every process from computing on it."
    return Evidence(sentence, ((f"compute mode, GPU {index}", str(_PROHIBITED)),), Persistence.PERMANENT)


FAULT = Fault(
    id="gpu-busy",
    symptom="CUDA error 46: the device is busy or unavailable",
    layer=Layer.CUDA,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="End the process that holds the GPU, or move to another host; on this one the provider runs `nvidia-smi -c 0`.",
    evidence=evidence,
)
