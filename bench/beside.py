"""The same idle app under each supervisor, one after the other: what each takes to start it, to pass a signal on, and to wait."""

from __future__ import annotations

import contextlib
import os
import select
import shlex
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import startup
import supervision
from measure import Figure, NotMeasured

ROOT = Path(__file__).resolve().parent.parent
SUPERVISORD = ROOT / ".tools/supervisor/bin/supervisord"

SIGNALS = 300  # of those that are no request to stop
PAUSE = 0.005  # seconds between two of them
CALM = 0.5  # seconds for a supervisor to become calm after it has started the app
LIMIT = 30.0  # seconds for the app to say something, and for a supervisor to end

NOBODY = "nobody: the app alone"


@dataclass(frozen=True)
class Supervisor:
    """One way to run an app. `command` gives the words for an app, and may write files into a folder."""

    name: str
    command: Callable[[Sequence[str], Path], list[str]]
    needs: str = ""  # the program that has to be on this machine
    forwards: bool = True  # passes on a signal that is no request to stop


def supervisors(firstlight: Sequence[str]) -> list[Supervisor]:
    """All of them, we first."""
    return [
        Supervisor("firstlight run", lambda app, folder: [*firstlight, *options(folder), "--", *app]),
        Supervisor(NOBODY, lambda app, _: list(app)),
        Supervisor("tini", lambda app, _: ["tini", "-s", "-g", "--", *app], "tini"),
        Supervisor("dumb-init", lambda app, _: ["dumb-init", "--", *app], "dumb-init"),
        Supervisor("s6", s6, "s6-svscan", forwards=False),
        Supervisor("supervisord", supervisord, str(SUPERVISORD), forwards=False),
    ]


def command(supervisor: Supervisor, app: Sequence[str], folder: Path) -> list[str]:
    """The words that run an app under a supervisor, which may keep files in a folder.

    Raises:
        NotMeasured: the supervisor is not on this machine.
    """
    if supervisor.needs and not shutil.which(supervisor.needs):
        raise NotMeasured(f"{os.path.basename(supervisor.needs)} is not here: `make bench` brings it where it may")
    return supervisor.command(app, folder)


def options(folder: Path) -> list[str]:
    """The words of `firstlight run` for an app that wants no GPU. All else is as it comes, but the page's port may be taken here."""
    return ["run", "--gpus", "none", "--state-dir", str(folder / "state"), "--serve", "127.0.0.1:0"]


def s6(app: Sequence[str], folder: Path) -> list[str]:
    """A scan directory with one service."""
    script = folder / "scan/app/run"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f"#!/bin/sh\nexec {shlex.join(app)}\n")
    script.chmod(0o755)
    return ["s6-svscan", str(folder / "scan")]


def supervisord(app: Sequence[str], folder: Path) -> list[str]:
    """In the foreground, as in a container: what the app prints goes to its own output."""
    configuration = folder / "supervisord.conf"
    configuration.write_text(
        "[supervisord]\nnodaemon=true\nsilent=true\nlogfile=/dev/null\nlogfile_maxbytes=0\n"
        f"pidfile={folder}/supervisord.pid\n"
        "[program:app]\nstdout_logfile=/dev/fd/1\nstdout_logfile_maxbytes=0\nredirect_stderr=true\nstartsecs=0\n"
        f"command={shlex.join(app).replace('%', '%%')}\n"
    )
    return [str(SUPERVISORD), "-c", str(configuration)]


class Life:
    """The idle app under one supervisor, from its start on.

    Attributes:
        process: the supervisor.
        app: the pid of the app.
        started_after: milliseconds from just before the supervisor's start to the first statement of the app.
    """

    def __init__(self, process: subprocess.Popen[bytes], pipe: int, begun: float) -> None:
        self.process = process
        self._pipe = pipe
        at, self.app = self._hear("start")
        self.started_after = (at - begun) * 1e3

    def send(self, number: int, word: str) -> float:
        """Microseconds from just before a signal is sent to the supervisor until the app's own handler runs."""
        begun = time.monotonic()
        os.kill(self.process.pid, number)
        at, _ = self._hear(word)
        return (at - begun) * 1e6

    def _hear(self, word: str) -> tuple[float, int]:
        """When the app said this word, which is to be the next one, and its pid."""
        if not select.select([self._pipe], [], [], LIMIT)[0]:
            raise NotMeasured(f"the app did not say {word} within {LIMIT:.0f} s")
        said, at, pid = os.read(self._pipe, 4096).decode().split()  # a line is written at once
        if said != word:
            raise NotMeasured(f"the app said {said}, not {word}")
        return float(at), int(pid)


@contextlib.contextmanager
def living(supervisor: Supervisor, scratch: Path) -> Iterator[Life]:
    """The idle app under a supervisor, until the block ends.

    Raises:
        NotMeasured: the supervisor is not on this machine, or does not start the app.
    """
    program = scratch / "idle_app"
    if not program.exists():
        startup.build("idle_app.c", scratch)
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        place = Path(folder, "said")
        os.mkfifo(place)
        pipe = os.open(place, os.O_RDWR | os.O_CLOEXEC)  # for both, so that it has no end
        argv = command(supervisor, [str(program), str(place)], Path(folder))
        begun = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield Life(process, pipe, begun)
        finally:
            os.close(pipe)
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """End a supervisor and all that is below it."""
    below = supervision.descendants(process.pid)
    with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
        process.terminate()
        process.wait(LIMIT)
    process.kill()
    process.wait()
    for pid in below:
        # Not all of a run's children, as `processes.settle` does: others may be living.
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)  # an orphan that was adopted


def starts(firstlight: Sequence[str], rounds: int, scratch: Path) -> list[Figure]:
    """How long each takes to start the app, and to pass the request to stop on: a whole life each, A B C, A B C."""
    everybody = supervisors(firstlight)
    started: dict[str, list[float]] = {one.name: [] for one in everybody}
    stopped: dict[str, list[float]] = {one.name: [] for one in everybody}
    failed = dict.fromkeys(started, "")
    for _ in range(rounds):
        for one in everybody:
            if failed[one.name]:
                continue
            try:
                with living(one, scratch) as life:
                    started[one.name].append(life.started_after)
                    time.sleep(CALM)
                    stopped[one.name].append(life.send(signal.SIGTERM, "term"))
            except NotMeasured as reason:
                failed[one.name] = str(reason)
    return [
        Figure(name=f"{words}: {one.name}", samples=tuple(samples[one.name]), unit=unit, missing=failed[one.name])
        for words, unit, samples in (
            ("from the start of the supervisor to the app's first statement", "ms", started),
            ("SIGTERM to the supervisor, to the app's handler", "µs", stopped),
        )
        for one in everybody
    ]


def signals(firstlight: Sequence[str], scratch: Path) -> list[Figure]:
    """How long a signal takes that is no request to stop, through those that pass it on. All of them live at once, and are asked in turn."""
    everybody = [one for one in supervisors(firstlight) if one.forwards]
    samples: dict[str, list[float]] = {one.name: [] for one in everybody}
    failed = dict.fromkeys(samples, "")
    with contextlib.ExitStack() as stack:
        lives = {}
        for one in everybody:
            try:
                lives[one.name] = stack.enter_context(living(one, scratch))
            except NotMeasured as reason:
                failed[one.name] = str(reason)
        time.sleep(supervision.SETTLE)
        for _ in range(SIGNALS):
            for name, life in lives.items():
                time.sleep(PAUSE)
                samples[name].append(life.send(signal.SIGUSR1, "usr1"))
    figures = []
    for name, values in samples.items():
        words = "SIGUSR1 to the supervisor, to the app's handler"
        high = (statistics.quantiles(values, n=100)[-1],) if values else ()
        figures += [
            Figure(name=f"{words}: {name}", samples=tuple(round(value, 1) for value in values), unit="µs", missing=failed[name]),
            Figure(name=f"{words}, the slowest of a hundred: {name}", samples=high, unit="µs", missing=failed[name]),
        ]
    return figures


def idle(firstlight: Sequence[str], scratch: Path) -> list[Figure]:
    """What each costs while the app does nothing, one after the other: what they share in memory is not to be shared among them."""
    figures = []
    for one in supervisors(firstlight):
        if one.name == NOBODY:
            continue
        try:
            with living(one, scratch) as life:
                time.sleep(supervision.SETTLE)
                figures += supervision.costs(one.name, life.process.pid, life.app)
        except NotMeasured as reason:
            figures.append(Figure(name=f"{one.name}, supervising an idle app", missing=str(reason)))
    return figures
