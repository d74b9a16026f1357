"""What of the app's life cannot be seen through the installed command without guessing a time."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firstlight import settings
from firstlight.errors import Stopped
from firstlight.journal.journal import Journal
from firstlight.supervise import app
from firstlight.system.loop import Loop


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.close()


def start(loop: Loop, script: str, before_stop: Callable[[str], object] = bool) -> app.App:
    """Start a script as the app."""
    journal = Journal(loop, None, {}, started=0.0)
    chosen = settings.load({}, {}).changed(grace=3600.0)
    return app.App(loop, ["sh", "-c", script], os.environ, chosen, journal, print, before_stop=before_stop)


def test_a_stop_signal_that_waits_starts_nothing(loop: Loop, capfd: pytest.CaptureFixture[str]) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Stopped):
        start(loop, "echo started")
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
def test_our_own_faults_are_not_forwarded(loop: Loop, number: int) -> None:
    running = start(loop, "trap 'exit 4' USR1; while :; do sleep 0.01; done")
    signal.raise_signal(number)
    signal.raise_signal(signal.SIGUSR1)  # comes later, and is forwarded
    running.watch(lambda requested: False)
    running.end_leftovers()
    assert running.exit_code in {4, 128 + signal.SIGUSR1}  # as USR1 finds the trap set or not; never that of the fault


def pending(process: int) -> int:
    """The signals that wait for a process, as a mask."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.split("ShdPnd:")[1].split()[0], 16)


def test_what_must_know_of_a_stop_knows_it_before_the_app(loop: Loop) -> None:
    # A suspended app takes no signal, so that one which was sent can be seen.
    seen: list[int] = []

    def before_stop(_: str) -> None:
        seen.append(pending(running.process.pid))
        signal.raise_signal(signal.SIGTERM)  # the second one ends the grace

    running = start(loop, "exec sleep 1000", before_stop)
    os.kill(running.process.pid, signal.SIGSTOP)
    loop.wait_for(lambda: running.process.suspended, None)
    signal.raise_signal(signal.SIGTERM)
    running.watch(lambda requested: False)
    assert seen == [0]
    assert running.exit_code == 128 + signal.SIGKILL


def test_a_stop_signal_that_comes_while_the_app_is_killed_counts(loop: Loop) -> None:
    journal = Journal(loop, None, {}, started=0.0)

    def signal_us(_: str) -> None:
        signal.raise_signal(signal.SIGTERM)  # it is told of the kill at the moment of it

    chosen = settings.load({}, {}).changed(grace=0.0)
    running = app.App(loop, ["sleep", "1000"], os.environ, chosen, journal, signal_us, before_stop=lambda reason: None)
    loop.children.send(running.process, signal.SIGSTOP)  # so that the kill alone ends it
    loop.wait_for(lambda: running.process.suspended, None)
    running.stop("a restart")
    running.watch(lambda requested: False)
    assert running.stopped_by == f"signal {signal.SIGTERM:d}"


TWO_TERMS = "n=0; trap 'n=$((n + 1)); echo $n' TERM; echo ready; until [ $n = 2 ]; do sleep 0.01; done; exit 5"


def test_a_stop_that_comes_while_it_is_stopped_for_a_restart_leaves_the_app_its_time(loop: Loop) -> None:
    reading, writing = os.pipe()
    journal = Journal(loop, None, {}, started=0.0)
    chosen = settings.load({}, {}).changed(grace=3600.0)
    running = app.App(
        loop, ["sh", "-c", TWO_TERMS], os.environ, chosen, journal, print, output=(writing, None), before_stop=lambda reason: None
    )
    assert os.read(reading, 100) == b"ready\n"
    running.stop("a restart")
    assert os.read(reading, 100) == b"1\n"
    signal.raise_signal(signal.SIGTERM)
    running.watch(lambda requested: False)
    os.close(reading)
    os.close(writing)
    assert (running.exit_code, running.stopped_by) == (5, "signal 15")
    assert [event.data["for_good"] for event in journal.events if event.kind == "stopping"] == [False, True]
