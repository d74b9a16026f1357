"""Facts: what is true of a machine, as plain data.

Every field holds a value or an `Unknown` with the reason. Nothing here reads the machine and nothing here judges;
`encode` and `decode` carry facts to JSON and back without loss, so that a user's facts.json can be diagnosed on a laptop.
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NoReturn, Union

# The shape of the JSON below. Raise it when a field changes its meaning or goes away; a new field with a default is no change.
FACTS_VERSION = 1


class Cause(Enum):
    """Why a fact is not established."""

    NOT_ASKED = "not asked"  # nobody tried: not needed, or not asked for
    ABSENT = "absent"  # the thing that would tell is not there
    DENIED = "denied"  # it is there, and we may not read it
    FAILED = "failed"  # it answered with an error, or with something we cannot read
    HUNG = "hung"  # it did not answer within its deadline
    CRASHED = "crashed"  # the process that asked died


@dataclass(frozen=True)
class Unknown:
    """A fact that is not established, and why. It is neither true nor false: testing it raises."""

    reason: str
    cause: Cause = Cause.FAILED

    def __bool__(self) -> NoReturn:
        raise TypeError(f"an unknown fact is neither true nor false: {self.reason}")

    def __str__(self) -> str:
        return f"unknown: {self.reason}"


NOT_ASKED = Unknown("not asked", Cause.NOT_ASKED)


class NodeKind(Enum):
    """What a path under /dev is."""

    CHAR = "char"
    BLOCK = "block"
    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"  # one that leads nowhere; others are followed
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One device node, /dev/nvidia*.

    `opened` is the errno of a real open(O_RDWR): 0 when it opened. Unknown with Cause.HUNG when the open blocked.
    """

    path: str
    kind: NodeKind
    major: int = 0  # 0 unless char or block
    minor: int = 0
    mode: int = 0  # permission bits, e.g. 0o666
    uid: int = 0
    gid: int = 0
    opened: int | Unknown = NOT_ASKED


@dataclass(frozen=True, kw_only=True)
class Devices:
    """Device nodes and the majors that the kernel has now.

    `nodes` are /dev/nvidia* and /dev/nvidia-caps/*, sorted by path. `majors` are the "nvidia…" lines of /proc/devices,
    by driver name: {"nvidia": 195, "nvidia-uvm": 234} ("nvidia-frontend" on older drivers). `dev_options` are the mount
    options of /dev (a "nodev" there makes every open fail with EACCES).
    """

    nodes: tuple[Node, ...] | Unknown
    majors: Mapping[str, int] | Unknown
    dev_options: tuple[str, ...] | Unknown = NOT_ASKED


@dataclass(frozen=True, kw_only=True)
class KernelGpu:
    """One GPU as the kernel driver lists it: /proc/driver/nvidia/gpus/<bus id>/information."""

    bus_id: str  # "0000:8d:00.0"
    minor: int | Unknown  # the N of /dev/nvidiaN
    uuid: str | Unknown  # "GPU-…"; the driver prints "GPU-????????-…" until the GPU was first opened: Unknown then
    model: str | Unknown
    excluded: bool | Unknown = NOT_ASKED


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The kernel driver as /proc shows it. `version` is Unknown(ABSENT) when no NVIDIA driver is loaded or visible."""

    version: str | Unknown  # "580.159.04"
    params: Mapping[str, str] | Unknown  # /proc/driver/nvidia/params, e.g. {"ModifyDeviceFiles": "1"}
    gpus: tuple[KernelGpu, ...] | Unknown  # in a container: those granted, or all of the host's (CDI)
    modules: tuple[str, ...] | Unknown = NOT_ASKED  # the "nvidia…" names of /proc/modules
    kernel: str | Unknown = NOT_ASKED  # uname -r


class LibraryKind(Enum):
    """What a library file is, told from its bytes."""

    DRIVER = "driver"  # the real user-mode driver
    STUB = "stub"  # a link-time stand-in that can never work
    COMPAT = "compat"  # a forward-compatibility libcuda: it carries an ELF note
    EMPTY = "empty"  # zero bytes
    FOREIGN = "foreign"  # no ELF file of this machine's architecture
    UNREADABLE = "unreadable"


@dataclass(frozen=True, kw_only=True)
class CompatNote:
    """The .note.cuda.fwd_compatibility of a compat libcuda."""

    cuda_version: str  # "12.8"
    drivers: tuple[int, ...]  # majors of the kernel drivers that it supports
    devices: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Library:
    """One file that could be loaded for `soname`."""

    soname: str  # "libcuda.so.1" or "libnvidia-ml.so.1"
    path: str  # as found
    real_path: str
    size: int  # bytes
    kind: LibraryKind
    version: str | Unknown  # from the real name, "580.159.04"; Unknown where it has none
    found_in: str  # "LD_LIBRARY_PATH", "ld.so.cache", "default directories", "mounts", "well-known directories"
    compat: CompatNote | None = None


@dataclass(frozen=True, kw_only=True)
class Libraries:
    """Which file the loader would take for each soname, and every other file on the machine that it could take.

    `libcuda` and `nvml` are what a fresh process with today's LD_LIBRARY_PATH would get (Unknown(ABSENT) when the loader
    finds none). `candidates` holds every file found, on the search path or off it, in the order of search, the chosen ones too.
    """

    libcuda: Library | Unknown
    nvml: Library | Unknown
    candidates: tuple[Library, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Environment:
    """Variables that matter to CUDA (CUDA_*, NVIDIA_*, LD_LIBRARY_PATH, LD_PRELOAD, RUNPOD_GPU_COUNT, …), ours and PID 1's.

    Only names on the probe's list are kept: no secret can be among them.
    """

    variables: Mapping[str, str]
    pid1: Mapping[str, str] | Unknown  # the same names as PID 1 got them: /proc/1/environ
    ld_so_preload: tuple[str, ...] | Unknown = NOT_ASKED  # /etc/ld.so.preload


@dataclass(frozen=True, kw_only=True)
class Confinement:
    """Who we are and what the container keeps from us."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    capabilities: tuple[str, ...] | Unknown  # effective, "CAP_MKNOD"
    seccomp: int | Unknown  # 0 off, 1 strict, 2 filter
    cgroup: tuple[str, ...] | Unknown  # lines of /proc/self/cgroup
    device_rules: tuple[str, ...] | Unknown = NOT_ASKED  # cgroup v1 devices.list; v2 keeps them in BPF: ABSENT
    is_pid1: bool = False
    security_label: str | Unknown = NOT_ASKED  # /proc/self/attr/current


@dataclass(frozen=True, kw_only=True)
class Limit:
    """A resource limit; None means unlimited."""

    soft: int | None
    hard: int | None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits that CUDA feels."""

    address_space: Limit | Unknown  # RLIMIT_AS, bytes
    descriptors: Limit | Unknown  # RLIMIT_NOFILE
    overcommit: int | Unknown = NOT_ASKED  # vm.overcommit_memory
    memory_available: int | Unknown = NOT_ASKED  # MemAvailable, bytes


@dataclass(frozen=True, kw_only=True)
class GpuUser:
    """A compute process on a GPU, as NVML shows it. Drivers since about 535 show a container only its own."""

    pid: int
    memory: int | Unknown  # bytes of GPU memory
    here: bool  # /proc has a process of this pid: it is one of this container


@dataclass(frozen=True, kw_only=True)
class NvmlGpu:
    """One GPU as NVML sees it. `error` is the NVML code that its handle gave: 15 lost, 16 reset required, 0 well."""

    index: int
    error: int = 0
    uuid: str | Unknown = NOT_ASKED
    minor: int | Unknown = NOT_ASKED
    bus_id: str | Unknown = NOT_ASKED
    name: str | Unknown = NOT_ASKED
    capability: tuple[int, int] | Unknown = NOT_ASKED
    memory_total: int | Unknown = NOT_ASKED  # bytes
    memory_used: int | Unknown = NOT_ASKED
    compute_mode: int | Unknown = NOT_ASKED  # 0 default, 2 prohibited, 3 exclusive process
    persistence: bool | Unknown = NOT_ASKED
    mig: bool | Unknown = NOT_ASKED
    mig_uuids: tuple[str, ...] | Unknown = NOT_ASKED
    fabric_state: int | Unknown = NOT_ASKED  # 0 not supported, 1 not started, 2 in progress, 3 completed
    fabric_status: int | Unknown = NOT_ASKED  # an nvmlReturn_t, valid once completed
    recovery_action: int | Unknown = NOT_ASKED  # field 230: 0 none, 1 GPU reset, 2 node reboot, …
    ecc_uncorrected: int | Unknown = NOT_ASKED  # volatile
    remap_pending: bool | Unknown = NOT_ASKED
    remap_failed: bool | Unknown = NOT_ASKED
    processes: int | Unknown = NOT_ASKED  # compute processes on it, strangers' too
    users: tuple[GpuUser, ...] | Unknown = NOT_ASKED  # those processes one by one; asked by the watch alone


@dataclass(frozen=True, kw_only=True)
class Nvml:
    """What NVML says, asked in a child."""

    init: int | Unknown  # nvmlReturn_t: 0 well, 4 no permission, 9 driver not loaded, 18 mismatch, 999 unknown
    driver_version: str | Unknown = NOT_ASKED
    cuda_version: int | Unknown = NOT_ASKED  # 13000 for 13.0: the newest CUDA that the driver speaks
    gpus: tuple[NvmlGpu, ...] | Unknown = NOT_ASKED


@dataclass(frozen=True, kw_only=True)
class CudaGpu:
    """One GPU as CUDA sees it, and its proof.

    `context` and `kernel` are CUresult codes, 0 well; `kernel` is the first code that failed on the way from loading the
    module to copying the result back. `proven` is True only when the kernel's result was checked and right.
    """

    ordinal: int
    uuid: str | Unknown = NOT_ASKED  # "GPU-…"
    bus_id: str | Unknown = NOT_ASKED
    name: str | Unknown = NOT_ASKED
    capability: tuple[int, int] | Unknown = NOT_ASKED
    memory_total: int | Unknown = NOT_ASKED  # bytes
    context: int | Unknown = NOT_ASKED
    kernel: int | Unknown = NOT_ASKED
    proven: bool | Unknown = NOT_ASKED


@dataclass(frozen=True, kw_only=True)
class Cuda:
    """What CUDA's driver API says in one fresh child.

    `library` is the file that dlopen took, Unknown with the loader's own words when it took none. `seconds` names how long
    each step took: {"load": …, "init": …, "context": …, "kernel": …}.
    """

    library: str | Unknown
    driver_version: int | Unknown = NOT_ASKED  # 13000: the CUDA version that libcuda speaks; works before cuInit
    init: int | Unknown = NOT_ASKED  # CUresult of cuInit
    count: int | Unknown = NOT_ASKED
    gpus: tuple[CudaGpu, ...] = ()
    nodes_created: tuple[str, ...] = ()  # device nodes that were not there before libcuda ran, and are now
    visible_devices: str | Unknown = NOT_ASKED  # the CUDA_VISIBLE_DEVICES that this child ran with; ABSENT when unset
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Torch:
    """What the app's own PyTorch says, asked in the app's interpreter."""

    interpreter: str
    version: str | Unknown
    cuda_build: str | Unknown = NOT_ASKED  # "13.0"; Unknown(ABSENT) for a CPU build
    arch_list: tuple[str, ...] | Unknown = NOT_ASKED  # ("sm_80", "sm_90", "compute_120")
    available: bool | Unknown = NOT_ASKED
    device_count: int | Unknown = NOT_ASKED
    message: str | Unknown = NOT_ASKED  # what torch said when it failed


@dataclass(frozen=True, kw_only=True)
class Xid:
    """An error of a GPU, as the kernel driver has reported it in the kernel's log since the app became ready."""

    number: int
    bus_id: str  # "0000:8d:00": the driver leaves the function out
    text: str  # "NVRM: Xid (PCI:0000:8d:00): 79, GPU has fallen off the bus."
    new: bool = True  # reported since the last look


@dataclass(frozen=True, kw_only=True)
class Worked:
    """What has worked already, in a look at a machine whose app runs: CUDA was proven before that app was started."""

    nodes: tuple[str, ...]  # those that CUDA worked through
    nvml: Nvml | Unknown = NOT_ASKED  # what NVML said at the first look that it answered


@dataclass(frozen=True, kw_only=True)
class Facts:
    """All that is known of one machine at one moment."""

    devices: Devices
    driver: Driver
    libraries: Libraries
    environment: Environment
    confinement: Confinement
    limits: Limits
    nvml: Nvml | Unknown = NOT_ASKED
    cuda: Cuda | Unknown = NOT_ASKED
    torch: Torch | Unknown = NOT_ASKED
    xids: tuple[Xid, ...] | Unknown = NOT_ASKED  # of all GPUs of the host
    worked: Worked | Unknown = NOT_ASKED
    taken_at: str = ""  # ISO 8601, UTC
    version: int = FACTS_VERSION


def encode(value: Any) -> Any:
    """Facts as JSON-ready data: dataclasses become objects, Unknown becomes {"unknown": reason, "cause": cause}."""
    if isinstance(value, Unknown):
        return {"unknown": value.reason, "cause": value.cause.value}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: encode(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    return value


def decode(data: Any) -> Facts:
    """Facts from what `encode` gave, after a trip through JSON.

    Raises:
        ValueError: the data is not that of facts, or of another version. The message says which part, and begins "cannot".
    """
    if not isinstance(data, dict) or "version" not in data:
        raise ValueError("cannot read the facts: this is not a facts file (no version)")
    if data["version"] != FACTS_VERSION:
        raise ValueError(
            f"cannot read the facts: they are of version {data['version']!r}, and this firstlight reads version {FACTS_VERSION}"
        )
    facts: Facts = _decode(Facts, data, "facts")
    return facts


def _decode(kind: Any, data: Any, where: str) -> Any:
    """`data` as a value of the annotated type `kind`."""
    origin = typing.get_origin(kind)
    if origin in (Union, types.UnionType):
        return _decode_union(typing.get_args(kind), data, where)
    if origin is tuple:
        return _decode_tuple(typing.get_args(kind), data, where)
    if origin is Mapping:
        if not isinstance(data, dict):
            raise ValueError(f"cannot read the facts: {where} is not an object")
        value_kind = typing.get_args(kind)[1]
        return {str(key): _decode(value_kind, item, f"{where}.{key}") for key, item in data.items()}
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _decode_dataclass(kind, data, where)
    if isinstance(kind, enum.EnumMeta):
        try:
            return kind(data)
        except ValueError:
            raise ValueError(f"cannot read the facts: {where} is {data!r}") from None
    return _decode_plain(kind, data, where)


def _decode_plain(kind: Any, data: Any, where: str) -> Any:
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise ValueError(f"cannot read the facts: {where} is {data!r}, not {kind.__name__}")
    return data


def _decode_union(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if data is None and type(None) in kinds:
        return None
    if isinstance(data, dict) and "unknown" in data and Unknown in kinds:
        return Unknown(str(data["unknown"]), Cause(data.get("cause", Cause.FAILED.value)))
    known = [kind for kind in kinds if kind not in (Unknown, type(None))]
    return _decode(known[0], data, where)


def _decode_tuple(kinds: tuple[Any, ...], data: Any, where: str) -> Any:
    if not isinstance(data, list):
        raise ValueError(f"cannot read the facts: {where} is not a list")
    if kinds[-1] is Ellipsis:
        return tuple(_decode(kinds[0], item, f"{where}[{place}]") for place, item in enumerate(data))
    if len(kinds) != len(data):
        raise ValueError(f"cannot read the facts: {where} has {len(data)} entries, not {len(kinds)}")
    return tuple(_decode(kind, item, f"{where}[{place}]") for place, (kind, item) in enumerate(zip(kinds, data, strict=True)))


def _decode_dataclass(kind: type, data: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise ValueError(f"cannot read the facts: {where} is not an object")
    hints = typing.get_type_hints(kind)
    known = {item.name: item for item in dataclasses.fields(kind)}
    values = {name: _decode(hints[name], item, f"{where}.{name}") for name, item in data.items() if name in known}
    missing = [
        name
        for name, item in known.items()
        if name not in values and item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise ValueError(f"cannot read the facts: {where} has no {missing[0]!r}")
    return kind(**values)
