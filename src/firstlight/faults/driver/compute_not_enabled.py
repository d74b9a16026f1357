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

_NAME = "NVIDIA_DRIVER_CAPABILITIES"


def evidence(facts: Facts) -> Verdict:
    """No libcuda of a driver anywhere, although other parts of that driver were given."""
    chosen = facts.libraries.libcuda
    if reading.driver_libcuda(facts) or reading.absent(facts.driver.version):
        return None
    if not isinstance(chosen, Unknown) and chosen.kind in (LibraryKind.DRIVER, LibraryKind.COMPAT):
        return None
    if isinstance(chosen, Unknown) and not reading.absent(chosen):
        return chosen
    value = granted.variable(facts, _NAME)
    left_out = bool(value) and not {"compute", "all"} & {part.strip() for part in (value or "").split(",")}
    nvml = next((item for item in facts.libraries.candidates if "libnvidia-ml" in item.soname and item.kind is LibraryKind.DRIVER), None)
    if nvml is None and not (left_out and _has_nodes(facts)):
        return None
    if left_out:
        sentence = f"{_NAME} is {value}, without compute: the container runtime left libcuda out."
    else:
        sentence = "The driver's libnvidia-ml is here and its libcuda is not: the container runtime gave the driver without compute."
    return Evidence(
        sentence,
        ((_NAME, value if value is not None else "not set"), ("libnvidia-ml", nvml.real_path if nvml else "none"), ("libcuda", "none")),
    )


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
