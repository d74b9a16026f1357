"""The host has not loaded the nvidia-uvm kernel module.

You see
    nvidia-smi works, yet cuInit gives 999: "CUDA unknown error - this may be due to an incorrectly set up environment".
Why
    CUDA needs a second kernel module beside the driver, nvidia-uvm. A host loads it at the first use of CUDA, or never,
    where nothing outside a container asks for it. The environment that the message blames has nothing to do with it.
Cure
    On the host: `nvidia-modprobe -u -c=0` (or `modprobe nvidia-uvm`). From inside a module cannot be loaded; another
    container may cause it, so a wait of some seconds is worth it where a GPU was promised.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """/proc/devices names the nvidia driver and not nvidia-uvm."""
    majors = facts.devices.majors
    if isinstance(majors, Unknown):
        return majors
    if "nvidia-uvm" in majors or not ({"nvidia", "nvidia-frontend"} & set(majors)):
        return None
    names = ", ".join(f"{name} {major}" for name, major in majors.items())
    node = reading.node(facts, reading.UVM_NODE)
    left = "; the node that is here is from before" if node is not None and not isinstance(node, Unknown) else ""
    sentence = f"The kernel's list of drivers has nvidia but not nvidia-uvm: the host has not loaded that module{left}."
    return Evidence(sentence, (("/proc/devices", names),))


FAULT = Fault(
    id="uvm-module-absent",
    symptom="cuInit gives 999 although nvidia-smi works",
    layer=Layer.DRIVER,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="On the host run `nvidia-modprobe -u -c=0`, or move to another host.",
    evidence=evidence,
)
