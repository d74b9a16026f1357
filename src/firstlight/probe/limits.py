"""Resource limits that CUDA feels."""

from __future__ import annotations

import resource

from firstlight.probe.facts import Limit, Limits, Unknown
from firstlight.probe.unread import unread
from firstlight.system import files


def collect() -> Limits:
    """Address space, descriptors, overcommit and available memory."""
    return Limits(
        address_space=_limit(resource.RLIMIT_AS),
        descriptors=_limit(resource.RLIMIT_NOFILE),
        overcommit=_overcommit(),
        memory_available=_memory_available(),
    )


def _limit(which: int) -> Limit:
    soft, hard = resource.getrlimit(which)
    return Limit(soft=_finite(soft), hard=_finite(hard))


def _finite(value: int) -> int | None:
    return None if value == resource.RLIM_INFINITY else value


def _overcommit() -> int | Unknown:
    path = "/proc/sys/vm/overcommit_memory"
    try:
        text = files.read_text(path).strip()
    except OSError as error:
        return unread(path, error)
    return int(text) if text.isdigit() else Unknown(f"cannot read {path}: it holds {text[:20]!r}")


def _memory_available() -> int | Unknown:
    path = "/proc/meminfo"
    try:
        lines = files.read_text(path).splitlines()
    except OSError as error:
        return unread(path, error)
    for line in lines:
        name, _, value = line.partition(":")
        if name == "MemAvailable" and value.split()[0].isdigit():
            return int(value.split()[0]) * 1024
    return Unknown(f"{path} has no MemAvailable")
