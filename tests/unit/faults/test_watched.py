"""What a look at an app that runs means: CUDA is not asked then, and only what has changed since CUDA was proven is a fault."""

from __future__ import annotations

import dataclasses
import errno

import machines
import pytest
from machines import (
    CRASHED,
    CTL,
    DENIED,
    GIB,
    GONE,
    GPU0,
    HUNG,
    UNTRIED,
    UVM,
    change,
    nvml_gpu_changed,
    variables,
    watched,
    with_node,
    without_major,
    without_node,
    xid,
)

from firstlight.faults import xids
from firstlight.faults.diagnose import diagnose
from firstlight.probe.facts import Facts, GpuUser, Node, Unknown

GPU1 = "/dev/nvidia1"


def nodes(facts: Facts) -> tuple[Node, ...]:
    assert isinstance(facts.devices.nodes, tuple)
    return facts.devices.nodes


def first_look(facts: Facts, **changes: object) -> Facts:
    """The same facts, GPU 0 having been different at the first look."""
    before = nvml_gpu_changed(facts, 0, **changes).nvml
    return change(facts, "worked", nvml=before)


def reported(*numbers: int, facts: Facts | None = None, gpu: int = 0, new: bool = True) -> Facts:
    return dataclasses.replace(facts or watched(), xids=tuple(xid(number, gpu, new=new) for number in numbers))


def users(used: int, *found: tuple[int | Unknown, bool]) -> Facts:
    """GPU memory in use, and the processes that NVML shows: their memory, and whether they are ours."""
    shown = tuple(GpuUser(pid=20 + place, memory=memory, here=here) for place, (memory, here) in enumerate(found))
    return nvml_gpu_changed(watched(), 0, memory_used=used, users=shown)


HOSTS_NODES = change(
    change(watched(), "driver", gpus=watched(8).driver.gpus), "devices", nodes=tuple(
        dataclasses.replace(node, opened=0 if node.path in (CTL, UVM, GPU0) else UNTRIED) for node in machines.nodes(*range(8))
    )
)  # fmt: skip

# The findings; "name*" is one that does not stop CUDA.
LOOKS: dict[str, tuple[str, Facts]] = {
    "all is well": ("", watched()),
    "all is well on eight GPUs": ("", watched(8)),
    "the nodes of other containers are here too, and not ours to open": ("", HOSTS_NODES),
    # device rules
    "a new open is refused": ("device-cgroup-denies", with_node(watched(), GPU0, opened=errno.EPERM)),
    "every new open is refused": (
        "device-cgroup-denies",
        with_node(with_node(change(watched(), "nvml", init=999, gpus=UNTRIED), GPU0, opened=errno.EPERM), CTL, opened=errno.EPERM),
    ),
    "one GPU of four is refused": ("device-cgroup-denies", with_node(watched(4), "/dev/nvidia2", opened=errno.EPERM)),
    "our GPU alone is refused, among the host's": ("device-cgroup-denies", with_node(HOSTS_NODES, GPU0, opened=errno.EPERM)),
    # nodes
    "the GPU's node is gone": ("gpu-node-missing", without_node(watched(), GPU0)),
    "one GPU's node of two is gone": ("gpu-node-missing", without_node(watched(2), GPU1)),
    "our node is gone among the host's": ("gpu-node-missing", without_node(HOSTS_NODES, GPU0)),
    "a node is gone where CDI says void": ("gpu-node-missing", variables(without_node(watched(), GPU0), NVIDIA_VISIBLE_DEVICES="void")),
    "nvidiactl is gone": ("nvidiactl-missing", without_node(change(watched(), "nvml", init=9, gpus=UNTRIED), CTL)),
    "nvidia-uvm is gone": ("uvm-node-missing", without_node(watched(), UVM)),
    "nvidia-uvm has a new major": ("uvm-major-stale", with_node(watched(), UVM, major=240, opened=errno.ENXIO)),
    "nvidia-uvm met a fatal error": ("uvm-open-fails", with_node(watched(), UVM, opened=errno.EIO)),
    "nvidia-uvm was unloaded": ("uvm-module-absent", without_major(with_node(watched(), UVM, opened=errno.ENXIO), "nvidia-uvm")),
    # the GPU
    "NVML says lost": ("gpu-lost", nvml_gpu_changed(watched(), 0, error=15)),
    "NVML says reset required": ("gpu-lost", nvml_gpu_changed(watched(), 0, error=16)),
    "the node gives ENODEV": ("gpu-lost", with_node(watched(), GPU0, opened=errno.ENODEV)),
    "NVML now asks for a reset": ("gpu-lost", nvml_gpu_changed(watched(), 0, recovery_action=1)),
    "NVML has asked for a reset from the first look on": ("gpu-lost*", first_look(nvml_gpu_changed(watched(), 0, recovery_action=1), recovery_action=1)),
    "the open of a node hangs": ("probe-hung", dataclasses.replace(with_node(watched(), GPU0, opened=HUNG), nvml=UNTRIED)),
    "NVML hangs": ("probe-hung", dataclasses.replace(watched(), nvml=HUNG)),
    "NVML hangs at one GPU": ("probe-hung", nvml_gpu_changed(watched(), 0, uuid=HUNG, name=HUNG)),
    # the fabric
    "the fabric has failed since": ("fabric-failed*", nvml_gpu_changed(watched(2), 1, fabric_status=999)),
    "the fabric had failed before": ("", first_look(nvml_gpu_changed(watched(), 0, fabric_status=999), fabric_status=999)),
    "the GPU joins the fabric anew": ("fabric-in-progress", nvml_gpu_changed(watched(), 0, fabric_state=2)),
    "the GPU has never joined a fabric": ("", first_look(nvml_gpu_changed(watched(), 0, fabric_state=2), fabric_state=2)),
    "nothing tells how the fabric was": ("", change(nvml_gpu_changed(watched(), 0, fabric_state=2), "worked", nvml=UNTRIED)),
    # NVML
    "NVML answers no more": ("nvml-failed*", change(watched(), "nvml", init=999, gpus=UNTRIED)),
    "NVML's process dies": ("nvml-failed*", dataclasses.replace(watched(), nvml=CRASHED)),
    "NVML never answered here": ("", change(change(watched(), "nvml", init=999, gpus=UNTRIED), "worked", nvml=UNTRIED)),
    "NVML is of another version than the driver": ("driver-library-mismatch*", change(watched(), "nvml", init=18, gpus=UNTRIED)),
    "the host's driver was replaced": ("driver-library-mismatch", change(change(watched(), "nvml", init=18, gpus=UNTRIED), "driver", version="590.48.01")),
    # Xids
    "a fatal Xid": ("xid-reported", reported(79)),
    "a fatal Xid of an earlier look": ("xid-reported", reported(119, new=False)),
    "the GPU is lost and its Xid tells": ("gpu-lost xid-reported", reported(79, facts=nvml_gpu_changed(watched(), 0, error=15))),
    "an Xid of a process": ("xid-reported*", reported(31)),
    "an Xid of a process at an earlier look": ("", reported(31, new=False)),
    "an Xid that means nothing": ("", reported(43, 63)),
    "a fatal Xid of a GPU that is not ours": ("", reported(79, gpu=5)),
    "the kernel's log may not be read": ("", dataclasses.replace(watched(), xids=DENIED)),
    # memory
    "a stranger holds memory": ("memory-held-by-strangers*", users(40 * GIB, (GIB, True))),
    "a stranger is shown": ("memory-held-by-strangers*", users(41 * GIB, (GIB, True), (40 * GIB, False))),
    "a stranger holds a little": ("", users(4 * GIB, (GIB, True))),
    "all the memory is ours": ("", users(78 * GIB, (70 * GIB, True), (7 * GIB, True))),
    "none of our processes is shown": ("", users(78 * GIB)),
    "the memory of ours is not told": ("", users(78 * GIB, (GONE, True))),
}  # fmt: skip


@pytest.mark.parametrize("case", LOOKS)
def test_a_look_finds_what_has_changed(case: str) -> None:
    expected, facts = LOOKS[case]
    found = " ".join(finding.fault.id + ("" if finding.evidence.stops else "*") for finding in diagnose(facts).findings)
    assert found == expected


@pytest.mark.parametrize(
    ("fault", "facts"),
    [
        ("gpu-lost", dataclasses.replace(watched(), nvml=DENIED)),
        ("xid-reported", dataclasses.replace(watched(), xids=DENIED)),
        ("memory-held-by-strangers", users(78 * GIB)),
        ("device-cgroup-denies", with_node(watched(), GPU0, opened=CRASHED)),
        ("nvml-failed", dataclasses.replace(watched(), nvml=UNTRIED)),
    ],
)
def test_what_a_look_cannot_tell_is_undecided(fault: str, facts: Facts) -> None:
    assert fault in dict(diagnose(facts).undecided)


def test_the_sentence_about_strangers_stays_the_same_while_their_memory_changes() -> None:
    sentences = {diagnose(users(used * GIB, (GIB, True))).findings[0].evidence.sentence for used in (40, 50, 60)}
    assert len(sentences) == 1


def test_an_xid_is_quoted_in_the_kernel_s_own_words() -> None:
    (finding,) = diagnose(reported(13)).findings
    assert finding.evidence.quotes == (("kernel's log", "NVRM: Xid (PCI:0000:40:00): 13, it broke"),)


# NVIDIA's catalogue of Xids, "immediate action", Ampere and newer.
ACTIONS = {
    xids.Weight.FATAL: (46, 62, 64, 79, 95, 109, 110, 119, 120, 136, 140, 143, 151, 155, 156, 158),
    xids.Weight.NOTED: (
        8,
        11,
        13,
        25,
        31,
        32,
        39,
        48,
        54,
        60,
        68,
        69,
        74,
        78,
        80,
        94,
        96,
        105,
        126,
        135,
        139,
        142,
        144,
        150,
        159,
        162,
        1000,
    ),
    xids.Weight.IGNORED: (37, 38, 43, 44, 45, 63, 66, 67, 92, 93, 106, 107, 121, 137, 141, 152, 153, 154, 157, 160, 161),
}


@pytest.mark.parametrize(("number", "weight"), [(number, weight) for weight, numbers in ACTIONS.items() for number in numbers])
def test_an_xid_weighs_what_its_catalogued_action_says(number: int, weight: xids.Weight) -> None:
    assert xids.weight(number) is weight
