"""How fast a boot comes to its first ready app: the legs of it into the journal, and a word where it takes longer than the budget.

leg            one is over (`name`)
over-budget    the app was not ready in time (`budget`, `leg`, `seconds`, `words`); once more when it becomes ready
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from firstlight.journal import legs
from firstlight.system import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.journal.event import Event
    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Loop, Timer


class Pace:
    """The pace of one boot."""

    def __init__(
        self, loop: Loop, journal: Journal, ends: Mapping[str, str], *, budget: float, started: float, tell: Callable[[str], None]
    ) -> None:
        """`ends` names the leg that a check or a pattern ends; `budget` is in seconds, 0 for none; `started` is monotonic."""
        self._loop = loop
        self._journal = journal
        self._ends = ends
        self._budget = budget
        self._started = started
        self._tell = tell
        self._reached: set[str] = set()  # in this life
        self._ready = False
        self._timer: Timer | None = loop.call_at(started + budget, self._late) if budget else None
        journal.listeners.append(self._hear)

    def printed(self, pattern: str) -> None:
        """The app has printed the line of a pattern."""
        self._end(self._ends.get(pattern))

    def _hear(self, event: Event) -> None:
        """What follows is written after this event, for all who listen."""
        if event.kind == "app-started":
            self._reached = set()
        elif event.kind == "check" and event.data.get("ok") is True:
            name = self._ends.get(str(event.data.get("check")))
            if name is not None:
                self._loop.call_at(clock.now(), lambda: self._end(name))
        elif event.kind == "ready" and not self._ready:
            self._ready = True
            if self._timer is not None:
                self._timer.cancel()
            if self._budget and event.since_start > self._budget:
                self._loop.call_at(clock.now(), partial(self._note, event.since_start))

    def _end(self, name: str | None) -> None:
        if name is not None and name not in self._reached:
            self._reached.add(name)
            self._journal.note("leg", name=name)

    def _late(self) -> None:
        if not self._ready:
            self._note(clock.now() - self._started)

    def _note(self, now: float) -> None:
        """Say and write down that it is late, and what took longest."""
        leg, seconds = legs.slowest(self._journal.events, now)
        so_far = "" if self._ready else " so far"
        words = f"the app was not ready within the budget of {self._budget:g} s; the slowest leg is {leg!r}, {seconds:.1f} s{so_far}"
        self._journal.note("over-budget", budget=self._budget, leg=leg, seconds=seconds, words=words)
        self._tell(words)
