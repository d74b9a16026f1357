"""No GPU was given to this container.

You see
    torch.cuda.is_available() is False, "No CUDA GPUs are available"; no /dev/nvidiaN; perhaps nvidia-smi finds no device.
Why
    The container was started without a GPU: RUNPOD_GPU_COUNT=0 (a pod that was started again while its GPU was taken),
    NVIDIA_VISIBLE_DEVICES=none or void, or a driver without any GPU. The variables are read before the container starts:
    to change them from inside does nothing.
Cure
    Ask for a GPU: start the pod on a machine with a free one, `docker run --gpus all`, or a limit of `nvidia.com/gpu: 1`.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """A variable that refuses a GPU, or a driver with no GPU behind it, and no GPU node to say otherwise."""
    nodes = reading.gpu_nodes(facts)
    if reading.worked(facts) is not None:
        return None  # it was given one: whatever is missing now was taken away
    if isinstance(nodes, Unknown):
        return nodes
    if nodes:
        return None
    refusal = granted.refusal(facts)
    if refusal is not None:
        name, value = refusal
        return Evidence(
            f"{name} is {value or 'empty'!s}: this container was started without a GPU.", ((name, value), ("/dev/nvidiaN", "none"))
        )
    listed = reading.known(facts.driver.gpus)
    if reading.known(facts.driver.version) is None or listed is None or listed or granted.promised(facts):
        return None
    quotes = (("/proc/driver/nvidia/gpus", "empty"), ("/dev/nvidiaN", "none"))
    return Evidence("The kernel driver is loaded, but it has no GPU, and nobody says that this container was given one.", quotes)


FAULT = Fault(
    id="gpu-not-granted",
    symptom="the container was started without a GPU",
    layer=Layer.DRIVER,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    advice="Start the container with a GPU (`docker run --gpus all …`, `nvidia.com/gpu: 1`, or a pod with a free GPU).",
    evidence=evidence,
)
