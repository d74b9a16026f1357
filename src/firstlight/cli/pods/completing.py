"""The names of pods for the completion of a shell: quick, quiet, and harmless to whoever presses Tab.

A shell asks at each press of a key. So the names are kept for a little while, in a file of the user's own that holds nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import tempfile

from firstlight import errors
from firstlight.providers.runpod.access import Access
from firstlight.system import clock

# Seconds.
_KEPT = 20.0
_PATIENCE = 3.0

# bash expands what it is offered. A pod can be called `$(…)`: such a name is left out, its id is there.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+=-]*")


def words(access: Access, environment: dict[str, str]) -> list[str]:
    """The ids and names of all pods; none where they cannot be had quickly."""
    path = _path(access, environment)
    kept = _kept(path)
    if kept is not None:
        return kept
    import anyio

    try:
        found = anyio.run(_ask, access)
    except errors.Error:
        return []
    if found is None:
        return []
    with contextlib.suppress(OSError):
        _keep(path, found)
    return found


async def _ask(access: Access) -> list[str] | None:
    import anyio

    from firstlight.providers.runpod.client import Client

    with anyio.move_on_after(_PATIENCE):
        async with Client(access) as cloud:
            pods = await cloud.pods()
        told = [word for pod in pods for word in (pod.id, pod.name)]
        return [word for word in dict.fromkeys(told) if _SAFE.fullmatch(word)]
    return None


def _path(access: Access, environment: dict[str, str]) -> str:
    """One file for each address that is asked. The key is not in its name: two keys' names are mixed up for a moment, and no more."""
    folder = environment.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(folder):
        folder = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".cache")
    return os.path.join(folder, "firstlight", f"pods-{hashlib.sha256(access.api.encode()).hexdigest()[:16]}")


def _kept(path: str) -> list[str] | None:
    """What is in the file, if it is ours alone and new."""
    try:
        with open(path, encoding="ascii") as file:
            status = os.fstat(file.fileno())
            ours = stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
            if not ours or not 0 <= clock.epoch() - status.st_mtime <= _KEPT:
                return None
            return [word for word in file.read(1 << 20).splitlines() if _SAFE.fullmatch(word)]
    except (OSError, ValueError):
        return None


def _keep(path: str, found: list[str]) -> None:
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=folder)  # mode 0600
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            file.writelines(f"{word}\n" for word in found)
        os.replace(made, path)
    except BaseException:
        os.unlink(made)
        raise
