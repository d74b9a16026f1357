"""Which build of PyTorch fits a machine, and why. Pure: facts go in, an advice comes out.

A build fits when the driver can run its CUDA, and when it has code for every GPU:

- The driver runs every CUDA of its own major version and of older ones, from a minimum on (minor-version compatibility). A
  forward-compatibility libcuda, which NVIDIA supports on data-centre GPUs alone, lets an older driver speak a newer major.
- Machine code (sm_86) runs on GPUs of the same major whose minor is not smaller. PTX (compute_90) is compiled by the driver
  for that GPU and all later ones; the driver has to speak the CUDA that the PTX came from, and the first start takes minutes.

Sources: NVIDIA's CUDA Compatibility (minimum drivers), PyTorch's release matrix and build scripts (lines and architectures). What
is said here of a build is checked after it was installed, against the wheel's own list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from firstlight.faults import reading
from firstlight.probe.facts import Cuda, Facts, Library, LibraryKind, Nvml, Torch, Unknown

# By the major version of CUDA, the oldest Linux driver that runs it.
OLDEST_DRIVERS = {11: "450.80.02", 12: "525.60.13", 13: "580.65.06"}


_DATA_CENTRE = re.compile(r"\b(Tesla|GRID|P100|V100|T4|A2|A10|A16|A30|A40|A100|A800|L4|L20|L40S?|G?H100|G?H200|H20|H800|G?B200|G?B300)\b")


@dataclass(frozen=True, kw_only=True)
class Build:
    """A line of PyTorch's builds."""

    name: str  # "cu128"
    cuda: tuple[int, int]
    first: str  # the first torch of this line
    last: str = ""  # the last one; empty while the line goes on
    architectures: tuple[str, ...]  # as in torch.cuda.get_arch_list()


_TO_HOPPER = ("sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86", "sm_90")
_TO_BLACKWELL = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")
# By their CUDA.
BUILDS = (
    Build(name="cu118", cuda=(11, 8), first="2.0.0", last="2.7.1", architectures=_TO_HOPPER),
    Build(name="cu121", cuda=(12, 1), first="2.1.0", last="2.5.1", architectures=_TO_HOPPER),
    Build(name="cu124", cuda=(12, 4), first="2.4.0", last="2.6.0", architectures=_TO_HOPPER),
    Build(name="cu126", cuda=(12, 6), first="2.6.0", architectures=_TO_HOPPER),
    Build(name="cu128", cuda=(12, 8), first="2.7.0", architectures=("sm_70", *_TO_BLACKWELL)),
    Build(name="cu129", cuda=(12, 9), first="2.8.0", architectures=("sm_70", *_TO_BLACKWELL, "compute_120")),
    Build(name="cu130", cuda=(13, 0), first="2.9.0", architectures=(*_TO_BLACKWELL, "compute_120")),
)


@dataclass(frozen=True)
class Gpu:
    """One GPU, as far as a build has to know it."""

    name: str
    capability: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What of a machine decides which build fits."""

    driver: str | Unknown  # "580.159.04"
    speaks: int | Unknown  # 13000: the newest CUDA of the libcuda that would be loaded
    gpus: tuple[Gpu, ...] | Unknown
    compat: bool = False  # that libcuda is a forward-compatibility one


class Answer(Enum):
    """Whether a build fits."""

    YES = "fits"
    NO = "does not fit"
    UNKNOWN = "cannot tell"


@dataclass(frozen=True)
class Fit:
    """Whether a build fits, and why. `native` is False where a GPU needs PTX compiled first."""

    answer: Answer
    reason: str
    native: bool = True


@dataclass(frozen=True, kw_only=True)
class Advice:
    """What to say of a machine and the torch in its environment."""

    machine: Machine
    installed: str  # "2.8.0+cu126"; empty when there is none
    fit: Fit  # of the installed one
    builds: tuple[tuple[Build, Fit], ...]
    recommended: str  # a build's name; empty when none fits

    @property
    def exit_code(self) -> int:
        """0 the installed one fits, 1 it does not, 2 it does and another one would be better."""
        if self.fit.answer is not Answer.YES:
            return 1
        return 0 if self.fit.native or not self.recommended else 2


def machine(facts: Facts) -> Machine:
    """What CUDA itself says comes first, then NVML, then the kernel driver."""
    cuda = facts.cuda if isinstance(facts.cuda, Cuda) else None
    nvml = facts.nvml if isinstance(facts.nvml, Nvml) else None
    driver = facts.driver.version
    if isinstance(driver, Unknown) and nvml is not None and not isinstance(nvml.driver_version, Unknown):
        driver = nvml.driver_version
    speaks = cuda.driver_version if cuda is not None else Unknown("CUDA was not asked")
    if isinstance(speaks, Unknown) and nvml is not None:
        speaks = nvml.cuda_version
    library = facts.libraries.libcuda
    return Machine(
        driver=driver,
        speaks=speaks,
        gpus=_gpus(cuda, nvml),
        compat=isinstance(library, Library) and library.kind is LibraryKind.COMPAT,
    )


def _gpus(cuda: Cuda | None, nvml: Nvml | None) -> tuple[Gpu, ...] | Unknown:
    listed = (cuda.gpus if cuda is not None else (), reading.known(nvml.gpus) or () if nvml is not None else ())
    for gpus in listed:
        found = [
            Gpu(reading.known(gpu.name) or "a GPU without a name", capability)
            for gpu in gpus
            if (capability := reading.known(gpu.capability)) is not None
        ]
        if found and len(found) == len(gpus):
            return tuple(found)
    return Unknown("no GPU told its compute capability")


def advise(facts: Facts) -> Advice:
    """Which builds fit this machine, whether the installed one does, and which to take."""
    here = machine(facts)
    builds = tuple((build, fit(build.cuda, build.architectures, here)) for build in BUILDS)
    torch = facts.torch if isinstance(facts.torch, Torch) else None
    version = reading.known(torch.version) if torch is not None else None
    installed = fit_of(torch, here) if torch is not None else Fit(Answer.UNKNOWN, "no PyTorch was asked: name its environment with --venv")
    if installed.answer is Answer.YES and installed.native:
        recommended = "cu" + (reading.known(torch.cuda_build) or "").replace(".", "") if torch is not None else ""
    else:
        recommended = _best([build for build, its in builds if its.answer is Answer.YES and its.native], version, here)
    return Advice(machine=here, installed=version or "", fit=installed, builds=builds, recommended=recommended)


def fit_of(torch: Torch, here: Machine) -> Fit:
    """Whether a torch works on a machine, by its own words."""
    if isinstance(torch.version, Unknown):
        return Fit(Answer.NO, f"torch cannot be imported: {torch.version.reason}")
    if isinstance(torch.cuda_build, Unknown):
        return Fit(Answer.NO, torch.cuda_build.reason)
    cuda = reading.version_key(torch.cuda_build)
    return fit((cuda[0], cuda[1] if len(cuda) > 1 else 0), reading.known(torch.arch_list) or (), here)


def _best(fitting: list[Build], version: str | None, here: Machine) -> str:
    """Of those that fit: one that has the installed torch, and the newest whose CUDA the driver speaks in full.

    Where it speaks none of them in full, the oldest: the less a driver is behind, the less is missing.
    """
    speaks = reading.known(here.speaks) or 0

    def rank(build: Build) -> tuple[bool, bool, int]:
        number = spoken(build.cuda)
        return version is not None and carries(build, version), number <= speaks, number if number <= speaks else -number

    return max(fitting, key=rank).name if fitting else ""


def fit(cuda: tuple[int, int], architectures: Iterable[str], here: Machine) -> Fit:
    """Whether a torch of this CUDA and these architectures works on a machine."""
    driver = driver_runs(cuda, here)
    if driver.answer is not Answer.YES:
        return driver
    if isinstance(here.gpus, Unknown):
        return Fit(Answer.UNKNOWN, f"{driver.reason}; {here.gpus.reason}")
    compiled = []
    known = tuple(architectures)
    if not known:
        return Fit(Answer.UNKNOWN, f"{driver.reason}, and which GPUs it has code for is not known")
    for gpu in here.gpus:
        capability = f"{gpu.capability[0]}.{gpu.capability[1]}"
        if any(_runs(name, gpu.capability) for name in known):
            continue
        if not any(_compiles(name, gpu.capability) for name in known):
            return Fit(Answer.NO, f"it has no code for {gpu.name} (compute capability {capability}), only {' '.join(known)}")
        if isinstance(here.speaks, Unknown):
            return Fit(Answer.UNKNOWN, f"its PTX might do for {gpu.name}, and which CUDA the driver speaks is unknown")
        if here.speaks < spoken(cuda):
            return Fit(
                Answer.NO,
                f"it has PTX alone for {gpu.name} (compute capability {capability}), which a driver of CUDA {dotted(here.speaks)} cannot compile",
            )
        compiled.append(gpu.name)
    if compiled:
        return Fit(Answer.YES, f"{driver.reason}; its PTX has to be compiled for {compiled[0]}, which takes minutes once", native=False)
    return Fit(Answer.YES, f"{driver.reason}, and it has code for every GPU")


def driver_runs(cuda: tuple[int, int], here: Machine) -> Fit:
    """Whether the driver runs programs of this CUDA."""
    major = cuda[0]
    oldest = OLDEST_DRIVERS.get(major)
    speaks, driver = reading.known(here.speaks), reading.known(here.driver)
    if speaks is None and driver is None:
        return Fit(Answer.UNKNOWN, "neither the driver's version nor its CUDA is known")
    if speaks is None and oldest is None:
        return Fit(Answer.UNKNOWN, f"which driver runs CUDA {major} is not known")
    old = driver is not None and oldest is not None and reading.version_key(driver) < reading.version_key(oldest)
    if (speaks is not None and speaks // 1000 < major) or (old and not here.compat):
        bridge = "; cuda-compat bridges that on data-centre GPUs, as here" if old and _in_data_centre(here) else ""
        return Fit(Answer.NO, f"CUDA {major} needs driver {oldest or 'of a newer branch'} or newer{bridge}")
    if old:
        return Fit(Answer.YES, f"the forward-compatibility library runs CUDA {major} on this driver")
    return Fit(Answer.YES, f"the driver runs CUDA {major}")


def _in_data_centre(here: Machine) -> bool:
    """Whether NVIDIA supports forward compatibility on all of these GPUs, by their names."""
    gpus = reading.known(here.gpus) or ()
    return bool(gpus) and all(_DATA_CENTRE.search(gpu.name) for gpu in gpus)


def _runs(architecture: str, capability: tuple[int, int]) -> bool:
    """Machine code runs on its own major, from its own minor on; code with a suffix (sm_90a) on that very GPU alone."""
    named = _named(architecture, "sm")
    if named is None:
        return False
    major, minor, suffix = named
    return (major, minor) == capability if suffix else major == capability[0] and minor <= capability[1]


def _compiles(architecture: str, capability: tuple[int, int]) -> bool:
    """PTX can be compiled for its own architecture and all later ones."""
    named = _named(architecture, "compute")
    return named is not None and not named[2] and named[:2] <= capability


def _named(architecture: str, kind: str) -> tuple[int, int, str] | None:
    match = re.fullmatch(rf"{kind}_(\d+)(\d)([af]?)", architecture)
    return (int(match[1]), int(match[2]), match[3]) if match else None


def named(name: str) -> Build | None:
    """The known build of this name."""
    return next((build for build in BUILDS if build.name == name), None)


def cuda_of(name: str) -> tuple[int, int] | None:
    """(12, 8) for cu128, known or not."""
    match = re.fullmatch(r"cu(\d\d)(\d)", name)
    return (int(match[1]), int(match[2])) if match else None


def carries(build: Build, version: str) -> bool:
    """Whether this line has this torch."""
    key = release(version)
    return reading.version_key(build.first) <= key and (not build.last or key <= reading.version_key(build.last))


def release(version: str) -> tuple[int, ...]:
    """(2, 9, 0) of 2.9.0rc1+cu128: a candidate counts as what it is one for."""
    match = re.match(r"\d+(\.\d+)*", version)
    return reading.version_key(match[0]) if match else ()


def local(version: str) -> str:
    """The build of a version: cu128 of 2.9.0+cu128, empty where it names none."""
    return version.partition("+")[2]


def spoken(cuda: tuple[int, int]) -> int:
    """12080 for CUDA 12.8, as drivers put it."""
    return cuda[0] * 1000 + cuda[1] * 10


def dotted(version: int) -> str:
    """12.8 for 12080."""
    return f"{version // 1000}.{version % 1000 // 10}"
