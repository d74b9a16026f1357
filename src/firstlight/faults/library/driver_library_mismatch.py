"""The libcuda that is loaded is not of the kernel driver's version.

You see
    CUDA error 803, "system has unsupported display driver / cuda driver combination"; nvidia-smi: "Driver/library version
    mismatch".
Why
    The image carries a libcuda of its own (a package libnvidia-compute-*), which hides the one that was mounted; or the
    host's driver was upgraded while this container existed.
Cure
    Take the file whose version is the kernel driver's: firstlight puts its folder first for the app. Where there is none,
    delete the container and create it again.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Library, LibraryKind, Unknown

_NVML_MISMATCH = 18


def evidence(facts: Facts) -> Verdict:
    """The version in the file's name differs from /proc/driver/nvidia/version, and it is no compat library."""
    kernel = facts.driver.version
    chosen = facts.libraries.libcuda
    if isinstance(kernel, Unknown) or isinstance(chosen, Unknown):
        unknown = kernel if isinstance(kernel, Unknown) else chosen
        return unknown if isinstance(unknown, Unknown) and not reading.absent(unknown) else None
    if _differs(chosen, kernel):
        match = next((item for item in reading.driver_libcuda(facts) if item.version == kernel), None)
        where = f"the right one is {match.real_path}" if match else "no libcuda of that version is here"
        sentence = f"The loader takes libcuda {chosen.version}, but the kernel driver is {kernel}; {where}."
        return Evidence(sentence, (("libcuda", chosen.real_path), ("/proc/driver/nvidia/version", kernel)))
    nvml = facts.libraries.nvml
    answer = reading.asked_nvml(facts)
    says_so = answer is not None and reading.known(answer.init) == _NVML_MISMATCH
    if not isinstance(nvml, Unknown) and (_differs(nvml, kernel) or says_so):
        sentence = f"The loader takes libnvidia-ml {nvml.version}, but the kernel driver is {kernel}: nvidia-smi fails, CUDA need not."
        return Evidence(sentence, (("libnvidia-ml", nvml.real_path), ("/proc/driver/nvidia/version", kernel)), stops=False)
    return None


def _differs(library: Library, kernel: str) -> bool:
    """Whether a driver's file is of another version. A file whose name has none says nothing."""
    if library.kind is not LibraryKind.DRIVER or reading.is_compat(library) or isinstance(library.version, Unknown):
        return False
    return len(reading.version_key(library.version)) > 1 and library.version != kernel


FAULT = Fault(
    id="driver-library-mismatch",
    symptom="CUDA error 803, or Driver/library version mismatch",
    layer=Layer.LIBRARY,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    remedies=(Remedy.FIX_LIBRARY_PATH, Remedy.REPLACE_INSTANCE),
    advice="Remove the driver packages from the image (`apt-get purge 'libnvidia-*'`), or create the container again.",
    evidence=evidence,
)
