"""Take nearly all of a GPU's memory with one plain allocation, say "held", and give it back when stdin closes.

What is left, 96 MiB, is less than a context needs. `python3 hold_memory.py` exits 41 where CUDA refuses.
"""

import ctypes
import sys

LEFT = 96 << 20


def main():
    """Hold, wait, let go."""
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError as error:
        print(f"cannot hold the memory: {error}", flush=True)
        sys.exit(41)

    def call(name, *arguments):
        code = getattr(cuda, name)(*arguments)
        if code:
            print(f"cannot hold the memory: {name} gave {code}", flush=True)
            sys.exit(41)

    context, memory = ctypes.c_void_p(), ctypes.c_uint64()
    free, total = ctypes.c_size_t(), ctypes.c_size_t()
    call("cuInit", 0)
    call("cuDevicePrimaryCtxRetain", ctypes.byref(context), 0)
    call("cuCtxSetCurrent", context)
    call("cuMemGetInfo_v2", ctypes.byref(free), ctypes.byref(total))
    call("cuMemAlloc_v2", ctypes.byref(memory), ctypes.c_size_t(free.value - LEFT))
    print("held", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
