"""The writing side: events go to a child, the child goes to the volume.

A volume can hang, fill up or turn read-only. PID 1 never touches it: it hands lines to the child's stdin without ever
waiting, keeps the latest events in memory, and says once when they go no further than that.

A writer that dies, or does not start, is followed by another, which is handed all that was not confirmed. So a line may stand in the file
twice, and none is missing.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from firstlight.journal import keep
from firstlight.journal.event import JOURNAL_VERSION, Event, Stage
from firstlight.system import clock, files, loop as system_loop, standard_error
from firstlight.system.loop import Exited, Printed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.system.loop import Happening, Loop, Timer
    from firstlight.system.process import Process

# Events that are kept in memory, for what reads them in this process and for a volume that takes none.
_KEPT = 2000

# How long a line may stay unwritten before we say so, in seconds.
_PATIENCE = 5.0

# Pauses before a new writer, in seconds, as often as one after the other dies, or does not start, and has written nothing. The last one is for all that follow:
# a volume that was away for minutes gets the rest of a run that may last for weeks.
_PAUSES = (0.0, 1.0, 5.0)

# How long the end waits for the last lines to reach the volume, in seconds: a stop must not take longer than a second.
_CLOSE_PATIENCE = 0.5


def default_directory(variables: Mapping[str, str]) -> str | None:
    """Where the journal is kept unless told otherwise: on the network volume, else in the user's state directory.

    None when there is neither.
    """
    if files.is_mount("/workspace"):
        return "/workspace/.firstlight"
    return files.state_folder(variables)


class Journal:
    """One boot's journal.

    Attributes:
        boot: the boot's id, which is also the name of its file: 20261123T203607Z-1f2e.
        events: the first ones, the last one of each sort, and the latest.
        directory: the state directory; None where events are kept in memory alone.
        listeners: called with every event, as soon as it is one.
        writer: the child that writes, or the last one; None before the first event, and where there is nothing to write to.
    """

    def __init__(
        self,
        loop: Loop,
        directory: str | None,
        environment: Mapping[str, str],
        *,
        started: float,
        tell: Callable[[str], None] = standard_error.say,
    ) -> None:
        """`directory` is the state directory, None to keep events in memory alone; `started` is when the boot began, monotonic."""
        self.boot = f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-{os.urandom(2).hex()}"
        self.events: list[Event] = []
        self.directory = directory
        self.listeners: list[Callable[[Event], None]] = []
        self.writer: Process | None = None
        self._loop = loop
        self._environment = environment
        self._started = started
        self._tell = tell
        self._next = 0
        self._unwritten: dict[int, float] = {}  # numbers of lines that no writer has confirmed, and when they were to be written
        self._failures = 0  # of writers in a row that have written nothing
        self._unstarted = ""  # why the last one did not start; empty where it did
        self._lost = 0  # events that no writer was handed before memory let them go
        self._again: Timer | None = None  # when the next writer is started
        self._troubled = False
        self._closing = False

    def write(self, kind: str, stage: Stage, **data: Any) -> Event:
        """Record that something happened. Never waits and never fails."""
        event = Event(
            boot=self.boot,
            number=self._next,
            kind=kind,
            stage=stage,
            at=clock.wall(),
            since_start=round(clock.now() - self._started, 4),
            data=data,
        )
        self._next += 1
        self.events.append(event)
        keep.keep(self.events, _KEPT)
        if self.directory is not None:
            self._hand_over(event, self.directory)
        self._loop.guard.tell(self.listeners, event)
        return event

    def note(self, kind: str, **data: Any) -> Event:
        """Record something that changes no stage."""
        return self.write(kind, self.events[-1].stage if self.events else Stage.START, **data)

    def close(self) -> None:
        """Give the last lines a moment to reach the volume. A writer that hangs is left behind: it ends when its volume answers."""
        if self._again is not None:
            self._again.cancel()
            self._start_again()
        self._closing = True
        if self._again is not None:  # there is none still
            self._again.cancel()
        elif self.writer is not None:
            self._loop.close_stdin(self.writer)
            until = clock.now() + _CLOSE_PATIENCE
            while not self.writer.ended and clock.now() < until:
                self._loop.turn(until)
        if self._listen in self._loop.listeners:
            self._loop.listeners.remove(self._listen)
        if self._unwritten:
            self._trouble(self._unstarted or f"the last {len(self._unwritten)} events were not written in time")

    def _hand_over(self, event: Event, directory: str) -> None:
        if self._closing:
            return  # the end is the last line; a holder that goes after it is no trouble
        if self.writer is None and self._again is None:
            self._start_writer(directory)
        if self._again is not None:
            self._unwritten[event.number] = clock.now()
            return
        if self.writer is None or self.writer.ended:
            return
        if self._unwritten and clock.now() - next(iter(self._unwritten.values())) > _PATIENCE:
            self._trouble("the volume does not answer")
        taken = self._loop.write(self.writer, line(event))
        if taken or not self._loop.reads(self.writer):  # it is dead, and its end comes next: the line is for the one after it
            self._unwritten[event.number] = clock.now()
        else:
            self._trouble("too many events wait for the volume")

    def _start_writer(self, directory: str, *more: str) -> bool:
        """Whether it has started; where not, another is tried after a pause: what is short, of processes or of memory, comes back."""
        try:
            argv = system_loop.program("write_journal", directory, self.boot, *more)
            self.writer = self._loop.start(argv, self._environment, name="journal", keep_stdin=True)
        except OSError as error:
            self._unstarted = f"its writer does not start: {error.strerror}"
            self._try_again(self._unstarted)
            return False
        if self._listen not in self._loop.listeners:
            self._loop.listeners.append(self._listen)
        return True

    def _try_again(self, words: str) -> None:
        """After a pause; once pauses do not help, it is said why."""
        self._again = self._loop.call_at(clock.now() + _PAUSES[min(self._failures, len(_PAUSES) - 1)], self._start_again)
        self._failures += 1
        if self._failures > len(_PAUSES):
            self._trouble(words)

    def _start_again(self) -> None:
        """Start another writer, with all that its predecessors have not confirmed."""
        self._again = None
        assert self.directory is not None
        kept = [event for event in self.events if event.number in self._unwritten]
        self._lost += len(self._unwritten) - len(kept)
        self._unwritten = {event.number: self._unwritten[event.number] for event in kept}
        if not self._start_writer(self.directory, "again"):
            return
        assert self.writer is not None
        self._loop.write(self.writer, b"".join(map(line, kept)))
        unstarted, lost = self._unstarted, self._lost
        self._unstarted, self._lost = "", 0
        if unstarted:
            self.note("log", words=f"the journal could not be written for a while: {unstarted}; it goes on now")
        if lost:
            self.note("log", words=f"{lost} events are missing here: no writer lived long enough, and memory holds no more")

    def _listen(self, happening: Happening) -> None:
        """What the writer answers, and its end."""
        if isinstance(happening, Printed) and happening.process is self.writer:
            for answer in self.writer.drain_lines():
                self._answer(json.loads(answer))
        elif isinstance(happening, Exited) and happening.process is self.writer and not self._closing:
            how = _how_ended(happening.process.status)
            self._try_again(f"its writer has ended ({how})")
            if self._failures <= len(_PAUSES):
                self.note("log", words=f"the writer of the journal has ended ({how}); a new one goes on")
        elif isinstance(happening, Exited) and happening.process is self.writer and happening.process.status != 0:
            self._trouble(f"its writer has ended ({_how_ended(happening.process.status)})")

    def _answer(self, answer: Mapping[str, Any]) -> None:
        if answer["step"] == "wrote":
            self._failures = 0
            for number in range(answer["first"], answer["last"] + 1):
                self._unwritten.pop(number, None)
        else:
            self._trouble(answer["words"])

    def _trouble(self, words: str) -> None:
        """Say once that the journal is not written."""
        if not self._troubled:
            self._troubled = True
            self._tell(f"cannot write the journal to {self.directory}: {words}; events are kept in memory")


def line(event: Event) -> bytes:
    """An event as it stands in the journal's file."""
    fields = {
        "v": JOURNAL_VERSION,
        "boot": event.boot,
        "n": event.number,
        "t": event.at,
        "s": event.since_start,
        "stage": event.stage.value,
        "kind": event.kind,
        **event.data,
    }
    return json.dumps(fields, separators=(",", ":"), default=str).encode("ascii") + b"\n"


def _how_ended(status: int | None) -> str:
    return f"signal {-status}" if status is not None and status < 0 else f"exit code {status}"
