"""The simulated libcuda against what was measured on a real GPU (H100, driver 580.159.04): codes by cause.

Each case is a machine with one GPU, an environment, and the codes of cuInit, of the count of GPUs and of a context.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys

import pytest

from firstlight.rehearse import hardware, scenario, stage
from firstlight.system.loop import Loop

CLIENT = """
import ctypes, json, os, sys
cuda = ctypes.CDLL("libcuda.so.1")
count, context = ctypes.c_int(-1), ctypes.c_void_p()
init = cuda.cuInit(0)
if init:
    print(json.dumps([init]))
    sys.exit()
cuda.cuDeviceGetCount(ctypes.byref(count))
print(json.dumps([init, count.value, cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)]))
"""
NO_MKNOD = scenario.Container(capabilities="CHOWN DAC_OVERRIDE")
UUID = hardware.uuid(scenario.Gpu(), 0)


@pytest.fixture(scope="module")
def loop():
    made = Loop()
    yield made
    made.close()


def ask(loop: Loop, program: str = CLIENT, environment: dict[str, str] | None = None, limits=(), **machine) -> object:
    described = scenario.Scenario(name="measured", description="as measured", **{"container": NO_MKNOD, **machine})

    def limit() -> None:
        for number, soft in limits:
            resource.setrlimit(number, (soft, resource.getrlimit(number)[1]))

    with stage.set_up(loop, described, os.environ, None) as built:
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", program],
            env={**built.process_environment(os.environ), **(environment or {})},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            preexec_fn=limit,
        )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


VISIBLE_DEVICES = {
    "8": [100],
    "": [100],
    "-1": [100],
    "garbage": [100],
    "GPU-00000000-0000-0000-0000-000000000000": [100],
    "8,0": [100],
    UUID.removeprefix("GPU-"): [100],
    "0,0": [101],
    "0,8": [0, 1, 0],
    " 0": [0, 1, 0],
    "0 ": [0, 1, 0],
    UUID: [0, 1, 0],
    UUID[:9]: [0, 1, 0],
}


@pytest.mark.parametrize("value", VISIBLE_DEVICES)
def test_cuda_visible_devices(value, loop):
    assert ask(loop, environment={"CUDA_VISIBLE_DEVICES": value}) == VISIBLE_DEVICES[value]


OPENS = {
    "/dev/nvidiactl": dict.fromkeys(("EPERM", "ENXIO", "EACCES", "ENODEV", "ENOENT", "EIO", "EBUSY", "EMFILE"), 100),
    "/dev/nvidia0": {**dict.fromkeys(("EPERM", "ENOENT", "EIO", "EACCES", "EBUSY", "EMFILE"), 100), "ENXIO": 101, "ENODEV": 101},
    "/dev/nvidia-uvm": dict.fromkeys(("EPERM", "ENXIO", "EACCES", "ENODEV", "ENOENT", "EIO", "EBUSY", "EMFILE"), 999),
}


@pytest.mark.parametrize(("path", "number"), [(path, number) for path, answers in OPENS.items() for number in answers])
def test_errno_of_an_open(path, number, loop):
    assert ask(loop, nodes={path: {"open": number}}) == [OPENS[path][number]]


NODES = {
    "no GPU node": ({"/dev/nvidia0": "absent"}, [100]),
    "a GPU node of another name": ({"/dev/nvidia0": "absent", "/dev/nvidia8": {"minor": 0}}, [100]),
    "a GPU node that is a file": ({"/dev/nvidia0": "file"}, [100]),
    "a GPU node with a wrong minor": ({"/dev/nvidia0": {"minor": 5}}, [100]),
    "no control node": ({"/dev/nvidiactl": "absent"}, [100]),
    "no uvm node": ({"/dev/nvidia-uvm": "absent"}, [999]),
    "a uvm node with a wrong major": ({"/dev/nvidia-uvm": {"major": 510}}, [999]),
    "no uvm-tools node": ({"/dev/nvidia-uvm-tools": "absent"}, [0, 1, 0]),
}


@pytest.mark.parametrize("name", NODES)
def test_nodes(name, loop):
    nodes, expected = NODES[name]
    assert ask(loop, nodes=nodes) == expected


@pytest.mark.parametrize("name", [name for name in NODES if name != "no uvm-tools node"])
def test_with_the_right_to_make_nodes_libcuda_makes_them(name, loop):
    driver = scenario.Driver(modify_device_files=True)
    assert ask(loop, nodes=NODES[name][0], driver=driver, container=scenario.Container()) == [0, 1, 0]


LIMITS = {
    "address space of 12,000,000 KiB": (resource.RLIMIT_AS, 12_000_000 * 1024, [2]),
    "address space of 16,000,000 KiB": (resource.RLIMIT_AS, 16_000_000 * 1024, [0, 1, 0]),
    "32 descriptors": (resource.RLIMIT_NOFILE, 32, [0, 1, 304]),
    "48 descriptors": (resource.RLIMIT_NOFILE, 48, [0, 1, 0]),
    "no locked memory": (resource.RLIMIT_MEMLOCK, 0, [0, 1, 0]),
}


@pytest.mark.parametrize("name", LIMITS)
def test_limits(name, loop):
    number, soft, expected = LIMITS[name]
    assert ask(loop, limits=[(number, soft)]) == expected


def test_a_device_rule_denies_the_gpu(loop):
    assert ask(loop, container=scenario.Container(cgroup_deny=("195:*",))) == [100]


def test_a_failed_cuinit_can_be_tried_again_and_reads_the_environment_anew(loop):
    program = """
import ctypes, json, os
cuda = ctypes.CDLL("libcuda.so.1")
codes = [cuda.cuInit(0), cuda.cuInit(0)]
os.environ["CUDA_VISIBLE_DEVICES"] = "0"
print(json.dumps([*codes, cuda.cuInit(0), cuda.cuInit(0)]))
"""
    assert ask(loop, program, {"CUDA_VISIBLE_DEVICES": "8"}) == [100, 100, 0, 0]


def test_a_child_that_was_forked_after_cuinit_gets_3(loop):
    program = """
import ctypes, os
cuda = ctypes.CDLL("libcuda.so.1")
assert cuda.cuInit(0) == 0
child = os.fork()
if child == 0:
    os.write(1, str(cuda.cuInit(0)).encode())
    os._exit(0)
os.waitpid(child, 0)
"""
    assert ask(loop, program) == 3


def test_a_stub_gives_34_and_has_no_names(loop):
    stub = scenario.Library(kind="stub", directory="/stubs")
    program = """
import ctypes, json
cuda = ctypes.CDLL("libcuda.so.1")
print(json.dumps([cuda.cuInit(0), hasattr(cuda, "cuGetErrorName")]))
"""
    assert ask(loop, program, libraries=(stub,)) == [34, False]
