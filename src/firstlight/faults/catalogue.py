"""Every fault that firstlight knows, and which of them explains which.

Ordered by layer, and within a layer causes before what they cause: the diagnosis keeps this order.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping

from firstlight.faults import messages
from firstlight.faults.app import (
    app_folder_missing,
    cuda_failed_at_import,
    frontend_missing,
    manager_blocks_start,
    model_incomplete,
    model_needs_hub,
    node_ends_app,
    node_import_failed,
    port_taken,
    torch_without_cuda,
    vibevoice_versions,
    worker_dead,
)
from firstlight.faults.cuda import cuda_error_unexplained, gpu_busy, gpu_memory_full, memory_held_by_strangers
from firstlight.faults.device import (
    device_cgroup_denies,
    device_mode_forbids,
    gpu_node_missing,
    gpu_node_wrong,
    nvidiactl_missing,
    uvm_major_stale,
    uvm_node_missing,
    uvm_open_fails,
)
from firstlight.faults.driver import compute_not_enabled, driver_not_injected, gpu_not_granted, uvm_module_absent
from firstlight.faults.environment import address_space_limit, descriptor_limit, visible_devices_invalid
from firstlight.faults.fault import Fault
from firstlight.faults.framework import driver_too_old
from firstlight.faults.hardware import fabric_failed, fabric_in_progress, gpu_lost, probe_hung, xid_reported
from firstlight.faults.library import (
    compat_library_active,
    driver_library_mismatch,
    empty_library,
    library_off_path,
    nvml_failed,
    stub_libcuda,
)

# What is wrong with the machine: each is told by its facts.
OF_THE_MACHINE: tuple[Fault, ...] = (
    gpu_lost.FAULT,
    xid_reported.FAULT,
    probe_hung.FAULT,
    fabric_failed.FAULT,
    fabric_in_progress.FAULT,
    gpu_not_granted.FAULT,
    driver_not_injected.FAULT,
    compute_not_enabled.FAULT,
    uvm_module_absent.FAULT,
    nvidiactl_missing.FAULT,
    gpu_node_missing.FAULT,
    gpu_node_wrong.FAULT,
    uvm_node_missing.FAULT,
    uvm_major_stale.FAULT,
    device_cgroup_denies.FAULT,
    device_mode_forbids.FAULT,
    uvm_open_fails.FAULT,
    stub_libcuda.FAULT,
    empty_library.FAULT,
    library_off_path.FAULT,
    driver_library_mismatch.FAULT,
    compat_library_active.FAULT,
    nvml_failed.FAULT,
    visible_devices_invalid.FAULT,
    address_space_limit.FAULT,
    descriptor_limit.FAULT,
    gpu_busy.FAULT,
    gpu_memory_full.FAULT,
    memory_held_by_strangers.FAULT,
    cuda_error_unexplained.FAULT,
    driver_too_old.FAULT,
)

# What is wrong with the app: each is told by what was seen of its start.
OF_THE_APP: tuple[Fault, ...] = (
    port_taken.FAULT,
    app_folder_missing.FAULT,
    frontend_missing.FAULT,
    torch_without_cuda.FAULT,
    cuda_failed_at_import.FAULT,
    manager_blocks_start.FAULT,
    node_ends_app.FAULT,
    vibevoice_versions.FAULT,
    node_import_failed.FAULT,
    model_incomplete.FAULT,
    model_needs_hub.FAULT,
    worker_dead.FAULT,
)

CATALOGUE = (*OF_THE_MACHINE, *OF_THE_APP)

_ALL = frozenset(fault.id for fault in OF_THE_MACHINE)

# What is not worth saying once its cause is found. A CUDA error that nothing explains is one only where nothing stops CUDA.
EXPLAINS: Mapping[str, frozenset[str]] = {
    "gpu-not-granted": _ALL - {"gpu-not-granted"},
    "driver-not-injected": _ALL - {"driver-not-injected", "gpu-not-granted"},
    "compute-not-enabled": frozenset({"stub-libcuda", "empty-library", "library-off-path"}),
    "probe-hung": frozenset({"nvml-failed"}),
    "nvidiactl-missing": frozenset({"nvml-failed"}),
    "device-cgroup-denies": frozenset({"nvml-failed"}),
    "device-mode-forbids": frozenset({"nvml-failed"}),
    "gpu-lost": frozenset({"nvml-failed", "gpu-busy", "gpu-memory-full", "fabric-failed", "fabric-in-progress"}),
    "uvm-module-absent": frozenset({"uvm-node-missing", "uvm-major-stale", "uvm-open-fails"}),
    "uvm-major-stale": frozenset({"uvm-open-fails"}),
    "address-space-limit": frozenset({"gpu-memory-full"}),
    "torch-without-cuda": frozenset({"cuda-failed-at-import"}),
}


def page(fault: Fault) -> str:
    """The fault's page, its module's docstring: You see, Why, Cure."""
    return (sys.modules[fault.evidence.__module__].__doc__ or "").strip()


def find(text: str) -> list[Fault]:
    """The faults that a text means, most likely first: an id, the start of one, a CUDA code, or a pasted message."""
    wanted = text.strip().lower()
    exact = [fault for fault in CATALOGUE if fault.id == wanted]
    if exact or not wanted:
        return exact
    starts = [fault for fault in CATALOGUE if fault.id.startswith(wanted)]
    if starts:
        return starts
    by_id = {fault.id: fault for fault in CATALOGUE}
    return [by_id[name] for name in messages.faults_of(text)]
