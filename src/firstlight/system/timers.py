"""What is to be done at a later time, by the loop."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """Something to be done at a monotonic time, unless it is cancelled before."""

    __slots__ = ("_timers", "what", "when")

    def __init__(self, timers: Timers, when: float, what: Callable[[], None]) -> None:
        self._timers = timers
        self.when = when
        self.what = what

    def cancel(self) -> None:
        """Let it not happen. Where it has happened already, this does nothing."""
        self._timers.remove(self)


class Timers:
    """All that is still to be done. There are a handful at most, so a list is searched."""

    __slots__ = ("_waiting",)

    def __init__(self) -> None:
        self._waiting: list[Timer] = []

    @property
    def next(self) -> float | None:
        """When the next one is due; None when there is none."""
        return min((timer.when for timer in self._waiting), default=None)

    def add(self, when: float, what: Callable[[], None]) -> Timer:
        """Let `what` be called at `when`."""
        timer = Timer(self, when, what)
        self._waiting.append(timer)
        return timer

    def remove(self, timer: Timer) -> None:
        """Forget one."""
        if timer in self._waiting:
            self._waiting.remove(timer)

    def call_due(self, now: float, call: Callable[[Callable[[], None]], object]) -> None:
        """Have what is due called by `call`. One that is cancelled by an earlier one is not called."""
        for timer in sorted((timer for timer in self._waiting if timer.when <= now), key=lambda timer: timer.when):
            if timer in self._waiting:
                self._waiting.remove(timer)
                call(timer.what)
