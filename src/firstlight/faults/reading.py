"""How faults read facts: the few questions that several of them ask. Pure, and free of judgement."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

from firstlight.probe.facts import (
    Cause,
    Cuda,
    CudaGpu,
    Facts,
    Library,
    LibraryKind,
    Node,
    NodeKind,
    Nvml,
    NvmlGpu,
    Unknown,
    Worked,
)

T = TypeVar("T")

CONTROL_NODE = "/dev/nvidiactl"
UVM_NODE = "/dev/nvidia-uvm"
CONTROL_MINOR = 255
# Fixed in the kernel driver, unlike nvidia-uvm's, which the kernel hands out anew at each load of the module.
NVIDIA_MAJOR = 195

_GPU_NODE = re.compile(r"/dev/nvidia([0-9]+)\Z")


def known(value: T | Unknown) -> T | None:
    """The value, or None where it is not known."""
    return None if isinstance(value, Unknown) else value


def hung(value: object) -> bool:
    """Whether whatever would have told this did not answer."""
    return isinstance(value, Unknown) and value.cause is Cause.HUNG


def absent(value: object) -> bool:
    """Whether the thing that would tell this is not there."""
    return isinstance(value, Unknown) and value.cause is Cause.ABSENT


def errno_name(number: int) -> str:
    """EPERM for 1."""
    return errno.errorcode.get(number, f"errno {number}")


def numbers(items: list[int] | tuple[int, ...]) -> str:
    """Such as: 0, 1 and 4."""
    words = [str(item) for item in items]
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


# --- what was before -------------------------------------------------------------------------------------------------


def worked(facts: Facts) -> Worked | None:
    """What has worked already, where these are facts of a look at an app that runs."""
    return known(facts.worked)


def nvml_before(facts: Facts, gpu: NvmlGpu) -> NvmlGpu | None:
    """The same GPU as NVML saw it at the first look."""
    before = worked(facts)
    nvml = known(before.nvml) if before else None
    gpus = (known(nvml.gpus) or ()) if nvml else ()
    return next((item for item in gpus if known(item.uuid) is not None and known(item.uuid) == known(gpu.uuid)), None)


# --- device nodes -----------------------------------------------------------------------------------------------------


def node(facts: Facts, path: str) -> Node | Unknown | None:
    """The node of this path; None where /dev was read and has none."""
    nodes = facts.devices.nodes
    if isinstance(nodes, Unknown):
        return nodes
    return next((item for item in nodes if item.path == path), None)


def is_gpu_path(path: str) -> bool:
    """Whether this is the path of a GPU's node."""
    return _GPU_NODE.match(path) is not None


def minor_in_path(item: Node) -> int | None:
    """The N of /dev/nvidiaN; None for every other node."""
    match = _GPU_NODE.match(item.path)
    return int(match.group(1)) if match else None


def gpu_nodes(facts: Facts) -> tuple[Node, ...] | Unknown:
    """Whatever is at /dev/nvidiaN, right or wrong."""
    nodes = facts.devices.nodes
    if isinstance(nodes, Unknown):
        return nodes
    return tuple(item for item in nodes if minor_in_path(item) is not None)


def gpu_major(facts: Facts) -> int:
    """The major of nvidiactl and of the GPU nodes."""
    majors = known(facts.devices.majors) or {}
    return majors.get("nvidia", majors.get("nvidia-frontend", NVIDIA_MAJOR))


def kernel_minors(facts: Facts) -> tuple[int, ...]:
    """The minors that the kernel driver has GPUs for; empty unless it told every one."""
    minors = [known(gpu.minor) for gpu in known(facts.driver.gpus) or ()]
    return tuple(sorted(minor for minor in minors if minor is not None)) if None not in minors else ()


def wrong_about(facts: Facts, item: Node) -> str | None:
    """What is wrong with a GPU node, as the end of a sentence that starts with its path; None when it is right."""
    if item.kind is not NodeKind.CHAR:
        return f"is a {item.kind.value}, not a character device"
    if item.major != gpu_major(facts):
        return f"has major {item.major}, but the kernel's nvidia driver has major {gpu_major(facts)}"
    if item.minor != minor_in_path(item):
        return f"has minor {item.minor}, but its name promises GPU {minor_in_path(item)}"
    minors = kernel_minors(facts)
    if minors and item.minor not in minors:
        return f"leads to minor {item.minor}, and the kernel driver has no such GPU: it has {numbers(minors)}"
    return None


def right_gpu_nodes(facts: Facts) -> tuple[Node, ...]:
    """The GPU nodes that lead to a GPU. Empty too where /dev could not be read."""
    return tuple(item for item in known(gpu_nodes(facts)) or () if wrong_about(facts, item) is None)


def needed_nodes(facts: Facts) -> tuple[Node, ...] | Unknown:
    """The nodes that CUDA opens, as far as they are there and right: nvidiactl, nvidia-uvm, each GPU."""
    nodes = facts.devices.nodes
    if isinstance(nodes, Unknown):
        return nodes
    shared = tuple(item for item in nodes if item.path in (CONTROL_NODE, UVM_NODE) and item.kind is NodeKind.CHAR)
    return shared + right_gpu_nodes(facts)


def refused(facts: Facts, number: int, gpus_needed: int) -> tuple[Node, ...] | Unknown:
    """The nodes whose open gave the errno `number` and that CUDA cannot do without; Unknown where an open was not tried.

    A GPU node that is refused does not count as long as `gpus_needed` others open: a container may see all the host's
    nodes and be allowed its own GPUs only.
    """
    nodes = needed_nodes(facts)
    if isinstance(nodes, Unknown):
        return nodes
    gpus = [item for item in nodes if minor_in_path(item) is not None]
    enough = sum(1 for item in gpus if known(item.opened) == 0) >= gpus_needed
    guilty = tuple(item for item in nodes if known(item.opened) == number and not (enough and item in gpus))
    untried = [item for item in nodes if isinstance(item.opened, Unknown) and not hung(item.opened)]
    if not guilty and untried and not enough:
        return Unknown(f"cannot tell whether {untried[0].path} opens: {untried[0].opened}", Cause.NOT_ASKED)
    return guilty


# --- libraries --------------------------------------------------------------------------------------------------------


def libcuda_files(facts: Facts, kind: LibraryKind) -> tuple[Library, ...]:
    """Every libcuda of this kind on the machine, in the order of search."""
    return tuple(item for item in facts.libraries.candidates if "libcuda" in item.soname and item.kind is kind)


def driver_libcuda(facts: Facts) -> tuple[Library, ...]:
    """Every libcuda of a driver proper, compat libraries not among them, in the order of search."""
    return tuple(item for item in libcuda_files(facts, LibraryKind.DRIVER) if not is_compat(item))


def driver_nvml(facts: Facts) -> tuple[Library, ...]:
    """Every libnvidia-ml of a driver on the machine, in the order of search."""
    return tuple(item for item in facts.libraries.candidates if "libnvidia-ml" in item.soname and item.kind is LibraryKind.DRIVER)


def is_compat(library: Library) -> bool:
    """Whether it is a forward-compatibility libcuda. Those of CUDA 11 carry no note, but live in a folder of that name."""
    return library.kind is LibraryKind.COMPAT or (library.kind is LibraryKind.DRIVER and "/compat/" in library.real_path)


def version_key(version: str) -> tuple[int, ...]:
    """Something to order "580.159.04" by; () where it is no version."""
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isascii() and part.isdigit() for part in parts) else ()


# --- what CUDA and NVML said ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CudaError:
    """One code that CUDA gave: where, and on which GPU (None: before any GPU)."""

    step: str  # "cuInit", "the context", "the kernel"
    code: int
    gpu: CudaGpu | None = None

    def __str__(self) -> str:
        return f"{self.step}{f' on GPU {self.gpu.ordinal}' if self.gpu else ''} gives {self.code}"


def asked_cuda(facts: Facts) -> Cuda | None:
    """What CUDA answered, if it was asked and did."""
    return known(facts.cuda)


def asked_nvml(facts: Facts) -> Nvml | None:
    """What NVML answered, if it was asked and did."""
    return known(facts.nvml)


def cuda_errors(facts: Facts) -> tuple[CudaError, ...]:
    """Every code other than 0 that CUDA gave, in the order of its steps."""
    return tuple(_cuda_errors(facts))


def _cuda_errors(facts: Facts) -> Iterator[CudaError]:
    cuda = asked_cuda(facts)
    if cuda is None:
        return
    if known(cuda.init):
        yield CudaError("cuInit", known(cuda.init) or 0)
    for gpu in cuda.gpus:
        if known(gpu.context):
            yield CudaError("the context", known(gpu.context) or 0, gpu)
        elif known(gpu.kernel):
            yield CudaError("the kernel", known(gpu.kernel) or 0, gpu)


def first_error(facts: Facts, *codes: int) -> CudaError | None:
    """The first of these codes that CUDA gave."""
    return next((error for error in cuda_errors(facts) if error.code in codes), None)


def nvml_gpus(facts: Facts) -> tuple[NvmlGpu, ...]:
    """The GPUs that NVML lists; none where it was not asked or failed."""
    nvml = asked_nvml(facts)
    return (known(nvml.gpus) or ()) if nvml else ()


def nvml_gpu(facts: Facts, gpu: CudaGpu | None) -> NvmlGpu | None:
    """The same GPU as NVML sees it: by UUID, by bus id, or because there is only one."""
    gpus = nvml_gpus(facts)
    if gpu is not None:
        for item in gpus:
            same_uuid = known(gpu.uuid) is not None and known(gpu.uuid) == known(item.uuid)
            same_bus = known(gpu.bus_id) is not None and _bus(known(gpu.bus_id)) == _bus(known(item.bus_id))
            if same_uuid or same_bus:
                return item
    return gpus[0] if len(gpus) == 1 else None


def _bus(bus_id: str | None) -> str:
    """A bus id in one form: NVML prints 00000000:8D:00.0, the kernel 0000:8d:00.0."""
    return (bus_id or "").lower()[-12:]
