"""Create the device nodes that CUDA needs and that are missing or wrong.

Works where the container has CAP_MKNOD and its device cgroup lets the node be used. A GPU's node is made only when the
container was granted that GPU: the driver of the host may list others.
"""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.faults import granted, reading
from firstlight.probe.facts import Facts, Node, NodeKind, Unknown
from firstlight.remedies.plan import MakeNode, Plan, Refused, Risk

RISK = Risk.MACHINE


def plan(facts: Facts, environment: Mapping[str, str]) -> Plan | Refused:
    """Every node that is missing or wrong, in the order in which CUDA opens them."""
    capabilities = facts.confinement.capabilities
    if not isinstance(capabilities, Unknown) and "CAP_MKNOD" not in capabilities:
        return Refused("the container lacks CAP_MKNOD")
    actions = [*_control(facts), *_uvm(facts), *_gpus(facts)]
    return Plan(tuple(actions)) if actions else Refused("no node is missing whose numbers are known")


def _control(facts: Facts) -> list[MakeNode]:
    return _node(facts, reading.CONTROL_NODE, reading.gpu_major(facts), reading.CONTROL_MINOR)


def _uvm(facts: Facts) -> list[MakeNode]:
    majors = facts.devices.majors
    if isinstance(majors, Unknown) or "nvidia-uvm" not in majors:
        return []
    return _node(facts, reading.UVM_NODE, majors["nvidia-uvm"], 0) + _node(facts, f"{reading.UVM_NODE}-tools", majors["nvidia-uvm"], 1)


def _gpus(facts: Facts) -> list[MakeNode]:
    """Nodes of the listed GPUs until as many are right as were granted; wrong ones are replaced first."""
    missing = granted.needed(facts) - len(reading.right_gpu_nodes(facts))
    right = {item.minor for item in reading.right_gpu_nodes(facts)}
    minors = [minor for minor in reading.kernel_minors(facts) if minor not in right]
    wrong = {reading.minor_in_path(item) for item in reading.known(reading.gpu_nodes(facts)) or ()}
    minors.sort(key=lambda minor: minor not in wrong)
    actions: list[MakeNode] = []
    for minor in minors[: max(missing, 0)]:
        actions += _node(facts, f"/dev/nvidia{minor}", reading.gpu_major(facts), minor)
    return actions


def _node(facts: Facts, path: str, major: int, minor: int) -> list[MakeNode]:
    """What makes `path` right; nothing when it is."""
    found = reading.node(facts, path)
    if isinstance(found, Unknown):
        return []
    if found is None:
        return [MakeNode(path, major, minor)]
    return [] if _is(found, major, minor) else [MakeNode(path, major, minor, replace=True)]


def _is(node: Node, major: int, minor: int) -> bool:
    return node.kind is NodeKind.CHAR and (node.major, node.minor) == (major, minor)
