"""The loop: one thread, one poll(2) over signals, the pipes of children and watched directories.

Nothing in here ticks: with nothing to do and no deadline, the process sleeps until the kernel wakes it.
"""

from __future__ import annotations

import os
import select

from firstlight.system import clock, files, linux
from firstlight.system.guard import Guard
from firstlight.system.happening import Changed, Exited, Printed, Requested, Signalled, Suspended
from firstlight.system.process import IGNORED_BY_PYTHON, Children, Process, module, program
from firstlight.system.timers import Timer, Timers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from firstlight.system.happening import Happening
else:
    import _signal as signal  # `signal` itself would import enum, at twice the cost of this whole room

# For those who take turns: all that they need is here.
__all__ = [
    "Changed",
    "Exited",
    "Happening",
    "Loop",
    "Printed",
    "Process",
    "Requested",
    "Signalled",
    "Suspended",
    "Timer",
    "module",
    "program",
]

# Signals that ask us to stop while no app runs.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)

# Bytes that wait for a child which does not read. More is refused: a hung child must not eat the memory of PID 1.
BACKLOG_LIMIT = 256 << 10

# How long we look whether a killed child is gone. One in an uninterruptible sleep may never go; it is left behind then.
KILL_PATIENCE = 0.5

_PIECE = 1 << 16


class _Pipes:
    """Our ends of a child's pipes, and what still has to go into its stdin."""

    __slots__ = ("backlog", "close_when_written", "stderr", "stdin", "stdout")

    def __init__(self, stdin: int | None, stdout: int, stderr: int) -> None:
        self.stdin = stdin
        self.stdout: int | None = stdout
        self.stderr: int | None = stderr
        self.backlog = bytearray()
        self.close_when_written = False


class Loop:
    """Children, signals, directories and timers, awaited together.

    Attributes:
        children: every child, those of `start` and others.
        listeners: called with everything that happens, whoever takes the turn.
        guard: what listeners, timers and receivers are called through.
    """

    def __init__(self, inherited_mask: Iterable[int] | None = None) -> None:
        """Blocks every signal. `inherited_mask` is what was blocked before the caller did so itself; children get that mask."""
        blocked_before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        self._mask_before = blocked_before if inherited_mask is None else frozenset(inherited_mask)
        _fill_standard_descriptors()
        self.children = Children(self._mask_before)
        self.listeners: list[Callable[[Happening], None]] = []
        self.guard = Guard()
        self._poll = select.poll()
        self._ready: dict[int, Callable[[], list[Happening]]] = {}
        self._pipes: dict[Process, _Pipes] = {}
        self._postponed: list[Happening] = []
        self._posted: list[Happening] = []
        self._timers = Timers()
        self._signals: int | None = None
        self._watch: int | None = None
        self._watched: dict[int, str] = {}

    def close(self) -> None:
        """Give back every descriptor and the signal mask. Children are left alone."""
        for process in list(self._pipes):
            self._close_pipes(process)
        for descriptor in (self._signals, self._watch):
            if descriptor is not None:
                self._forget(descriptor)
        self._signals = self._watch = None
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask_before)

    # Children

    def start(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        name: str,
        keep_stdin: bool = False,
        inherit: Mapping[int, int] | None = None,
    ) -> Process:
        """Start a child whose stdout and stderr are captured. Its stdin is at its end, or stays open for `write`.

        `inherit` gives it more descriptors, as in `Children.spawn`.

        Raises:
            OSError: it cannot be started.
        """
        # An empty pipe stands in for /dev/null, which a sick machine may lack.
        descriptors: list[int] = []
        try:
            for _ in range(3):
                descriptors += os.pipe()
            their_stdin, stdin, stdout, their_stdout, stderr, their_stderr = descriptors
            process = self.children.spawn(
                argv, env, name=name, stdin=their_stdin, stdout=their_stdout, stderr=their_stderr, inherit=inherit
            )
        except OSError:
            for descriptor in descriptors:
                os.close(descriptor)
            raise
        for descriptor in (their_stdin, their_stdout, their_stderr):
            os.close(descriptor)
        for descriptor in (stdin, stdout, stderr):
            os.set_blocking(descriptor, False)
        self._pipes[process] = _Pipes(stdin, stdout, stderr)
        self._register(stdout, select.POLLIN, lambda: self._read(process))
        self._register(stderr, select.POLLIN, lambda: self._read(process))
        if not keep_stdin:
            self.close_stdin(process)
        return process

    def write(self, process: Process, data: bytes, *, limit: int = BACKLOG_LIMIT) -> bool:
        """Hand `data` to a child's stdin, now or when it reads. Never blocks.

        False when nothing was taken: the child has ended or closed its stdin, or more than `limit` bytes wait already.
        """
        pipes = self._pipes.get(process)
        if pipes is None or pipes.stdin is None or pipes.close_when_written or len(pipes.backlog) > limit:
            return False
        waiting = bool(pipes.backlog)
        pipes.backlog += data
        if not waiting:
            self._flush(process)
        return pipes.stdin is not None

    def reads(self, process: Process) -> bool:
        """Whether the child still has its stdin open, as far as is known."""
        pipes = self._pipes.get(process)
        return pipes is not None and pipes.stdin is not None

    def close_stdin(self, process: Process) -> None:
        """Let the child see the end of its input, after what still waits to be written."""
        pipes = self._pipes.get(process)
        if pipes is None or pipes.stdin is None:
            return
        pipes.close_when_written = True
        if not pipes.backlog:
            self._close_stdin(pipes)

    def end(self, process: Process, grace: float = 0) -> None:
        """End a child and its group: SIGTERM, and SIGKILL after `grace` seconds or as soon as we are asked to stop.

        Never waits for a child that SIGKILL does not end. What happens meanwhile is handed out by the next turn.
        """
        if grace > 0 and not process.ended:
            self.children.send(process, signal.SIGTERM)
            self.linger(lambda: process.ended, clock.now() + grace, until_stopped=True)
        self.children.send(process, signal.SIGKILL)
        self.linger(lambda: process.ended, clock.now() + KILL_PATIENCE)

    def linger(self, condition: Callable[[], bool], until: float, *, until_stopped: bool = False) -> None:
        """Take turns until `condition()` holds, or the monotonic time `until` has come, or we are asked to stop where that counts.

        What happens meanwhile is handed out by the next turn.
        """
        kept, self._postponed = self._postponed, []
        while not condition() and clock.now() < until and not (until_stopped and any(map(_stop_signal, kept))):
            kept += self.turn(until)
        self._postponed = kept

    # Directories

    def watch(self, directory: str) -> bool:
        """Report changes in a directory as `Changed`. False where that cannot be had: the caller then has to look by itself."""
        try:
            if self._watch is None:
                self._watch = linux.open_watch()
                self._register(self._watch, select.POLLIN, self._read_watch)
            self._watched[linux.add_watch(self._watch, files.path(directory))] = directory
        except (OSError, ImportError):
            return False
        return True

    def unwatch(self, directory: str) -> None:
        """Stop reporting changes in a directory."""
        for number in [number for number, watched in self._watched.items() if watched == directory]:
            del self._watched[number]
            try:
                linux.remove_watch(self._watch or -1, number)
            except OSError:
                pass  # the directory is gone, and the watch with it

    # Whatever else

    def call_at(self, when: float, what: Callable[[], None]) -> Timer:
        """Call `what` in the first turn after the monotonic time `when`. It must neither wait nor take turns itself."""
        return self._timers.add(when, what)

    def post(self, happening: Happening) -> None:
        """Let this happen in the next turn."""
        self._posted.append(happening)

    def receive(self, descriptor: int, ready: Callable[[], None]) -> None:
        """Call `ready` whenever `descriptor` can be read."""

        def read() -> list[Happening]:
            if not self.guard.call(ready):
                self._unregister(descriptor)  # what is not read would wake us for ever
            return []

        self._register(descriptor, select.POLLIN, read)

    def forget(self, descriptor: int) -> None:
        """Stop receiving, and close it."""
        self._forget(descriptor)

    # Turns

    def turn(self, until: float | None) -> list[Happening]:
        """Wait until something happens, or until the monotonic time `until` (None: for ever), and say what happened."""
        if self._postponed:
            happenings, self._postponed = self._postponed, []
            return happenings
        if self._signals is None:
            self._signals = linux.open_signals(_signals_to_take())
            self._register(self._signals, select.POLLIN, self._read_signals)
        happenings = []
        for descriptor, _ in self._poll.poll(self._timeout(until)):
            ready = self._ready.get(descriptor)
            if ready is not None:  # an earlier one of this turn may have closed it
                happenings += ready()
        self._timers.call_due(clock.now(), self.guard.call)
        posted, self._posted = self._posted, []
        happenings += posted
        for happening in happenings:
            self.guard.tell(self.listeners, happening)
        return happenings

    def _timeout(self, until: float | None) -> float | None:
        """How long a turn may sleep, in milliseconds."""
        if self._posted:
            return 0.0
        moments = [moment for moment in (until, self._timers.next) if moment is not None]
        return max(0.0, (min(moments) - clock.now()) * 1000) if moments else None

    def wait_for(self, condition: Callable[[], bool], until: float | None, take: Callable[[Happening], object] = bool) -> bool:
        """Take turns until `condition()` holds (True) or the monotonic time `until` has come (False).

        `take` is given what happens meanwhile, and what happened while somebody lingered before; by default nobody cares.

        Raises:
            errors.Stopped: a stop signal came.
        """
        while not condition():
            for happening in self.turn(until):
                number = _stop_signal(happening)
                if number:
                    from firstlight import errors  # late: it imports enum

                    raise errors.Stopped(number)
                take(happening)
            if until is not None and clock.now() >= until:
                return condition()
        return True

    # What a ready descriptor means

    def _read_signals(self) -> list[Happening]:
        happenings: list[Happening] = []
        for number, code, sender in linux.read_signals(self._signals or 0):
            if number == signal.SIGCHLD:
                continue
            if sender == os.getpid() and number in (signal.SIGPIPE, signal.SIGXFSZ):
                continue  # our own write has failed, and write(2) has said so already
            happenings.append(Signalled(number, sender, from_kernel=code > 0))
        for process in self.children.reap():
            if process.ended:
                happenings += self._read(process)
                self._close_pipes(process)
                happenings.append(Exited(process))
            elif process.suspended:
                happenings.append(Suspended(process))
        return happenings

    def _read(self, process: Process) -> list[Happening]:
        """Take what a child has printed. One whose pipe is held open by a grandchild is not waited for."""
        pipes = self._pipes.get(process)
        if pipes is None:
            return []
        size = len(process.output) + len(process.errors)
        if pipes.stdout is not None and _drain(pipes.stdout, process.take_output):
            self._forget(pipes.stdout)
            pipes.stdout = None
        if pipes.stderr is not None and _drain(pipes.stderr, process.take_errors):
            self._forget(pipes.stderr)
            pipes.stderr = None
        return [Printed(process)] if len(process.output) + len(process.errors) != size else []

    def _read_watch(self) -> list[Happening]:
        directories = {self._watched.get(number) for number in linux.read_watch(self._watch or 0)}
        return [Changed(directory) for directory in sorted(filter(None, directories))]

    def _flush(self, process: Process) -> list[Happening]:
        """Write what waits for a child, as much as its pipe takes."""
        pipes = self._pipes[process]
        if pipes.stdin is None:
            return []
        try:
            while pipes.backlog:
                del pipes.backlog[: os.write(pipes.stdin, pipes.backlog[:_PIECE])]
        except BlockingIOError:
            self._register(pipes.stdin, select.POLLOUT, lambda: self._flush(process))
            return []
        except OSError:  # it reads no more
            self._close_stdin(pipes)
            return []
        if pipes.close_when_written:
            self._close_stdin(pipes)
        else:
            self._unregister(pipes.stdin)
        return []

    # Descriptors

    def _register(self, descriptor: int, events: int, ready: Callable[[], list[Happening]]) -> None:
        self._poll.register(descriptor, events)
        self._ready[descriptor] = ready

    def _unregister(self, descriptor: int) -> None:
        if self._ready.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def _forget(self, descriptor: int) -> None:
        self._unregister(descriptor)
        os.close(descriptor)

    def _close_stdin(self, pipes: _Pipes) -> None:
        if pipes.stdin is not None:
            self._forget(pipes.stdin)
        pipes.stdin = None
        pipes.backlog.clear()

    def _close_pipes(self, process: Process) -> None:
        pipes = self._pipes.pop(process, None)
        if pipes is None:
            return
        self._close_stdin(pipes)
        for descriptor in (pipes.stdout, pipes.stderr):
            if descriptor is not None:
                self._forget(descriptor)


def _signals_to_take() -> list[int]:
    """All but those that whoever started us wants ignored, as nohup does with SIGHUP; the app ignores them as well."""
    return [number for number in signal.valid_signals() if number in IGNORED_BY_PYTHON or signal.getsignal(number) != signal.SIG_IGN]


def _stop_signal(happening: Happening) -> int:
    """The number of the signal that asks us to stop; 0 when this is something else."""
    if isinstance(happening, Requested):
        return signal.SIGTERM if happening.action == "stop" else 0
    return happening.number if isinstance(happening, Signalled) and happening.number in STOP_SIGNALS else 0


def _drain(descriptor: int, take: Callable[[bytes], None]) -> bool:
    """Read what is there now. True at the end of the file."""
    try:
        while piece := os.read(descriptor, _PIECE):
            take(piece)
            if len(piece) < _PIECE:
                return False
    except BlockingIOError:
        return False
    return True


def _fill_standard_descriptors() -> None:
    """Where we were started with a closed stdin, stdout or stderr, put /dev/null there.

    Else the next pipe would get that number, and messages would end in it. A child still finds it closed, as we did.
    """
    try:
        while (descriptor := os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)) <= 2:
            pass
    except OSError:
        return
    os.close(descriptor)
