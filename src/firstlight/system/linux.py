"""What Linux offers and Python's standard library lacks, called through the C library.

The C library is taken from the global scope (`CDLL(None)`), not by its file name: so a preloaded library is honoured here
as everywhere else, and no ldconfig or compiler is run to find it.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Iterable

# One `struct signalfd_siginfo`; its size is part of the kernel's ABI.
SIGNAL_RECORD = 128

_PR_SET_CHILD_SUBREAPER = 36
_SIGSET_BYTES = 128  # sizeof(sigset_t) in glibc and musl; the kernel looks at the first eight

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

_IN_ATTRIB = 0x4
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_DELETE = 0x200
_IN_ONLYDIR = 0x01000000

_libc: ctypes.CDLL | None = None


def _call(name: str, *arguments: object) -> int:
    """Call a function of the C library that gives an int and -1 on error.

    Raises:
        OSError: it failed, or this system has no such function.
    """
    global _libc  # noqa: PLW0603 - loaded once, and late: ctypes is the dearest import of the start
    import ctypes

    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    try:
        function = getattr(_libc, name)
    except AttributeError:
        raise OSError(38, f"cannot call {name}: this C library lacks it") from None
    result = int(function(*arguments))
    if result == -1:
        code = ctypes.get_errno()
        raise OSError(code, f"cannot call {name}: {os.strerror(code)}")
    return result


def become_subreaper() -> None:
    """Let orphaned descendants become our children, as they do of PID 1. Kept over exec, not over fork."""
    import ctypes

    nothing = ctypes.c_ulong(0)
    _call("prctl", _PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), nothing, nothing, nothing)


def exchange(one: str, other: str) -> None:
    """Let two names of one file system change places, both at once: nobody ever finds either of them missing.

    Raises:
        OSError: EINVAL where this file system cannot do that, as many network and FUSE file systems.
    """
    import ctypes

    _call("renameat2", _AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), ctypes.c_uint(_RENAME_EXCHANGE))


def open_signals(numbers: Iterable[int]) -> int:
    """A descriptor from which the blocked signals `numbers` can be read, `SIGNAL_RECORD` bytes each. It never blocks."""
    mask = bytearray(_SIGSET_BYTES)
    for number in numbers:
        mask[(number - 1) // 8] |= 1 << ((number - 1) % 8)
    return _call("signalfd", -1, bytes(mask), os.O_NONBLOCK | os.O_CLOEXEC)


def read_signals(descriptor: int) -> list[tuple[int, int, int]]:
    """Signals that have arrived, as (number, si_code, pid of the sender). The pid is 0 for a sender outside our PID namespace."""
    arrived: list[tuple[int, int, int]] = []
    while True:
        try:
            records = os.read(descriptor, SIGNAL_RECORD * 16)
        except BlockingIOError:
            return arrived
        for start in range(0, len(records), SIGNAL_RECORD):
            number, _, code, sender = (
                int.from_bytes(records[place : place + 4], sys.byteorder, signed=True) for place in range(start, start + 16, 4)
            )
            arrived.append((number, code, sender))


def open_watch() -> int:
    """An inotify descriptor. It never blocks."""
    return _call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)


def add_watch(descriptor: int, directory: str) -> int:
    """Watch a directory for names that come, go or change their mode or owner. Gives the number that events carry."""
    mask = _IN_ATTRIB | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_ONLYDIR
    return _call("inotify_add_watch", descriptor, os.fsencode(directory), mask)


def remove_watch(descriptor: int, number: int) -> None:
    """Stop watching what `add_watch` gave the number for."""
    _call("inotify_rm_watch", descriptor, number)


def read_watch(descriptor: int) -> set[int]:
    """The numbers of the watches under which something happened."""
    numbers: set[int] = set()
    while True:
        try:
            events = os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return numbers
        place = 0
        while place < len(events):  # struct inotify_event: wd, mask, cookie, length of the name, name
            numbers.add(int.from_bytes(events[place : place + 4], sys.byteorder, signed=True))
            place += 16 + int.from_bytes(events[place + 12 : place + 16], sys.byteorder)
