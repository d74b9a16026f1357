"""An app whose first life goes wrong on a real GPU, and whose later lives compute: `python3 sick_app.py HOW`.

dies        a kernel writes where no memory is; the app says so in PyTorch's words, with the driver's own text, and exits 1
stays       the same, but the app lives on, and will never compute again
too-early   PyTorch is asked for CUDA while /dev/nvidia-uvm is hidden from this process: it warns once, and never asks again
busy        nothing is wrong; it only computes
"""

import ctypes
import os
import subprocess
import sys
import time

import computing_app
import kernel

# Writes to address 16, which is nobody's.
ILLEGAL_WRITE = b""".version 6.0
.target sm_50
.address_size 64
.visible .entry illegal_write()
{
    .reg .u64 %d0;
    .reg .u32 %r0;
    mov.u64 %d0, 16;
    mov.u32 %r0, 1;
    st.global.u32 [%d0], %r0;
    ret;
}
"""


def break_context():
    """Let a kernel fail, and give the driver's own text for what cuCtxSynchronize then answers."""
    driver = ctypes.CDLL("libcuda.so.1")
    device, context = ctypes.c_int(), ctypes.c_void_p()
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    assert driver.cuInit(0) == 0
    assert driver.cuDeviceGet(ctypes.byref(device), 0) == 0
    assert driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), device) == 0
    assert driver.cuCtxSetCurrent(context) == 0
    assert driver.cuModuleLoadData(ctypes.byref(module), ctypes.c_char_p(ILLEGAL_WRITE)) == 0
    assert driver.cuModuleGetFunction(ctypes.byref(function), module, b"illegal_write") == 0
    assert driver.cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, None, None, None) == 0
    code = driver.cuCtxSynchronize()
    text = ctypes.c_char_p()
    driver.cuGetErrorString(code, ctypes.byref(text))
    return text.value.decode()


def touch_too_early():
    """Ask PyTorch for CUDA while its node is hidden, as an app does that is started before the node is there."""
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("/dev/null", "/dev/nvidia-uvm", flags=kernel.MS_BIND)
    import torch

    print("available:", torch.cuda.is_available(), flush=True)
    subprocess.run(["umount", "/dev/nvidia-uvm"], check=True)
    print("available, with the node back:", torch.cuda.is_available(), flush=True)


def main():
    """Go wrong in the first life, compute in the others."""
    first = os.environ.get("FIRSTLIGHT_LIFE", "").endswith("/1")
    how = sys.argv[1]
    if first and how in ("dies", "stays"):
        print(f"RuntimeError: CUDA error: {break_context()}", file=sys.stderr, flush=True)
        if how == "dies":
            sys.exit(1)
        time.sleep(600)
    if first and how == "too-early":
        touch_too_early()
        time.sleep(600)
    computing_app.main()


if __name__ == "__main__":
    main()
