"""The one owner of wait(2): every child of firstlight is started and reaped here.

A second reaper anywhere would steal exit codes: a crash would look like a success.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys

from firstlight.system import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any
else:
    import _signal as signal  # `signal` itself would import enum, at twice the cost of this whole room

# What a child may print before the rest is thrown away: a runaway probe must not eat the memory of PID 1.
OUTPUT_LIMIT = 4 << 20
ERRORS_LIMIT = 64 << 10

# Python ignores these two when it starts, and an ignored signal stays ignored over exec: a child would inherit that.
IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)

# Above every descriptor that a child is given by number.
_ABOVE = 64


class Process:
    """One child.

    Attributes:
        status: None while it runs; then its exit code, or minus the signal that killed it.
        suspended: True while it is stopped by a signal (SIGSTOP, SIGTSTP, …).
        output: what it printed on a captured stdout, the first `OUTPUT_LIMIT` bytes.
        errors: what it printed on a captured stderr, the last `ERRORS_LIMIT` bytes.
        group: it leads a process group of its own.
    """

    __slots__ = ("errors", "group", "name", "output", "pid", "status", "suspended")

    def __init__(self, name: str, pid: int, *, group: bool) -> None:
        self.name = name
        self.pid = pid
        self.group = group
        self.status: int | None = None
        self.suspended = False
        self.output = bytearray()
        self.errors = bytearray()

    @property
    def ended(self) -> bool:
        """It is gone and has been reaped."""
        return self.status is not None

    @property
    def exit_code(self) -> int | None:
        """What a shell would say of its end: its exit code, or 128 + the signal; None while it runs."""
        return None if self.status is None else shell_code(self.status)

    def lines(self) -> list[str]:
        """The complete lines of its output so far."""
        complete = self.output[: self.output.rfind(b"\n") + 1]
        return complete.decode("utf-8", "replace").split("\n")[:-1]

    def drain_lines(self) -> list[str]:
        """The complete lines of its output since they were last drained. For a child that stays: nothing of them is kept."""
        lines = self.lines()
        del self.output[: self.output.rfind(b"\n") + 1]
        return lines

    def drain_objects(self) -> list[dict[str, Any]]:
        """Those of the drained lines that are JSON objects; what else it printed is nobody's."""
        objects = []
        for text in self.drain_lines():
            try:
                said = json.loads(text)
            except ValueError:
                continue
            if isinstance(said, dict):
                objects.append(said)
        return objects

    def take_output(self, piece: bytes) -> None:
        """Keep what it printed on stdout, as far as there is room."""
        self.output += piece[: OUTPUT_LIMIT - len(self.output)]

    def take_errors(self, piece: bytes) -> None:
        """Keep what it printed on stderr; the end is what tells the cause, so the beginning goes."""
        self.errors += piece
        del self.errors[:-ERRORS_LIMIT]


class Children:
    """Starts children, sends them signals, reaps them and every orphan that the kernel hands to us.

    Attributes:
        running: the children that have not ended, by pid.
        orphans_reaped: how many dead processes were reaped that somebody else had started.
    """

    def __init__(self, inherited_mask: Iterable[int]) -> None:
        """`inherited_mask`: the signals that were blocked when firstlight was started; a child gets the same."""
        self.running: dict[int, Process] = {}
        self.orphans_reaped = 0
        self._inherited_mask = frozenset(inherited_mask)
        # When whoever started us ignores SIGCHLD, the kernel reaps our children itself and their exit codes are lost.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)

    def spawn(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        *,
        name: str,
        path: str | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        inherit: Mapping[int, int] | None = None,
        group: bool = True,
    ) -> Process:
        """Start a child. `path` is the file to execute, `argv[0]` by default; there is no search along PATH.

        A descriptor of None is inherited. `inherit` gives it more of ours: its number in the child, our number. The child has
        the signal mask that we were started with; signals that were ignored then are ignored, the others are at their default.
        SIGPIPE and SIGXFSZ are always at their default, since Python has changed them before anybody could look.

        Raises:
            OSError: it cannot be started; its errno is that of fork or exec.
        """
        duplicates = [(os.POSIX_SPAWN_DUP2, source, target) for target, source in enumerate((stdin, stdout, stderr)) if source is not None]
        # Put out of the way of all targets first: one's target may be another's source.
        lifted = {target: fcntl.fcntl(source, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for target, source in (inherit or {}).items()}
        duplicates += [(os.POSIX_SPAWN_DUP2, source, target) for target, source in lifted.items()]
        try:
            pid = os.posix_spawn(
                path or argv[0],
                list(argv),
                env,
                file_actions=duplicates,
                setsigmask=self._inherited_mask,
                setsigdef=IGNORED_BY_PYTHON,
                setpgroup=0 if group else os.getpgrp(),
            )
        finally:
            for source in lifted.values():
                os.close(source)
        process = Process(name, pid, group=group)
        self.running[pid] = process
        return process

    def send(self, process: Process, number: int, group: bool = True) -> bool:
        """Send a signal to a child, or to all of its process group where it leads one. False when nobody got it.

        A group outlives its leader: what the child left behind is reached also after its end. The child alone is never
        sent a signal after its end, since its pid may be somebody else's by then.
        """
        try:
            if group and process.group:
                os.killpg(process.pid, number)
            elif process.ended:
                return False
            else:
                os.kill(process.pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def reap(self) -> list[Process]:
        """Reap all that is dead, without waiting. Gives those of our own children that ended, were suspended or go on."""
        changed: list[Process] = []
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            except ChildProcessError:
                return changed
            if pid == 0:
                return changed
            process = self.running.get(pid)
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                if process is not None:
                    process.suspended = os.WIFSTOPPED(status)
                    changed.append(process)
            elif process is None:
                self.orphans_reaped += 1
            else:
                process.status = os.waitstatus_to_exitcode(status)
                process.suspended = False
                del self.running[pid]
                changed.append(process)

    def orphans(self) -> list[int]:
        """The pids of living children that we did not start: the kernel gave them to us when their parents died.

        Empty where /proc is missing, or that of another PID namespace: the numbers in there are not ours.
        """
        try:
            if files.read_link("/proc/self") != str(os.getpid()):
                return []
        except OSError:
            return []
        pids = [int(name) for name in files.list_directory("/proc") if name.isdigit() and _living_child(name)]
        return [pid for pid in pids if pid not in self.running]

    def send_orphan(self, pid: int, number: int) -> bool:
        """Send a signal to one of `orphans()`. Only `reap` ends it for good, so until then its pid is nobody else's."""
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            return False
        return True


def shell_code(status: int) -> int:
    """What a shell says of an end that is told as an exit code, or as minus the signal: that code, or 128 + the signal."""
    return 128 - status if status < 0 else status


def program(name: str, *arguments: str, interpreter: str | None = None, confined: bool = False) -> list[str]:
    """The command line that runs `firstlight/programs/<name>.py` in an interpreter of its own.

    In our own interpreter it finds modules where we do, and nowhere else: in a wheel's folder or inside the one file. A
    stranger's `interpreter` keeps its own search path; ours is on it only while the program is imported. A `confined`
    program ends with us and can change nothing in the file system (programs/confine.py).
    """
    run = f"from firstlight.programs.{name} import main"
    if confined:
        run = f"from firstlight.programs.confine import confine; confine(); {run}"
    if interpreter is None:
        return [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {run}; sys.exit(main())", *arguments]
    room = _room()
    script = f"import sys; sys.path.insert(0, {room!r}); {run}; sys.path.remove({room!r}); sys.exit(main())"
    return [interpreter, "-c", script, *arguments]


def verb(*words: str) -> list[str]:
    """The command line of one of our own verbs, in an interpreter like this one. It finds modules where we do.

    The one file is started as such: its own first lines alone know where all of its modules are.
    """
    room = _room()
    if os.path.isfile(room):
        return [sys.executable, "-I", "-S", room, *words]
    run = f"import sys; sys.path[:] = {sys.path!r}; from firstlight.__main__ import main; sys.exit(main())"
    return [sys.executable, "-I", "-S", "-c", run, *words]


def module(name: str) -> list[str]:
    """The command line that runs `main()` of a module of ours that needs libraries, in an interpreter like this one.

    It finds modules where we do; in the one file its libraries lie in an archive of their own, which it opens first.
    """
    run = f"from firstlight.programs.bring_libraries import bring; bring(); from {name} import main"
    return [sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}; {run}; sys.exit(main())"]


def _room() -> str:
    """Where our package lies: a folder, or the one file."""
    return os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def _living_child(pid: str) -> bool:
    try:
        state, parent = files.read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return False  # gone by now
    return int(parent) == os.getpid() and state != "Z"
