"""Asks whichever libcuda and libnvidia-ml the loader finds, and prints all answers as one JSON object.

Run once on NVIDIA's own libraries and once on the simulated ones; the two must print the same.
"""

import ctypes
import json
import os
import sys

CUDA_CODES = [int(code) for code in sys.argv[1].split(",")]
NVML_CODES = [int(code) for code in sys.argv[2].split(",")]

cuda = ctypes.CDLL("libcuda.so.1")
nvml = ctypes.CDLL("libnvidia-ml.so.1")
nvml.nvmlErrorString.restype = ctypes.c_char_p


def number(function):
    value = ctypes.c_int(-1)
    return [function(ctypes.byref(value)), value.value]


def text(function, code):
    value = ctypes.c_char_p()
    return [function(code, ctypes.byref(value)), value.value and value.value.decode()]


def early_calls():
    """Codes of calls that need a successful cuInit."""
    pointer, integer, size = ctypes.c_void_p(), ctypes.c_int(), ctypes.c_size_t()
    buffer = ctypes.create_string_buffer(64)
    return {
        "cuDeviceGetCount": cuda.cuDeviceGetCount(ctypes.byref(integer)),
        "cuDeviceGet": cuda.cuDeviceGet(ctypes.byref(integer), 0),
        "cuDeviceGetName": cuda.cuDeviceGetName(buffer, 64, 0),
        "cuDeviceGetUuid": cuda.cuDeviceGetUuid(buffer, 0),
        "cuDeviceGetPCIBusId": cuda.cuDeviceGetPCIBusId(buffer, 64, 0),
        "cuDeviceGetAttribute": cuda.cuDeviceGetAttribute(ctypes.byref(integer), 75, 0),
        "cuDeviceTotalMem_v2": cuda.cuDeviceTotalMem_v2(ctypes.byref(size), 0),
        "cuCtxCreate_v2": cuda.cuCtxCreate_v2(ctypes.byref(pointer), 0, 0),
        "cuCtxSynchronize": cuda.cuCtxSynchronize(),
        "cuCtxGetCurrent": cuda.cuCtxGetCurrent(ctypes.byref(pointer)),
        "cuDevicePrimaryCtxRetain": cuda.cuDevicePrimaryCtxRetain(ctypes.byref(pointer), 0),
        "cuMemAlloc_v2": cuda.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(16)),
        "cuModuleLoadData": cuda.cuModuleLoadData(ctypes.byref(pointer), b"x"),
    }


def nvml_early():
    integer, buffer = ctypes.c_uint(), ctypes.create_string_buffer(96)
    handle = ctypes.c_void_p()
    return {
        "nvmlDeviceGetCount_v2": nvml.nvmlDeviceGetCount_v2(ctypes.byref(integer)),
        "nvmlDeviceGetHandleByIndex_v2": nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)),
        "nvmlSystemGetDriverVersion": nvml.nvmlSystemGetDriverVersion(buffer, 96),
        "nvmlShutdown": nvml.nvmlShutdown(),
    }


answers = {
    "cuDriverGetVersion": number(cuda.cuDriverGetVersion),
    "cuInit with a flag": cuda.cuInit(1),
    "before cuInit": early_calls(),
    "before nvmlInit": nvml_early(),
    "cuInit": cuda.cuInit(0),
    "cuInit again": cuda.cuInit(0),
    "after cuInit": early_calls(),
    "nvmlInit_v2": nvml.nvmlInit_v2(),
    "nvmlInitWithFlags": nvml.nvmlInitWithFlags(0),
    "after nvmlInit": nvml_early(),
    "cuGetErrorName": {code: text(cuda.cuGetErrorName, code) for code in CUDA_CODES},
    "cuGetErrorString": {code: text(cuda.cuGetErrorString, code) for code in CUDA_CODES},
    "nvmlErrorString": {code: nvml.nvmlErrorString(code).decode() for code in NVML_CODES},
    "nodes": sorted(name for name in os.listdir("/dev") if name.startswith("nvidia")),
}
print(json.dumps(answers))
