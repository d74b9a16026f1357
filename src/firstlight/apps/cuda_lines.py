"""Lines by which an app tells that CUDA has failed it; for every recipe of an app that computes on the GPU.

A user's prompt may be printed to the same output, so that words alone prove nothing: a line counts only in the shape in which a
program reports an error, with the lead of a report in front and the message as CUDA ends it.

Two things are told apart. After a sticky error the CUDA context of that process is broken for good: "the process must be
terminated and relaunched", says CUDA. Any other error is why the app ends, if it ends now. Some are left out, since neither the
GPU nor a restart has to do with them: memory that ran out, kernels that the image has not, calls with a wrong argument.

Which fault of the machine may stand behind such a message is not said here but in faults/messages.py.
"""

from __future__ import annotations

from firstlight.apps.app import Meaning, Pattern

# An exception as Python prints it, at the beginning of a line or after the prefix of a log; or as C++ says that it ends of one.
_PREFIX = rb"(?:^|[\])>|-]\s+|^(?:ERROR|CRITICAL):[\w.]*:)"
_EXCEPTION = rb"(?:" + _PREFIX + rb"[\w.]*(?:Error|Exception): |!!! Exception during processing ?!!! |^\s*what\(\):\s+)"

# PyTorch · llama.cpp · ONNX Runtime and NCCL · TensorRT · CuPy, Numba and JAX, which put the code's name before its text.
_REPORT = (
    rb"(?:" + _EXCEPTION + rb"CUDA error: |^CUDA error: |\bC(?:UDA|uda) failure(?: \d+)?:? '?|Error Code \d+: Cuda (?:Runtime|Driver) \("
    rb"|(?:: |^)CUDA_ERROR_[A-Z_]+: )"
)
_END = rb"(?:[.')\s]*$| ; GPU=)"

# What cudaGetErrorString says of the errors that CUDA calls sticky: 214, 220, 700, 702, 710, 714 to 719.
_STICKY = (
    rb"an illegal memory access was encountered",
    rb"the launch timed out and was terminated",
    rb"device-side assert triggered",
    rb"hardware stack error",
    rb"an illegal instruction was encountered",
    rb"misaligned address",
    rb"operation not supported on global/shared address space",
    rb"invalid program counter",
    rb"unspecified launch failure",
    rb"uncorrectable ECC error encountered",
    rb"uncorrectable NVLink error detected during the execution",
)
# A status of cuBLAS or cuDNN is none of CUDA's own: most often it is memory that ran out.
_NOT_THE_GPU = rb"(?!out of memory|no kernel image|the provided PTX|invalid |named symbol not found|CU[A-Z]+_STATUS_)"

_MARKS = (b"CUDA", b"Cuda")

PATTERNS = (
    Pattern("cuda-sticky", Meaning.POISONED, _MARKS, _REPORT + rb"(?:" + rb"|".join(_STICKY) + rb")" + _END),
    Pattern("cuda-error", Meaning.CUDA, _MARKS, _REPORT + _NOT_THE_GPU + rb"[a-zA-Z][\w ,/()-]*" + _END),
    # PyTorch where it cannot begin (c10/cuda/CUDAFunctions.cpp, torch/cuda/__init__.py). It does not try twice in one process.
    Pattern(
        "torch-cuda-init",
        Meaning.CUDA,
        (b"CUDA", b"cudaGetDeviceCount", b"NVIDIA driver"),
        _EXCEPTION + rb"(?:CUDA unknown error - |Unexpected error from cudaGetDeviceCount\(\)|CUDA driver initialization failed"
        rb"|No CUDA GPUs are available|Found no NVIDIA driver on your system)",
    ),
    # The same as a warning, from torch.cuda.is_available(): the app goes on, and will never see a GPU though it was just proven.
    Pattern(
        "torch-cuda-too-early",
        Meaning.POISONED,
        (b"CUDA initialization",),
        rb"^\S+:\d+: UserWarning: CUDA initialization: (?:CUDA unknown error - |Unexpected error from cudaGetDeviceCount\(\)"
        rb"|CUDA driver initialization failed)",
    ),
)
