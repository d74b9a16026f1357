"""Running a command and taking its time."""

from __future__ import annotations

import ctypes
import os
import subprocess
import time
from collections.abc import Mapping, Sequence

from measure import NotMeasured

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Become the parent of whatever a measured command leaves behind, so that its end can be waited for."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def settle() -> None:
    """Wait until all that the last command left behind is gone.

    The driver takes a while to clear up after a killed holder; until then the next process finds the driver open, or busy.
    """
    try:
        while True:
            os.waitpid(-1, 0)
    except ChildProcessError:
        return


def wall(argv: Sequence[str], *, expect: int | None = None, environment: Mapping[str, str] | None = None, limit: float = 120.0) -> float:
    """Seconds from just before the spawn to the end of `argv`.

    Raises:
        NotMeasured: it could not be started, did not end in time, or ended with something else than `expect`.
    """
    begun = time.monotonic()
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, env=environment, timeout=limit, check=False)
    except OSError as error:
        raise NotMeasured(f"cannot start {argv[0]}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NotMeasured(f"{argv[0]} did not end within {limit:.0f} s") from None
    took = time.monotonic() - begun
    settle()
    if expect is not None and done.returncode != expect:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise NotMeasured(f"exit {done.returncode}, not {expect}: {said[-1] if said else 'it said nothing'}")
    return took
