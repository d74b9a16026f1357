"""Confine a probing process, before it loads a driver library: it ends with its parent, and leaves no trace in the file system.

As root, libcuda and NVML repair device nodes by themselves: they remove what is wrong and make what is missing, and they
renew the links in /dev/char. Where the container lacks CAP_MKNOD only the first half succeeds, so that merely asking would
turn a wrong node into a missing one. A seccomp filter refuses the calls that make, remove, rename or change a name; it needs
no privilege, and a setuid nvidia-modprobe gets none under it.
"""

from __future__ import annotations

import ctypes
import errno
import os

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
SECCOMP_MODE_FILTER = 2
SIGKILL = 9
CAP_MKNOD = 27
CAPABILITY_VERSION_3 = 0x20080522

# By machine: the AUDIT_ARCH_… constant, and the numbers of the calls that are refused.
REFUSED = {
    "x86_64": (
        0xC000003E,
        (
            (82, "rename"),
            (83, "mkdir"),
            (86, "link"),
            (87, "unlink"),
            (88, "symlink"),
            (90, "chmod"),
            (92, "chown"),
            (94, "lchown"),
            (133, "mknod"),
            (258, "mkdirat"),
            (259, "mknodat"),
            (260, "fchownat"),
            (263, "unlinkat"),
            (264, "renameat"),
            (265, "linkat"),
            (266, "symlinkat"),
            (268, "fchmodat"),
            (316, "renameat2"),
            (452, "fchmodat2"),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            (33, "mknodat"),
            (34, "mkdirat"),
            (35, "unlinkat"),
            (36, "symlinkat"),
            (37, "linkat"),
            (38, "renameat"),
            (53, "fchmodat"),
            (54, "fchownat"),
            (276, "renameat2"),
            (452, "fchmodat2"),
        ),
    ),
}

# Classic BPF, as in linux/filter.h and linux/seccomp.h.
LOAD_WORD = 0x20
JUMP_IF_EQUAL = 0x15
RETURN = 0x06
OFFSET_OF_NUMBER = 0
OFFSET_OF_ARCHITECTURE = 4
ALLOW = 0x7FFF0000
REFUSE = 0x00050000  # with the errno in the lower half
# What a removal is told. While it starts, libcuda 580 removes a file with an empty name, and takes any other answer than this
# for a failure of the whole (304).
REMOVALS = ("unlink", "unlinkat")


class Instruction(ctypes.Structure):
    """struct sock_filter"""

    _fields_ = [("code", ctypes.c_uint16), ("if_true", ctypes.c_uint8), ("if_false", ctypes.c_uint8), ("operand", ctypes.c_uint32)]


class Program(ctypes.Structure):
    """struct sock_fprog"""

    _fields_ = [("length", ctypes.c_uint16), ("instructions", ctypes.POINTER(Instruction))]


def confine() -> bool:
    """Confine this process and all that it starts. False where the kernel refuses: then the libraries may do as they like."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if not refuse_changes(libc):
        return False
    forgo_node_creation(libc)
    return True


def refuse_changes(libc: ctypes.CDLL) -> bool:
    """Let every call that changes a name in the file system fail."""
    known = REFUSED.get(os.uname().machine)
    if known is None:
        return False
    architecture, calls = known
    filter_ = instructions(architecture, {number: errno.ENOENT if name in REMOVALS else errno.EPERM for number, name in calls})
    program = Program(len(filter_), filter_)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0) == 0)


def instructions(architecture: int, refused: dict[int, int]) -> ctypes.Array[Instruction]:
    """The filter: calls of another architecture pass, each number in `refused` fails with its errno, all others pass."""
    listed = [
        Instruction(LOAD_WORD, 0, 0, OFFSET_OF_ARCHITECTURE),
        Instruction(JUMP_IF_EQUAL, 0, 2 * len(refused) + 1, architecture),
        Instruction(LOAD_WORD, 0, 0, OFFSET_OF_NUMBER),
    ]
    for number, error in refused.items():
        listed += [Instruction(JUMP_IF_EQUAL, 0, 1, number), Instruction(RETURN, 0, 0, REFUSE | error)]
    listed.append(Instruction(RETURN, 0, 0, ALLOW))
    return (Instruction * len(listed))(*listed)


def forgo_node_creation(libc: ctypes.CDLL) -> None:
    """Give up CAP_MKNOD too, so that a library which asks for the capability first does not even try."""
    libc.prctl(PR_CAPBSET_DROP, CAP_MKNOD, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; low words, then high words
    if libc.capget(header, sets) == 0:
        for place in range(3):
            sets[place] &= ~(1 << CAP_MKNOD)
        libc.capset(header, sets)
