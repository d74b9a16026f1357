"""The app of most cases: bring CUDA up through the driver API, run one kernel on every visible GPU and check its result.

`python3 cuda_app.py RECORD.json` writes {"started": CLOCK_MONOTONIC at its first statement, "steps": {call: CUresult},
"proven": GPUs whose result was right, "visible": CUDA_VISIBLE_DEVICES, "seconds": {…}} and exits 0 when every visible GPU
was proven, else 41. It knows nothing of firstlight: it is what a user's app would be.
"""

import time

STARTED = time.monotonic()

import ctypes  # noqa: E402 - the clock comes first
import json  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402

NOT_PROVEN = 41
ELEMENTS = 1024
SEED = 7
PTX = b"""
.version 6.4
.target sm_50
.address_size 64
.visible .entry firstlight_prove(.param .u64 out, .param .u32 count, .param .u32 seed)
{
    .reg .pred %outside;
    .reg .b32 %r<8>;
    .reg .b64 %a<4>;
    ld.param.u64 %a0, [out];
    ld.param.u32 %r0, [count];
    ld.param.u32 %r1, [seed];
    mov.u32 %r2, %ctaid.x;
    mov.u32 %r3, %ntid.x;
    mov.u32 %r4, %tid.x;
    mad.lo.u32 %r5, %r2, %r3, %r4;
    setp.ge.u32 %outside, %r5, %r0;
    @%outside ret;
    mad.lo.u32 %r6, %r5, 0x9E3779B1, %r1;
    cvta.to.global.u64 %a1, %a0;
    mul.wide.u32 %a2, %r5, 4;
    add.u64 %a3, %a1, %a2;
    st.global.u32 [%a3], %r6;
    ret;
}
\0"""


class Refused(Exception):  # noqa: N818 - the driver's answer, and what the app is there to record
    """A driver call gave something else than 0."""


def main():
    """Record what CUDA gives, and exit accordingly."""
    record = {"started": STARTED, "steps": {}, "proven": 0, "visible": os.environ.get("CUDA_VISIBLE_DEVICES"), "seconds": {}}
    code = NOT_PROVEN
    try:
        code = prove_all(record)
    except (OSError, Refused) as error:
        record["error"] = str(error)
    with open(sys.argv[1], "w") as file:
        json.dump(record, file)
    sys.exit(code)


def prove_all(record):
    """Prove every GPU that cuInit shows; the exit code."""
    cuda = ctypes.CDLL("libcuda.so.1")

    def call(name, *arguments):
        begun = time.monotonic()
        code = getattr(cuda, name)(*arguments)
        record["steps"][name] = code
        record["seconds"].setdefault(name, round(time.monotonic() - begun, 6))
        if code:
            raise Refused(f"{name} gave {code}")

    call("cuInit", 0)
    count = ctypes.c_int()
    call("cuDeviceGetCount", ctypes.byref(count))
    for ordinal in range(count.value):
        prove(call, ordinal)
        record["proven"] += 1
    return 0 if record["proven"] else NOT_PROVEN


def prove(call, ordinal):
    """Run the kernel on one GPU and check every element."""
    device, context, module, function, memory = ctypes.c_int(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64()
    call("cuDeviceGet", ctypes.byref(device), ordinal)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
    call("cuCtxSetCurrent", context)
    call("cuModuleLoadData", ctypes.byref(module), PTX)
    call("cuModuleGetFunction", ctypes.byref(function), module, b"firstlight_prove")
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(4 * ELEMENTS))
    values = (memory, ctypes.c_uint32(ELEMENTS), ctypes.c_uint32(SEED))
    pointers = (ctypes.c_void_p * 3)(*(ctypes.addressof(value) for value in values))
    blocks = (ELEMENTS + 255) // 256
    call("cuLaunchKernel", function, blocks, 1, 1, 256, 1, 1, 0, None, pointers, None)
    call("cuCtxSynchronize")
    result = (ctypes.c_uint32 * ELEMENTS)()
    call("cuMemcpyDtoH_v2", result, memory, ctypes.c_size_t(4 * ELEMENTS))
    wrong = sum(1 for place in range(ELEMENTS) if result[place] != (place * 0x9E3779B1 + SEED) % 2**32)
    if wrong:
        raise Refused(f"{wrong} of {ELEMENTS} elements are wrong on GPU {ordinal}")


if __name__ == "__main__":
    main()
