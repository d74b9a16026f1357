"""The loader takes a library file of the driver that is empty.

You see
    "libcuda.so.1: file too short", or ldconfig: "File … is empty, not checked".
Why
    The image was built or committed under NVIDIA's container runtime, which left empty files where it had mounted the
    driver's. One of them stands before the real file on the search path.
Cure
    Put the real file's folder first in LD_LIBRARY_PATH; firstlight does it for the app. Then delete the empty
    libcuda.so.* and libnvidia-*.so.* from the image.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Library, LibraryKind, Unknown


def evidence(facts: Facts) -> Verdict:
    """The file that the loader takes for libcuda or NVML has no byte, or the loader said so."""
    chosen = facts.libraries.libcuda
    if not isinstance(chosen, Unknown) and chosen.kind is LibraryKind.EMPTY:
        return _empty(facts, chosen)
    cuda = reading.asked_cuda(facts)
    if cuda is not None and isinstance(cuda.library, Unknown) and "file too short" in cuda.library.reason:
        return Evidence("The loader finds a libcuda.so.1 that is empty: file too short.", (("loader", cuda.library.reason),))
    nvml = facts.libraries.nvml
    if not isinstance(nvml, Unknown) and nvml.kind is LibraryKind.EMPTY:
        sentence = f"The loader takes {nvml.path}, which is empty: nvidia-smi cannot work, CUDA can."
        return Evidence(sentence, (("libnvidia-ml", f"{nvml.path} (0 bytes)"),), stops=False)
    return chosen if isinstance(chosen, Unknown) and not reading.absent(chosen) else None


def _empty(facts: Facts, chosen: Library) -> Evidence:
    real = next(iter(reading.driver_libcuda(facts)), None)
    behind = f"the real one is {real.real_path}" if real else "there is no real one on this machine"
    return Evidence(f"The loader takes {chosen.path}, which is empty; {behind}.", (("libcuda", f"{chosen.path} (0 bytes)"),))


FAULT = Fault(
    id="empty-library",
    symptom="libcuda.so.1: file too short",
    layer=Layer.LIBRARY,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    remedies=(Remedy.FIX_LIBRARY_PATH,),
    advice="Delete the empty driver files from the image: `find /usr/lib* -name 'lib*.so*' -size 0` lists them.",
    evidence=evidence,
)
