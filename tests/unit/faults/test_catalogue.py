"""The catalogue holds together: order, names, pages, purity, and what a pasted message finds."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import firstlight.faults
from firstlight.faults import catalogue, messages
from firstlight.faults.catalogue import CATALOGUE, EXPLAINS, find
from firstlight.faults.fault import Fault, Layer, Persistence, Remedy
from firstlight.report import pages

FOLDER = Path(firstlight.faults.__file__).parent
FORBIDDEN = ("os", "subprocess", "socket", "time", "firstlight.system", "pathlib", "io")


def ids(faults: list[Fault]) -> list[str]:
    return [fault.id for fault in faults]


def files() -> list[Path]:
    return sorted(path for path in FOLDER.glob("*/*.py") if path.name != "__init__.py")


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            names |= {statement.module or ""} | {f"{statement.module}.{alias.name}" for alias in statement.names}
    return names


def test_every_name_is_there_once() -> None:
    assert len(set(ids(list(CATALOGUE)))) == len(CATALOGUE)


def test_the_catalogue_is_ordered_by_layer() -> None:
    layers = list(Layer)
    places = [layers.index(fault.layer) for fault in CATALOGUE]
    assert places == sorted(places)


def test_every_file_is_in_the_catalogue_under_its_layer_and_name() -> None:
    found = {(fault.layer.value, fault.id.replace("-", "_")) for fault in CATALOGUE}
    assert {(path.parent.name, path.stem) for path in files()} == found


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.id)
def test_every_fault_has_a_page_with_all_its_parts(fault: Fault) -> None:
    found = pages.sections(fault)
    assert tuple(found) == pages.SECTIONS
    assert all(found.values())
    assert pages.title(fault).endswith(".")


@pytest.mark.parametrize("fault", CATALOGUE, ids=lambda fault: fault.id)
def test_every_fault_says_who_must_do_what(fault: Fault) -> None:
    assert fault.symptom
    assert fault.advice.endswith(".")
    assert fault.advice.count("`") % 2 == 0
    assert not (fault.host_fault and fault.persistence is Persistence.PERMANENT and Remedy.REPLACE_INSTANCE not in fault.remedies)


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: path.stem)
def test_what_decides_does_not_touch_the_machine(path: Path) -> None:
    assert not {name for name in imported(path) if name.split(".")[0] in FORBIDDEN or name.startswith("firstlight.system")}


@pytest.mark.parametrize("path", files(), ids=lambda path: path.stem)
def test_faults_do_not_know_each_other(path: Path) -> None:
    layers = {f"firstlight.faults.{layer.value}" for layer in Layer}
    assert not {name for name in imported(path) if any(name.startswith(layer) for layer in layers)}


def test_what_explains_and_what_is_explained_are_faults_and_the_cause_stands_first() -> None:
    order = ids(list(CATALOGUE))
    for cause, effects in EXPLAINS.items():
        assert cause in order
        assert effects <= set(order)
        if cause not in ("gpu-not-granted", "driver-not-injected"):  # nothing else is worth a word then, whatever its place
            assert all(order.index(cause) < order.index(effect) for effect in effects)


def test_every_message_leads_to_faults_and_every_fault_has_a_way_to_it() -> None:
    named = [names for _, names in messages.MESSAGES] + list(messages.CODES.values())
    assert all(names for names in named)
    assert {name for names in named for name in names} == set(ids(list(CATALOGUE)))


TORCH_100 = "RuntimeError: No CUDA GPUs are available"
TORCH_999 = (
    "UserWarning: CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env "
    "variable CUDA_VISIBLE_DEVICES after program start. Setting the available devices to be zero. (Triggered internally at "
    "../c10/cuda/CUDAFunctions.cpp:108.)"
)
TORCH_802 = (
    "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that might "
    "have already set an error? Error 802: system not yet initialized"
)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("uvm-node-missing", "uvm-node-missing"),
        ("  UVM-Node-Missing ", "uvm-node-missing"),
        ("uvm-m", "uvm-module-absent"),
        ("CUDA unknown error", "uvm-node-missing"),
        (TORCH_999, "uvm-node-missing"),
        (TORCH_100, "visible-devices-invalid"),
        (TORCH_802, "fabric-in-progress"),
        ("no CUDA-capable device is detected", "visible-devices-invalid"),
        ("CUDA_ERROR_NO_DEVICE", "visible-devices-invalid"),
        ("Failed to initialize NVML: Unknown Error", "device-cgroup-denies"),
        ("Failed to initialize NVML: Driver/library version mismatch", "driver-library-mismatch"),
        ("Failed to initialize NVML: Insufficient Permissions", "device-mode-forbids"),
        ("error 802: system not yet initialized", "fabric-in-progress"),
        ("CUDA driver is a stub library", "stub-libcuda"),
        ("OSError: libcuda.so.1: file too short", "empty-library"),
        ("OSError: libcuda.so.1: cannot open shared object file: No such file or directory", "driver-not-injected"),
        ("Unable to determine the device handle for GPU 0000:41:00.0: GPU is lost.  Reboot the system to recover this GPU", "gpu-lost"),
        ("The NVIDIA driver on your system is too old (found version 12020).", "driver-too-old"),
        ("Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU", "driver-not-injected"),
        ("forward compatibility was attempted on non supported HW", "compat-library-active"),
        ("CUDA-capable device(s) is/are busy or unavailable", "gpu-busy"),
        ("OS call failed or operation not supported on this OS", "descriptor-limit"),
        ("torch.cuda.OutOfMemoryError: CUDA out of memory.", "gpu-memory-full"),
        ("No devices were found", "gpu-node-missing"),
        ("NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.", "nvidiactl-missing"),
        ("bash: nvidia-smi: command not found", "driver-not-injected"),
        ("cuInit 999", "uvm-node-missing"),
        ("CUDA error: 803", "driver-library-mismatch"),
        ("802", "fabric-in-progress"),
        ("invalid device ordinal", "visible-devices-invalid"),
        ("CUDA  unknown\n  error", "uvm-node-missing"),
    ],
)
def test_a_message_finds_its_most_likely_fault(text: str, first: str) -> None:
    assert ids(find(text))[0] == first


@pytest.mark.parametrize("text", ["", "   ", "segmentation fault", "the build of 2026 has 999 warnings", "error 12345", "777"])
def test_a_text_that_means_no_fault_finds_none(text: str) -> None:
    assert find(text) == []


def test_the_page_of_a_fault_is_its_file_s_docstring() -> None:
    fault = find("uvm-node-missing")[0]
    source = (FOLDER / "device" / "uvm_node_missing.py").read_text(encoding="utf-8")
    assert catalogue.page(fault) == (ast.get_docstring(ast.parse(source)) or "")
