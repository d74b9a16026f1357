"""Somebody outside of this container holds much of the GPU's memory.

You see
    "CUDA out of memory" in an app that asks for less than the GPU has; nvidia-smi shows more memory in use than its processes have.
Why
    The GPU is shared: a process of another container or of the host has taken a part of its memory, or one that died has not yet
    given it back. What such processes are called does not show in here, only what is missing.
Cure
    Ask the provider for a GPU of your own, or for another one. Nothing inside a container can end a stranger's process.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Cause, Facts, NvmlGpu, Unknown

# The driver keeps some for itself: 615 MiB of an H200's 140 GiB, measured while nobody computed.
_DRIVERS_OWN = 2 << 30
_NOTABLE_PART = 10  # a tenth of the memory


def evidence(facts: Facts) -> Verdict:
    """Memory in use beyond what the processes of this container have, as far as NVML tells those."""
    unknown: Unknown | None = None
    for gpu in reading.nvml_gpus(facts):
        held = _held_by_strangers(gpu)
        total = reading.known(gpu.memory_total)
        if isinstance(held, Unknown):
            unknown = held
        elif total is not None and held >= max(_DRIVERS_OWN, total // _NOTABLE_PART):
            # The figure changes from one look to the next, and the sentence must not: by it a finding is known again.
            sentence = f"Somebody outside of this container holds much of the memory of GPU {gpu.index}."
            return Evidence(sentence, ((f"memory, GPU {gpu.index}", f"{held >> 20:,} of {total >> 20:,} MiB"),), stops=False)
    return unknown


def _held_by_strangers(gpu: NvmlGpu) -> int | Unknown:
    """Bytes that are in use, and not by the processes of this container."""
    used, users = gpu.memory_used, gpu.users
    if isinstance(users, Unknown):
        return users
    if isinstance(used, Unknown):
        return used
    ours = [user for user in users if user.here]
    if not ours:
        return Unknown(f"NVML shows no process of this container on GPU {gpu.index}, so whose its memory is", Cause.ABSENT)
    told = [reading.known(user.memory) for user in ours]
    if None in told:
        return Unknown(f"NVML does not tell the memory of every process on GPU {gpu.index}", Cause.ABSENT)
    return max(0, used - sum(memory or 0 for memory in told))


FAULT = Fault(
    id="memory-held-by-strangers",
    symptom="out of memory, although the app has asked for less than the GPU has",
    layer=Layer.CUDA,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Ask for a GPU of your own, or for another one.",
    evidence=evidence,
)
