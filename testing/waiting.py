"""Waiting for what nothing announces."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Found = TypeVar("Found")


def until(condition: Callable[[], Found]) -> Found:
    """What the condition gives, once it gives something. Nothing here fails for being slow: the whole test has its limit."""
    while not (found := condition()):
        time.sleep(0.05)
    return found
