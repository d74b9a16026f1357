"""Bring CUDA up through the driver API, prove every visible GPU with a kernel, then hold the driver open.

    prove_gpu.py [SECONDS]

SECONDS is how long to hold the driver open after the proof (0, the default: not at all); a closed standard input ends it
sooner, and so does the first context of the app. A process that has called cuInit and nothing else makes the next process's cuInit about
ten times faster, for 4 MiB of GPU memory; contexts are given back before holding, since a whole one costs half a gigabyte.

Lines, in order: load, version, initializing, init, count, proving and gpu (for each GPU), done, held, released. `code` is a CUresult, 0 when all is well.
"""

from __future__ import annotations

import array
import ctypes
import json
import os
import select
import sys
import time
from typing import Any

CUDA_SUCCESS = 0
ATTRIBUTE_CAPABILITY_MAJOR = 75  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR
ATTRIBUTE_CAPABILITY_MINOR = 76

# Knuth's multiplicative constant: no element of the result is 0 or equal to its neighbour, so that a kernel that did not
# run, ran on part of the grid, or wrote to the wrong place is seen.
FACTOR = 2654435761
ELEMENTS = 4096
THREADS = 256
POISON = 0xA5

WATCH_PERIOD = 1.0  # seconds between two looks for the app's own context

# sm_50 is the oldest target that every driver of today compiles; the driver's own compiler makes the machine code.
PTX = b"""
.version 6.0
.target sm_50
.address_size 64
.visible .entry firstlight_prove(.param .u64 out, .param .u32 elements, .param .u32 seed)
{
    .reg .pred %outside;
    .reg .b32 %r<7>;
    .reg .b64 %d<4>;
    ld.param.u64 %d0, [out];
    ld.param.u32 %r0, [elements];
    ld.param.u32 %r1, [seed];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %outside, %r5, %r0;
    @%outside bra END;
    mad.lo.u32 %r6, %r5, 2654435761, %r1;
    cvta.to.global.u64 %d1, %d0;
    mul.wide.u32 %d2, %r5, 4;
    add.u64 %d3, %d1, %d2;
    st.global.u32 [%d3], %r6;
END:
    ret;
}
"""


class CudaError(Exception):
    """A driver call failed; `code` is its CUresult."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def device_nodes() -> set[str]:
    """The names of the NVIDIA nodes in /dev now."""
    try:
        return {"/dev/" + name for name in os.listdir("/dev") if name.startswith("nvidia")}
    except OSError:
        return set()


def loaded_path(function: Any) -> str:
    """The file that holds a loaded function: what the loader really took."""

    class DlInfo(ctypes.Structure):
        _fields_ = [
            ("dli_fname", ctypes.c_char_p),
            ("dli_fbase", ctypes.c_void_p),
            ("dli_sname", ctypes.c_char_p),
            ("dli_saddr", ctypes.c_void_p),
        ]

    found = DlInfo()
    dladdr = ctypes.CDLL(None).dladdr
    dladdr.argtypes = [ctypes.c_void_p, ctypes.POINTER(DlInfo)]
    if not dladdr(ctypes.cast(function, ctypes.c_void_p), ctypes.byref(found)) or not found.dli_fname:
        return ""
    return os.path.realpath(os.fsdecode(found.dli_fname))


class Driver:
    """libcuda, with a Python exception for every failing call."""

    def __init__(self, library: Any) -> None:
        self.library = library

    def call(self, name: str, *arguments: Any) -> None:
        """Call the driver function `name`; raise CudaError unless it succeeds."""
        code = getattr(self.library, name)(*arguments)
        if code != CUDA_SUCCESS:
            raise CudaError(code)

    def optional(self, name: str, *arguments: Any) -> bool:
        """True when the function is there and succeeded: for what a proof does not need."""
        return hasattr(self.library, name) and getattr(self.library, name)(*arguments) == CUDA_SUCCESS

    def number(self, name: str, *arguments: Any) -> int:
        """Call a function whose first argument is an int to fill in; return that int."""
        value = ctypes.c_int(0)
        self.call(name, ctypes.byref(value), *arguments)
        return value.value

    def error_text(self, code: int) -> str:
        """The driver's own words for a code; a stub has none."""
        text = ctypes.c_char_p()
        if self.optional("cuGetErrorString", code, ctypes.byref(text)) and text.value:
            return text.value.decode("utf-8", "replace")
        return ""


def uuid_text(uuid: Any) -> str:
    """Sixteen bytes in the usual grouping."""
    digits = bytes(uuid).hex()
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def describe(driver: Driver, device: Any) -> dict[str, Any]:
    """What CUDA says of a device before a context exists; what it does not say is left out."""
    found: dict[str, Any] = {}
    name = ctypes.create_string_buffer(256)
    if driver.optional("cuDeviceGetName", name, len(name), device):
        found["name"] = name.value.decode("utf-8", "replace")
    whole, own = (ctypes.c_ubyte * 16)(), (ctypes.c_ubyte * 16)()
    if driver.optional("cuDeviceGetUuid", whole, device):
        # The second version tells a MIG instance's own UUID where the first tells that of the whole GPU.
        is_instance = driver.optional("cuDeviceGetUuid_v2", own, device) and bytes(own) != bytes(whole)
        found["uuid"] = "MIG-" + uuid_text(own) if is_instance else "GPU-" + uuid_text(whole)
    bus = ctypes.create_string_buffer(32)
    if driver.optional("cuDeviceGetPCIBusId", bus, len(bus), device):
        found["bus_id"] = bus.value.decode("ascii", "replace").lower()
    major, minor = ctypes.c_int(), ctypes.c_int()
    if driver.optional("cuDeviceGetAttribute", ctypes.byref(major), ATTRIBUTE_CAPABILITY_MAJOR, device) and driver.optional(
        "cuDeviceGetAttribute", ctypes.byref(minor), ATTRIBUTE_CAPABILITY_MINOR, device
    ):
        found["capability"] = [major.value, minor.value]
    total = ctypes.c_size_t()
    if driver.optional("cuDeviceTotalMem_v2", ctypes.byref(total), device):
        found["memory_total"] = total.value
    return found


def run_kernel(driver: Driver) -> bool:
    """Run the kernel in the current context; True when every element of its result is right."""
    seed = int.from_bytes(os.urandom(4), "little")
    size = ELEMENTS * 4
    module, function, memory = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
    driver.call("cuModuleLoadData", ctypes.byref(module), ctypes.c_char_p(PTX))
    driver.call("cuModuleGetFunction", ctypes.byref(function), module, b"firstlight_prove")
    driver.call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(size))
    # What a lazy or broken GPU leaves behind must not look like a result.
    driver.call("cuMemsetD8_v2", memory, ctypes.c_ubyte(POISON), ctypes.c_size_t(size))
    elements, first = ctypes.c_uint32(ELEMENTS), ctypes.c_uint32(seed)
    arguments = (ctypes.c_void_p * 3)(*[ctypes.cast(ctypes.pointer(item), ctypes.c_void_p) for item in (memory, elements, first)])
    driver.call("cuLaunchKernel", function, ELEMENTS // THREADS, 1, 1, THREADS, 1, 1, 0, None, arguments, None)
    driver.call("cuCtxSynchronize")
    result = array.array("I", bytes(size))
    driver.call("cuMemcpyDtoH_v2", ctypes.c_void_p(result.buffer_info()[0]), memory, ctypes.c_size_t(size))
    return all(value == (place * FACTOR + seed) & 0xFFFFFFFF for place, value in enumerate(result))


def prove(driver: Driver, ordinal: int) -> Any:
    """Prove one GPU and print its line. Return the device whose primary context is now held, or None."""
    device = ctypes.c_int(driver.number("cuDeviceGet", ordinal))
    fields = describe(driver, device)
    context = ctypes.c_void_p()
    started = time.monotonic()
    try:
        driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        driver.call("cuCtxSetCurrent", context)
    except CudaError as error:
        say("gpu", ordinal=ordinal, context=error.code, text=driver.error_text(error.code), **fields)
        return None
    ready = time.monotonic()
    try:
        fields.update(proven=run_kernel(driver), kernel=CUDA_SUCCESS)
    except CudaError as error:
        fields.update(proven=False, kernel=error.code, text=driver.error_text(error.code))
    say("gpu", ordinal=ordinal, context=0, context_seconds=ready - started, kernel_seconds=time.monotonic() - ready, **fields)
    return device


def contexts_of(group: int, nvml: Any) -> bool:
    """True when NVML lists a compute process of the process group `group`.

    In most containers NVML tells the host's process numbers, which mean nothing here: then this stays False.
    """
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        for process in nvml.nvmlDeviceGetComputeRunningProcesses(handle):
            try:
                if os.getpgid(process.pid) == group:
                    return True
            except OSError:
                continue
    return False


def app_has_context(group: int) -> bool:
    """Ask NVML about the app's own context; whatever goes wrong means that it cannot be told."""
    try:
        import pynvml as nvml

        nvml.nvmlInit()
        return contexts_of(group, nvml)
    except Exception:
        return False


def hold(driver: Driver, devices: list[Any], seconds: float) -> None:
    """Give the contexts back and keep the driver open until the app needs it no longer.

    Standard input says "app PROCESS_GROUP" once the app runs, and closes when firstlight ends.
    """
    for device in devices:
        driver.optional("cuDevicePrimaryCtxRelease_v2", device)
    say("held")
    group, until, why = 0, time.monotonic() + seconds, "time"
    while time.monotonic() < until:
        pause = min(WATCH_PERIOD, until - time.monotonic()) if group else until - time.monotonic()
        if select.select([0], [], [], max(pause, 0))[0]:
            order = os.read(0, 100)
            if not order:
                why = "leash"
                break
            group = int(order.split()[1])
            until = time.monotonic() + seconds
        elif group and app_has_context(group):
            why = "context"
            break
    say("released", why=why)


def main() -> None:
    """Run the steps; every one that is reached prints its line."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.0
    before = device_nodes()
    started = time.monotonic()
    try:
        library = ctypes.CDLL("libcuda.so.1")
        path = loaded_path(library.cuInit)
    except (OSError, AttributeError) as error:
        say("load", error=str(error))
        return
    say("load", path=path, seconds=time.monotonic() - started, visible_devices=os.environ.get("CUDA_VISIBLE_DEVICES"))
    driver = Driver(library)
    version = ctypes.c_int()
    code = library.cuDriverGetVersion(ctypes.byref(version)) if hasattr(library, "cuDriverGetVersion") else None
    say("version", code=code, version=version.value)
    started = time.monotonic()
    say("initializing")
    code = library.cuInit(0)
    created = sorted(device_nodes() - before)
    say("init", code=code, seconds=time.monotonic() - started, text=driver.error_text(code), nodes_created=created)
    if code != CUDA_SUCCESS:
        return
    try:
        count = driver.number("cuDeviceGetCount")
    except CudaError as error:
        say("count", code=error.code, count=0)
        return
    say("count", code=0, count=count)
    held = []
    for ordinal in range(count):
        say("proving", ordinal=ordinal)
        device = prove(driver, ordinal)
        if device is not None:
            held.append(device)
    say("done", nodes_created=sorted(device_nodes() - before))
    if seconds > 0:
        hold(driver, held, seconds)


if __name__ == "__main__":
    main()
