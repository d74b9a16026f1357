"""This user may not open the GPU's device nodes.

You see
    cuInit gives 100, or 999 where it is /dev/nvidia-uvm; nvidia-smi: "Insufficient Permissions" or "No devices found."; all
    is well as root.
Why
    The nodes' mode, owner or group keeps this user out (the host set NVreg_DeviceFileMode, or they belong to the group
    video); or /dev is mounted `nodev`; or a security label (SELinux) forbids it.
Cure
    Run as root, or add the nodes' group: `docker run --group-add GID …`. As root in the container: `chmod 666 /dev/nvidia*`.
    For a label: `--security-opt label=disable`.
"""

from __future__ import annotations

import errno

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Node, Unknown


def evidence(facts: Facts) -> Verdict:
    """An open of a right node gives EACCES, and too few others open."""
    guilty = reading.refused(facts, errno.EACCES, granted.needed(facts))
    if isinstance(guilty, Unknown):
        return guilty
    if not guilty:
        return None
    node = guilty[0]
    owner = f"mode {node.mode:03o}, owner {node.uid}:{node.gid}"
    quotes = tuple((item.path, f"mode {item.mode:03o}, owner {item.uid}:{item.gid}, open: EACCES") for item in guilty[:3])
    return Evidence(f"{node.path} ({owner}) gives EACCES: {_why(facts, node)}.", quotes)


def _why(facts: Facts, node: Node) -> str:
    user = facts.confinement
    if "nodev" in (reading.known(facts.devices.dev_options) or ()):
        return "/dev is mounted nodev, so no device in it may be opened"
    if not _mode_permits(facts, node):
        return f"user {user.uid} (group {user.gid}) may not read and write it"
    label = reading.known(user.security_label)
    ours = f" (our label: {label})" if label else ""
    return f"the mode does not keep this user out, so a security module does{ours}"


def _mode_permits(facts: Facts, node: Node) -> bool:
    user = facts.confinement
    if "CAP_DAC_OVERRIDE" in (reading.known(user.capabilities) or ()):
        return True
    if user.uid == node.uid:
        return node.mode & 0o600 == 0o600
    if node.gid == user.gid or node.gid in user.groups:
        return node.mode & 0o060 == 0o060
    return node.mode & 0o006 == 0o006


FAULT = Fault(
    id="device-mode-forbids",
    symptom="cuInit gives 100 or 999 for this user, and works as root",
    layer=Layer.DEVICE,
    persistence=Persistence.PERMANENT,
    actor=Actor.CONTAINER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    advice="Run as root or with the nodes' group (`docker run --group-add GID …`), or as root run `chmod 666 /dev/nvidia*`.",
    evidence=evidence,
)
