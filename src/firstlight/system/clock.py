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
