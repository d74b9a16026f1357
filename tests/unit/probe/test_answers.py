"""From the lines of a program, whole or cut off, to facts."""

from __future__ import annotations

from machines import process

from firstlight.probe import cuda, nvml, torch
from firstlight.probe.facts import Cause, Nvml, Unknown

LOAD = {"step": "load", "path": "/usr/lib/libcuda.so.580.1", "seconds": 0.01, "visible_devices": None}
VERSION = {"step": "version", "code": 0, "version": 13000}
BEGUN = {"step": "initializing"}
INIT = {"step": "init", "code": 0, "seconds": 0.1, "text": "", "nodes_created": []}
COUNT = {"step": "count", "code": 0, "count": 2}
GPU = {
    "step": "gpu",
    "ordinal": 0,
    "uuid": "GPU-1",
    "name": "NVIDIA H100",
    "capability": [9, 0],
    "context": 0,
    "context_seconds": 0.1,
    "kernel_seconds": 0.02,
    "kernel": 0,
    "proven": True,
}


def cause(value: object) -> Cause:
    assert isinstance(value, Unknown)
    return value.cause


def test_a_proven_gpu_is_read_whole() -> None:
    found = cuda.read(process(LOAD, VERSION, BEGUN, INIT, dict(COUNT, count=1), GPU, {"step": "done", "nodes_created": []}), 1.0)
    assert (found.library, found.driver_version, found.init, found.count) == ("/usr/lib/libcuda.so.580.1", 13000, 0, 1)
    assert found.gpus[0].proven is True
    assert found.gpus[0].capability == (9, 0)
    assert set(found.seconds) == {"load", "init", "context", "kernel"}


def test_a_prover_that_hangs_in_cuinit_says_so() -> None:
    found = cuda.read(process(LOAD, VERSION, BEGUN, status=None), 60.0)
    assert cause(found.init) is Cause.HUNG
    assert "cuInit gave no answer within 60 s" in str(found.init)


def test_a_prover_that_was_killed_is_no_hang() -> None:
    found = cuda.read(process(LOAD, VERSION, BEGUN, status=-11, errors=b"Segmentation fault\n"), 1.0)
    assert cause(found.init) is Cause.CRASHED
    assert "signal 11: Segmentation fault" in str(found.init)


def test_a_hang_at_the_second_gpu_leaves_the_first_one_proven() -> None:
    found = cuda.read(
        process(LOAD, VERSION, BEGUN, INIT, COUNT, {"step": "proving", "ordinal": 0}, GPU, {"step": "proving", "ordinal": 1}, status=None),
        5.0,
    )
    assert found.gpus[0].proven is True
    assert cause(found.gpus[1].proven) is Cause.HUNG


def test_a_torn_or_foreign_line_is_passed_over() -> None:
    found = cuda.read(process(LOAD, VERSION, BEGUN, INIT, tail=b'"just text"\n[1]\n{"step": "cou'), 1.0)
    assert found.init == 0


def test_no_libcuda_is_told_in_the_loaders_words() -> None:
    found = cuda.read(process({"step": "load", "error": "libcuda.so.1: cannot open shared object file"}), 1.0)
    assert isinstance(found.library, Unknown)
    assert found.library.reason == "libcuda.so.1: cannot open shared object file"


def test_a_prover_that_cannot_even_start_is_a_fact() -> None:
    assert cause(cuda.read(process(status=1, errors=b"ImportError: no ctypes"), 1.0).library) is Cause.CRASHED


def test_nvml_without_its_module_is_a_fact() -> None:
    found = nvml.read(process({"step": "module", "error": "No module named 'pynvml'"}), 1.0)
    assert cause(found) is Cause.ABSENT


def test_what_nvml_refuses_is_unknown_and_what_it_says_is_not() -> None:
    answers = {
        "uuid": "GPU-1", "minor": 0, "bus_id": "0000:8d:00.0", "name": "H100", "capability": [9, 0], "memory_total": 80, "memory_used": 1,
        "compute_mode": 0, "persistence": True, "mig": {"error": 3}, "mig_uuids": {"error": 3}, "fabric": {"state": 3, "status": 0},
        "recovery_action": {"missing": "too old"}, "ecc_uncorrected": {"error": 4}, "remapped_rows": [0, 0, 1, 0], "processes": 0,
    }  # fmt: skip
    init = {"step": "init", "code": 0, "driver_version": "580.1", "cuda_version": 13000}
    found = nvml.read(
        process({"step": "module"}, init, {"step": "asking", "index": 0}, {"step": "gpu", "index": 0, "error": 0, **answers}), 1.0
    )
    assert isinstance(found, Nvml)
    assert not isinstance(found.gpus, Unknown)
    gpu = found.gpus[0]
    assert (gpu.uuid, gpu.capability, gpu.fabric_state, gpu.remap_pending, gpu.remap_failed) == ("GPU-1", (9, 0), 3, True, False)
    assert cause(gpu.mig) is Cause.ABSENT
    assert cause(gpu.ecc_uncorrected) is Cause.DENIED
    assert cause(gpu.recovery_action) is Cause.ABSENT


def test_a_gpu_at_which_nvml_hangs_is_listed() -> None:
    init = {"step": "init", "code": 0, "driver_version": "580.1", "cuda_version": 13000}
    found = nvml.read(process({"step": "module"}, init, {"step": "asking", "index": 0}, status=None), 20.0)
    assert isinstance(found, Nvml)
    assert not isinstance(found.gpus, Unknown)
    assert cause(found.gpus[0].uuid) is Cause.HUNG


def test_a_torch_built_for_the_cpu_is_told_apart() -> None:
    steps = (
        {"step": "import", "version": "2.13.0+cpu", "cuda_build": None, "arch_list": []},
        {"step": "torch", "available": False, "device_count": 0, "message": "Torch not compiled with CUDA enabled"},
    )
    found = torch.read(process(*steps), "python3", 1.0)
    assert found.version == "2.13.0+cpu"
    assert cause(found.cuda_build) is Cause.ABSENT
    assert found.available is False
