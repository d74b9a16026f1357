"""The loader takes a stub of libcuda.

You see
    CUDA error 34, "CUDA driver is a stub library"; nvidia-smi works.
Why
    CUDA's toolkit ships a stand-in for libcuda to link against, in a folder named `stubs`. It stands before the real one on
    LD_LIBRARY_PATH, or was linked to as libcuda.so.1, and it can never work.
Cure
    Take the `stubs` folder out of LD_LIBRARY_PATH; firstlight does it for the app that it starts. Then mend the image.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, LibraryKind, Unknown

_STUB_CODE = 34


def evidence(facts: Facts) -> Verdict:
    """The chosen file is a stub, CUDA says so, or a stub stands on LD_LIBRARY_PATH behind the real one."""
    chosen = facts.libraries.libcuda
    real = next(iter(reading.driver_libcuda(facts)), None)
    behind = f"the real one is {real.real_path}" if real else "there is no real one on this machine"
    if not isinstance(chosen, Unknown) and chosen.kind is LibraryKind.STUB:
        quotes = (("libcuda", f"{chosen.path} ({chosen.size} bytes, found in {chosen.found_in})"),)
        return Evidence(f"The loader takes {chosen.path}, a stub that can never work; {behind}.", quotes)
    error = reading.first_error(facts, _STUB_CODE)
    if error is not None:
        cuda = reading.asked_cuda(facts)
        library = (reading.known(cuda.library) if cuda else None) or "libcuda"
        where = f"; {behind}" if real is None or real.real_path != library else ""
        return Evidence(f"{library} calls itself a stub ({error}){where}.", (("CUDA", str(error)),))
    stubs = [item for item in reading.libcuda_files(facts, LibraryKind.STUB) if item.found_in == "LD_LIBRARY_PATH"]
    if stubs and not isinstance(chosen, Unknown):
        sentence = f"{stubs[0].path} is a stub on LD_LIBRARY_PATH, behind the real libcuda: a program that loads libcuda.so gets it."
        return Evidence(sentence, (("LD_LIBRARY_PATH", stubs[0].path),), stops=False)
    return chosen if isinstance(chosen, Unknown) and not reading.absent(chosen) else None


FAULT = Fault(
    id="stub-libcuda",
    symptom="CUDA error 34: CUDA driver is a stub library",
    layer=Layer.LIBRARY,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    remedies=(Remedy.FIX_LIBRARY_PATH,),
    advice="Take the stubs folder out of LD_LIBRARY_PATH in the image (`unset LD_LIBRARY_PATH` to try it).",
    evidence=evidence,
)
