"""How many pods were moved lately: written down beside the leases, so that a watch that is started again begins no new day."""

from __future__ import annotations

import fcntl
import os

from firstlight.fleet.lease import LeaseError
from firstlight.system import clock

_NAME = "moves.log"

_DAY = 86400.0

# A line is a time. Of a file that is longer, the end is enough.
_LONGEST = 1 << 16


def claim(place: str, per_day: int) -> bool:
    """Count one more move, where there were fewer than `per_day` in the last day; whether it was counted. `place` is the folder of leases.

    All watches that keep their leases there share the count.

    Raises:
        LeaseError: it cannot be written: nothing may be moved that it would have to count.
    """
    path = os.path.join(place, _NAME)
    now = clock.wall()
    try:
        os.makedirs(place, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)  # held for as long as it takes to add a line
            if _since(descriptor, _moment(now) - _DAY) >= per_day:
                return False
            os.write(descriptor, f"{now}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LeaseError(f"cannot count the moves of a day in {path}: {error.strerror}") from None
    return True


def _since(descriptor: int, moment: float) -> int:
    """How many of the lines are later. A time that is still to come counts: some clock was wrong, and no more is moved for it."""
    size = os.fstat(descriptor).st_size
    lines = os.pread(descriptor, _LONGEST, max(0, size - _LONGEST)).decode("ascii", "replace").splitlines()
    return sum(_moment(line) > moment for line in lines)


def _moment(stamp: str) -> float:
    return clock.moment(stamp) or 0.0  # a line that was cut off by the end of the machine is no time
