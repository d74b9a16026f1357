"""The node /dev/nvidia-uvm is right, but cannot be opened.

You see
    nvidia-smi works, yet cuInit gives 999: "CUDA unknown error", in every container of this host.
Why
    nvidia-uvm met a fatal error and refuses every open until the module is loaded again; or the driver is being reset.
Cure
    On the host: `modprobe -r nvidia_uvm && modprobe nvidia_uvm`, or a reboot. From inside: move to another host.
"""

from __future__ import annotations

import errno

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, NodeKind, Unknown

# Refusals that another fault names: device rules, the mode, our own descriptor limit.
_OTHERS = (errno.EPERM, errno.EACCES, errno.EMFILE)


def evidence(facts: Facts) -> Verdict:
    """A right node, and an errno of open that no rule, mode or limit explains."""
    node = reading.node(facts, reading.UVM_NODE)
    if isinstance(node, Unknown) or node is None or node.kind is not NodeKind.CHAR:
        return node if isinstance(node, Unknown) else None
    majors = reading.known(facts.devices.majors) or {}
    if majors.get("nvidia-uvm", node.major) != node.major:
        return None
    if isinstance(node.opened, Unknown):
        return None if reading.hung(node.opened) else node.opened
    if node.opened == 0 or node.opened in _OTHERS:
        return None
    name = reading.errno_name(node.opened)
    persistence = Persistence.BOUNDED if node.opened in (errno.EBUSY, errno.EAGAIN) else None
    quotes = ((reading.UVM_NODE, f"char {node.major}:{node.minor}, open: {name}"),)
    return Evidence(f"{reading.UVM_NODE} is right, but open fails with {name}: the host's nvidia-uvm is broken.", quotes, persistence)


FAULT = Fault(
    id="uvm-open-fails",
    symptom="cuInit gives 999 in every container of the host, although nvidia-smi works",
    layer=Layer.DEVICE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Move to another host; on this one run `modprobe -r nvidia_uvm && modprobe nvidia_uvm`, or reboot.",
    evidence=evidence,
)
