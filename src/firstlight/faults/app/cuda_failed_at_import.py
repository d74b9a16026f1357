"""CUDA was not there when the app was imported.

You see
    "RuntimeError: Found no NVIDIA driver on your system", "CUDA unknown error" or "Unexpected error from
    cudaGetDeviceCount()" in a trace through `comfy/model_management.py`, exit code 1.
Why
    ComfyUI touches CUDA once, while it is imported, and does not try again. What was proven before was lost since, or the
    app sees other variables or libraries than the proof did.
Cure
    firstlight proves the GPUs again and then starts the app again; `firstlight doctor` says what is wrong when that does
    not help.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start


def evidence(start: Start) -> Verdict:
    """It ended before it served, and PyTorch had said that CUDA does not begin."""
    told = start.line("torch-cuda-init", "cuda-error", "cuda-sticky")
    if not told or start.served or not start.code:
        return None
    return Evidence(f"The app ended with exit code {start.code} while it was imported: {told}", (("printed", told),))


FAULT = Fault(
    id="cuda-failed-at-import",
    symptom="RuntimeError: Found no NVIDIA driver on your system, in a trace through comfy/model_management.py",
    layer=Layer.APP,
    persistence=Persistence.BOUNDED,
    actor=Actor.CONTAINER,
    advice="Ask `firstlight doctor` what keeps CUDA from the app.",
    evidence=evidence,
)
