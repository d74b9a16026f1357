"""What an app leaves behind: its process group, and what has slipped out of that and lost its parent."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from firstlight import settings
from firstlight.system import clock, files

if TYPE_CHECKING:
    from collections.abc import Callable

    from firstlight.system.loop import Happening, Loop, Process

# How long a killed process may take to go, in seconds. One that waits for a dead disk or GPU never goes; we do.
KILL_PATIENCE = 2.0

# How often we look whether they have gone: one of them may be somebody else's child and die unheard.
_PERIOD = 0.1


class Leftovers:
    """Processes to be ended: the group of `process` where there is one, and the orphans that `chosen` picks; without it none is looked for."""

    def __init__(
        self, loop: Loop, process: Process | None, chosen: Callable[[int], bool] | None, take: Callable[[Happening], object] = bool
    ) -> None:
        """`take` is given what happens meanwhile; by default nobody cares."""
        self._loop = loop
        self._process = process
        self._chosen = chosen
        self._take = take
        self._asked: set[int] = set()

    def end(self, deadline: Callable[[], float], *, asked: bool) -> None:
        """Ask them to stop (unless the group was `asked` before), wait until `deadline()`, and kill the rest."""
        if not self._left():
            return
        if not asked and self._process is not None:
            self._loop.children.send(self._process, signal.SIGTERM)
        while self._left() and clock.now() < deadline():
            for pid in self._orphans():
                if pid not in self._asked:
                    self._asked.add(pid)
                    self._loop.children.send_orphan(pid, signal.SIGTERM)
            self._turn(deadline())
        until = clock.now() + KILL_PATIENCE
        while not self._killed() and clock.now() < until:
            self._turn(until)

    def _turn(self, until: float) -> None:
        for happening in self._loop.turn(min(until, clock.now() + _PERIOD)):
            self._take(happening)

    def _killed(self) -> bool:
        """Kill all that is left; True when nothing was."""
        if self._process is not None:
            self._loop.children.send(self._process, signal.SIGKILL)
        for pid in self._orphans():
            self._loop.children.send_orphan(pid, signal.SIGKILL)
        return not self._left()

    def _left(self) -> bool:
        return (self._process is not None and self._loop.children.send(self._process, 0)) or bool(self._orphans())

    def _orphans(self) -> list[int]:
        return [] if self._chosen is None else [pid for pid in self._loop.children.orphans() if self._chosen(pid)]


def of_life(mark: str) -> Callable[[int], bool]:
    """Picks the processes that were started in the life of this mark."""
    wanted = f"{settings.LIFE}={mark}\0".encode()

    def chosen(pid: int) -> bool:
        try:
            return wanted in files.read_bytes(f"/proc/{pid}/environ") + b"\0"
        except OSError:
            return False  # gone, or another user's

    return chosen


def anybody(_: int) -> bool:
    """Picks all."""
    return True
