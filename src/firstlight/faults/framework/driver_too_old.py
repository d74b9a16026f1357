"""The driver is too old for the CUDA that the app was built with.

You see
    "The NVIDIA driver on your system is too old (found version …)", CUDA error 35 "CUDA driver version is insufficient for
    CUDA runtime version".
Why
    A driver runs every CUDA of its own major version and of older ones, and none of a newer major: a PyTorch built for
    CUDA 13 needs a driver of branch 580 or newer. The host decides which driver there is.
Cure
    Ask for a host with a newer driver, or install a build of the app for the CUDA that the driver speaks. On data-centre
    GPUs the package cuda-compat bridges the gap for driver branches that it names: `LD_LIBRARY_PATH=/usr/local/cuda/compat`.
"""

from __future__ import annotations

from firstlight.faults import granted, reading
from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Remedy, Verdict
from firstlight.probe.facts import Facts, Torch

_TOO_OLD = 35


def evidence(facts: Facts) -> Verdict:
    """CUDA's code, torch's words, or the major of the app's CUDA against the driver's. A minor never matters."""
    error = reading.first_error(facts, _TOO_OLD)
    spoken = _spoken(facts)
    driver = f"CUDA {spoken // 1000}.{spoken % 1000 // 10}" if spoken is not None else "an older CUDA"
    if error is not None:
        return Evidence(f"The driver is too old: it speaks {driver}, and the app asks for a newer one ({error}).", (("CUDA", str(error)),))
    torch = facts.torch
    if isinstance(torch, Torch):
        message = reading.known(torch.message) or ""
        build = reading.known(torch.cuda_build)
        if _newer(build, spoken) or "driver on your system is too old" in message:
            quotes = (("torch's CUDA", build or "unknown"), ("the driver's CUDA", driver))
            return Evidence(f"The app's PyTorch was built for CUDA {build or 'of a newer major'}, and the driver speaks {driver}.", quotes)
        return None
    image = granted.variable(facts, "CUDA_VERSION")
    if _newer(image, spoken):
        sentence = f"The image is made for CUDA {image}, and the driver speaks {driver}: what was built for the image's CUDA will fail."
        return Evidence(sentence, (("CUDA_VERSION", image or ""), ("the driver's CUDA", driver)), stops=False)
    return None if reading.absent(torch) or image is not None or spoken is None else torch


def _spoken(facts: Facts) -> int | None:
    """The newest CUDA of the libcuda that is loaded, 13000 for 13.0; NVML's word where CUDA was not asked."""
    cuda = reading.asked_cuda(facts)
    nvml = reading.asked_nvml(facts)
    spoken = reading.known(cuda.driver_version) if cuda else None
    return spoken if spoken is not None or nvml is None else reading.known(nvml.cuda_version)


def _newer(build: str | None, spoken: int | None) -> bool:
    key = reading.version_key(build or "")
    return bool(key) and spoken is not None and spoken >= 1000 and key[0] > spoken // 1000


FAULT = Fault(
    id="driver-too-old",
    symptom="The NVIDIA driver on your system is too old; CUDA error 35",
    layer=Layer.FRAMEWORK,
    persistence=Persistence.PERMANENT,
    actor=Actor.PROVIDER,
    remedies=(Remedy.REPLACE_INSTANCE,),
    host_fault=True,
    advice="Ask for a host with a newer driver (a filter by CUDA version), or install a build of the app for the driver's CUDA.",
    evidence=evidence,
)
