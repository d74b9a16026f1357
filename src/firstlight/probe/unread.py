"""An OSError as a fact: what could not be read, and why."""

from __future__ import annotations

import errno

from firstlight.probe.facts import Cause, Unknown

_CAUSES = {
    errno.ENOENT: Cause.ABSENT,
    errno.ENOTDIR: Cause.ABSENT,
    errno.EACCES: Cause.DENIED,
    errno.EPERM: Cause.DENIED,
}


def unread(path: str, error: OSError) -> Unknown:
    """The Unknown for a `path` that gave `error`."""
    return Unknown(f"cannot read {path}: {error.strerror or error}", _CAUSES.get(error.errno or 0, Cause.FAILED))
