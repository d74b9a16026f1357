"""The container was given the driver without its compute part.

You see
    nvidia-smi works, yet "libcuda.so.1: cannot open shared object file" or "Found no NVIDIA driver on your system".
Why
    NVIDIA_DRIVER_CAPABILITIES lacks `compute` (it is `utility`, say), so the container runtime left libcuda out. It is read
    before the container starts: to change it from inside does nothing.
Cure
    Set NVIDIA_DRIVER_CAPABILITIES=compute,utility in the image or in the container's settings, and start it again.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, LibraryKind, Unknown


def evidence(facts: Facts) -> Verdict:
    """No libcuda of a driver anywhere, although other parts of that driver were given."""
    chosen = facts.libraries.libcuda
    if reading.driver_libcuda(facts) or reading.absent(facts.driver.version):
        return None
    if not isinstance(chosen, Unknown) and chosen.kind in (LibraryKind.DRIVER, LibraryKind.COMPAT):
        return None
    if isinstance(chosen, Unknown) and not reading.absent(chosen):
        return chosen
    value = granted.left_out_compute(facts)
    nvml = reading.driver_nvml(facts)
    if value is None and not isinstance(chosen, Unknown):
        return None  # a stub or an empty file hides what the container runtime gave, and is named itself
    if not nvml and not (value is not None and _has_nodes(facts)):
        return None
    if value is not None:
        sentence = f"{granted.CAPABILITIES} is {value}, without compute: the container runtime left libcuda out."
    else:
        sentence = "The driver's libnvidia-ml is here and its libcuda is not: the container runtime gave the driver without compute."
    said = granted.variable(facts, granted.CAPABILITIES)
    manager = nvml[0].real_path if nvml else "none"
    return Evidence(sentence, ((granted.CAPABILITIES, "not set" if said is None else said), ("libnvidia-ml", manager), ("libcuda", "none")))


def _has_nodes(facts: Facts) -> bool:
    return not isinstance(facts.devices.nodes, Unknown) and bool(facts.devices.nodes)


FAULT = Fault(
    id="compute-not-enabled",
    symptom="nvidia-smi works, but there is no libcuda",
    layer=Layer.DRIVER,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    remedies=(Remedy.REPLACE_INSTANCE,),
    advice="Set NVIDIA_DRIVER_CAPABILITIES=compute,utility in the image or the container's settings, and start it again.",
    evidence=evidence,
)
