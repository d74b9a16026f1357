"""Recipes: the command decides the port and whether a GPU is asked for; which lines mean something, and which look alike and do not."""

from __future__ import annotations

import json
import re

import pytest

from firstlight.apps import recipes
from firstlight.apps.app import App, Kind, Level, Meaning, Relation, check_json, patterns_json
from firstlight.apps.parse import spec

EVERY = list(recipes.RECIPES.values())


def names(app: App) -> str:
    return app.name


@pytest.mark.parametrize("app", EVERY, ids=names)
def test_a_recipe_asks_whether_the_app_is_ready_and_whether_it_is_alive(app: App) -> None:
    checks = app.checks_for(["serve"], 1234)

    assert {check.level for check in checks} == set(Level)
    assert len({check.name for check in checks}) == len(checks)
    for check in checks:
        assert check.kind not in (Kind.HTTP, Kind.TCP) or ":1234" in check.target
        assert "{" not in check.target
        assert check.start_period == app.start_budget >= 600
        json.dumps(check_json(check))


@pytest.mark.parametrize("app", EVERY, ids=names)
def test_a_recipe_is_found_by_its_name_and_restarts_what_fails(app: App) -> None:
    assert recipes.recipe(app.name) is app
    assert app.defaults["restart"] == "on-failure"


def test_an_unknown_recipe_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"there is no recipe 'comfy'; there are a1111, comfyui, http, jupyter, triton, vllm"):
        recipes.recipe("comfy")


@pytest.mark.parametrize(
    ("name", "command", "setting", "port"),
    [
        ("comfyui", ["python", "main.py"], 0, 8188),
        ("comfyui", ["python", "main.py", "--port", "3000"], 0, 3000),
        ("comfyui", ["python", "main.py", "--port=3000"], 0, 3000),
        ("comfyui", ["python", "main.py", "--port", "3000"], 4000, 4000),
        ("comfyui", ["sh", "-c", "cd /app && exec python main.py --port 3000 --listen"], 0, 3000),
        ("comfyui", ["python", "main.py", "--port", "1", "--port", "2"], 0, 2),
        ("comfyui", ["python", "main.py", "--export", "--portable", "--port-file", "7"], 0, 8188),
        ("comfyui", ["python", "main.py", "--port", "auto"], 0, 8188),
        ("comfyui", ["python", "main.py", "--my--port", "7"], 0, 8188),
        ("comfyui", ["python", "main.py", "--port", "80/tcp"], 0, 8188),
        ("triton", ["tritonserver", "--http-port=9000", "--port", "1"], 0, 9000),
        ("vllm", ["vllm", "serve", "m", "--port", "80"], 0, 80),
    ],
)
def test_the_port_is_set_or_said_in_the_command_or_the_apps_own(name: str, command: list[str], setting: int, port: int) -> None:
    assert recipes.recipe(name).port_for(command, setting) == port


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        (["python", "main.py"], True),
        (["python", "main.py", "--cpu"], False),
        (["sh", "-c", "python main.py --cpu --listen"], False),
        (["python", "main.py", "--cpu-vae"], True),
    ],
)
def test_comfyui_must_have_a_gpu_unless_its_command_says_otherwise(command: list[str], asked: bool) -> None:
    (check,) = (check for check in recipes.recipe("comfyui").checks_for(command, 8188) if check.name == "system-stats")

    assert [str(rule) for rule in check.expect] == (["devices.0.type equals cuda"] if asked else [])


def test_the_pump_gets_the_patterns_of_the_recipe_and_the_log_checks() -> None:
    app = recipes.recipe("comfyui")
    checks = (*app.checks_for([], 1), spec("log:To see the GUI go to", Level.READY, "ready-1"))

    lines = patterns_json(app.patterns, checks)

    assert [line["id"] for line in lines] == [*(pattern.name for pattern in app.patterns), "ready-1"]
    assert all(re.compile(line["regex"].encode()) for line in lines)


def test_the_checker_gets_a_check_as_plain_data() -> None:
    (queue,) = (check for check in recipes.recipe("comfyui").checks_for([], 8188) if check.name == "queue")

    assert check_json(queue)["fail_when"] == [
        {"path": "queue_pending", "relation": "not-empty", "value": None},
        {"path": "queue_running", "relation": "empty", "value": None},
    ]
    assert {relation.value for relation in Relation} == {"equals", "empty", "not-empty", "offers", "present"}


def meaning(app: str, line: str) -> Meaning | None:
    """What the first pattern that fits makes of a line."""
    for pattern in recipes.recipe(app).patterns:
        if re.search(pattern.regex, line.encode()):
            assert any(mark in line.encode() for mark in pattern.marks), "a mark is in every line that fits"
            return pattern.meaning
    return None


POISONED = [
    # PyTorch, whose message goes on in the next line
    "RuntimeError: CUDA error: an illegal memory access was encountered",
    "torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
    "RuntimeError: CUDA error: device-side assert triggered",
    "RuntimeError: CUDA error: unspecified launch failure",
    "RuntimeError: CUDA error: misaligned address",
    "torch.AcceleratorError: CUDA error: uncorrectable ECC error encountered",
    "RuntimeError: CUDA error: the launch timed out and was terminated\r",
    # CUDA was asked too early, and is not asked again
    "site-packages/torch/cuda/__init__.py:174: UserWarning: CUDA initialization: CUDA unknown error - this may be due to an incorrectly",
    # in the logs of ComfyUI, vLLM and Ray
    "!!! Exception during processing !!! CUDA error: an illegal memory access was encountered",
    "(EngineCore_DP0 pid=211) ERROR 05-12 01:48:42 [core.py:72] RuntimeError: CUDA error: an illegal memory access was encountered",
    "ERROR:root:RuntimeError: CUDA error: an illegal memory access was encountered",
    "2026-11-24 05:00:00,000 - ERROR - torch.AcceleratorError: CUDA error: an illegal instruction was encountered",
    # C++
    "  what():  CUDA error: an illegal memory access was encountered",
    "CUDA error: an illegal memory access was encountered",
    "[E] 1: [defaultAllocator.cpp::deallocate::61] Error Code 1: Cuda Runtime (an illegal memory access was encountered)",
    "CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=pod ; file=cuda_call.cc ; line=121 ; expr=cudaStreamSync",
    "pod:211:233 [0] NCCL WARN Cuda failure 'an illegal memory access was encountered'",
    "pod:211:233 [0] NCCL WARN Cuda failure 700 'an illegal memory access was encountered'",
    # CuPy, JAX
    "cupy_backends.cuda.api.driver.CUDADriverError: CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered",
    "E1124 cuda_executor.cc:1101] failed to free device memory; result: CUDA_ERROR_LAUNCH_FAILED: unspecified launch failure",
]

CUDA = [
    "RuntimeError: CUDA unknown error - this may be due to an incorrectly set up environment, e.g. changing env variable",
    "RuntimeError: Unexpected error from cudaGetDeviceCount(). Did you run some cuda functions before calling NumCudaDevices() that",
    "RuntimeError: No CUDA GPUs are available",
    "RuntimeError: Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU and installed a driver from",
    "RuntimeError: CUDA driver initialization failed, you might not have a CUDA gpu.",
    "torch.cuda.DeferredCudaCallError: Found no NVIDIA driver on your system.",
    "RuntimeError: CUDA error: unknown error",
    "RuntimeError: CUDA error: CUDA-capable device(s) is/are busy or unavailable",
    "RuntimeError: CUDA error: initialization error",
    "torch.AcceleratorError: CUDA error: system not yet initialized",
    "CUDA failure 999: unknown error ; GPU=0 ; hostname=pod ; file=x ; line=1 ; expr=y",
]

HARMLESS = [
    "",
    "Device: cuda:0 NVIDIA H200 : cudaMallocAsync",
    "pytorch version: 2.9.1+cu128",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 MiB.",
    "RuntimeError: CUDA error: out of memory",
    "RuntimeError: CUDA error: no kernel image is available for execution on the device",
    "RuntimeError: CUDA error: invalid configuration argument",
    "RuntimeError: CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.",
    "Search for `cudaErrorIllegalAddress' in the CUDA documentation for more information.",
    "AssertionError: Torch not compiled with CUDA enabled",
    "RuntimeError: Error(s) in loading state_dict for UNet",
    "site-packages/torch/cuda/__init__.py:174: UserWarning: CUDA initialization: The NVIDIA driver on your system is too old",
    "why do I get UserWarning: CUDA initialization: CUDA unknown error - this may be due to an incorrectly set up environment",
    "INFO: prompt: 'why do I get RuntimeError: CUDA error: an illegal memory access was encountered in my code?'",
    "got prompt: explain CUDA error: device-side assert triggered, please",
    "why do I get RuntimeError: CUDA error: an illegal memory access was encountered",
    "The launch timed out and was terminated by the scheduler",
    "unknown error",
    "Cannot import /app/custom_nodes/broken module for custom nodes: No module named 'x'",
    "   0.0 seconds (IMPORT FAILED): /app/custom_nodes/broken",
    "Exception in thread Thread-7 (download):",
    "an exception in thread Thread-2 (prompt_worker) was the cause of issue 16312",
    'INFO:     10.1.6.81:16983 - "POST /v1/messages?beta=true HTTP/1.1" 500 Internal Server Error',
]


@pytest.mark.parametrize("app", ["comfyui", "vllm", "a1111", "triton", "http"])
def test_lines_of_a_poisoned_app_a_broken_cuda_and_a_harmless_one_are_told_apart(app: str) -> None:
    assert [line for line in POISONED if meaning(app, line) is not Meaning.POISONED] == []
    assert [line for line in CUDA if meaning(app, line) is not Meaning.CUDA] == []
    assert [line for line in HARMLESS if meaning(app, line) not in (None, Meaning.TOLD)] == []


@pytest.mark.parametrize(
    ("app", "line", "expected"),
    [
        ("comfyui", "Exception in thread Thread-2 (prompt_worker):", Meaning.ZOMBIE),
        ("comfyui", "Exception in thread Thread-11 (prompt_worker):\r", Meaning.ZOMBIE),
        ("vllm", "vllm.v1.engine.exceptions.EngineDeadError: EngineCore encountered an issue. See stack trace (above)", Meaning.ZOMBIE),
        ("vllm", "Exception in thread Thread-2 (prompt_worker):", None),
        ("a1111", "RuntimeError: Torch is not able to use GPU; add --skip-torch-cuda-test to COMMANDLINE_ARGS", Meaning.CUDA),
        ("jupyter", "RuntimeError: CUDA error: an illegal memory access was encountered", None),
    ],
)
def test_lines_of_one_app(app: str, line: str, expected: Meaning | None) -> None:
    assert meaning(app, line) is expected


def test_a_long_line_costs_no_time() -> None:
    """Each pattern is searched in each line, and nobody says how long a line is."""
    line = ("a.b_c" * 200_000 + ": CUDA error: " + "x" * 1000).encode()

    for app in EVERY:
        for pattern in app.patterns:
            assert not re.search(pattern.regex, line)
