"""What of the app's life cannot be seen through the installed command without guessing a time."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from firstlight.errors import Stopped
from firstlight.journal.journal import Journal
from firstlight.supervise import app
from firstlight.system.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def run(loop: Loop, script: str) -> int:
    """Run a script as the app; its exit code."""
    journal = Journal(loop, None, {}, started=0.0)
    return app.run(loop, ["sh", "-c", script], os.environ, grace=3600, journal=journal, on_start=lambda process: None, tell=print)


def test_a_stop_signal_that_waits_starts_nothing(loop: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Stopped):
        run(loop, "echo started")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_our_own_faults_are_not_forwarded(loop: Loop, number: int) -> None:
    journal = Journal(loop, None, {}, started=0.0)

    def raise_in_ourselves(process: object) -> None:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGUSR1)  # comes later, and is forwarded

    command = ["sh", "-c", "trap 'exit 4' USR1; while :; do sleep 0.01; done"]
    ends = {4, 128 + signal.SIGUSR1}  # as USR1 finds the trap set or not; never that of the fault
    assert app.run(loop, command, os.environ, grace=3600, journal=journal, on_start=raise_in_ourselves, tell=print) in ends
