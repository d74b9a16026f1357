"""The app's own PyTorch, asked in the app's interpreter: programs/torch_facts.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.probe.answers import silence, steps
from firstlight.probe.facts import Cause, Torch, Unknown

if TYPE_CHECKING:
    from firstlight.system.process import Process


def read(process: Process, interpreter: str, waited: float) -> Torch:
    """What the program has said until now; `waited` as in `cuda.read`."""
    said = {step["step"]: step for step in steps(process)}
    imported, asked = said.get("import"), said.get("torch")
    if imported is None:
        return Torch(interpreter=interpreter, version=silence(process, "importing torch", waited))
    if "error" in imported:
        return Torch(interpreter=interpreter, version=Unknown(imported["error"], Cause.ABSENT))
    late = silence(process, "torch.cuda.init()", waited)
    return Torch(
        interpreter=interpreter,
        version=imported["version"],
        cuda_build=imported["cuda_build"] or Unknown("this torch is built for the CPU alone", Cause.ABSENT),
        arch_list=tuple(imported["arch_list"]),
        available=asked["available"] if asked else late,
        device_count=asked["device_count"] if asked else late,
        message=asked["message"] if asked else late,
    )
