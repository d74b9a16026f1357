"""A limit on open files is too small for CUDA.

You see
    cuInit works, then the first use of a GPU gives CUDA error 304 "OS call failed or operation not supported on this OS".
Why
    CUDA opens the device nodes many times. With one GPU `ulimit -n 32` is too few and 48 are enough; several need more.
Cure
    `ulimit -n 65536` before the app starts; firstlight raises the soft limit to the hard one.
"""

from __future__ import annotations

import errno

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown

_TOO_FEW = 32  # measured with one GPU: the context gives 304
_OS_CALL_FAILED = 304
# Above this a 304 has another cause: eight GPUs do not need as many.
_PLENTY = 1024


def evidence(facts: Facts) -> Verdict:
    """A limit too small in any case, or one that is small while a call of the system failed."""
    limit = facts.limits.descriptors
    if isinstance(limit, Unknown):
        return limit
    if limit.soft is None:
        return None
    error = reading.first_error(facts, _OS_CALL_FAILED)
    full = [node.path for node in reading.known(facts.devices.nodes) or () if reading.known(node.opened) == errno.EMFILE]
    if limit.soft > _TOO_FEW and not (limit.soft < _PLENTY and (error or full)):
        return None
    hard = "unlimited" if limit.hard is None else str(limit.hard)
    said = (("CUDA", str(error)),) if error else ()
    quotes = (("ulimit -n", f"{limit.soft}, hard {hard}"), *said, *((path, "open: EMFILE") for path in full))
    return Evidence(f"A process may have {limit.soft} files open, and CUDA needs more to use a GPU.", quotes)


FAULT = Fault(
    id="descriptor-limit",
    symptom="CUDA error 304 at the first use of a GPU",
    layer=Layer.ENVIRONMENT,
    persistence=Persistence.PERMANENT,
    actor=Actor.CONTAINER,
    remedies=(Remedy.RAISE_LIMITS,),
    advice="Raise the limit where it is set, or run `ulimit -n 65536` before the app.",
    evidence=evidence,
)
