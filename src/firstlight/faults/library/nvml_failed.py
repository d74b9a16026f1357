"""NVML has answered, and does so no more, although every device node opens.

You see
    nvidia-smi: "Failed to initialize NVML: Unknown Error" or "GPU access blocked by the operating system", some time after the app
    was started; the app itself may go on computing.
Why
    The driver refuses a new client, or the library dies while it asks: a GPU is being reset or drained, the driver is being replaced
    on the host, or it has met an error of its own.
Cure
    Wait for some minutes. If it stays, start the container anew, on another host at best: a new process is likely to get no CUDA.
"""

from __future__ import annotations

from firstlight.faults import reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Cause, Facts, Nvml, Unknown

_MISMATCH = 18  # driver-library-mismatch names that


def evidence(facts: Facts) -> Verdict:
    """A refusal at the start of NVML, or the death of the process that asked it, where it had answered before."""
    worked = reading.worked(facts)
    if worked is None or isinstance(worked.nvml, Unknown):
        return None  # where it has never answered, it is not needed
    if isinstance(facts.nvml, Unknown):
        if facts.nvml.cause is not Cause.CRASHED:
            return None if reading.hung(facts.nvml) else facts.nvml
        return _failed("the process that asked it has died", facts.nvml.reason)
    return _refused(facts.nvml)


def _refused(nvml: Nvml) -> Verdict:
    code = reading.known(nvml.init)
    return None if code in (None, 0, _MISMATCH) else _failed(f"its start gives {code}", f"nvmlInit: {code}")


def _failed(what: str, quote: str) -> Evidence:
    sentence = f"NVML has answered since the app was started, and does so no more: {what}."
    return Evidence(sentence, (("NVML", quote),), stops=False)


FAULT = Fault(
    id="nvml-failed",
    symptom="nvidia-smi fails while the app goes on",
    layer=Layer.LIBRARY,
    persistence=Persistence.BOUNDED,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Wait for some minutes; if it stays, start the container anew on another host.",
    evidence=evidence,
)
