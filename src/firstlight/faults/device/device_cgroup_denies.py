"""The container's device rules deny the GPU.

You see
    cuInit gives 100; nvidia-smi: "Failed to initialize NVML: Unknown Error". What already used CUDA goes on working, while
    new processes fail; the nodes are there, with mode 666, and an open of them gives "Operation not permitted".
Why
    The cgroup of this container does not allow these devices: rules were rewritten behind the container runtime's back
    (`systemctl daemon-reload` on the host does that), or the nodes were mounted without a rule.
Cure
    Delete the container and create it again: nothing inside can change the rules. On the host: inject devices by CDI, or
    `nvidia-ctk system create-dev-char-symlinks --create-all`, so that it does not happen again.
"""

from __future__ import annotations

import errno

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """An open of a right node gives EPERM, and too few others open."""
    guilty = reading.refused(facts, errno.EPERM, granted.needed(facts))
    if isinstance(guilty, Unknown):
        return guilty
    if not guilty:
        return None
    rules = reading.known(facts.confinement.device_rules)
    quotes = tuple((node.path, f"char {node.major}:{node.minor}, mode {node.mode:03o}, open: EPERM") for node in guilty[:3])
    if rules is not None:
        quotes += (("devices.list", "; ".join(rules) or "empty"),)
    node = guilty[0]
    rule = f"this container's device rules deny {node.major}:{node.minor}"
    sentence = f"{node.path} is there with mode {node.mode:03o}, but open gives EPERM: {rule}."
    return Evidence(sentence, quotes)


FAULT = Fault(
    id="device-cgroup-denies",
    symptom='cuInit gives 100 and nvidia-smi says "Failed to initialize NVML: Unknown Error"',
    layer=Layer.DEVICE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Delete the container and create it again; its device rules cannot be changed from inside.",
    evidence=evidence,
)
