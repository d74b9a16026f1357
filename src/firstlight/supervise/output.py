"""What the app and its companions print: through pipes of ours to the pump (programs/pump_output.py), and from there on.

We keep both ends of every pipe, so the pump can die and be started again without a byte lost or the app any wiser. Nothing is
read here: PID 1 moves no bytes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from firstlight.supervise.resident import Resident, line
from firstlight.system import clock
from firstlight.system.loop import program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.journal.journal import Journal
    from firstlight.settings import Settings
    from firstlight.system.loop import Loop

# The pump's first descriptor behind stdin, stdout and stderr.
_FIRST = 3

# The copy in the instance directory, for the status page and `firstlight logs`, in bytes.
_TAIL = 256 << 10

# How long the end of a life waits until all that the app printed was looked at, in seconds. Most of it is there for a pump that has
# just been started, from a slow volume.
_OVER_PATIENCE = 2.0

# How long the next life waits until the pump knows of it, in seconds: what an app prints before that counts as the last life's.
_BEGIN_PATIENCE = 0.1

# How long the end waits for a reader of ours that is slow, in seconds, so that it gets all that the app printed.
_DRAIN_PATIENCE = 8.0


class Stream:
    """One pipe on its way to the pump. `to` is the descriptor that it ends in, None where it is only kept."""

    def __init__(self, name: str, stream: str, to: int | None) -> None:
        self.name = name
        self.stream = stream
        self.to = to
        self.reading, self.writing = os.pipe()

    def close(self) -> None:
        """Give back both ends."""
        self.close_writing()
        if self.reading >= 0:
            os.close(self.reading)
            self.reading = -1

    def close_writing(self) -> None:
        """Give back our own writing end: the pump then sees the end once all writers have ended."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1


class Output:
    """The pipes and the pump."""

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        environment: Mapping[str, str],
        settings: Settings,
        *,
        instance: str | None,
        companions: Sequence[str],
        patterns: Sequence[Mapping[str, str]],
        matched: Callable[[str, str], None],
        tell: Callable[[str], None],
    ) -> None:
        """`patterns` are looked for in the app's lines; `matched` is called with the name of one and the line."""
        self._loop = loop
        self._journal = journal
        self._matched = matched
        self._tell = tell
        self._environment = environment
        self._instance = instance
        self._settings = settings
        self._names = companions
        self._patterns = patterns
        self._life = 1
        self._begun: object = None  # the life that the pump has last been told of, as it says
        self._over = 0  # how many of the app's streams have nothing more to tell of this life
        self._streams: list[Stream] = []
        self._app: tuple[int | None, int | None] = (None, None)
        self._pump: Resident | None = None

    def app(self) -> tuple[int | None, int | None]:
        """The app's stdout and stderr; None for our own, where no pipe is to be had, or where ours is closed and so shall be the app's."""
        self._open()
        return self._app

    def companion(self, name: str) -> int:
        """The descriptor that a companion writes to."""
        self._open()
        return next((stream.writing for stream in self._streams if stream.name == name), 2)

    def _open(self) -> None:
        """Make the pipes, when the first of them is wanted: before that, a cure may have to raise the limit on descriptors."""
        if self._pump is not None:
            return
        try:
            # Where we were started with a closed one, a stand-in holds its place (system/loop.py), which no child is given.
            stdout, stderr = map(os.get_inheritable, (1, 2))
            if stdout and stderr and _same(1, 2):
                both = self._add("app", "both", 1)
                self._app = (both, both)
            else:
                self._app = (self._add("app", "stdout", 1) if stdout else None, self._add("app", "stderr", 2) if stderr else None)
            for name in self._names:
                self._add(name, "both", None)
        except OSError as error:
            self._app = (None, None)
            self._tell(f"cannot pass on what the app prints: {error.strerror}; it writes to our own output")
            while self._streams:
                self._streams.pop().close()
        self._pump = Resident(
            self._loop,
            "pump",
            self._argv,
            self._environment,
            greet=bytes,
            answer=self._answer,
            ended=self._ended,
            inherit=lambda: dict(enumerate(self._ends(), _FIRST)),
        )

    def _ends(self) -> list[int]:
        """The descriptors that the pump is given, in their order."""
        return [end for stream in self._open_streams for end in (stream.reading, stream.to) if end is not None]

    @property
    def _open_streams(self) -> list[Stream]:
        """Those that somebody still reads."""
        return [stream for stream in self._streams if stream.reading >= 0]

    def _argv(self) -> list[str]:
        """The pump's command line. A new pump goes on in the life that is under way."""
        numbers = {end: number for number, end in enumerate(self._ends(), _FIRST)}
        streams = [
            {"name": stream.name, "stream": stream.stream, "from": numbers[stream.reading], "to": numbers.get(stream.to or -1)}
            for stream in self._open_streams
        ]
        configuration = {
            "streams": streams,
            "tail": self._instance or "",
            "tail_size": _TAIL,
            "directory": self._settings.log_dir,
            "size": self._settings.log_size,
            "files": self._settings.log_files,
            "patterns": list(self._patterns),
            "life": self._life,
        }
        return program("pump_output", line(configuration).decode().strip())

    def _add(self, name: str, stream: str, to: int | None) -> int:
        self._streams.append(Stream(name, stream, to))
        return self._streams[-1].writing

    def start(self) -> None:
        """Start the pump. What was printed before waits in the pipes."""
        if self._pump is not None and self._streams:
            self._pump.start()

    def begin_life(self, number: int) -> None:
        """The app is about to be started: what is printed from here on belongs to the life of this number."""
        pump = self._pump
        if number == self._life:
            return  # the first one: the pump begins in it
        self._life = number
        if pump is not None and pump.order(order="life", life=number):
            self._loop.linger(lambda: self._begun == number or not pump.running, clock.now() + _BEGIN_PATIENCE)

    def end_life(self, *, wait: bool) -> None:
        """The app has ended. Where it matters, wait a moment until all that it printed was looked at."""
        pump = self._pump
        if pump is not None and pump.running:
            self._over = sum(stream.name == "app" for stream in self._open_streams)
            pump.order(order="life", life=self._life, over=True)
            if wait:
                self._loop.linger(lambda: self._over <= 0 or not pump.running, clock.now() + _OVER_PATIENCE, until_stopped=True)

    def drain(self) -> None:
        """At the very end: let all that was printed go out, as long as whoever reads it takes it and nobody asks us to stop."""
        for stream in self._streams:
            stream.close_writing()
        if self._pump is None:
            return
        self._pump.hasten()
        self._pump.order(order="drain")
        self._pump.close()
        pump = self._pump
        self._loop.linger(lambda: not pump.running, clock.now() + _DRAIN_PATIENCE, until_stopped=True)
        for stream in self._streams:
            stream.close()

    def _answer(self, said: Mapping[str, Any]) -> None:
        step = said.get("step")
        if step == "life":
            self._begun = said.get("life")
        elif step == "over" and said.get("life") == self._life:
            self._over -= 1
        elif step == "matched" and said.get("life") == self._life:
            self._matched(str(said.get("id")), str(said.get("line", "")))
        elif step in ("trouble", "recovered"):
            self._journal.note("log", words=str(said.get("words")))
            self._tell(f"{said.get('words')}")
        elif step == "closed":
            # Nobody reads it any more: with our own end gone too, the app finds out as it would without us.
            for stream in self._streams:
                if (stream.name, stream.stream) == (said.get("name"), said.get("stream")) and stream.reading >= 0:
                    os.close(stream.reading)
                    stream.reading = -1

    def _ended(self, how: str) -> None:
        self._journal.note("log", words=f"the pump has ended ({how}); a new one goes on")


def _same(one: int, other: int) -> bool:
    """Whether both descriptors lead to one place: then one pipe keeps the order of what is written to either."""
    first, second = os.fstat(one), os.fstat(other)
    return (first.st_dev, first.st_ino, first.st_rdev) == (second.st_dev, second.st_ino, second.st_rdev)
