"""CUDA_VISIBLE_DEVICES hides GPUs that this container has.

You see
    torch.cuda.is_available() is False and "No CUDA GPUs are available" (cuInit 100, or 101 for a GPU named twice), or fewer
    GPUs than there are; nvidia-smi, which ignores the variable, shows them all.
Why
    The variable is empty, names a GPU that is not here, or names one twice. CUDA counts the GPUs of the container from 0,
    whatever number the host or /dev/nvidiaN gives them, and stops reading at the first entry that it cannot find.
Cure
    Unset it, or name GPUs that are here, by UUID at best (`nvidia-smi -L`): firstlight rewrites it for the app.
"""

from __future__ import annotations

from firstlight.faults import granted, visible_devices
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """An entry that names no GPU of this container, or a list that hides every one."""
    choice = visible_devices.choice(facts)
    if choice is None or isinstance(choice, Unknown):
        return choice
    if choice.wrong is None:
        return None
    value = f'{visible_devices.NAME} is "{choice.value}"'
    shown = "" if choice.shown == 0 else "; what stands before it counts, and nothing after it"
    return Evidence(f"{value}: {choice.wrong}{shown}.", ((visible_devices.NAME, choice.value),), stops=not granted.proof_is_whole(facts))


FAULT = Fault(
    id="visible-devices-invalid",
    symptom="No CUDA GPUs are available, although nvidia-smi shows them",
    layer=Layer.ENVIRONMENT,
    persistence=Persistence.PERMANENT,
    actor=Actor.CONTAINER,
    remedies=(Remedy.REWRITE_VISIBLE_DEVICES,),
    advice="Remove CUDA_VISIBLE_DEVICES from the image, the template or the start script (`unset CUDA_VISIBLE_DEVICES` to try it).",
    evidence=evidence,
)
