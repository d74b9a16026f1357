"""Companions: what must run beside the app and before the GPU is ready, such as an image's own /start.sh with its sshd.

Each has its output apart and is started again by its own policy. None of them is a part of the app's readiness.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
from typing import TYPE_CHECKING

from firstlight.errors import CommandError
from firstlight.supervise import command as app_command, restart
from firstlight.system import chance, clock
from firstlight.system.loop import Exited

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Happening, Loop, Process, Timer

POLICIES = ("never", "on-failure", "always")

# A name becomes a file's name and a label.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")

# How long they may take to stop, in seconds, before they are killed; the app was stopped before them. With the app's own time
# and what follows this stays below the ten seconds that Docker allows.
_GRACE = 1.0


class Companion:
    """One of them: its name, its command, its policy, and how it fares."""

    def __init__(self, name: str, command: Sequence[str], policy: str) -> None:
        self.name = name
        self.command = command
        self.policy = policy
        self.process: Process | None = None
        self.started = 0.0
        self.delay = 0.0  # the last one before it was started again; 0 for none
        self.timer: Timer | None = None


def from_commands(commands: Sequence[str]) -> list[Companion]:
    """The companions of `--with` commands, each named as its program.

    Raises:
        ValueError: one of them makes no sense.
    """
    found: list[Companion] = []
    for command in commands:
        words = _split(command)
        base = os.path.basename(words[0])
        number = sum(companion.name.partition("~")[0] == base for companion in found)
        found.append(Companion(f"{base}~{number + 1}" if number else base, words, "on-failure"))
    return found


def from_tables(tables: Mapping[str, Mapping[str, object]]) -> list[Companion]:
    """The companions of [companions.NAME] tables.

    Raises:
        ValueError: one of them makes no sense; the message begins with its name.
    """
    found = []
    for name, table in tables.items():
        try:
            found.append(_from_table(name, table))
        except ValueError as error:
            raise ValueError(f"[companions.{name}]: {error}") from None
    return found


def _from_table(name: str, table: Mapping[str, object]) -> Companion:
    if not _NAME.fullmatch(name) or name == "app":
        raise ValueError('a name is letters, digits, "_", "." and "-", and not app')
    unknown = sorted(set(table) - {"command", "restart"})
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} (there are command and restart)")
    command = table.get("command")
    if isinstance(command, str):
        words: Sequence[str] = _split(command)
    elif isinstance(command, list) and command and all(isinstance(word, str) and word for word in command):
        words = command
    else:
        raise ValueError("command is a line or a list of words")
    policy = table.get("restart", "on-failure")
    if policy not in POLICIES:
        raise ValueError("restart is never, on-failure or always")
    return Companion(name, words, str(policy))


def _split(command: str) -> list[str]:
    """The words of a command, as a shell would split them; no shell runs it."""
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ValueError(f"{command!r}: {error}") from None
    if not words or words[0].endswith("/"):
        raise ValueError(f"{command!r}: it names no program")
    return words


class Companions:
    """All of them, on the loop."""

    def __init__(
        self,
        loop: Loop,
        journal: Journal,
        environment: Mapping[str, str],
        companions: Sequence[Companion],
        *,
        pauses: restart.Policy,
        output: Callable[[str], int] | None,
        tell: Callable[[str], None],
    ) -> None:
        """`pauses` says how long to wait before a restart; `output` gives the descriptor
        that a companion of a name writes to; without it that is our own standard error."""
        self._loop = loop
        self._journal = journal
        self._environment = environment
        self._companions = companions
        self._pauses = pauses
        self._output = output
        self._tell = tell
        self._closing = False

    def start(self) -> None:
        """Start all of them, in their order."""
        self._loop.listeners.append(self._listen)
        for companion in self._companions:
            self._launch(companion)

    def stop(self) -> None:
        """Ask all to stop, and kill what has not stopped in time."""
        self._closing = True
        for companion in self._companions:
            if companion.timer is not None:
                companion.timer.cancel()
            if companion.process is not None:
                self._loop.children.send(companion.process, signal.SIGTERM)
        until = clock.now() + _GRACE
        while clock.now() < until and any(companion.process and not companion.process.ended for companion in self._companions):
            self._loop.turn(until)
        for companion in self._companions:
            if companion.process is not None:
                self._loop.children.send(companion.process, signal.SIGKILL)  # also what it left in its group

    def _launch(self, companion: Companion) -> None:
        companion.timer = None
        target = 2 if self._output is None else self._output(companion.name)
        stdin, writing = os.pipe()  # at its end: a companion has no terminal, and nobody types
        os.close(writing)
        companion.started = clock.now()
        try:
            companion.process = app_command.start(
                self._loop.children, companion.command, self._environment, name=companion.name, stdin=stdin, stdout=target, stderr=target
            )
        except CommandError as error:
            self._tell(str(error))
            self._journal.note("companion-exited", name=companion.name, code=int(error.exit_code), delay=None, words=str(error))
            return
        finally:
            os.close(stdin)
        self._journal.note("companion-started", name=companion.name, pid=companion.process.pid)

    def _listen(self, happening: Happening) -> None:
        if isinstance(happening, Exited):
            for companion in self._companions:
                if happening.process is companion.process and not self._closing:
                    self._follow(companion, happening.process)

    def _follow(self, companion: Companion, process: Process) -> None:
        """What comes after its end."""
        code = process.exit_code
        delay = None
        if companion.policy == "always" or (companion.policy == "on-failure" and code != 0):
            lived_well = clock.now() - companion.started >= self._pauses.reset
            companion.delay = restart.next_delay(0.0 if lived_well else companion.delay, self._pauses)
            delay = restart.jittered(companion.delay, chance.fraction())
            companion.timer = self._loop.call_at(clock.now() + delay, lambda: self._launch(companion))
        self._journal.note("companion-exited", name=companion.name, code=code, delay=delay)
        if code != 0:
            again = "" if delay is None else f"; it is started again in {delay:.1f} s"
            self._tell(f"the companion {companion.name} has ended with exit code {code}{again}")
