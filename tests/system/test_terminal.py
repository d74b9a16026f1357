"""An app on a terminal is in its foreground, so Ctrl-C reaches it and it may read."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import termios
from collections.abc import Iterator

import pytest

from .conftest import Starter

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
