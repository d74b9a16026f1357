"""An app on a terminal is in its foreground, so Ctrl-C reaches it and it may read."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import OBEDIENT, Starter, eventually

READER = "import os, signal; print(os.tcgetpgrp(0) == os.getpgrp(), flush=True); print(input(), flush=True); signal.pause()"


def take_terminal() -> None:
    """Make stdin the controlling terminal of a new session, as a container's runtime does."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal."""
    ends = os.openpty()
    yield ends
    for end in ends:
        os.close(end)


def test_the_app_is_in_the_foreground_and_gets_control_c(start_plainly: Starter, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    app = start_plainly(sys.executable, "-c", READER, stdin=theirs, preexec_fn=take_terminal)
    assert app.line() == "True"
    os.write(ours, b"hello\n")
    assert app.line() == "hello"
    os.write(ours, b"\x03")
    assert app.code() == 128 + signal.SIGINT


def test_control_z_suspends_us_with_the_app(start_plainly: Starter, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    app = start_plainly(sys.executable, "-c", READER, stdin=theirs, preexec_fn=take_terminal)
    assert app.line() == "True"
    os.write(ours, b"\x1a")
    _, status = os.waitpid(app.popen.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    app.send(signal.SIGCONT)
    os.write(ours, b"again\n")
    assert app.line() == "again"
    os.write(ours, b"\x03")
    assert app.code() == 128 + signal.SIGINT


# As PID 1 of a container with a terminal: it leads the terminal's session.
LEADER = ("setsid", "--ctty")


def test_the_apps_first_signal_is_the_users(start: Starter, terminal: tuple[int, int]) -> None:
    # The hand-over of the terminal must bring the app neither HUP nor CONT.
    ours, theirs = terminal
    app = start(*OBEDIENT, stdin=theirs, before=LEADER)
    assert app.line().startswith("ready (pid: ")
    os.write(ours, b"\x03")
    assert app.finish()[:2] == (7, b"got 2\n")


def test_a_terminal_that_goes_away_hangs_the_app_up(start: Starter) -> None:
    ours, theirs = os.openpty()
    app = start(*OBEDIENT, stdin=theirs, before=LEADER)
    app.line()
    os.close(theirs)
    os.close(ours)
    got = {app.line(), app.line()}
    assert got == {"got 1", "got 18"}  # from the kernel, to the foreground; ours is one and the same
    app.send(signal.SIGTERM)
    assert app.code() == 7


def test_pid_1_does_not_stop_with_its_app(start: Starter, terminal: tuple[int, int]) -> None:
    # Nobody is there who could wake it.
    ours, theirs = terminal
    app = start(sys.executable, "-c", READER, stdin=theirs, before=LEADER)
    if not app.is_pid1:
        pytest.skip("the other tests show what happens there")
    assert app.line() == "True"
    os.write(ours, b"\x1a")

    def state(pid: int) -> str:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]

    (suspended,) = [pid for command, pid in app.children().items() if "input()" in command]
    eventually(lambda: state(suspended) == "T")
    assert state(app.pid) != "T"
    app.send(signal.SIGCONT)
    os.write(ours, b"again\n")
    assert app.line() == "again"
    app.send(signal.SIGTERM)
    assert app.code() == 128 + signal.SIGTERM


def test_the_terminal_is_given_back(start_plainly: Starter, terminal: tuple[int, int]) -> None:
    _, theirs = terminal
    look = "import os; print(os.tcgetpgrp(0) == os.getpgrp())"
    shell = (*LEADER, "sh", "-c", f"\"$@\"; echo $?; exec {sys.executable} -c '{look}'", "sh")
    app = start_plainly("sh", "-c", "exit 3", stdin=theirs, before=shell)
    assert app.finish()[:2] == (0, b"3\nTrue\n")


def test_the_second_life_gets_the_terminal_too(start: Starter, terminal: tuple[int, int]) -> None:
    ours, theirs = terminal
    script = f"case $FIRSTLIGHT_LIFE in */1) exit 1;; *) exec \"$0\" -c '{READER}';; esac"
    options = ("--gpus", "none", "--restart", "on-failure", "--restart-delay", "1ms")
    app = start("sh", "-c", script, sys.executable, stdin=theirs, before=LEADER, options=options)
    assert app.line() == "True"
    os.write(ours, b"hello\n")
    assert app.line() == "hello"
    os.write(ours, b"\x03")
    assert app.code() == 128 + signal.SIGINT
