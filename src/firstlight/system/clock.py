"""Time: monotonic for durations, the wall clock for people."""

from __future__ import annotations

import time


def now() -> float:
    """Monotonic seconds. A jump of the wall clock changes no timer."""
    return time.monotonic()


def wall() -> str:
    """The time in UTC as ISO 8601 with milliseconds: 2026-11-23T20:36:07.123Z."""
    seconds = time.time()
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1000):03d}Z"


def epoch() -> float:
    """The wall clock as seconds since 1970, to compare with what others have written down."""
    return time.time()


def moment(stamp: str) -> float | None:
    """A time as of RFC 3339, in seconds since 1970; None where it is none. A fraction of a second is let go."""
    import re
    from datetime import datetime

    match = re.fullmatch(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.\d+)?([Zz]|[+-]\d\d:\d\d)", stamp)
    if match is None:
        return None
    zone = "+00:00" if match[3] in ("Z", "z") else match[3]
    try:
        return datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}").timestamp()
    except (ValueError, OverflowError):
        return None


def stamp(seconds: float) -> str:
    """Seconds since 1970 as a time as of RFC 3339: 2026-11-23T20:36:07Z."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
