"""Which fault is named for which machine: a table of machines, and what the diagnosis must say of each."""

from __future__ import annotations

import dataclasses
import errno
import random

import machines
import pytest
from machines import (
    ALL_NODES,
    CRASHED,
    CTL,
    DENIED,
    EMPTY,
    GIB,
    GONE,
    GPU0,
    HUNG,
    KIB,
    NO_LIBRARY,
    OLD,
    OLD_COMPAT,
    SICK,
    SICK_UVM,
    STUB,
    UNTRIED,
    UVM,
    bare,
    change,
    char,
    compat,
    context_fails,
    cuda_gpu,
    cuda_gpu_changed,
    driver,
    healthy,
    init_fails,
    lib,
    library,
    masked,
    nodes,
    nvml_gpu_changed,
    old_driver,
    shallow,
    shows,
    torch,
    unloadable,
    uuids,
    variables,
    watched,
    with_compat,
    with_node,
    without_major,
    without_node,
    xid,
)

from firstlight.faults.catalogue import CATALOGUE, OF_THE_MACHINE
from firstlight.faults.diagnose import diagnose
from firstlight.faults.fault import Diagnosis
from firstlight.probe.facts import (
    Facts,
    KernelGpu,
    LibraryKind,
    Limit,
    Node,
    NodeKind,
    Nvml,
    decode,
    encode,
)

# Each machine that cannot use (all of) CUDA, and the findings that it must give, root cause first.
ILL: list[tuple[str, str, Facts]] = [
    # hardware
    ("gpu-lost", "NVML says 15", nvml_gpu_changed(SICK, 0, error=15)),
    ("gpu-lost", "NVML says 16", nvml_gpu_changed(SICK_UVM, 0, error=16)),
    ("gpu-lost", "one GPU of two is lost", nvml_gpu_changed(shows(healthy(2), 1), 1, error=15)),
    ("gpu-lost", "its node gives EIO", with_node(SICK, GPU0, opened=errno.EIO)),
    ("gpu-lost", "its node gives ENODEV and cuInit 101", with_node(init_fails(healthy(), 101), GPU0, opened=errno.ENODEV)),
    ("gpu-lost", "an uncorrectable ECC error", cuda_gpu_changed(healthy(), 0, kernel=214, proven=False)),
    ("gpu-lost", "NVML asks for a reset, and the GPU is unavailable", nvml_gpu_changed(context_fails(healthy(), 46), 0, recovery_action=1)),
    ("probe-hung", "the open of a GPU node hung", with_node(dataclasses.replace(healthy(), cuda=HUNG, nvml=HUNG), GPU0, opened=HUNG)),
    ("probe-hung", "CUDA hung", dataclasses.replace(healthy(), cuda=HUNG)),
    ("probe-hung", "cuInit hung", change(healthy(), "cuda", init=HUNG, count=UNTRIED, gpus=())),
    ("probe-hung", "the context hung", cuda_gpu_changed(healthy(), 0, context=HUNG, kernel=UNTRIED, proven=UNTRIED)),
    ("fabric-failed", "the registration failed", nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_status=999)),
    ("fabric-failed", "802 without a fabric", nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_state=0, fabric_status=GONE)),
    ("fabric-failed", "802 though the fabric is done", init_fails(healthy(), 802)),
    ("fabric-in-progress", "not started", nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_state=1)),
    ("fabric-in-progress", "in progress", nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_state=2)),
    ("fabric-in-progress", "in progress on the last of eight", nvml_gpu_changed(init_fails(healthy(8), 802), 7, fabric_state=2)),
    ("fabric-in-progress", "802, and NVML cannot be asked", dataclasses.replace(init_fails(healthy(), 802), nvml=GONE)),
    ("fabric-in-progress", "802, and NVML does not know fabrics", nvml_gpu_changed(init_fails(healthy(), 802), 0, fabric_state=GONE)),
    # driver
    ("gpu-not-granted", "RUNPOD_GPU_COUNT=0", variables(without_node(SICK, GPU0), RUNPOD_GPU_COUNT="0")),
    ("gpu-not-granted", "RUNPOD_GPU_COUNT=0 and nothing at all", variables(bare(), RUNPOD_GPU_COUNT="0")),
    ("gpu-not-granted", "NVIDIA_VISIBLE_DEVICES=none", variables(without_node(SICK, GPU0), NVIDIA_VISIBLE_DEVICES="none")),
    ("gpu-not-granted", "NVIDIA_VISIBLE_DEVICES=void", variables(bare(), NVIDIA_VISIBLE_DEVICES="void")),
    ("gpu-not-granted", "void, as PID 1 was told", change(bare(), "environment", pid1={"NVIDIA_VISIBLE_DEVICES": "void"})),
    ("gpu-not-granted", "a driver without a GPU", driver(without_node(SICK, GPU0), ())),
    ("driver-not-injected", "nothing at all", bare()),
    ("driver-not-injected", "the default of the CUDA images alone", variables(bare(), NVIDIA_VISIBLE_DEVICES="all")),
    ("driver-not-injected", "the image brings a libcuda", lib(unloadable(bare(), "cannot open"), library(), nvml=GONE)),
    (
        "driver-not-injected",
        "the host has a driver and the container nothing",
        lib(without_node(unloadable(healthy(), "cannot open"), *ALL_NODES), NO_LIBRARY, nvml=GONE),
    ),
    ("driver-not-injected", "nodes without libraries", lib(variables(unloadable(healthy(), "x"), NVIDIA_DRIVER_CAPABILITIES="all"), NO_LIBRARY, nvml=GONE)),
    ("driver-not-injected", "a plain file is all there is", change(bare(), "devices", nodes=(Node(path=GPU0, kind=NodeKind.FILE),))),
    (
        "driver-not-injected",
        "the driver was unloaded",
        change(change(init_fails(dataclasses.replace(healthy(), nvml=GONE), 100), "driver", version=GONE, gpus=GONE), "devices", majors={}, nodes=tuple(
            dataclasses.replace(node, opened=errno.ENXIO) for node in nodes(0)
        )),
    ),
    ("compute-not-enabled", "utility only", lib(variables(unloadable(healthy(), "cannot open"), NVIDIA_DRIVER_CAPABILITIES="utility"), NO_LIBRARY)),
    ("compute-not-enabled", "nobody says why", lib(variables(unloadable(healthy(), "x"), NVIDIA_DRIVER_CAPABILITIES=""), NO_LIBRARY)),
    ("compute-not-enabled", "graphics only", lib(variables(unloadable(healthy(), "x"), NVIDIA_DRIVER_CAPABILITIES="graphics"), NO_LIBRARY, nvml=GONE)),
    ("compute-not-enabled", "only an old compat library is here", lib(variables(unloadable(healthy(), "x"), NVIDIA_DRIVER_CAPABILITIES="utility"), NO_LIBRARY, OLD_COMPAT)),
    ("compute-not-enabled", "only a stub is here", lib(variables(init_fails(healthy(), 34), NVIDIA_DRIVER_CAPABILITIES="utility"), STUB)),
    ("uvm-module-absent", "no node either", without_major(without_node(SICK_UVM, UVM), "nvidia-uvm")),
    ("uvm-module-absent", "the node is left", with_node(without_major(SICK_UVM, "nvidia-uvm"), UVM, opened=errno.ENXIO)),
    # device
    ("nvidiactl-missing", "missing", dataclasses.replace(without_node(SICK, CTL), nvml=Nvml(init=9))),
    ("nvidiactl-missing", "a plain file", with_node(SICK, CTL, kind=NodeKind.FILE, major=0, minor=0, opened=0)),
    ("nvidiactl-missing", "wrong numbers", with_node(SICK, CTL, minor=1)),
    ("nvidiactl-missing gpu-node-missing uvm-node-missing", "every node missing", dataclasses.replace(without_node(SICK, *ALL_NODES), nvml=Nvml(init=9))),
    ("gpu-node-missing", "missing", without_node(SICK, GPU0)),
    ("gpu-node-missing", "one of two that were granted", variables(without_node(shows(healthy(2), 1), "/dev/nvidia1"), RUNPOD_GPU_COUNT="2")),
    ("gpu-node-missing", "one of two that NVIDIA_VISIBLE_DEVICES names", variables(without_node(shows(healthy(2), 1), "/dev/nvidia1"), NVIDIA_VISIBLE_DEVICES=uuids(0, 1))),
    ("gpu-node-wrong", "a plain file", with_node(SICK, GPU0, kind=NodeKind.FILE, major=0, minor=0)),
    ("gpu-node-wrong", "the wrong minor", with_node(SICK, GPU0, minor=8, opened=errno.ENODEV)),
    ("gpu-node-wrong", "the wrong major", with_node(SICK, GPU0, major=194, opened=errno.ENXIO)),
    ("gpu-node-wrong", "renamed", with_node(SICK, GPU0, path="/dev/nvidia8")),
    ("gpu-node-wrong", "of another machine", with_node(SICK, GPU0, path="/dev/nvidia8", minor=8, opened=errno.ENODEV)),
    ("uvm-node-missing", "missing", without_node(SICK_UVM, UVM)),
    ("uvm-node-missing", "a plain file", with_node(SICK_UVM, UVM, kind=NodeKind.FILE, major=0, minor=0)),
    ("uvm-major-stale", "stale", with_node(SICK_UVM, UVM, major=510, opened=errno.ENXIO)),
    ("uvm-major-stale", "the wrong minor", with_node(SICK_UVM, UVM, minor=1)),
    ("device-cgroup-denies", "denies 195", with_node(with_node(dataclasses.replace(SICK, nvml=Nvml(init=999)), CTL, opened=errno.EPERM), GPU0, opened=errno.EPERM)),
    ("device-cgroup-denies", "denies the GPU alone", with_node(SICK, GPU0, opened=errno.EPERM)),
    ("device-cgroup-denies", "denies nvidia-uvm", with_node(SICK_UVM, UVM, opened=errno.EPERM)),
    ("device-cgroup-denies", "known before the GPU nodes were opened", with_node(shallow(SICK), CTL, opened=errno.EPERM)),
    ("device-mode-forbids", "mode 000", with_node(SICK, GPU0, mode=0, opened=errno.EACCES)),
    ("device-mode-forbids", "nvidia-uvm", with_node(SICK_UVM, UVM, mode=0o600, opened=errno.EACCES)),
    ("device-mode-forbids", "a security label", with_node(SICK, CTL, opened=errno.EACCES)),
    ("uvm-open-fails", "EIO", with_node(SICK_UVM, UVM, opened=errno.EIO)),
    ("uvm-open-fails", "ENXIO with the right major", with_node(SICK_UVM, UVM, opened=errno.ENXIO)),
    # library
    ("stub-libcuda", "first on the path", lib(init_fails(healthy(), 34), STUB, library())),
    ("stub-libcuda", "seen by its code alone", init_fails(healthy(), 34)),
    ("empty-library", "first on the path", lib(unloadable(healthy(), "libcuda.so.1: file too short"), EMPTY, library())),
    ("empty-library", "as the loader says", unloadable(healthy(), "libcuda.so.1: file too short")),
    ("library-off-path", "in a folder of its own", lib(unloadable(healthy(), "cannot open shared object"), NO_LIBRARY, library(found_in="mounts"))),
    ("driver-library-mismatch", "an older one first", lib(init_fails(healthy(), 803), OLD, library())),
    ("driver-library-mismatch", "the host was upgraded", lib(init_fails(dataclasses.replace(healthy(), nvml=Nvml(init=18)), 803), OLD, nvml=OLD)),
    ("compat-library-active", "on a newer driver", lib(init_fails(healthy(), 803), compat(), library())),
    ("compat-library-active", "on a branch that it does not support", with_compat(init_fails(healthy(), 803), "545.23.06", 12030)),
    ("compat-library-active", "on a consumer GPU", with_compat(init_fails(healthy(), 804), "550.54.14", 12040)),
    ("compat-library-active", "an old one without a note", lib(init_fails(healthy(), 803), OLD_COMPAT)),
    # environment
    ("visible-devices-invalid", "8", masked("8")),
    ("visible-devices-invalid", "empty", masked("")),
    ("visible-devices-invalid", "-1", masked("-1")),
    ("visible-devices-invalid", "garbage", masked("garbage")),
    ("visible-devices-invalid", "a wrong UUID", masked("GPU-deadbeef-1111-2222-3333-444444444444")),
    ("visible-devices-invalid", "8,0", masked("8,0")),
    ("visible-devices-invalid", "a UUID without its prefix", masked(machines.uuid(0)[4:])),
    ("visible-devices-invalid", "0,0 gives 101", init_fails(masked("0,0"), 101)),
    ("visible-devices-invalid", "the start of two UUIDs", masked("GPU-0000000", 2)),
    ("visible-devices-invalid", "0,8 with two GPUs hides one", masked("0,8", 2, count=1)),
    ("visible-devices-invalid", "known without NVML", shallow(masked("8"))),
    ("address-space-limit", "12,000,000 KiB", change(init_fails(healthy(), 2), "limits", address_space=Limit(soft=12_000_000 * KIB, hard=None))),
    ("address-space-limit", "at the context", change(context_fails(healthy(), 2), "limits", address_space=Limit(soft=14_000_000 * KIB, hard=None))),
    ("address-space-limit", "too small to load libcuda", change(unloadable(healthy(), "failed to map segment"), "limits", address_space=Limit(soft=GIB, hard=GIB))),
    ("descriptor-limit", "32", change(context_fails(healthy(), 304), "limits", descriptors=Limit(soft=32, hard=1024))),
    ("descriptor-limit", "100 with eight GPUs", change(context_fails(healthy(8), 304, 7), "limits", descriptors=Limit(soft=100, hard=1024))),
    # cuda
    ("gpu-busy", "exclusive", nvml_gpu_changed(context_fails(healthy(), 46), 0, compute_mode=3, processes=1)),
    ("gpu-busy", "prohibited", nvml_gpu_changed(context_fails(healthy(), 46), 0, compute_mode=2)),
    ("gpu-busy", "nobody knows the mode", shallow(context_fails(healthy(), 46))),
    ("gpu-busy", "its node gives EBUSY", with_node(SICK, GPU0, opened=errno.EBUSY)),
    ("gpu-memory-full", "79.9 of 80 GiB", nvml_gpu_changed(context_fails(healthy(), 2), 0, memory_used=80 * GIB - (100 << 20))),
    ("gpu-memory-full", "NVML was not asked", shallow(context_fails(healthy(), 2))),
    ("cuda-error-unexplained", "999 with everything right", SICK_UVM),
    ("cuda-error-unexplained", "100 with everything right", SICK),
    ("cuda-error-unexplained", "999 from a library whose path nobody tells", change(SICK_UVM, "cuda", library=GONE)),
    ("cuda-error-unexplained", "a wrong result", cuda_gpu_changed(healthy(), 0, proven=False)),
    ("cuda-error-unexplained", "the prover crashed", dataclasses.replace(healthy(), cuda=CRASHED)),
    ("cuda-error-unexplained", "cuInit 2 without a limit", init_fails(healthy(), 2)),
    ("cuda-error-unexplained", "304 with enough descriptors", context_fails(healthy(), 304)),
    ("cuda-error-unexplained", "one GPU of two is not shown", variables(shows(healthy(2), 1), RUNPOD_GPU_COUNT="2")),
    # framework
    ("driver-too-old", "torch is of a newer major", dataclasses.replace(old_driver(), torch=torch())),
    ("driver-too-old", "torch says so", dataclasses.replace(healthy(), torch=torch(cuda_build=CRASHED, message="The NVIDIA driver on your system is too old (found version 12020)."))),
    ("driver-too-old", "CUDA says 35", init_fails(healthy(), 35)),
    # several at once
    ("uvm-major-stale visible-devices-invalid", "two causes", with_node(init_fails(masked("8"), 999), UVM, major=510, opened=errno.ENXIO)),
    ("gpu-node-missing stub-libcuda", "a node and a stub", lib(without_node(init_fails(healthy(), 34), GPU0), STUB, library())),
]  # fmt: skip

# Machines on which CUDA works, and nothing may be found, however strange they look.
HEALTHY: list[tuple[str, Facts]] = [
    ("one GPU", healthy()),
    ("eight GPUs", healthy(8)),
    ("the quick path", shallow(healthy())),
    ("the quick path with eight GPUs", shallow(variables(healthy(8), RUNPOD_GPU_COUNT="8"))),
    ("only /dev/nvidia4", driver(change(healthy(), "devices", nodes=nodes(4)), (KernelGpu(bus_id=machines.bus(4), minor=4, uuid=machines.uuid(0), model="H100"),))),
    ("CDI: procfs lists the host's eight GPUs", change(shows(healthy(8), 1), "devices", nodes=nodes(4))),
    ("CDI, with void in the environment", variables(change(shows(healthy(8), 1), "devices", nodes=nodes(4)), NVIDIA_VISIBLE_DEVICES="void")),
    ("all nodes, and rules that allow one", change(shows(healthy(8), 1), "devices", nodes=tuple(
        dataclasses.replace(node, opened=0 if node.path in (CTL, UVM, GPU0) else errno.EPERM) for node in nodes(*range(8))
    ))),
    ("no nvidia-uvm-tools", without_node(healthy(), "/dev/nvidia-uvm-tools")),
    ("a MIG slice", nvml_gpu_changed(healthy(), 0, error=4, mig=True, uuid=DENIED, mig_uuids=("MIG-1",))),
    ("two MIG slices, of which CUDA shows one", variables(healthy(), NVIDIA_VISIBLE_DEVICES="MIG-1,MIG-2")),
    ("a user without root", change(healthy(), "confinement", uid=1000, gid=1000, groups=(1000,), capabilities=())),
    ("a subset on purpose", masked("2,1", 4, count=2)),
    ("a subset by UUID", masked(uuids(1), 2, count=1)),
    ("the unique start of a UUID", masked("GPU-00000001", 2, count=1)),
    ("a blank in front", masked(" 0", count=1)),
    ("a blank behind", masked("0 ", count=1)),
    ("all of them by index", masked("0,1", 2, count=2)),
    ("a MIG UUID", variables(healthy(), CUDA_VISIBLE_DEVICES="MIG-7b8ab47e")),
    ("nvidia-ml-py absent", dataclasses.replace(healthy(), nvml=GONE)),
    ("NVML hung though CUDA is proven", dataclasses.replace(healthy(), nvml=HUNG)),
    ("gVisor: no procfs of the driver", dataclasses.replace(change(healthy(), "devices", majors=GONE), driver=bare().driver)),
    ("WSL: no node at all", change(dataclasses.replace(healthy(), driver=bare().driver, nvml=GONE), "devices", nodes=(), majors={})),
    ("a row remap is pending", nvml_gpu_changed(healthy(), 0, remap_pending=True)),
    ("the fabric is not supported", nvml_gpu_changed(healthy(), 0, fabric_state=0, fabric_status=GONE)),
    ("CUDA_VERSION of the same major", variables(old_driver(), CUDA_VERSION="12.9.1")),
    ("a compat library that is right", with_compat(healthy(), "550.54.14", 12040)),
    ("torch of an older minor", dataclasses.replace(old_driver(), torch=torch(cuda_build="12.9"))),
    ("torch of an older major", dataclasses.replace(healthy(), torch=torch(cuda_build="12.4"))),
    ("16,000,000 KiB of address space", change(healthy(), "limits", address_space=Limit(soft=16_000_000 * KIB, hard=None))),
    ("48 descriptors", change(healthy(), "limits", descriptors=Limit(soft=48, hard=48))),
    ("32-bit libraries beside the driver's", lib(healthy(), library(), library(folder="/usr/lib/i386-linux-gnu", kind=LibraryKind.FOREIGN))),
    ("a stub that is off the path", lib(healthy(), library(), dataclasses.replace(STUB, found_in="well-known directories"))),
    ("NVIDIA_VISIBLE_DEVICES=all", variables(healthy(2), NVIDIA_VISIBLE_DEVICES="all")),
    ("RUNPOD_GPU_COUNT=0 and a GPU all the same", variables(healthy(), RUNPOD_GPU_COUNT="0")),
]  # fmt: skip

# CUDA works on every GPU, and something is wrong all the same.
USABLE_BUT_ILL: list[tuple[str, str, Facts]] = [
    ("visible-devices-invalid", "0,8 with one GPU", masked("0,8", count=1)),
    ("stub-libcuda", "behind the real one", lib(healthy(), library(), STUB)),
    ("empty-library", "NVML's", lib(healthy(), library(), nvml=library("libnvidia-ml.so.1", kind=LibraryKind.EMPTY, size=0))),
    ("driver-library-mismatch", "NVML's", lib(healthy(), library(), nvml=library("libnvidia-ml.so.1", version="550.54.14"))),
    ("driver-too-old", "for what the image was made for", variables(old_driver(), CUDA_VERSION="13.0.1")),
    ("gpu-lost", "a reset is asked for", nvml_gpu_changed(healthy(), 0, recovery_action=1)),
    ("fabric-failed", "peers cannot reach each other", nvml_gpu_changed(healthy(2), 1, fabric_status=999)),
    # while an app runs
    ("xid-reported", "a process has failed on the GPU", dataclasses.replace(healthy(), worked=watched().worked, xids=(xid(31),))),
    (
        "nvml-failed",
        "NVML answers no more",
        dataclasses.replace(change(healthy(), "nvml", init=999, gpus=UNTRIED), worked=watched().worked),
    ),
    (
        "memory-held-by-strangers",
        "much more is used than we do",
        nvml_gpu_changed(healthy(), 0, memory_used=60 * GIB, users=watched().nvml.gpus[0].users),
    ),
]

NO_ANSWER = dataclasses.replace(SICK, nvml=DENIED)

# Facts that cannot tell whether a fault is there.
UNDECIDED: list[tuple[str, Facts]] = [
    *((name, change(SICK, "devices", nodes=DENIED)) for name in (
        "gpu-not-granted", "driver-not-injected", "nvidiactl-missing", "gpu-node-missing", "gpu-node-wrong", "uvm-node-missing", "uvm-major-stale",
        "device-cgroup-denies", "device-mode-forbids", "uvm-open-fails",
    )),
    ("uvm-module-absent", change(SICK_UVM, "devices", majors=DENIED)),
    ("driver-not-injected", change(change(SICK, "driver", version=GONE), "devices", majors=DENIED)),
    ("driver-not-injected", shallow(change(change(SICK, "driver", version=GONE), "devices", majors={}, nodes=(char(GPU0, 195, 0),)))),
    ("uvm-major-stale", change(SICK_UVM, "devices", majors=DENIED)),
    ("uvm-open-fails", with_node(SICK_UVM, UVM, opened=UNTRIED)),
    ("device-cgroup-denies", shallow(SICK)),
    ("device-mode-forbids", shallow(SICK)),
    *((name, lib(SICK, DENIED)) for name in ("stub-libcuda", "empty-library", "library-off-path", "driver-library-mismatch", "compat-library-active")),
    ("compute-not-enabled", lib(SICK, DENIED)),
    ("driver-library-mismatch", change(SICK, "driver", version=DENIED)),
    ("visible-devices-invalid", change(dataclasses.replace(masked("7"), nvml=DENIED), "devices", nodes=DENIED)),
    ("visible-devices-invalid", driver(dataclasses.replace(masked(uuids(7)), nvml=DENIED), ())),
    ("address-space-limit", change(SICK, "limits", address_space=DENIED)),
    ("descriptor-limit", change(SICK, "limits", descriptors=DENIED)),
    ("gpu-lost", NO_ANSWER),
    ("cuda-error-unexplained", dataclasses.replace(healthy(), cuda=UNTRIED)),
    ("driver-too-old", SICK),
]  # fmt: skip


def names(diagnosis: Diagnosis) -> str:
    return " ".join(finding.fault.id for finding in diagnosis.findings)


@pytest.mark.parametrize(("expected", "case", "facts"), ILL, ids=lambda value: value if isinstance(value, str) else "")
def test_each_cause_is_named_and_nothing_else(expected: str, case: str, facts: Facts) -> None:
    diagnosis = diagnose(facts)
    assert names(diagnosis) == expected
    assert diagnosis.root_cause is not None
    assert diagnosis.root_cause.evidence.stops


@pytest.mark.parametrize(("case", "facts"), HEALTHY, ids=lambda value: value if isinstance(value, str) else "")
def test_nothing_is_found_on_a_machine_where_cuda_is_proven(case: str, facts: Facts) -> None:
    diagnosis = diagnose(facts)
    assert (names(diagnosis), diagnosis.undecided) == ("", ())
    assert diagnosis.usable >= 1


@pytest.mark.parametrize(("expected", "case", "facts"), USABLE_BUT_ILL, ids=lambda value: value if isinstance(value, str) else "")
def test_a_fault_that_leaves_cuda_working_is_found_and_does_not_stop(expected: str, case: str, facts: Facts) -> None:
    diagnosis = diagnose(facts)
    assert names(diagnosis) == expected
    assert diagnosis.usable >= 1
    assert not any(finding.evidence.stops for finding in diagnosis.findings)


@pytest.mark.parametrize(("fault", "facts"), UNDECIDED, ids=lambda value: value if isinstance(value, str) else "")
def test_what_the_facts_cannot_tell_is_undecided(fault: str, facts: Facts) -> None:
    diagnosis = diagnose(facts)
    assert fault in dict(diagnosis.undecided)
    assert fault not in names(diagnosis).split()


def test_every_fault_of_the_machine_has_a_machine_that_shows_it() -> None:
    shown = {name for expected, _, _ in [*ILL, *USABLE_BUT_ILL] for name in expected.split()}
    assert shown == {fault.id for fault in OF_THE_MACHINE}


def test_a_sign_that_stops_cuda_goes_before_one_that_does_not() -> None:
    facts = lib(init_fails(variables(healthy(), CUDA_VISIBLE_DEVICES="8"), 100), library(), STUB)
    diagnosis = diagnose(facts)
    assert names(diagnosis) == "stub-libcuda visible-devices-invalid"
    assert diagnosis.root_cause is not None
    assert diagnosis.root_cause.fault.id == "visible-devices-invalid"


def test_one_bad_gpu_leaves_the_others_usable() -> None:
    diagnosis = diagnose(variables(context_fails(healthy(4), 46, 2), RUNPOD_GPU_COUNT="4"))
    assert (names(diagnosis), diagnosis.usable, diagnosis.expected) == ("gpu-busy", 3, 4)


@pytest.mark.parametrize("facts", [facts for _, _, facts in ILL], ids=[f"{name}-{case}" for name, case, _ in ILL])
def test_recorded_facts_give_the_same_diagnosis(facts: Facts) -> None:
    assert diagnose(decode(encode(facts))) == diagnose(facts)


def test_the_findings_keep_the_order_of_the_catalogue() -> None:
    order = [fault.id for fault in CATALOGUE]
    shuffled = random.Random(7).sample(ILL, len(ILL))
    for _, _, facts in shuffled:
        places = [order.index(finding.fault.id) for finding in diagnose(facts).findings]
        assert places == sorted(places)


def test_a_gpu_that_cuda_found_and_nobody_proved_is_not_usable() -> None:
    untold = cuda_gpu(0, kernel=UNTRIED, proven=UNTRIED)
    facts = change(healthy(), "cuda", gpus=(untold,))
    assert diagnose(facts).usable == 0
    assert "cuda-error-unexplained" in dict(diagnose(facts).undecided)


def test_char_devices_of_another_kind_do_not_confuse_the_count() -> None:
    extra = (*nodes(0), char("/dev/nvidia-caps/nvidia-cap1", 237, 1), char("/dev/nvidia-modeset", 195, 254))
    assert diagnose(change(healthy(), "devices", nodes=extra)).expected == 1


def test_gpus_that_only_work_one_by_one_are_no_whole_proof() -> None:
    facts = change(variables(healthy(2), RUNPOD_GPU_COUNT="2"), "cuda", init=999)
    assert names(diagnose(facts)) == "cuda-error-unexplained"
