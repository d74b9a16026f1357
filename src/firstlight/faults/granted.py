"""What this container was promised: is there to be a GPU at all, how many, and did CUDA prove them? Pure."""

from __future__ import annotations

import errno

from firstlight.faults import reading, visible_devices
from firstlight.probe.facts import Cuda, Facts, Unknown

COUNT = "RUNPOD_GPU_COUNT"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
CAPABILITIES = "NVIDIA_DRIVER_CAPABILITIES"

# Values of NVIDIA_VISIBLE_DEVICES that ask the container runtime for no GPU.
_NONE = ("", "none", "void")


def variable(facts: Facts, name: str) -> str | None:
    """An environment variable, ours or else PID 1's: a login shell often lacks what the container was started with."""
    if name in facts.environment.variables:
        return facts.environment.variables[name]
    return (reading.known(facts.environment.pid1) or {}).get(name)


def _count(facts: Facts) -> int | None:
    text = (variable(facts, COUNT) or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _named(facts: Facts) -> tuple[str, ...]:
    """The GPUs that NVIDIA_VISIBLE_DEVICES names. "all" names none, and is what the CUDA images set by default."""
    text = (variable(facts, VISIBLE) or "").strip()
    if text in _NONE or text.startswith("/"):  # a path: the names are mounted files
        return ()
    names = dict.fromkeys(part.strip() for part in text.split(","))
    return () if any(name == "all" or name.endswith("=all") for name in names) else tuple(name for name in names if name)


def refusal(facts: Facts) -> tuple[str, str] | None:
    """The variable and its value that say that this container gets no GPU."""
    count = _count(facts)
    if count is not None:
        return (COUNT, str(count)) if count == 0 else None
    value = variable(facts, VISIBLE)
    return (VISIBLE, value) if value is not None and value.strip() in _NONE else None


def left_out_compute(facts: Facts) -> str | None:
    """The value of NVIDIA_DRIVER_CAPABILITIES that asks for parts of the driver, and not for CUDA."""
    value = variable(facts, CAPABILITIES)
    parts = {part.strip() for part in (value or "").split(",")} - {""}
    return value if parts and not parts & {"compute", "all"} else None


def granted(facts: Facts) -> int | None:
    """How many GPUs the environment says that this container has; None where it does not say."""
    count = _count(facts)
    if count:
        return count
    names = _named(facts)
    if any(name.startswith("MIG-") or ":" in name for name in names):
        return 1  # a process is shown one MIG device, however many there are
    return len(names) or None


def needed(facts: Facts) -> int:
    """How many GPU nodes there must be at the least: as many as CUDA has worked through."""
    worked = reading.worked(facts)
    before = sum(1 for path in worked.nodes if reading.is_gpu_path(path)) if worked else 0
    return before or granted(facts) or 1


def promised(facts: Facts) -> bool:
    """Whether somebody said that this container has a GPU, so that a late one is worth a wait."""
    if granted(facts):
        return True
    if refusal(facts) is not None and not reading.right_gpu_nodes(facts):
        return False
    return not isinstance(facts.driver.version, Unknown) and bool(reading.known(facts.driver.gpus))


def expected(facts: Facts) -> int | Unknown:
    """How many GPUs CUDA should show: those granted, less those that a valid CUDA_VISIBLE_DEVICES leaves out."""
    whole = _present(facts)
    choice = visible_devices.choice(facts)
    if isinstance(choice, visible_devices.Choice) and choice.wrong is None:
        return choice.shown if isinstance(whole, Unknown) else min(choice.shown, whole)
    return whole


def _present(facts: Facts) -> int | Unknown:
    count = granted(facts)
    if count:
        return count
    if any(reading.known(gpu.mig) is True for gpu in reading.nvml_gpus(facts)):
        return 1  # a process is shown one MIG device
    nodes = reading.right_gpu_nodes(facts)
    # A container may see all the host's nodes and be allowed its own GPUs only. One that is lost is still a granted one.
    allowed = [item for item in nodes if reading.known(item.opened) not in (errno.EPERM, errno.EACCES)]
    listed = len(allowed) or len(nodes) or len(reading.known(facts.driver.gpus) or ())
    return listed or Unknown("nothing tells how many GPUs this container was given")


def usable(facts: Facts) -> int:
    """How many GPUs computed the proof's kernel rightly."""
    cuda = facts.cuda
    return sum(1 for gpu in cuda.gpus if reading.known(gpu.proven) is True) if isinstance(cuda, Cuda) else 0


def together(facts: Facts) -> bool:
    """False where GPUs were proven although cuInit failed: each in a process that saw it alone."""
    return not (isinstance(facts.cuda, Cuda) and reading.known(facts.cuda.init) not in (0, None) and usable(facts))


def proof_is_whole(facts: Facts) -> bool:
    """Whether CUDA proved every GPU that it shows, and shows as many as expected.

    GPUs that were proven one by one, because cuInit failed on all of them together, are no whole proof.
    """
    cuda = facts.cuda
    if not isinstance(cuda, Cuda) or not cuda.gpus or reading.known(cuda.init) not in (0, None):
        return False
    count = usable(facts)
    wanted = expected(facts)
    return count == len(cuda.gpus) and count >= (reading.known(cuda.count) or 0) and (isinstance(wanted, Unknown) or count >= wanted)
