"""The instance directory: where one running firstlight keeps its sockets and the app's latest output. Local, and gone with the container.

It is `<run directory>/<boot>/`, of mode 0700. The volume is no place for it: sockets do not work there, and it can hang. As long as its
firstlight runs, that holds a lock on it: so it can be told from those of the past, whatever has become of their pids.
"""

from __future__ import annotations

import fcntl
import os
import stat

from firstlight.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROL = "control.sock"

# How many instances of the past are kept, so that `firstlight logs` still answers after an end.
_KEPT = 3


def directories(variables: Mapping[str, str]) -> list[str]:
    """Where the run directory may lie unless told otherwise, best first."""
    runtime = variables.get("XDG_RUNTIME_DIR", "")
    places = ["/run/firstlight"] if os.geteuid() == 0 else []
    if os.path.isabs(runtime):
        places.append(os.path.join(runtime, "firstlight"))
    # Names under /tmp can be taken by anybody: `_own` looks whose it is.
    return [*places, f"/tmp/firstlight-{os.geteuid()}", f"/dev/shm/firstlight-{os.geteuid()}"]  # noqa: S108


def create(boot: str, run_dir: str, variables: Mapping[str, str]) -> str | None:
    """Make this boot's directory, and lock it until we end; None where no place takes one, as where every directory is read-only."""
    for place in [os.path.abspath(run_dir)] if run_dir else directories(variables):
        try:
            os.makedirs(place, mode=0o700, exist_ok=True)
            if not _own(place, named=bool(run_dir)):
                continue
            directory = os.path.join(place, boot)
            os.mkdir(directory, 0o700)
            _lock(directory)  # its descriptor is never closed: the lock goes with us
        except OSError:
            continue
        for old in [old for old in _instances(place, named=bool(run_dir)) if not _runs(old)][:-_KEPT]:
            _remove(old)
        return directory
    return None


def latest(variables: Mapping[str, str], run_dir: str = "") -> str:
    """The directory of the latest instance that runs; of the last one that has ended, where none does.

    Raises:
        UsageError: there is none.
    """
    places = [run_dir] if run_dir else directories(variables)
    for place in places:
        found = _instances(place, named=bool(run_dir))
        if found:
            return next((directory for directory in reversed(found) if _runs(directory)), found[-1])
    raise UsageError(f"cannot find a running firstlight: there is no instance under {', '.join(places)}")


def running(variables: Mapping[str, str], run_dir: str = "") -> str | None:
    """The directory of the latest instance that runs; None where none does."""
    try:
        directory = latest(variables, run_dir)
    except UsageError:
        return None
    return directory if _runs(directory) else None


def _instances(place: str, *, named: bool) -> list[str]:
    """The instance directories under a run directory that are ours, oldest first. Their names begin with the time."""
    try:
        if not _own(place, named=named):
            return []
        return [path for name in sorted(os.listdir(place)) if _own(path := os.path.join(place, name), named=named)]
    except OSError:
        return []


def _lock(directory: str) -> int:
    """The descriptor that holds the lock. Raises OSError where another process has it."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _runs(directory: str) -> bool:
    """Whether its firstlight still runs."""
    try:
        os.close(_lock(directory))
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _own(directory: str, *, named: bool) -> bool:
    """Whether it is a directory of this user, and no link to one; root takes anybody's that it was told of by name."""
    status = os.lstat(directory)
    return stat.S_ISDIR(status.st_mode) and (status.st_uid == os.geteuid() or (named and os.geteuid() == 0))


def _remove(directory: str) -> None:
    """Remove an instance directory; it holds no folders. What cannot be removed stays: it harms nobody."""
    try:
        for name in os.listdir(directory):
            os.unlink(os.path.join(directory, name))
        os.rmdir(directory)
    except OSError:
        pass
