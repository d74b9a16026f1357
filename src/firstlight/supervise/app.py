"""One life of the app: start it, forward signals to it, reap, stop it, end what it leaves."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from firstlight import settings as own_settings
from firstlight.journal.event import Stage
from firstlight.supervise import command as app_command, leftovers, terminal
from firstlight.system import clock, linux
from firstlight.system.loop import Requested, Signalled, Suspended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.journal.journal import Journal
    from firstlight.settings import Settings
    from firstlight.system.loop import Happening, Loop

# The kernel raises these in the process that erred. Ours are ours; sent by somebody else they are meant for the app.
SYNCHRONOUS = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT, signal.SIGXCPU}
)

# These begin a stop. Every other signal is forwarded and means what the app takes it for: QUIT dumps a JVM's threads, HUP reloads.
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})

# How an app on a terminal ends that got Ctrl-C or Ctrl-\\ there. We did not get it: the app alone is in the foreground.
_ENDED_BY_KEY = frozenset({-signal.SIGINT, -signal.SIGQUIT, 128 + signal.SIGINT, 128 + signal.SIGQUIT})

# timeout(1) and others send a signal to us and to our group: two within microseconds are one request.
_SAME_REQUEST = 0.005


def adopt_orphans(tell: Callable[[str], None]) -> None:
    """Let what the app leaves behind become ours to reap, and to end."""
    if os.getpid() == 1:
        return  # PID 1 gets them anyway
    try:
        linux.become_subreaper()
    except (OSError, ImportError) as error:
        why = getattr(error, "strerror", None) or error
        tell(f"cannot adopt orphans, and this is not PID 1: what the app leaves behind may stay as zombies ({why})")


class App:
    """A running app and how far its stop has come.

    Attributes:
        process: the app itself.
        stopped_by: the signal or the order that ends everything; None as long as nobody asked for that.
        asked: what somebody wants done with it, the first that ends this life; None as long as nobody does.
    """

    def __init__(
        self,
        loop: Loop,
        command: Sequence[str],
        environment: Mapping[str, str],
        settings: Settings,
        journal: Journal,
        tell: Callable[[str], None],
        *,
        life: int = 1,
        output: tuple[int | None, int | None] = (None, None),
        before_stop: Callable[[str], None],
    ) -> None:
        """Start it. `output` are its stdout and stderr, None for our own. `before_stop` is told why it will be stopped.

        Raises:
            CommandError: it cannot be started (126 or 127).
            Stopped: a stop signal came before it was started.
        """
        self.stopped_by: str | None = None
        self.asked: Requested | None = None
        self._loop = loop
        self._settings = settings
        self._journal = journal
        self._tell = tell
        self._kill_at: float | None = None  # set once a stop has begun
        self._before_stop = before_stop
        self._lost = False  # it does not go although it was killed: it waits for a dead disk or GPU
        self._group_asked = False  # all of its group have had SIGTERM
        self._term_at: float | None = None  # when a softer stop signal is followed by SIGTERM
        self._rewrite = {signal.SIGTERM: settings.stop_signal, **dict(settings.rewrite)}
        self._mark = f"{journal.boot}/{life}"
        loop.wait_for(lambda: False, clock.now())  # a stop signal may be waiting: then nothing is started
        self._interactive = terminal.is_ours()
        variables = {**environment, own_settings.LIFE: self._mark}
        self.process = app_command.start(loop.children, command, variables, stdout=output[0], stderr=output[1])
        if self._interactive:
            terminal.hand_to(self.process.pid)
            loop.children.send(self.process, signal.SIGCONT)  # it was stopped if it read before the terminal was its own

    @property
    def exit_code(self) -> int:
        """What a shell would say: the exit code, or 128 + the signal. 137 for one that not even SIGKILL has ended yet."""
        code = self.process.exit_code
        return 128 + signal.SIGKILL if code is None else code

    def watch(self, wanted: Callable[[Requested], bool]) -> None:
        """Forward and reap until the app has ended, or has been killed and does not go.

        `wanted` says whether what somebody asks for ends this life of the app; the app is stopped then.
        """
        while not (self.process.ended or self._lost):
            moments = [moment for moment in (self._kill_at, self._term_at) if moment is not None]
            for happening in self._loop.turn(min(moments, default=None)):
                self._take(happening, wanted)
            now = clock.now()
            if self._term_at is not None and now >= self._term_at:
                self._term_at = None
                self._send(signal.SIGTERM)
            if self._kill_at is not None and now >= self._kill_at and not self.process.ended:
                self._kill(wanted)
        if self._interactive and self.process.status in _ENDED_BY_KEY and self.stopped_by is None:
            self.stopped_by = "a key at the terminal"

    def end_leftovers(self, *, escaped: bool = False) -> None:
        """End what it has left: its process group and, on demand, what has slipped out of that and is of this life."""

        def deadline() -> float:
            if self._kill_at is None:
                self._kill_at = clock.now() + self._settings.grace
            return self._kill_at

        chosen = leftovers.of_life(self._mark) if escaped else None
        left = leftovers.Leftovers(self._loop, self.process, chosen, lambda happening: self._take(happening, None))
        left.end(deadline, asked=self._group_asked)
        if self._interactive:
            terminal.hand_to(os.getpgrp())

    def stop(self, words: str) -> None:
        """Begin a stop of our own; `words` say why."""
        if self._kill_at is None and not self.process.ended:
            self._begin_stop(words)
            self._send(self._settings.stop_signal)

    def _begin_stop(self, words: str) -> None:
        self._say_that_it_stops(words)
        self._before_stop(words)  # whoever looks at readiness learns it before the app does
        self._kill_at = clock.now() + self._settings.grace
        if self._settings.stop_signal not in (signal.SIGTERM, signal.SIGKILL):
            self._term_at = clock.now() + self._settings.grace / 2

    def _say_that_it_stops(self, words: str) -> None:
        self._journal.write("stopping", Stage.STOP, reason=words, for_good=self.stopped_by is not None)

    def _kill(self, wanted: Callable[[Requested], bool]) -> None:
        self._tell("the app has not stopped in time: killing it")
        self._loop.children.send(self.process, signal.SIGKILL)
        until = clock.now() + leftovers.KILL_PATIENCE
        while not self.process.ended and clock.now() < until:
            for happening in self._loop.turn(until):
                self._take(happening, wanted)
        self._lost = not self.process.ended

    def _take(self, happening: Happening, wanted: Callable[[Requested], bool] | None) -> None:
        if isinstance(happening, Signalled):
            self._forward(happening)
        elif isinstance(happening, Suspended) and happening.process is self.process and self._interactive and os.getpid() != 1:
            # Ctrl-Z in an interactive shell: the shell waits for us, so we stop with the app. SIGCONT wakes both.
            os.kill(os.getpid(), signal.SIGSTOP)
        elif isinstance(happening, Requested):
            self._answer(happening, wanted)

    def _answer(self, requested: Requested, wanted: Callable[[Requested], bool] | None) -> None:
        if requested.action == "stop":
            first, self.stopped_by = self.stopped_by is None, requested.words
            if first and self._kill_at is not None:
                self._say_that_it_stops(requested.words)  # until now it was to be started anew
            self.stop(requested.words)
        elif wanted is not None and self.asked is None and wanted(requested):
            self.asked = requested
            self.stop(requested.words)

    def _forward(self, signalled: Signalled) -> None:
        """Forward a signal to the app, and begin or hasten a stop where it asks for one."""
        number = signalled.number
        if number in SYNCHRONOUS and (signalled.from_kernel or signalled.sender == os.getpid()):
            return
        if number == signal.SIGCONT and self._interactive and terminal.is_ours():
            terminal.hand_to(self.process.pid)
        if number in STOPPING:
            signal.sigtimedwait({number}, _SAME_REQUEST)
        forwarded = self._rewrite.get(number, number)
        if number in STOPPING and forwarded:
            again = self.stopped_by is not None
            self.stopped_by = f"signal {number}"
            if self._kill_at is None:
                self._begin_stop(self.stopped_by)
            elif again:
                self._kill_at = clock.now()
            else:  # it stops already, to be started anew: whoever wants the end has asked once, and the app keeps its time
                self._say_that_it_stops(self.stopped_by)
        if forwarded:
            self._send(forwarded)
        stage = Stage.STOP if self._kill_at is not None else None
        words = {"number": number, "sender": signalled.sender, **({"as": forwarded} if forwarded != number else {})}
        if stage is None:
            self._journal.note("signal", **words)
        else:
            self._journal.write("signal", stage, **words)

    def _send(self, number: int) -> None:
        group = self._settings.forward == "group"
        self._loop.children.send(self.process, number, group=group)
        self._group_asked |= group and number == signal.SIGTERM
