"""An event loop whose clock stands still while anything can be done, and jumps to the next timer when nothing can.

An hour of waiting takes no time, and each run is the same. It is for what happens in one process: a child, or a socket that another
process writes to, would find that hours have passed.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Awaitable, Callable
from typing import Any

import anyio


class _Selector(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Waits for nobody that has a timer."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            return list(super().select(None))
        found = super().select(0)
        if not found and timeout > 0:
            self.now += timeout
        return list(found)


class Loop(asyncio.SelectorEventLoop):
    """The loop; its time begins at 1000."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return 1000.0 + self._clock.now


def run(main: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
    """As anyio.run; `World(clock=anyio.current_time)` lives by the same clock."""
    return anyio.run(main, *arguments, backend="asyncio", backend_options={"loop_factory": Loop})
