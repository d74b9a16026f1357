"""The app's PyTorch is built without CUDA.

You see
    "AssertionError: Torch not compiled with CUDA enabled" while ComfyUI imports, exit code 1.
Why
    A build for the CPU was installed, most often by a `pip install -r requirements.txt --upgrade` of a custom node that
    replaced the one with CUDA.
Cure
    Install a build with CUDA into the interpreter that the app is started with: `firstlight torch upgrade --venv PATH`, or
    `PYTHON -m pip install --force-reinstall torch torchvision torchaudio --index-url
    https://download.pytorch.org/whl/cu128`. Who wants no GPU says `--cpu`.
"""

from __future__ import annotations

from firstlight.faults.fault import Actor, Evidence, Fault, Layer, Persistence, Verdict
from firstlight.faults.start import Start
from firstlight.probe.facts import Unknown


def evidence(start: Start) -> Verdict:
    """Its own files say that it is built for no CUDA; or the app has said so."""
    if not start.wants_gpu:
        return None
    told = start.line("torch-without-cuda")
    if told:
        return Evidence(f"The app ended because its PyTorch has no CUDA: {told}", (("printed", told),))
    if isinstance(start.torch_cuda, Unknown):
        return start.torch_cuda
    if start.torch_cuda:
        return None
    version = "" if isinstance(start.packages, Unknown) else start.packages.get("torch") or ""
    return Evidence(f"PyTorch {version} of {start.interpreter} is built for the CPU alone.", (("torch", version),))


FAULT = Fault(
    id="torch-without-cuda",
    symptom="AssertionError: Torch not compiled with CUDA enabled",
    layer=Layer.APP,
    persistence=Persistence.PERMANENT,
    actor=Actor.IMAGE,
    advice="Install a PyTorch with CUDA: `firstlight torch upgrade --venv PATH`.",
    evidence=evidence,
)
