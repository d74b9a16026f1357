"""The kernel driver has reported an error of the GPU (Xid).

You see
    "NVRM: Xid (PCI:0000:8d:00): 79, GPU has fallen off the bus" or another number in the host's `dmesg`; in the app a CUDA error that
    stays (700, 719, 214, 999), or a process that hangs.
Why
    The number tells. 13 and 31 are as a rule the app's own fault: it read where it may not. 48, 63, 94 and 95 are errors of the GPU's
    memory, 74 of a link, 119 of the processor that serves the driver, 79 a GPU that is gone from the bus.
Cure
    After 8, 11, 13, 31, 94 and their like start the app again: the GPU is well. After 46, 62, 64, 95, 109, 110, 119, 120, 136, 140, 143,
    155, 156 and 158 the GPU computes no more until the provider has reset it, after 79 until the host was rebooted: move to another.
"""

from __future__ import annotations

from firstlight.faults import reading, xids
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Unknown, Xid


def evidence(facts: Facts) -> Verdict:
    """An Xid of one of our GPUs: a fatal one counts from then on, another one in the look that saw it."""
    reported = xids.ours(facts)
    if isinstance(reported, Unknown):
        return reported
    fatal = [xid for xid in reported if xids.weight(xid.number) is xids.Weight.FATAL]
    if fatal:
        cure = "a reboot of its host" if xids.needs_host(fatal[0].number) else "a reset"
        sentence = f"The kernel reports Xid {fatal[0].number} of GPU {fatal[0].bus_id}: it computes no more until {cure}."
        return Evidence(sentence, _quotes(fatal))
    noted = [xid for xid in reported if xid.new and xids.weight(xid.number) is xids.Weight.NOTED]
    if noted:
        what = reading.numbers(sorted({xid.number for xid in noted}))
        sentence = f"The kernel reports Xid {what} of GPU {noted[0].bus_id}: a process on it has failed, and other processes need not."
        return Evidence(sentence, _quotes(noted), Persistence.TRANSIENT, stops=False)
    return None


def _quotes(found: list[Xid]) -> tuple[tuple[str, str], ...]:
    return tuple(("kernel's log", xid.text) for xid in found[:3])


FAULT = Fault(
    id="xid-reported",
    symptom="NVRM: Xid in the host's dmesg",
    layer=Layer.HARDWARE,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Look the number up on this page: start the app again, or move to another host and have the provider reset the GPU.",
    evidence=evidence,
)
