"""Which faults a message means: what people paste when CUDA fails. Pure.

Causes of one message stand most likely first, as seen in public reports of GPU containers.
"""

from __future__ import annotations

import re

_CODE_100 = (
    "visible-devices-invalid", "gpu-node-missing", "nvidiactl-missing", "device-cgroup-denies", "gpu-not-granted",
    "device-mode-forbids", "gpu-node-wrong", "gpu-lost",
)  # fmt: skip
_CODE_999 = (
    "uvm-node-missing", "uvm-module-absent", "uvm-major-stale", "uvm-open-fails", "gpu-lost", "device-mode-forbids",
    "cuda-error-unexplained",
)  # fmt: skip
_CODE_2 = ("gpu-memory-full", "address-space-limit", "memory-held-by-strangers")
_NO_LIBRARY = ("driver-not-injected", "library-off-path", "compute-not-enabled", "gpu-not-granted")

# CUresult codes. A number counts only beside the word error, cuInit or CUDA, or alone.
CODES: dict[int, tuple[str, ...]] = {
    2: _CODE_2,
    3: ("cuda-error-unexplained",),
    34: ("stub-libcuda",),
    35: ("driver-too-old", "driver-not-injected", "library-off-path"),
    46: ("gpu-busy", "gpu-memory-full"),
    100: _CODE_100,
    101: ("visible-devices-invalid", "gpu-lost", "gpu-node-wrong"),
    214: ("gpu-lost",),
    304: ("descriptor-limit", "cuda-error-unexplained"),
    802: ("fabric-in-progress", "fabric-failed"),
    803: ("driver-library-mismatch", "compat-library-active"),
    804: ("compat-library-active",),
    999: _CODE_999,
}

# Parts of messages, in lower case; the first that the text contains decides, so the more exact stand first.
MESSAGES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("error while attempting to bind on address", ("port-taken",)),
    ("address already in use", ("port-taken",)),
    ("execute_prestartup_script", ("app-folder-missing",)),
    ("torch not compiled with cuda", ("torch-without-cuda",)),
    ("comfy/model_management.py", ("cuda-failed-at-import", "torch-without-cuda")),
    ("comfyui-frontend-package", ("frontend-missing",)),
    ("systemexit", ("node-ends-app",)),
    ("already used by a transformers model", ("vibevoice-versions",)),
    ("cannot import name 'resolve_revision'", ("vibevoice-versions",)),
    ("(import failed)", ("node-import-failed", "vibevoice-versions")),
    ("module for custom nodes", ("node-import-failed", "vibevoice-versions")),
    ("incompletemetadata", ("model-incomplete",)),
    ("error while deserializing header", ("model-incomplete",)),
    ("thrown while requesting head https://huggingface.co", ("model-needs-hub",)),
    ("we couldn't connect to 'https://huggingface.co'", ("model-needs-hub",)),
    ("fetch comfyregistry data", ("manager-blocks-start",)),
    ("(prompt_worker)", ("worker-dead",)),
    ("cuda unknown error", _CODE_999),
    ("no cuda gpus are available", _CODE_100),
    ("no cuda-capable device", _CODE_100),
    ("cuda_error_no_device", _CODE_100),
    ("cudaerrornodevice", _CODE_100),
    ("driver/library version mismatch", ("driver-library-mismatch",)),
    ("api mismatch", ("driver-library-mismatch",)),
    ("unsupported display driver", CODES[803]),
    ("cuda_error_system_driver_mismatch", CODES[803]),
    ("forward compatibility was attempted", CODES[804]),
    ("cuda_error_compat_not_supported", CODES[804]),
    ("system not yet initialized", CODES[802]),
    ("cuda_error_system_not_ready", CODES[802]),
    ("stub library", CODES[34]),
    ("cuda_error_stub_library", CODES[34]),
    ("file too short", ("empty-library",)),
    ("is empty, not checked", ("empty-library",)),
    ("insufficient permissions", ("device-mode-forbids", "device-cgroup-denies")),
    ("gpu access blocked by the operating system", ("nvidiactl-missing", "device-cgroup-denies", "gpu-lost", "descriptor-limit")),
    ("failed to initialize nvml: unknown error", ("device-cgroup-denies", "device-mode-forbids", "driver-not-injected", "nvml-failed")),
    ("failed to initialize nvml: driver not loaded", ("nvidiactl-missing", "driver-not-injected")),
    ("couldn't communicate with the nvidia driver", ("nvidiactl-missing", "driver-not-injected")),
    ("couldn't find libnvidia-ml", ("driver-not-injected", "gpu-not-granted")),
    ("gpu is lost", ("gpu-lost",)),
    ("fallen off the bus", ("gpu-lost",)),
    ("unable to determine the device handle", ("gpu-lost",)),
    ("nvrm: xid", ("xid-reported", "gpu-lost")),
    ("requires reset", ("gpu-lost",)),
    ("gpu requires a reset", ("gpu-lost",)),
    ("rminitadapter failed", ("gpu-lost",)),
    ("uncorrectable ecc error", ("gpu-lost",)),
    ("waiting for rpc response", ("probe-hung",)),
    ("no devices found", ("gpu-node-missing", "gpu-node-wrong", "device-cgroup-denies", "device-mode-forbids", "gpu-lost")),
    ("no devices were found", ("gpu-node-missing", "gpu-lost", "gpu-node-wrong", "device-cgroup-denies", "device-mode-forbids")),
    ("found no nvidia driver", _NO_LIBRARY),
    ("libcuda.so.1: cannot open shared object", _NO_LIBRARY),
    ("libcuda.so: cannot open shared object", _NO_LIBRARY),
    ("nvidia-smi: command not found", ("driver-not-injected", "gpu-not-granted")),
    ("nvidia-smi: not found", ("driver-not-injected", "gpu-not-granted")),
    ("driver on your system is too old", ("driver-too-old",)),
    ("driver version is insufficient", CODES[35]),
    ("unsatisfied condition: cuda", ("driver-too-old",)),
    ("cuda_error_insufficient_driver", CODES[35]),
    ("busy or unavailable", CODES[46]),
    ("os call failed", CODES[304]),
    ("invalid device ordinal", CODES[101]),
    ("cuda out of memory", _CODE_2),
    ("out of memory", _CODE_2),
    ("cuda driver initialization failed", ("cuda-error-unexplained",)),
    ("initialization error", ("cuda-error-unexplained",)),
    ("unknown error", _CODE_999),
)

_CODE = re.compile(r"(?:error|cuinit|cuda|code)\D{0,24}?\b([0-9]{1,3})\b", re.IGNORECASE)
_BARE_CODE = re.compile(r"\s*([0-9]{1,3})\s*\Z")


def faults_of(text: str) -> tuple[str, ...]:
    """The ids of the faults that can show this message, most likely first; none where nothing is known of it."""
    lowered = " ".join(text.lower().split())
    for part, ids in MESSAGES:
        if part in lowered:
            return ids
    for pattern in (_BARE_CODE, _CODE):
        match = pattern.search(text)
        if match and int(match.group(1)) in CODES:
            return CODES[int(match.group(1))]
    return ()
