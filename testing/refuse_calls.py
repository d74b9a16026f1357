"""Run a command to which the kernel refuses some system calls, as a strict seccomp profile does.

    refuse_calls.py CALL ... -- COMMAND ARGUMENT ...

Each CALL is a name of `NUMBERS`; it fails with EPERM.
"""

import ctypes
import errno
import os
import sys

from firstlight.programs import confine

# By machine.
NUMBERS = {
    "x86_64": {"inotify_init1": 294, "pidfd_open": 434, "pidfd_send_signal": 424, "prctl": 157},
    "aarch64": {"inotify_init1": 26, "pidfd_open": 434, "pidfd_send_signal": 424, "prctl": 167},
}


def main() -> None:
    """Refuse, and become the command."""
    place = sys.argv.index("--")
    machine = os.uname().machine
    refused = {NUMBERS[machine][name]: errno.EPERM for name in sys.argv[1:place]}
    instructions = confine.instructions(confine.REFUSED[machine][0], refused)
    program = confine.Program(len(instructions), instructions)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(confine.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        confine.PR_SET_SECCOMP, confine.SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        sys.exit(os.strerror(ctypes.get_errno()))
    os.execvp(sys.argv[place + 1], sys.argv[place + 1 :])


if __name__ == "__main__":
    main()
