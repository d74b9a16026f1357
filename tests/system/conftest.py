"""Starts the installed command in real processes: as PID 1 of a namespace of its own, and as an ordinary process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

FIRSTLIGHT = str(Path(sys.executable).parent / "firstlight")
OBEDIENT = (sys.executable, "-I", "-S", str(Path(__file__).parents[2] / "testing" / "obedient_app.py"))
NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


class Running:
    """`firstlight run` under way, with pipes to all that it prints."""

    def __init__(self, prefix: Sequence[str], options: Sequence[str], command: Sequence[str | bytes], state: Path, **extra: Any) -> None:
        self.state = state
        self.is_pid1 = bool(prefix)
        argv = [*prefix, *extra.pop("before", ()), FIRSTLIGHT, "run", "--state-dir", str(state), *options, "--", *command]
        extra.setdefault("stdin", subprocess.DEVNULL)
        extra.setdefault("stderr", subprocess.PIPE)
        self.popen = subprocess.Popen(argv, stdout=subprocess.PIPE, **extra)

    @property
    def pid(self) -> int:
        """The pid of firstlight itself, as this process sees it. It must have printed something."""
        if not self.is_pid1:
            return self.popen.pid
        return int(Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children").read_text().split()[0])

    def send(self, number: int) -> None:
        """Send firstlight a signal."""
        os.kill(self.pid, number)

    def line(self) -> str:
        """The next line of standard output."""
        line = self.popen.stdout.readline()
        if not line.endswith(b"\n"):
            raise AssertionError(f"it ended instead of printing a line: {self.finish()}")
        return line.decode().removesuffix("\n")

    def says(self, words: str) -> str:
        """Wait for a line with these words on standard error."""
        for line in self.popen.stderr:
            if words.encode() in line:
                return line.decode()
        raise AssertionError(f"it ended without saying {words!r}")

    def finish(self) -> tuple[int, bytes, bytes]:
        """Wait for the end: exit code, standard output, standard error."""
        output, error = self.popen.communicate()
        return self.popen.returncode, output, error

    def code(self) -> int:
        """Wait for the end: the exit code."""
        return self.finish()[0]

    def events(self) -> list[dict[str, Any]]:
        """The journal so far."""
        files = sorted(self.state.glob("boots/*.jsonl"))
        return [json.loads(line) for line in files[-1].read_text().splitlines()] if files else []

    def children(self) -> dict[str, int]:
        """The pids of its direct children, by the command line."""
        pids = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        return {Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " "): int(pid) for pid in pids}


class Starter:
    """Starts `firstlight run`, and ends what a failed test has left."""

    def __init__(self, prefix: Sequence[str], state: Path) -> None:
        self.prefix = prefix
        self.state = state
        self.running: list[Running] = []

    def __call__(self, *command: str | bytes, options: Sequence[str] = ("--gpus", "none"), **extra: Any) -> Running:
        started = Running(self.prefix, options, command, extra.pop("state", self.state), **extra)
        self.running.append(started)
        return started

    def end(self) -> None:
        """Kill whatever still runs."""
        for started in self.running:
            with contextlib.suppress(OSError, IndexError):
                if started.popen.poll() is None:
                    started.send(signal.SIGCONT)
                    started.popen.kill()
            if not started.popen.stdout.closed:
                started.popen.communicate()


def namespaces_refused() -> str:
    """Why no PID namespace can be had here; empty when it can."""
    outcome = subprocess.run([*NAMESPACE, "true"], capture_output=True, text=True, check=False)
    return outcome.stderr.strip() if outcome.returncode else ""


@pytest.fixture(params=["as PID 1", "as an ordinary process"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Starter]:
    """Starts the installed command both ways."""
    prefix = NAMESPACE if request.param == "as PID 1" else ()
    if prefix and (reason := namespaces_refused()):
        pytest.skip(f"no PID namespace: {reason}")
    starter = Starter(prefix, tmp_path / "state")
    yield starter
    starter.end()


@pytest.fixture
def start_plainly(tmp_path: Path) -> Iterator[Starter]:
    """Starts the installed command as an ordinary process alone, where it makes no difference."""
    starter = Starter((), tmp_path / "state")
    yield starter
    starter.end()


def eventually(condition: Any) -> None:
    """Wait until the condition holds; the test's own time limit is what ends this."""
    while not condition():
        time.sleep(0.01)
