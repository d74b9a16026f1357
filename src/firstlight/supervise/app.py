"""The app's life under us: start it, forward signals to it, reap, stop it, and give its exit code."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from firstlight.journal.event import Stage
from firstlight.supervise import command as app_command, terminal
from firstlight.system import clock, linux
from firstlight.system.loop import Signalled, Suspended

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Loop
    from firstlight.system.process import Process

# The kernel raises these in the process that erred. Ours are ours; sent by somebody else they are meant for the app.
SYNCHRONOUS = frozenset(
    {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGSYS, signal.SIGABRT, signal.SIGXCPU}
)

# These begin a stop. Every other signal is forwarded and means what the app takes it for: QUIT dumps a JVM's threads, HUP reloads.
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})

# timeout(1) and others send a signal to us and to our group: two within microseconds are one request.
_SAME_REQUEST = 0.005

# How long a killed app may take to go, in seconds. One that waits for a dead disk or GPU never goes; we do.
_KILL_PATIENCE = 2.0

# How often we look whether the app's leftovers have gone: one of them may be somebody else's child and die unheard.
_LEFTOVER_PERIOD = 0.1


def run(
    loop: Loop,
    command: Sequence[str],
    environment: Mapping[str, str],
    *,
    grace: float,
    journal: Journal,
    on_start: Callable[[Process], None],
    tell: Callable[[str], None],
) -> int:
    """Start `command` and look after it until it and all that it started has ended. Give its exit code, or 128 + its signal.

    `grace` is how many seconds it may take to stop before it is killed; `on_start` is called with the running app.

    Raises:
        CommandError: it cannot be started (126 or 127).
        Stopped: a stop signal came before it was started.
    """
    _adopt_orphans(tell)
    loop.wait_for(lambda: False, clock.now())  # a stop signal may be waiting: then nothing is started
    interactive = terminal.is_ours()
    app = App(loop, app_command.start(loop.children, command, environment), grace, journal, tell, interactive=interactive)
    journal.write("app-started", Stage.APP, pid=app.process.pid, command=list(command))
    if interactive:
        terminal.hand_to(app.process.pid)
        loop.children.send(app.process, signal.SIGCONT)  # it was stopped if it read before the terminal was its own
    try:
        on_start(app.process)
        app.watch()
        app.end_leftovers()
    finally:
        if interactive:
            terminal.hand_to(os.getpgrp())
    code = app.exit_code()
    journal.write("app-exited", Stage.STOP, code=code, status=app.process.status, orphans_reaped=loop.children.orphans_reaped)
    return code


def _adopt_orphans(tell: Callable[[str], None]) -> None:
    if os.getpid() == 1:
        return  # PID 1 gets them anyway
    try:
        linux.become_subreaper()
    except (OSError, ImportError) as error:
        tell(f"cannot adopt orphans, and this is not PID 1: what the app leaves behind may stay as zombies ({error})")


class App:
    """A running app and how far its stop has come."""

    def __init__(
        self, loop: Loop, process: Process, grace: float, journal: Journal, tell: Callable[[str], None], *, interactive: bool
    ) -> None:
        self.process = process
        self._loop = loop
        self._grace = grace
        self._journal = journal
        self._tell = tell
        self._interactive = interactive
        self._kill_at: float | None = None  # set once a stop has begun
        self._asked: set[int] = set()  # orphans that were asked to stop

    def exit_code(self) -> int:
        """What a shell would say: the exit code, or 128 + the signal. 137 for one that not even SIGKILL has ended yet."""
        if self.process.status is None:
            return 128 + signal.SIGKILL
        return self.process.status if self.process.status >= 0 else 128 - self.process.status

    def watch(self) -> None:
        """Forward and reap until the app itself has ended, or has been killed and does not go."""
        while not self.process.ended:
            self._turn(self._kill_at)
            if self._kill_at is not None and clock.now() >= self._kill_at and not self.process.ended:
                self._tell("the app has not stopped in time: killing it")
                self._loop.children.send(self.process, signal.SIGKILL)
                self._await(lambda: self.process.ended, clock.now() + _KILL_PATIENCE)
                return

    def end_leftovers(self) -> None:
        """End what the app has left: its process group and, when we are PID 1, also what has slipped out of that group."""
        if not self._leftovers():
            return
        if self._kill_at is None:
            self._loop.children.send(self.process, signal.SIGTERM)
            self._kill_at = clock.now() + self._grace
        while self._leftovers() and clock.now() < self._kill_at:
            self._ask_orphans()
            self._turn(min(self._kill_at, clock.now() + _LEFTOVER_PERIOD))
        self._await(self._killed, clock.now() + _KILL_PATIENCE)

    def _killed(self) -> bool:
        """Kill all that is left; True when nothing was."""
        self._loop.children.send(self.process, signal.SIGKILL)
        for pid in self._orphans():
            self._loop.children.send_orphan(pid, signal.SIGKILL)
        return not self._leftovers()

    def _await(self, condition: Callable[[], bool], until: float) -> None:
        while not condition() and clock.now() < until:
            self._turn(min(until, clock.now() + _LEFTOVER_PERIOD))

    def _leftovers(self) -> bool:
        return self._loop.children.send(self.process, 0) or bool(self._orphans())

    def _orphans(self) -> list[int]:
        """As PID 1, all that has lost its parent is ours to end. Elsewhere a daemon may well outlive the command that started it."""
        return self._loop.children.orphans() if os.getpid() == 1 else []

    def _ask_orphans(self) -> None:
        for pid in self._orphans():
            if pid not in self._asked:
                self._asked.add(pid)
                self._loop.children.send_orphan(pid, signal.SIGTERM)

    def _turn(self, until: float | None) -> None:
        for happening in self._loop.turn(until):
            if isinstance(happening, Signalled):
                self._take(happening)
            elif isinstance(happening, Suspended) and happening.process is self.process and self._interactive and os.getpid() != 1:
                # Ctrl-Z in an interactive shell: the shell waits for us, so we stop with the app. SIGCONT wakes both.
                os.kill(os.getpid(), signal.SIGSTOP)

    def _take(self, signalled: Signalled) -> None:
        """Forward a signal to the app's group, and begin or hasten a stop where it asks for one."""
        number = signalled.number
        if number in SYNCHRONOUS and (signalled.from_kernel or signalled.sender == os.getpid()):
            return
        if number == signal.SIGCONT and self._interactive and terminal.is_ours():
            terminal.hand_to(self.process.pid)
        if number in STOPPING:
            signal.sigtimedwait({number}, _SAME_REQUEST)
        self._loop.children.send(self.process, number)
        if number in STOPPING:
            now = clock.now()
            self._kill_at = now if self._kill_at is not None else now + self._grace
        stage = Stage.APP if self._kill_at is None else Stage.STOP
        self._journal.write("signal", stage, number=number, sender=signalled.sender)
