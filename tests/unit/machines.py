"""Facts of machines, for tests: one healthy GPU container, and the ways in which it can differ."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from firstlight.probe.facts import (
    Cause,
    CompatNote,
    Confinement,
    Cuda,
    CudaGpu,
    Devices,
    Driver,
    Environment,
    Facts,
    GpuUser,
    KernelGpu,
    Libraries,
    Library,
    LibraryKind,
    Limit,
    Limits,
    Node,
    NodeKind,
    Nvml,
    NvmlGpu,
    Torch,
    Unknown,
    Worked,
    Xid,
)
from firstlight.system.process import Process

VERSION = "580.159.04"
FOLDER = "/usr/lib/x86_64-linux-gnu"
GONE = Unknown("it is not there", Cause.ABSENT)
DENIED = Unknown("Permission denied", Cause.DENIED)
HUNG = Unknown("no answer within 30 s", Cause.HUNG)
CRASHED = Unknown("the probe died of signal 11", Cause.CRASHED)
GIB = 1 << 30


def uuid(number: int) -> str:
    return f"GPU-{number:08x}-1111-2222-3333-444444444444"


def bus(number: int) -> str:
    return f"0000:{0x40 + number:02x}:00.0"


def char(path: str, major: int, minor: int, **changes: Any) -> Node:
    return dataclasses.replace(Node(path=path, kind=NodeKind.CHAR, major=major, minor=minor, mode=0o666, opened=0), **changes)


def nodes(*minors: int, uvm: int = 234) -> tuple[Node, ...]:
    shared = (char("/dev/nvidia-uvm", uvm, 0), char("/dev/nvidia-uvm-tools", uvm, 1), char("/dev/nvidiactl", 195, 255))
    return tuple(sorted((*shared, *(char(f"/dev/nvidia{minor}", 195, minor) for minor in minors)), key=lambda node: node.path))


def library(soname: str = "libcuda.so.1", **changes: Any) -> Library:
    stem = soname.rsplit(".", 1)[0]
    version = changes.get("version", VERSION)
    folder = changes.pop("folder", FOLDER)
    plain = Library(
        soname=soname,
        path=f"{folder}/{soname}",
        real_path=f"{folder}/{stem}.{version}",
        size=90_000_000,
        kind=LibraryKind.DRIVER,
        version=version,
        found_in="ld.so.cache",
    )
    return dataclasses.replace(plain, **changes)


def compat(**changes: Any) -> Library:
    note = CompatNote(cuda_version="12.8", drivers=(535, 550))
    return library(
        folder="/usr/local/cuda/compat", kind=LibraryKind.COMPAT, version="570.124.06", compat=note, found_in="LD_LIBRARY_PATH", **changes
    )


def libraries(chosen: Library | Unknown, *others: Library, nvml: Library | Unknown | None = None) -> Libraries:
    manager = library("libnvidia-ml.so.1") if nvml is None else nvml
    found = tuple(item for item in (chosen, *others, manager) if isinstance(item, Library))
    return Libraries(libcuda=chosen, nvml=manager, candidates=found)


def cuda_gpu(ordinal: int, **changes: Any) -> CudaGpu:
    proven = CudaGpu(
        ordinal=ordinal, uuid=uuid(ordinal), bus_id=bus(ordinal), name="NVIDIA H100 80GB HBM3", context=0, kernel=0, proven=True
    )
    return dataclasses.replace(proven, **changes)


def nvml_gpu(index: int, **changes: Any) -> NvmlGpu:
    well = NvmlGpu(
        index=index,
        uuid=uuid(index),
        minor=index,
        bus_id=bus(index),
        name="NVIDIA H100 80GB HBM3",
        memory_total=80 * GIB,
        memory_used=GIB,
        compute_mode=0,
        mig=False,
        fabric_state=3,
        fabric_status=0,
        recovery_action=0,
        processes=0,
    )
    return dataclasses.replace(well, **changes)


def healthy(gpus: int = 1) -> Facts:
    """A container with this many GPUs, probed to the depth, CUDA proven."""
    numbers = range(gpus)
    return Facts(
        devices=Devices(nodes=nodes(*numbers), majors={"nvidia": 195, "nvidia-caps": 237, "nvidia-uvm": 234}, dev_options=("rw", "nosuid")),
        driver=Driver(
            version=VERSION,
            params={"ModifyDeviceFiles": "0"},
            gpus=tuple(KernelGpu(bus_id=bus(n), minor=n, uuid=uuid(n), model="NVIDIA H100 80GB HBM3") for n in numbers),
        ),
        libraries=libraries(library()),
        environment=Environment(variables={"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"}, pid1={}),
        confinement=Confinement(uid=0, gid=0, groups=(0,), capabilities=("CAP_DAC_OVERRIDE",), seccomp=2, cgroup=("0::/",)),
        limits=Limits(address_space=Limit(soft=None, hard=None), descriptors=Limit(soft=1024, hard=1_048_576)),
        nvml=Nvml(init=0, driver_version=VERSION, cuda_version=13000, gpus=tuple(nvml_gpu(n) for n in numbers)),
        cuda=Cuda(
            library=f"{FOLDER}/libcuda.so.{VERSION}", driver_version=13000, init=0, count=gpus, gpus=tuple(cuda_gpu(n) for n in numbers)
        ),
        taken_at="2026-11-23T20:00:00.000Z",
    )


def bare() -> Facts:
    """A machine without any sign of a GPU."""
    return Facts(
        devices=Devices(nodes=(), majors={}),
        driver=Driver(version=GONE, params=GONE, gpus=GONE),
        libraries=Libraries(libcuda=GONE, nvml=GONE),
        environment=Environment(variables={}, pid1={}),
        confinement=Confinement(uid=1000, gid=1000, groups=(1000,), capabilities=(), seccomp=0, cgroup=("0::/",)),
        limits=Limits(address_space=Limit(soft=None, hard=None), descriptors=Limit(soft=1024, hard=4096)),
        cuda=Cuda(library=Unknown("libcuda.so.1: cannot open shared object file: No such file or directory", Cause.ABSENT)),
    )


def change(facts: Facts, part: str, **changes: Any) -> Facts:
    """The same facts with fields of one part replaced: change(facts, "devices", majors={})."""
    return dataclasses.replace(facts, **{part: dataclasses.replace(getattr(facts, part), **changes)})


def init_fails(facts: Facts, code: int) -> Facts:
    """cuInit gives this code, so nothing after it was asked."""
    cuda = facts.cuda
    assert isinstance(cuda, Cuda)
    return dataclasses.replace(facts, cuda=dataclasses.replace(cuda, init=code, count=Unknown("cuInit failed"), gpus=()))


def shows(facts: Facts, count: int) -> Facts:
    """CUDA shows and proves this many GPUs."""
    cuda = facts.cuda
    assert isinstance(cuda, Cuda)
    return dataclasses.replace(facts, cuda=dataclasses.replace(cuda, count=count, gpus=tuple(cuda_gpu(n) for n in range(count))))


def cuda_gpu_changed(facts: Facts, ordinal: int, **changes: Any) -> Facts:
    """One GPU answers CUDA differently."""
    cuda = facts.cuda
    assert isinstance(cuda, Cuda)
    changed = tuple(dataclasses.replace(gpu, **changes) if gpu.ordinal == ordinal else gpu for gpu in cuda.gpus)
    return dataclasses.replace(facts, cuda=dataclasses.replace(cuda, gpus=changed))


def context_fails(facts: Facts, code: int, ordinal: int = 0) -> Facts:
    """cuInit works, and the context on one GPU gives this code."""
    return cuda_gpu_changed(facts, ordinal, context=code, kernel=Unknown("no context"), proven=False)


def nvml_gpu_changed(facts: Facts, index: int, **changes: Any) -> Facts:
    """One GPU answers NVML differently."""
    nvml = facts.nvml
    assert isinstance(nvml, Nvml)
    assert isinstance(nvml.gpus, tuple)
    changed = tuple(dataclasses.replace(gpu, **changes) if gpu.index == index else gpu for gpu in nvml.gpus)
    return dataclasses.replace(facts, nvml=dataclasses.replace(nvml, gpus=changed))


def without_node(facts: Facts, *paths: str) -> Facts:
    """These nodes are not there."""
    assert isinstance(facts.devices.nodes, tuple)
    return change(facts, "devices", nodes=tuple(node for node in facts.devices.nodes if node.path not in paths))


def with_node(facts: Facts, path: str, /, **changes: Any) -> Facts:
    """One node differs."""
    assert isinstance(facts.devices.nodes, tuple)
    changed = tuple(dataclasses.replace(node, **changes) if node.path == path else node for node in facts.devices.nodes)
    return change(facts, "devices", nodes=changed)


def without_major(facts: Facts, name: str) -> Facts:
    """The kernel has no driver of this name."""
    assert not isinstance(facts.devices.majors, Unknown)
    return change(facts, "devices", majors={key: value for key, value in facts.devices.majors.items() if key != name})


def variables(facts: Facts, **values: str) -> Facts:
    """These environment variables are set as well."""
    return change(facts, "environment", variables={**facts.environment.variables, **values})


def shallow(facts: Facts) -> Facts:
    """What the quick path knows: NVML was not asked, and no GPU node was opened."""
    not_asked = Unknown("not asked", Cause.NOT_ASKED)
    assert isinstance(facts.devices.nodes, tuple)
    closed = tuple(
        dataclasses.replace(node, opened=not_asked) if node.path[len("/dev/nvidia") :].isdigit() else node for node in facts.devices.nodes
    )
    return dataclasses.replace(change(facts, "devices", nodes=closed), nvml=not_asked)


def lib(facts: Facts, chosen: Library | Unknown, *others: Library, nvml: Library | Unknown | None = None) -> Facts:
    return dataclasses.replace(facts, libraries=libraries(chosen, *others, nvml=nvml))


def masked(value: str, gpus: int = 1, *, count: int | None = None) -> Facts:
    """CUDA_VISIBLE_DEVICES is `value`, and CUDA shows `count` GPUs (None: cuInit gives 100)."""
    facts = variables(healthy(gpus), CUDA_VISIBLE_DEVICES=value)
    return init_fails(facts, 100) if count is None else shows(facts, count)


def driver(facts: Facts, gpus: tuple[KernelGpu, ...]) -> Facts:
    return change(facts, "driver", gpus=gpus)


def torch(**changes: object) -> Torch:
    return dataclasses.replace(Torch(interpreter="/venv/bin/python", version="2.11.0+cu130", cuda_build="13.0"), **changes)  # type: ignore[arg-type]


def old_driver(spoken: int = 12080) -> Facts:
    facts = healthy()
    assert isinstance(facts.cuda, Cuda)
    return dataclasses.replace(facts, cuda=dataclasses.replace(facts.cuda, driver_version=spoken))


def with_compat(facts: Facts, kernel: str, spoken: int) -> Facts:
    """The compat library is chosen on this kernel driver, whose own libraries speak CUDA up to `spoken`."""
    facts = change(change(facts, "driver", version=kernel), "nvml", cuda_version=spoken)
    return lib(facts, compat(), nvml=library("libnvidia-ml.so.1", version=kernel))


def unloadable(facts: Facts, words: str) -> Facts:
    return dataclasses.replace(facts, cuda=Cuda(library=Unknown(words)))


def uuids(*numbers: int) -> str:
    return ",".join(uuid(number) for number in numbers)


CTL, UVM, GPU0 = "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0"
SICK = init_fails(healthy(), 100)
SICK_UVM = init_fails(healthy(), 999)
STUB = library(folder="/usr/local/cuda/lib64/stubs", kind=LibraryKind.STUB, size=80_000, version=GONE, found_in="LD_LIBRARY_PATH")
EMPTY = library(folder="/opt/lib", kind=LibraryKind.EMPTY, size=0, found_in="LD_LIBRARY_PATH")
OLD = library(folder="/opt/lib", version="550.54.14", found_in="LD_LIBRARY_PATH")
OLD_COMPAT = library(folder="/usr/local/cuda-11.8/compat", version="520.61.05")
NO_LIBRARY = Unknown("the loader finds no libcuda.so.1", Cause.ABSENT)
KIB = 1024
ALL_NODES = tuple(node.path for node in nodes(0))
UNTRIED = Unknown("not asked", Cause.NOT_ASKED)


def watched(gpus: int = 1) -> Facts:
    """What a look finds while an app computes on every GPU of a healthy container."""
    facts = healthy(gpus)
    users = (GpuUser(pid=17, memory=GIB // 2, here=True),)
    for number in range(gpus):
        facts = nvml_gpu_changed(facts, number, processes=1, users=users)
    used = tuple(node.path for node in nodes(*range(gpus)) if node.path != "/dev/nvidia-uvm-tools")
    return dataclasses.replace(facts, cuda=UNTRIED, xids=(), worked=Worked(nodes=used, nvml=facts.nvml))


def xid(number: int, gpu: int = 0, **changes: Any) -> Xid:
    place = bus(gpu).partition(".")[0]
    return dataclasses.replace(Xid(number=number, bus_id=place, text=f"NVRM: Xid (PCI:{place}): {number}, it broke"), **changes)


def process(*steps: dict[str, Any], status: int | None = 0, tail: bytes = b"", errors: bytes = b"") -> Process:
    """A program that has printed these steps and ended (status None: it still runs)."""
    made = Process("program", 1, group=True)
    made.status = status
    made.output += b"".join(json.dumps(step).encode() + b"\n" for step in steps) + tail
    made.errors += errors
    return made
