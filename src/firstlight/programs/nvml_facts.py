"""Ask NVML for all that it knows of the GPUs, through nvidia-ml-py.

Lines: module (whether nvidia-ml-py is there), init, count (only where NVML refuses to tell it), asking and gpu (for each
GPU), done. Each value that NVML refuses is printed as {"error": code}, so that "not supported" stays apart from zero.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Callable

NVML_SUCCESS = 0
FIELD_RECOVERY_ACTION = 230  # NVML_FI_DEV_GET_GPU_RECOVERY_ACTION; younger than some nvidia-ml-py


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def text(value: Any) -> Any:
    """Old releases of nvidia-ml-py give bytes."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def attempt(nvml: Any, ask: Callable[[], Any]) -> Any:
    """What `ask` returns, or {"error": code} when NVML refuses, or {"missing": why} when the library is too old to be asked."""
    try:
        return ask()
    except nvml.NVMLError as error:
        return {"error": error.value}
    except (AttributeError, TypeError, ValueError) as error:
        return {"missing": str(error)}


def fabric(nvml: Any, handle: Any) -> dict[str, int]:
    """State and status of the NVSwitch fabric."""
    found = nvml.c_nvmlGpuFabricInfo_v2_t()
    found.version = nvml.nvmlGpuFabricInfo_v2
    nvml.nvmlDeviceGetGpuFabricInfoV(handle, nvml.byref(found))
    return {"state": found.state, "status": found.status}


def recovery_action(nvml: Any, handle: Any) -> Any:
    """NVML's word on who must act: 0 none, 1 reset the GPU, 2 reboot the node, …"""
    value = nvml.nvmlDeviceGetFieldValues(handle, [FIELD_RECOVERY_ACTION])[0]
    if value.nvmlReturn != NVML_SUCCESS:
        raise nvml.NVMLError(value.nvmlReturn)
    return value.value.uiVal


def mig_uuids(nvml: Any, handle: Any) -> list[str]:
    """The UUIDs of the MIG instances that exist on a GPU."""
    found = []
    for index in range(nvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found.append(text(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, index))))
        except nvml.NVMLError:
            continue  # a slot without an instance
    return found


def describe(nvml: Any, index: int) -> dict[str, Any]:
    """All that NVML says of one GPU."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
    except nvml.NVMLError as error:
        return {"index": index, "error": error.value}
    questions = {
        "uuid": lambda: text(nvml.nvmlDeviceGetUUID(handle)),
        "minor": lambda: nvml.nvmlDeviceGetMinorNumber(handle),
        "bus_id": lambda: text(nvml.nvmlDeviceGetPciInfo(handle).busId).lower(),
        "name": lambda: text(nvml.nvmlDeviceGetName(handle)),
        "capability": lambda: list(nvml.nvmlDeviceGetCudaComputeCapability(handle)),
        "memory_total": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).total,
        "memory_used": lambda: nvml.nvmlDeviceGetMemoryInfo(handle).used,
        "compute_mode": lambda: nvml.nvmlDeviceGetComputeMode(handle),
        "persistence": lambda: bool(nvml.nvmlDeviceGetPersistenceMode(handle)),
        "mig": lambda: bool(nvml.nvmlDeviceGetMigMode(handle)[0]),
        "mig_uuids": lambda: mig_uuids(nvml, handle),
        "fabric": lambda: fabric(nvml, handle),
        "recovery_action": lambda: recovery_action(nvml, handle),
        "ecc_uncorrected": lambda: nvml.nvmlDeviceGetTotalEccErrors(
            handle, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, nvml.NVML_VOLATILE_ECC
        ),
        "remapped_rows": lambda: list(nvml.nvmlDeviceGetRemappedRows(handle)),
        "processes": lambda: len(nvml.nvmlDeviceGetComputeRunningProcesses(handle)),
    }
    found = {name: attempt(nvml, ask) for name, ask in questions.items()}
    # A lost GPU answers some questions from memory; its first real error is the answer that counts.
    lost = next((found[name]["error"] for name in found if refused(found[name]) and found[name]["error"] in (15, 16)), 0)
    return dict(found, index=index, error=lost)


def refused(answer: Any) -> bool:
    """True for the {"error": code} form."""
    return isinstance(answer, dict) and "error" in answer


def main() -> None:
    """Run the steps; every one that is reached prints its line."""
    try:
        import pynvml as nvml
    except ImportError as error:
        say("module", error=str(error))
        return
    say("module", version=getattr(nvml, "__version__", ""), python=sys.version.split()[0])
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        say("init", code=error.value, text=str(error))
        return
    say(
        "init",
        code=0,
        driver_version=attempt(nvml, lambda: text(nvml.nvmlSystemGetDriverVersion())),
        cuda_version=attempt(nvml, nvml.nvmlSystemGetCudaDriverVersion_v2),
    )
    count = attempt(nvml, nvml.nvmlDeviceGetCount)
    if not isinstance(count, int):
        say("count", **count)
        return
    for index in range(count):
        say("asking", index=index)
        say("gpu", **describe(nvml, index))
    say("done")


if __name__ == "__main__":
    main()
