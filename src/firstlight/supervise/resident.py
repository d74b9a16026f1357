"""A program of our own that stays beside us: orders go in, answers come out, one JSON object a line. When it dies it is started again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from firstlight.system import clock
from firstlight.system.loop import BACKLOG_LIMIT, Exited, Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.system.loop import Happening, Loop, Process, Timer

# Pauses before it is started again, in seconds: the first time at once, then longer each time it dies soon.
_DELAYS = (0.0, 1.0, 2.0, 5.0, 15.0, 60.0)

# Who lives this long in seconds has come up well.
_GOOD_LIFE = 60.0

# EX_UNAVAILABLE of sysexits.h: it lacks what it needs here, and will lack it the next time.
_FOR_GOOD = 69


class Resident:
    """One such program.

    Attributes:
        process: the running child, or the last one; None before the first start.
    """

    def __init__(
        self,
        loop: Loop,
        name: str,
        argv: Callable[[], Sequence[str]],
        environment: Mapping[str, str],
        *,
        greet: Callable[[], bytes],
        answer: Callable[[Mapping[str, Any]], None],
        ended: Callable[[str], None],
        inherit: Callable[[], Mapping[int, int]] = dict,
    ) -> None:
        """`argv` gives its command line and `greet` its first orders, `inherit` its descriptors, at each start anew; `answer` takes what it says; `ended` is told how it died."""
        self.process: Process | None = None
        self._loop = loop
        self._name = name
        self._argv = argv
        self._environment = environment
        self._greet = greet
        self._answer = answer
        self._ended = ended
        self._inherit = inherit
        self._limit = BACKLOG_LIMIT  # how many bytes may wait for it
        self._deaths = 0
        self._started = 0.0
        self._timer: Timer | None = None
        self._over = False  # it is to be started no more

    @property
    def running(self) -> bool:
        """It has been started and has not ended."""
        return self.process is not None and not self.process.ended

    def start(self) -> None:
        """Start it, unless it runs or is about to be started, or lacks for good what it needs."""
        if self._over or self.running or self._timer is not None:
            return
        if self._listen not in self._loop.listeners:
            self._loop.listeners.append(self._listen)
        self._launch()

    def order(self, **words: Any) -> bool:
        """Give an order. False where it cannot take it: what must not be lost goes into its greeting."""
        return self.feed(line(words))

    def feed(self, data: bytes) -> bool:
        """Hand it a line that is made already."""
        return self.process is not None and self._loop.write(self.process, data, limit=self._limit)

    def restart(self) -> None:
        """End it; the next start follows at once."""
        if self.process is not None:
            self._loop.children.send(self.process, 9)

    def hasten(self) -> None:
        """Where it has died and waits to be started again, start it now."""
        if self._timer is not None:
            self._timer.cancel()
            self._launch()

    def close(self) -> None:
        """Let it see the end of its orders. From here on its end is no surprise."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        if self.process is not None:
            self._loop.close_stdin(self.process)

    def _launch(self) -> None:
        self._timer = None
        self._started = clock.now()
        try:
            self.process = self._loop.start(self._argv(), self._environment, name=self._name, keep_stdin=True, inherit=self._inherit())
        except OSError as error:
            self._died(f"cannot start {self._name}: {error.strerror}")
            return
        greeting = self._greet()
        # A greeting may be long, such as a journal, and waits until it has come up: that does not make it slow.
        self._limit = BACKLOG_LIMIT + len(greeting)
        self._loop.write(self.process, greeting)

    def _listen(self, happening: Happening) -> None:
        if isinstance(happening, Printed) and happening.process is self.process:
            self._take_answers(happening.process)
        elif isinstance(happening, Exited) and happening.process is self.process:
            self._take_answers(happening.process)
            if not self._over:
                self._died(_how(happening.process), for_good=happening.process.status == _FOR_GOOD)

    def _take_answers(self, process: Process) -> None:
        for said in process.drain_objects():
            self._answer(said)

    def _died(self, how: str, *, for_good: bool = False) -> None:
        self._ended(how)
        if for_good:
            self._over = True
            return
        if clock.now() - self._started > _GOOD_LIFE:
            self._deaths = 0
        delay = _DELAYS[min(self._deaths, len(_DELAYS) - 1)]
        self._deaths += 1
        self._timer = self._loop.call_at(clock.now() + delay, self._launch)


def line(words: Mapping[str, Any]) -> bytes:
    """One order as its line."""
    return json.dumps(words, separators=(",", ":")).encode("ascii") + b"\n"


def _how(process: Process) -> str:
    """How it ended, with its last words."""
    status = process.status or 0
    how = f"signal {-status}" if status < 0 else f"exit code {status}"
    last = bytes(process.errors).decode("utf-8", "replace").strip().splitlines()
    return f"{how}: {last[-1][:300]}" if last else how
