"""programs/watch_gpu.py against NVIDIA's own: its structures are those of nvml.h, its calls are in libnvidia-ml, and it hears that library's codes.

Without a GPU the library gets no further than its start; the rest is for tests/gpu/life_cases.py and a real one.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import fetched
import pytest

from firstlight.programs import watch_gpu
from firstlight.system.loop import program

# Our structure, NVIDIA's, and NVIDIA's names of our fields.
STRUCTURES = {
    watch_gpu.Pci: ("nvmlPciInfo_t", ("busIdLegacy", "domain", "busId")),
    watch_gpu.Memory: ("nvmlMemory_t", ("total", "free", "used")),
    watch_gpu.Process: ("nvmlProcessInfo_v2_t", ("pid", "usedGpuMemory", "gpuInstanceId", "computeInstanceId")),
    watch_gpu.Field: ("nvmlFieldValue_t", ("fieldId", "scopeId", "timestamp", "latencyUsec", "valueType", "nvmlReturn", "value")),
    watch_gpu.Fabric: ("nvmlGpuFabricInfo_v2_t", ("version", "clusterUuid", "status", "cliqueId", "state", "healthMask")),
}
CONSTANTS = {
    "nvmlGpuFabricInfo_v2": ctypes.sizeof(watch_gpu.Fabric) | 2 << 24,
    "NVML_FI_DEV_GET_GPU_RECOVERY_ACTION": watch_gpu.RECOVERY_ACTION,
    "NVML_ERROR_INSUFFICIENT_SIZE": watch_gpu.INSUFFICIENT_SIZE,
    "NVML_ERROR_LIBRARY_NOT_FOUND": watch_gpu.LIBRARY_NOT_FOUND,
    "NVML_ERROR_FUNCTION_NOT_FOUND": watch_gpu.FUNCTION_NOT_FOUND,
    "NVML_MEMORY_ERROR_TYPE_UNCORRECTED": watch_gpu.UNCORRECTED,
    "NVML_VOLATILE_ECC": watch_gpu.VOLATILE,
    "NVML_ERROR_GPU_IS_LOST": watch_gpu.LOST[0],
    "NVML_ERROR_RESET_REQUIRED": watch_gpu.LOST[1],
}
CALLS = sorted(set(re.findall(r'"(nvml[A-Z]\w+)"[,)]', Path(watch_gpu.__file__).read_text())))

# What the fetched driver, 535, does not have yet. A look takes the lack of a call for a refusal.
YOUNGER = {"nvmlDeviceGetGpuFabricInfoV"}

# What is done to /dev/nvidiactl, and the code that NVML's start gives to a process that may not remove what is there.
MACHINES = {"true": 9, "mknod -m 666 /dev/nvidiactl c 195 255": 9, "touch /dev/nvidiactl": 17}


def test_structures_and_constants_are_nvidias(tmp_path):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("this machine has no C compiler")
    folder = fetched.header("nvidia-nvml-dev", "13.5.37", "nvml.h")
    values = {}
    for ours, (theirs, names) in STRUCTURES.items():
        values[f"sizeof({theirs})"] = ctypes.sizeof(ours)
        fields = [name for name, _ in ours._fields_]
        values.update({f"offsetof({theirs}, {name})": getattr(ours, field).offset for name, field in zip(names, fields, strict=True)})
    values.update(CONSTANTS)
    prints = "\n".join(f'printf("%llu\\n", (unsigned long long)({expression}));' for expression in values)
    (tmp_path / "ask.c").write_text(f"#include <stddef.h>\n#include <stdio.h>\n#include <nvml.h>\nint main(void)\n{{\n{prints}\n}}\n")
    subprocess.run([compiler, f"-I{folder}", str(tmp_path / "ask.c"), "-o", str(tmp_path / "ask")], check=True)
    said = subprocess.run([str(tmp_path / "ask")], capture_output=True, text=True, check=True).stdout.split()
    assert dict(zip(values, map(int, said), strict=True)) == values


def test_every_call_is_one_that_nvidias_library_has():
    libraries = fetched.user_mode_driver()
    fetched.need("readelf")
    listed = subprocess.run(
        ["readelf", "--dyn-syms", "--wide", str(libraries / "libnvidia-ml.so.1")], capture_output=True, text=True, check=True
    )
    exported = {line.split()[7].partition("@")[0] for line in listed.stdout.splitlines() if " FUNC " in line}
    assert len(CALLS) > 10
    assert set(CALLS) - exported == YOUNGER


@pytest.mark.root
@pytest.mark.parametrize("node", MACHINES)
def test_a_look_through_nvidias_library_hears_its_code(node):
    if os.geteuid() != 0:
        pytest.skip("a private /dev needs root")
    fetched.need("unshare", "mount", "mknod")
    libraries = fetched.user_mode_driver()
    prepare = f'mount -t tmpfs tmpfs /dev && mknod -m 666 /dev/null c 1 3 && {node} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", prepare, "sh", *program("watch_gpu", "-", "/dev/nvidiactl", confined=True)]
    environment = {"PATH": os.environ["PATH"], "LD_LIBRARY_PATH": str(libraries)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)
    if "permission denied" in done.stderr.lower():
        pytest.skip(f"this machine allows no private mounts: {done.stderr.strip()}")
    assert (done.returncode, done.stderr) == (0, "")
    steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert steps[-1] == {"step": "init", "code": MACHINES[node]}
    assert [step["step"] for step in steps[:3]] == ["driver", "opening", "opened"]
