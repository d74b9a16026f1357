"""NVML, asked in a child: programs/nvml_facts.py, or programs/watch_gpu.py while an app runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from firstlight.probe.answers import Step, silence, steps
from firstlight.probe.facts import NOT_ASKED, Cause, GpuUser, Nvml, NvmlGpu, Unknown

if TYPE_CHECKING:
    from firstlight.system.process import Process

_NOT_SUPPORTED = 3  # NVML_ERROR_NOT_SUPPORTED
_NO_PERMISSION = 4  # NVML_ERROR_NO_PERMISSION


def read(process: Process, waited: float) -> Nvml | Unknown:
    """What the program has said until now; `waited` as in `cuda.read`."""
    said = {step["step"]: step for step in steps(process)}
    module, init = said.get("module"), said.get("init")
    if module is not None and "error" in module:
        return Unknown(f"nvidia-ml-py is not to be had: {module['error']}", Cause.ABSENT)
    if init is None:
        return silence(process, "NVML", waited)
    if init["code"] != 0:
        return Nvml(init=init["code"])
    if "count" in said:
        gpus: tuple[NvmlGpu, ...] | Unknown = _refusal("the number of GPUs", said["count"])
    else:
        gpus = tuple(_gpu(step) for step in steps(process) if step["step"] == "gpu")
        begun = [step["index"] for step in steps(process) if step["step"] == "asking"]
        if len(begun) > len(gpus):
            hung = silence(process, f"NVML about GPU {begun[-1]}", waited)
            gpus += (NvmlGpu(index=begun[-1], uuid=hung, name=hung),)
    return Nvml(
        init=0,
        driver_version=_answer("the driver's version", init, "driver_version"),
        cuda_version=_answer("the CUDA version", init, "cuda_version"),
        gpus=gpus,
    )


def _refusal(question: str, answer: Step) -> Unknown:
    if "missing" in answer:
        return Unknown(f"this NVML cannot be asked for {question}: {answer['missing']}", Cause.ABSENT)
    code = answer.get("error")
    cause = {_NOT_SUPPORTED: Cause.ABSENT, _NO_PERMISSION: Cause.DENIED}.get(code or 0, Cause.FAILED)
    return Unknown(f"NVML gave {code} for {question}", cause)


def _answer(question: str, step: Step, name: str, take: Callable[[Any], Any] = lambda value: value) -> Any:
    """What a step says under `name`, as `take` makes a fact of it. The watch asks less than the probe does."""
    if name not in step:
        return NOT_ASKED
    answer = step[name]
    return _refusal(question, answer) if isinstance(answer, dict) and ("error" in answer or "missing" in answer) else take(answer)


def _gpu(step: Step) -> NvmlGpu:
    """One GPU's answers; a question that NVML refused is Unknown."""
    if "uuid" not in step:
        return NvmlGpu(index=step["index"], error=step["error"])
    plain = {
        name: _answer(name.replace("_", " "), step, name)
        for name in (
            "uuid minor bus_id name memory_total memory_used compute_mode persistence mig recovery_action ecc_uncorrected processes"
        ).split()
    }
    fabric_state = _answer("fabric state", step, "fabric", lambda fabric: fabric["state"])
    # Correctable, uncorrectable, pending, failure.
    return NvmlGpu(
        index=step["index"],
        error=step["error"],
        capability=_answer("capability", step, "capability", tuple),
        mig_uuids=_answer("MIG instances", step, "mig_uuids", tuple),
        fabric_state=fabric_state,
        fabric_status=NOT_ASKED if isinstance(fabric_state, Unknown) else step["fabric"]["status"],
        remap_pending=_answer("remapped rows", step, "remapped_rows", lambda rows: bool(rows[2])),
        remap_failed=_answer("remapped rows", step, "remapped_rows", lambda rows: bool(rows[3])),
        users=_answer("processes", step, "users", lambda users: tuple(map(_user, users))),
        **plain,
    )


def _user(said: Step) -> GpuUser:
    memory = said["memory"]
    untold = Unknown("NVML does not tell the memory of this process", Cause.ABSENT)
    return GpuUser(pid=said["pid"], memory=untold if memory is None else memory, here=said["here"])
