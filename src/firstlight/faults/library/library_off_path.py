"""The driver's libcuda is here, but the loader does not find it.

You see
    "libcuda.so.1: cannot open shared object file: No such file or directory", "Found no NVIDIA driver on your system".
Why
    The container runtime mounted the driver's files, but the loader's cache was not made anew (a read-only root, an image
    without ldconfig), or they lie in a folder that it does not search.
Cure
    Name the folder in LD_LIBRARY_PATH; firstlight does it for the app. For good: run `ldconfig` in the image's start script.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown


def evidence(facts: Facts) -> Verdict:
    """The loader finds no libcuda, and the driver's lies elsewhere."""
    chosen = facts.libraries.libcuda
    if not isinstance(chosen, Unknown):
        return None
    if not reading.absent(chosen):
        return chosen
    files = reading.driver_libcuda(facts)
    if not files:
        return None
    quotes = (("the loader", chosen.reason), ("libcuda", f"{files[0].path} (found in {files[0].found_in})"))
    return Evidence(f"The loader finds no libcuda.so.1, although the driver's is here: {files[0].path}.", quotes)


FAULT = Fault(
    id="library-off-path",
    symptom="libcuda.so.1: cannot open shared object file",
    layer=Layer.LIBRARY,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    remedies=(Remedy.FIX_LIBRARY_PATH,),
    advice="Add libcuda's folder to LD_LIBRARY_PATH, or run `ldconfig` when the container starts.",
    evidence=evidence,
)
