"""A GPU is lost, or needs a reset.

You see
    "GPU is lost", "Unable to determine the device handle for GPU", cuInit 100 or 999, CUDA error 214 (uncorrectable ECC
    error), or an open of /dev/nvidiaN that fails with EIO or ENODEV. One such GPU can fail CUDA for all the others.
Why
    The GPU fell off the bus, could not be brought up, or met an error that only a reset clears.
Cure
    Nothing inside a container helps. Move to another host; whoever runs this one resets the GPU (`nvidia-smi -r`) or
    reboots. The other GPUs may still be used: `firstlight run --gpus any`.
"""

from __future__ import annotations

import errno

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, NvmlGpu, Unknown

# nvmlReturn_t of a GPU's handle. 4 (no permission) is not among them: it is normal for the parent of a MIG slice.
_NVML_SAYS = {
    8: "its power cable is not connected, or it lacks power",
    10: "the kernel cannot deliver its interrupts",
    15: "it has fallen off the bus",
    16: "it requires a reset",
}
# Field 230. 3 and 5 (drain, recover the IMEX domain) concern links between GPUs, and no GPU by itself.
_RECOVERY = {1: "a GPU reset", 2: "a reboot of the host", 4: "a drain and a GPU reset", 6: "a bus reset", 7: "a reboot of the system"}
_DEAD_OPEN = (errno.EIO, errno.ENODEV, errno.ENXIO)
_ECC = 214


def evidence(facts: Facts) -> Verdict:
    """NVML's word on each GPU, an open that shows a dead one, or CUDA's ECC error."""
    for gpu in reading.nvml_gpus(facts):
        if gpu.error in _NVML_SAYS:
            return Evidence(f"{_name(gpu)} cannot be used: {_NVML_SAYS[gpu.error]}.", ((f"NVML, GPU {gpu.index}", str(gpu.error)),))
    for node in reading.right_gpu_nodes(facts):
        number = reading.known(node.opened)
        if number in _DEAD_OPEN and _driver_is_there(facts):
            name = reading.errno_name(number or 0)
            sentence = f"{node.path} is right, but the kernel driver cannot bring its GPU up: open fails with {name}."
            return Evidence(sentence, ((node.path, f"open: {name}"),))
    error = reading.first_error(facts, _ECC)
    if error is not None:
        return Evidence(f"An uncorrectable memory error stops the GPU: {error}.", (("CUDA", str(error)),))
    return _recovery(facts)


def _recovery(facts: Facts) -> Verdict:
    for gpu in reading.nvml_gpus(facts):
        action = reading.known(gpu.recovery_action)
        if action in _RECOVERY:
            sentence = f"{_name(gpu)} asks for {_RECOVERY[action]}: it met an error that nothing else clears."
            harmless = granted.proof_is_whole(facts) or _was_so(facts, gpu)
            return Evidence(sentence, ((f"recovery action, GPU {gpu.index}", str(action)),), stops=not harmless)
    return facts.nvml if isinstance(facts.nvml, Unknown) else None


def _was_so(facts: Facts, gpu: NvmlGpu) -> bool:
    """Whether it asked for the same already when an app that runs was first looked at: CUDA had been proven all the same."""
    before = reading.nvml_before(facts, gpu)
    return before is not None and reading.known(before.recovery_action) == reading.known(gpu.recovery_action)


def _driver_is_there(facts: Facts) -> bool:
    return not isinstance(facts.driver.version, Unknown)


def _name(gpu: NvmlGpu) -> str:
    bus = reading.known(gpu.bus_id)
    return f"GPU {gpu.index} ({bus})" if bus else f"GPU {gpu.index}"


FAULT = Fault(
    id="gpu-lost",
    symptom="the GPU is lost, cannot be brought up, or requires a reset",
    layer=Layer.HARDWARE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Move to another host; on this one the provider must reset the GPU (`nvidia-smi -r`) or reboot.",
    evidence=evidence,
)
