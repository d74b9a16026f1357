"""What a journal is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

# The shape of a line. Raise it when a field changes its meaning or goes away; readers skip lines of other versions.
JOURNAL_VERSION = 1

# In seconds: no boot lasts a century; a number beyond that is damage.
LONGEST_BOOT = 100 * 366 * 86400.0


class Stage(Enum):
    """Where a boot is."""

    START = "start"
    PROBE = "probe"
    DIAGNOSE = "diagnose"
    TREAT = "treat"
    WAIT = "wait"
    PROVE = "prove"
    APP = "app"  # the app runs, and is not ready yet
    READY = "ready"
    BACKOFF = "backoff"  # between two lives of the app
    STOP = "stop"
    END = "end"
    HOLD = "hold"


class Condition(Enum):
    """How well the GPUs of a boot are. The other axis of status: "app, degraded" is a sentence."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Event:
    """One thing that happened.

    `at` is the wall clock, ISO 8601 UTC; `since_start` the monotonic seconds since the boot began, which no jump of the
    wall clock bends.
    """

    boot: str
    number: int  # 0, 1, 2, … within its boot: a gap tells that events were lost
    kind: str
    stage: Stage
    at: str
    since_start: float
    data: Mapping[str, Any]
