"""The facts that matter most, as `firstlight facts` prints them for people. JSON carries all of them."""

from __future__ import annotations

from collections.abc import Mapping

from firstlight.faults import reading
from firstlight.probe.facts import Cause, Cuda, Facts, Library, Limit, Node, NodeKind, Nvml, NvmlGpu, Torch, Unknown
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit, printable, wrap

_LABEL = 16


def render(facts: Facts, style: Style = PLAIN) -> str:
    """One line for each fact, grouped by subject, without a newline at its end."""
    groups = {
        "Device nodes": _nodes(facts),
        "Kernel driver": _driver(facts),
        "Libraries": _libraries(facts),
        "Environment": _environment(facts),
        "Confinement": _confinement(facts),
        "Limits": _limits(facts),
        "NVML": _nvml(facts.nvml),
        "CUDA": _cuda(facts.cuda),
        "PyTorch": _torch(facts.torch),
    }
    lines: list[str] = []
    for label, items in groups.items():
        for place, item in enumerate(items):
            head = style.paint(label, "bold") + " " * (_LABEL - len(label)) if place == 0 else " " * _LABEL
            wrapped = wrap(printable(item), " " * (_LABEL + 2), " " * _LABEL)
            lines += [head + wrapped[0][_LABEL:], *wrapped[1:]]
    return fit("\n".join(lines), style)


def _tell(value: object) -> str:
    """A value, or why it is not known."""
    if isinstance(value, Unknown):
        return value.cause.value if value.cause is Cause.NOT_ASKED else f"unknown ({value.reason})"
    return "yes" if value is True else "no" if value is False else str(value)


def _nodes(facts: Facts) -> list[str]:
    nodes = facts.devices.nodes
    majors = facts.devices.majors
    lines = [_tell(nodes)] if isinstance(nodes, Unknown) else [_node(node) for node in nodes] or ["none"]
    named = _tell(majors) if isinstance(majors, Unknown) else _pairs({name: str(major) for name, major in majors.items()})
    return [*lines, f"majors: {named}"]


def _node(node: Node) -> str:
    device = f" {node.major}:{node.minor}" if node.kind in (NodeKind.CHAR, NodeKind.BLOCK) else ""
    opened = "opens" if node.opened == 0 else f"open: {_tell(node.opened)}" if isinstance(node.opened, Unknown) else ""
    opened = opened or f"open: {reading.errno_name(node.opened if isinstance(node.opened, int) else 0)}"
    return f"{node.path}  {node.kind.value}{device}, mode {node.mode:03o}, owner {node.uid}:{node.gid}, {opened}"


def _driver(facts: Facts) -> list[str]:
    gpus = facts.driver.gpus
    lines = [f"version {_tell(facts.driver.version)}"]
    if isinstance(gpus, Unknown):
        return [*lines, f"GPUs {_tell(gpus)}"]
    return lines + [f"GPU {gpu.bus_id}  minor {_tell(gpu.minor)}, {_tell(gpu.model)}, {_tell(gpu.uuid)}" for gpu in gpus]


def _libraries(facts: Facts) -> list[str]:
    return [_library("libcuda", facts.libraries.libcuda), _library("libnvidia-ml", facts.libraries.nvml)]


def _library(name: str, library: Library | Unknown) -> str:
    if isinstance(library, Unknown):
        return f"{name}: {_tell(library)}"
    return f"{name}: {library.real_path} ({library.kind.value}, {words.size(library.size)}, found in {library.found_in})"


def _environment(facts: Facts) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(facts.environment.variables.items())] or ["no variable that matters is set"]


def _confinement(facts: Facts) -> list[str]:
    who = facts.confinement
    capabilities = _tell(who.capabilities) if isinstance(who.capabilities, Unknown) else f"{len(who.capabilities)} capabilities"
    mknod = "" if isinstance(who.capabilities, Unknown) else f", CAP_MKNOD {'yes' if 'CAP_MKNOD' in who.capabilities else 'no'}"
    return [f"user {who.uid}, group {who.gid}, {capabilities}{mknod}, seccomp {_tell(who.seccomp)}, PID 1 {_tell(who.is_pid1)}"]


def _limits(facts: Facts) -> list[str]:
    return [f"address space {_limit(facts.limits.address_space)}; open files {_limit(facts.limits.descriptors)}"]


def _limit(limit: Limit | Unknown) -> str:
    if isinstance(limit, Unknown):
        return _tell(limit)
    soft, hard = ("unlimited" if value is None else str(value) for value in (limit.soft, limit.hard))
    return soft if soft == hard else f"{soft} (hard {hard})"


def _nvml(nvml: Nvml | Unknown) -> list[str]:
    if isinstance(nvml, Unknown):
        return [_tell(nvml)]
    gpus = () if isinstance(nvml.gpus, Unknown) else nvml.gpus
    lines = [f"init {_tell(nvml.init)}, driver {_tell(nvml.driver_version)}, speaks CUDA {_version(nvml.cuda_version)}"]
    return lines + [_nvml_gpu(gpu) for gpu in gpus]


def _nvml_gpu(gpu: NvmlGpu) -> str:
    if gpu.error:
        return f"GPU {gpu.index}  error {gpu.error}"
    memory = "memory unknown"
    if not isinstance(gpu.memory_used, Unknown) and not isinstance(gpu.memory_total, Unknown):
        memory = f"{words.size(gpu.memory_used)} of {words.size(gpu.memory_total)} used"
    mode = f"compute mode {_tell(gpu.compute_mode)}, MIG {_tell(gpu.mig)}, fabric state {_tell(gpu.fabric_state)}"
    return f"GPU {gpu.index}  {_tell(gpu.name)}, {_tell(gpu.uuid)}, {memory}, {mode}"


def _cuda(cuda: Cuda | Unknown) -> list[str]:
    if isinstance(cuda, Unknown):
        return [_tell(cuda)]
    lines = [f"library {_tell(cuda.library)}, speaks CUDA {_version(cuda.driver_version)}"]
    lines.append(f"cuInit {_tell(cuda.init)}, GPUs {_tell(cuda.count)}")
    lines += [
        f"GPU {gpu.ordinal}  {_tell(gpu.name)}, context {_tell(gpu.context)}, kernel {_tell(gpu.kernel)}, proven {_tell(gpu.proven)}"
        for gpu in cuda.gpus
    ]
    times = _pairs({name: words.duration(seconds) for name, seconds in cuda.seconds.items()})
    return lines + ([f"time: {times}"] if cuda.seconds else [])


def _torch(torch: Torch | Unknown) -> list[str]:
    if isinstance(torch, Unknown):
        return [_tell(torch)]
    lines = [f"version {_tell(torch.version)} for CUDA {_tell(torch.cuda_build)}, in {torch.interpreter}"]
    return [*lines, f"available {_tell(torch.available)}, GPUs {_tell(torch.device_count)}"]


def _version(number: int | Unknown) -> str:
    return _tell(number) if isinstance(number, Unknown) else f"{number // 1000}.{number % 1000 // 10}"


def _pairs(items: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in items.items()) or "none"
