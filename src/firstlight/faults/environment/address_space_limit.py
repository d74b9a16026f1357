"""A limit on address space is too small for CUDA.

You see
    CUDA error 2 "out of memory" from cuInit or at the first context, although the GPU's memory is free.
Why
    CUDA reserves many gigabytes of addresses, which cost nothing, and `ulimit -v` counts them. With one GPU 12,000,000 KiB
    are too few and 16,000,000 are enough; several GPUs need more.
Cure
    `ulimit -v unlimited` before the app starts; firstlight raises the soft limit as far as the hard one lets it. Else
    remove the limit from where it is set: a start script, a login profile, a batch system.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown

_TOO_FEW = 12_000_000 * 1024  # bytes; measured with one GPU of 80 GB: cuInit gives 2
_ENOUGH_FOR_ONE = 16_000_000 * 1024  # bytes; measured on the same machine
_OUT_OF_MEMORY = 2


def evidence(facts: Facts) -> Verdict:
    """A finite limit, and either too small in any case or CUDA out of memory before a kernel ran."""
    limit = facts.limits.address_space
    if isinstance(limit, Unknown):
        return limit
    if limit.soft is None:
        return None
    error = reading.first_error(facts, _OUT_OF_MEMORY)
    guilty = error is not None and (limit.soft < _ENOUGH_FOR_ONE or error.gpu is None or len(reading.right_gpu_nodes(facts)) > 1)
    if limit.soft > _TOO_FEW and not guilty:
        return None
    hard = "unlimited" if limit.hard is None else f"{limit.hard // 1024:,} KiB"
    quotes = (("ulimit -v", f"{limit.soft // 1024:,} KiB, hard {hard}"), *((("CUDA", str(error)),) if error else ()))
    return Evidence(f"The address space of a process is limited to {limit.soft // 1024:,} KiB, and CUDA needs more to start.", quotes)


FAULT = Fault(
    id="address-space-limit",
    symptom="CUDA error 2, out of memory, while the GPU's memory is free",
    layer=Layer.ENVIRONMENT,
    persistence=Persistence.PERMANENT,
    actor=Actor.CONTAINER,
    remedies=(Remedy.RAISE_LIMITS,),
    advice="Remove the limit where it is set, or run `ulimit -v unlimited` before the app.",
    evidence=evidence,
)
