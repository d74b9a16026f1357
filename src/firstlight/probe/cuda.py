"""CUDA's driver API, asked and proven in a child: programs/prove_gpu.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.probe.answers import Step, silence, steps
from firstlight.probe.facts import NOT_ASKED, Cause, Cuda, CudaGpu, Unknown

if TYPE_CHECKING:
    from firstlight.system.process import Process


def finished(process: Process) -> bool:
    """True once the prover has said all that it will say of the GPUs (it may go on as holder)."""
    return process.ended or any(step["step"] == "done" for step in steps(process))


def read(process: Process, waited: float) -> Cuda:
    """What the prover has said until now; `waited` is how long we gave it, in seconds, for the words of an Unknown."""
    told = steps(process)
    said = {step["step"]: step for step in told}
    load = said.get("load")
    if load is None:
        return Cuda(library=silence(process, "loading libcuda", waited))
    if "error" in load:
        return Cuda(library=Unknown(load["error"]))
    visible = load.get("visible_devices")
    init, count = said.get("init"), said.get("count")
    seconds = {"load": load["seconds"]}
    if init:
        seconds["init"] = init["seconds"]
    for step in told:
        if step["step"] == "gpu" and "context_seconds" in step:
            seconds["context"] = seconds.get("context", 0.0) + step["context_seconds"]
            seconds["kernel"] = seconds.get("kernel", 0.0) + step["kernel_seconds"]
    return Cuda(
        library=load["path"] or Unknown("the loader does not tell the file's path", Cause.ABSENT),
        driver_version=_driver_version(said.get("version"), process, waited),
        init=init["code"] if init else silence(process, "cuInit", waited),
        count=_count(count, process, waited) if init and init["code"] == 0 else NOT_ASKED,
        gpus=_gpus(told, process, waited),
        nodes_created=tuple((said.get("done") or init or {}).get("nodes_created", ())),
        visible_devices=Unknown("CUDA_VISIBLE_DEVICES is not set", Cause.ABSENT) if visible is None else visible,
        seconds=seconds,
    )


def _driver_version(step: Step | None, process: Process, waited: float) -> int | Unknown:
    if step is None:
        return silence(process, "cuDriverGetVersion", waited)
    if step["code"] is None:
        return Unknown("this libcuda has no cuDriverGetVersion", Cause.ABSENT)
    return step["version"] if step["code"] == 0 else Unknown(f"cuDriverGetVersion gave {step['code']}")


def _count(step: Step | None, process: Process, waited: float) -> int | Unknown:
    if step is None:
        return silence(process, "cuDeviceGetCount", waited)
    return step["count"] if step["code"] == 0 else Unknown(f"cuDeviceGetCount gave {step['code']}")


def _gpus(told: list[Step], process: Process, waited: float) -> tuple[CudaGpu, ...]:
    """One entry for every GPU that was counted; those not proven yet say why."""
    count = sum(step["count"] for step in told if step["step"] == "count")
    answered = {step["ordinal"]: step for step in told if step["step"] == "gpu"}
    begun = {step["ordinal"] for step in told if step["step"] == "proving"}
    found = []
    for ordinal in range(count):
        if ordinal in answered:
            found.append(_gpu(answered[ordinal]))
        elif ordinal in begun:
            why = silence(process, f"the proof of GPU {ordinal}", waited)
            found.append(CudaGpu(ordinal=ordinal, context=why, kernel=why, proven=why))
        else:
            found.append(CudaGpu(ordinal=ordinal))
    return tuple(found)


def _gpu(step: Step) -> CudaGpu:
    capability = step.get("capability")
    return CudaGpu(
        ordinal=step["ordinal"],
        uuid=step.get("uuid", NOT_ASKED),
        bus_id=step.get("bus_id", NOT_ASKED),
        name=step.get("name", NOT_ASKED),
        capability=(capability[0], capability[1]) if capability else NOT_ASKED,
        memory_total=step.get("memory_total", NOT_ASKED),
        context=step["context"],
        kernel=step.get("kernel", NOT_ASKED),
        proven=step.get("proven", False),
    )
