"""A forward-compatibility libcuda is loaded where it must not be.

You see
    CUDA error 803 "system has unsupported display driver / cuda driver combination", or 804 "forward compatibility was
    attempted on non supported HW".
Why
    The package cuda-compat lets a newer CUDA run on an older driver of a data-centre GPU. It fails on a driver as new as
    itself, on a driver branch that it does not support, and on consumer GPUs; LD_LIBRARY_PATH puts it first all the same.
Cure
    Take /usr/local/cuda/compat out of LD_LIBRARY_PATH; firstlight does it for the app. On a consumer GPU with too old a
    driver: ask for a host with a newer one.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Library, Unknown

_MISMATCH, _WRONG_GPU = 803, 804


def evidence(facts: Facts) -> Verdict:
    """A compat library is chosen, and the rule says no, or CUDA does."""
    chosen = facts.libraries.libcuda
    if isinstance(chosen, Unknown):
        return None if reading.absent(chosen) else chosen
    if not reading.is_compat(chosen):
        return None
    error = reading.first_error(facts, _MISMATCH, _WRONG_GPU)
    why = _why_wrong(facts, chosen)
    if error is not None and error.code == _WRONG_GPU:
        why = "this GPU is not one for which NVIDIA allows it (804)"
    elif error is not None and why is None:
        why = "CUDA refuses it with this driver (803)"
    elif why is None:
        return None if not isinstance(facts.driver.version, Unknown) or error is None else facts.driver.version
    kernel = reading.known(facts.driver.version) or "unknown"
    quotes = (("libcuda", chosen.real_path), ("kernel driver", kernel), *((("CUDA", str(error)),) if error else ()))
    return Evidence(f"The loader takes the compat library {chosen.path}, and it must not: {why}.", quotes)


def _why_wrong(facts: Facts, library: Library) -> str | None:
    """The rule: the kernel driver's branch is in the library's note, and the library's CUDA is newer than the driver's."""
    kernel = reading.version_key(reading.known(facts.driver.version) or "")
    if not kernel:
        return None
    note = library.compat
    nvml = reading.asked_nvml(facts)
    spoken = reading.known(nvml.cuda_version) if nvml else None
    offered = reading.version_key(note.cuda_version) if note else ()
    if spoken is not None and len(offered) > 1 and offered[0] * 1000 + offered[1] * 10 <= spoken:
        return f"it speaks CUDA {note.cuda_version if note else ''}, and the driver speaks {spoken // 1000}.{spoken % 1000 // 10} by itself"
    own = reading.version_key(reading.known(library.version) or "")
    if spoken is None and own and own <= kernel:
        return f"its version {library.version} is no newer than the kernel driver {facts.driver.version}"
    if note is not None and note.drivers and kernel[0] not in note.drivers:
        return f"it supports the driver branches {reading.numbers(note.drivers)}, and the kernel driver is of {kernel[0]}"
    return None


FAULT = Fault(
    id="compat-library-active",
    symptom="CUDA error 803 or 804",
    layer=Layer.LIBRARY,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    remedies=(Remedy.FIX_LIBRARY_PATH, Remedy.REPLACE_INSTANCE),
    advice="Take /usr/local/cuda/compat out of LD_LIBRARY_PATH, or ask for a host with a newer driver.",
    evidence=evidence,
)
