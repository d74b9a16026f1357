"""NVML, asked in a child: programs/nvml_facts.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firstlight.probe.answers import Step, silence, steps
from firstlight.probe.facts import NOT_ASKED, Cause, Nvml, NvmlGpu, Unknown

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
        driver_version=_value("the driver's version", init["driver_version"]),
        cuda_version=_value("the CUDA version", init["cuda_version"]),
        gpus=gpus,
    )


def _refusal(question: str, answer: Step) -> Unknown:
    if "missing" in answer:
        return Unknown(f"this NVML cannot be asked for {question}: {answer['missing']}", Cause.ABSENT)
    code = answer.get("error")
    cause = {_NOT_SUPPORTED: Cause.ABSENT, _NO_PERMISSION: Cause.DENIED}.get(code or 0, Cause.FAILED)
    return Unknown(f"NVML gave {code} for {question}", cause)


def _value(question: str, answer: Any) -> Any:
    return _refusal(question, answer) if isinstance(answer, dict) else answer


def _gpu(step: Step) -> NvmlGpu:
    """One GPU's answers; a question that NVML refused is Unknown."""
    if "uuid" not in step:
        return NvmlGpu(index=step["index"], error=step["error"])
    plain = {
        name: _value(name.replace("_", " "), step[name])
        for name in (
            "uuid minor bus_id name memory_total memory_used compute_mode persistence mig recovery_action ecc_uncorrected processes"
        ).split()
    }
    capability, mig_uuids, fabric, rows = (step[name] for name in ("capability", "mig_uuids", "fabric", "remapped_rows"))
    fabric_refused = "state" not in fabric
    # Correctable, uncorrectable, pending, failure.
    rows_refused = _refusal("remapped rows", rows) if isinstance(rows, dict) else None
    return NvmlGpu(
        index=step["index"],
        error=step["error"],
        capability=_refusal("capability", capability) if isinstance(capability, dict) else (capability[0], capability[1]),
        mig_uuids=_refusal("MIG instances", mig_uuids) if isinstance(mig_uuids, dict) else tuple(mig_uuids),
        fabric_state=_refusal("fabric state", fabric) if fabric_refused else fabric["state"],
        fabric_status=NOT_ASKED if fabric_refused else fabric["status"],
        remap_pending=bool(rows[2]) if rows_refused is None else rows_refused,
        remap_failed=bool(rows[3]) if rows_refused is None else rows_refused,
        **plain,
    )
