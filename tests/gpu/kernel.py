"""The Linux calls that the suite needs and the standard library of Python 3.10 lacks, through ctypes.

Every function raises OSError with a message that begins "cannot", so that a privilege that this machine keeps from us
becomes the reason why a case could not be made, and nothing else.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWPID = 0x20000000

MS_RDONLY = 0x1
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_NOSUID = 0x2

CAP_MKNOD = 27
# What a container gets from Docker and containerd by default; CAP_MKNOD is among them and is taken away case by case.
CONTAINER_CAPABILITIES = frozenset({0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, CAP_MKNOD, 29, 31})
LAST_CAPABILITY = 63

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522

_BPF_SYSCALL = {"x86_64": 321, "aarch64": 280}
_BPF_PROG_LOAD = 5
_BPF_PROG_ATTACH = 8
_BPF_PROG_TYPE_CGROUP_DEVICE = 15
_BPF_CGROUP_DEVICE = 6

_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Leave the namespaces named by `flags` (CLONE_NEW…)."""
    _checked(_libc.unshare(flags), "leave the namespace")


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    answer = _libc.mount(source.encode(), target.encode(), kind.encode() if kind else None, ctypes.c_ulong(flags), options.encode())
    _checked(answer, f"mount {source} on {target}")


def die_with_parent(number: int) -> None:
    """Have the kernel send us `number` when our parent dies. Lost at a change of user: call it last."""
    _checked(_libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0), "tie this process to its parent")


def keep_capabilities(kept: frozenset[int]) -> None:
    """Give up every capability that is not in `kept`, for this process and whatever it executes."""
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in kept and _libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 and ctypes.get_errno() == 1:
            raise PermissionError(1, f"cannot drop capability {capability} from the bounding set: not permitted")
    _libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    held = ctypes.create_string_buffer(24)
    _checked(_libc.capget(header, held), "read our capabilities")
    wanted = sum(1 << capability for capability in kept)
    low = struct.unpack("=6I", held.raw)
    sets = [value & (wanted >> (32 if place >= 3 else 0)) & 0xFFFFFFFF for place, value in enumerate(low)]
    _checked(_libc.capset(header, struct.pack("=6I", *sets)), "drop capabilities")


def deny_major_by_bpf(directory: str, major: int) -> None:
    """Attach a program to the cgroup v2 `directory` that denies every device of `major`."""
    number = _BPF_SYSCALL.get(platform.machine())
    if number is None:
        raise OSError(f"cannot attach a device program: the number of bpf(2) on {platform.machine()} is not known here")
    program = _load_device_program(number, major)
    try:
        group = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            attributes = struct.pack("=IIII", group, program, _BPF_CGROUP_DEVICE, 0)
            _checked(_libc.syscall(number, _BPF_PROG_ATTACH, attributes, len(attributes)), f"attach a device program to {directory}")
        finally:
            os.close(group)
    finally:
        os.close(program)  # the cgroup keeps it


def _load_device_program(number: int, major: int) -> int:
    def instruction(code: int, registers: int, offset: int, value: int) -> bytes:
        return struct.pack("=BBhi", code, registers, offset, value)

    text = b"".join(
        (
            instruction(0x61, 0x12, 4, 0),  # r2 = context->major, the second 32-bit word that the kernel hands over
            instruction(0xB7, 0x00, 0, 1),  # r0 = 1, allowed
            instruction(0x55, 0x02, 1, major),  # unless r2 is the major, skip one
            instruction(0xB7, 0x00, 0, 0),  # r0 = 0, denied
            instruction(0x95, 0x00, 0, 0),  # exit
        )
    )
    instructions = ctypes.create_string_buffer(text, len(text))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = struct.pack(
        "=IIQQIIQII", _BPF_PROG_TYPE_CGROUP_DEVICE, len(text) // 8, ctypes.addressof(instructions), ctypes.addressof(licence), 0, 0, 0, 0, 0
    )
    return _checked(_libc.syscall(number, _BPF_PROG_LOAD, attributes, len(attributes)), "load a device program")


def _checked(answer: int, what: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
    return answer
