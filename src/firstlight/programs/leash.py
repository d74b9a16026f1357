"""Become another program that is killed when the process which started it dies.

    leash.py PARENT PROGRAM [ARGUMENT ...]

PARENT is the pid of whoever starts it. So an installer that is half done does not go on writing after the death of whoever watched over it.
"""

from __future__ import annotations

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1
SIGKILL = 9


def main() -> int:
    """Put ourselves on the leash, then run it in our place."""
    parent = int(sys.argv[1])
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before we were on the leash
        return 128 + SIGKILL
    try:
        os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - becoming another program is what this one is for
    except OSError as error:
        print("cannot run %s: %s" % (sys.argv[2], error.strerror), file=sys.stderr)
    return 127


if __name__ == "__main__":
    sys.exit(main())
