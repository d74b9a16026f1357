"""A volume that is full, read-only, hung or gone never stops PID 1: it goes on, says so once, and ends as it should."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstlight.journal.read import read

from .conftest import OBEDIENT, Running, Starter, eventually


def obey(app: Running) -> tuple[int, str]:
    """Let the app take some signals and then end: its exit code and our own words."""
    app.line()
    for _ in range(3):
        app.send(signal.SIGUSR1)
        assert app.line() == "got 10"
    app.send(signal.SIGTERM)
    code, _, error = app.finish()
    return code, error.decode()


def writer(app: Running) -> int:
    """The pid of the child that writes the journal, once it has written that the app was started."""
    eventually(lambda: any(event["kind"] == "app-started" for event in app.events()))
    return next(pid for line, pid in app.children().items() if "write_journal" in line)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    volume = tmp_path / "volume"
    volume.mkdir()
    outcome = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", volume], capture_output=True, text=True, check=False)
    if outcome.returncode:
        pytest.skip(f"cannot mount: {outcome.stderr.strip()}")
    yield volume
    subprocess.run(["umount", "-l", volume], check=True)


def test_a_healthy_volume_has_the_whole_story(start: Starter) -> None:
    app = start(*OBEDIENT)
    assert obey(app) == (7, "")
    assert [event["n"] for event in app.events()] == list(range(len(app.events())))
    assert [event["kind"] for event in app.events()] == [
        *("boot", "app-started", "ready", "signal", "signal", "signal"),
        *("stopping", "unready", "signal", "app-exited", "end"),
    ]


def test_only_the_owner_may_read_it(start_plainly: Starter) -> None:
    app = start_plainly("true")
    app.code()
    (file,) = app.state.glob("boots/*.jsonl")
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("kind", ["file", "fifo", "boots is a link", "boots is a fifo"])
def test_a_state_directory_that_is_none_is_said_once(start_plainly: Starter, tmp_path: Path, kind: str) -> None:
    state = tmp_path / "odd"
    if kind == "file":
        state.write_text("")
    elif kind == "fifo":
        os.mkfifo(state)
    else:
        state.mkdir()
        if kind == "boots is a fifo":
            os.mkfifo(state / "boots")
        else:
            (tmp_path / "elsewhere").mkdir()
            (state / "boots").symlink_to(tmp_path / "elsewhere")
    code, error = obey(start_plainly(*OBEDIENT, state=state))
    assert code == 7
    assert error.count("cannot write the journal") == 1
    assert not list(tmp_path.glob("elsewhere/*"))


def test_a_full_volume_is_said_once_and_used_again_when_it_has_room(start_plainly: Starter, small_volume: Path) -> None:
    ballast = small_volume / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 4096)
    app = start_plainly(*OBEDIENT, state=small_volume / "state")
    app.line()
    assert "No space left on device" in app.says("cannot write the journal")
    app.send(signal.SIGUSR1)
    app.line()
    ballast.unlink()
    code, error = obey(app_after_ready(app))
    assert (code, error) == (7, "")
    assert [event["n"] for event in app.events()] == list(range(len(app.events())))


def app_after_ready(app: Running) -> Running:
    """The same app, asked for one more signal in place of its `ready`."""
    app.send(signal.SIGUSR2)
    return app


def test_a_read_only_volume_is_said_once(start_plainly: Starter, small_volume: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_volume], check=True)
    code, error = obey(start_plainly(*OBEDIENT, state=small_volume / "state"))
    assert code == 7
    assert error.count("\n") == 1
    assert "Read-only file system" in error


def test_a_killed_writer_is_followed_by_another_and_no_event_is_missing(start: Starter) -> None:
    app = start(*OBEDIENT)
    app.line()
    first = writer(app)
    os.kill(first, signal.SIGSTOP)
    app.send(signal.SIGUSR2)  # an event that it has been handed and does not write
    app.line()
    os.kill(first, signal.SIGKILL)
    eventually(lambda: any("the writer of the journal has ended (signal 9)" in event.get("words", "") for event in app.events()))
    assert obey(app_after_ready(app)) == (7, "")
    # What the first one had written and not confirmed may stand there twice; whoever reads it takes each number once.
    events = read(str(app.state), None).events
    assert [event.number for event in events] == list(range(len(events)))
    assert len([event for event in events if event.kind == "signal"]) == 6


def test_a_writer_that_does_not_start_for_a_while_is_tried_again_and_no_event_is_missing(start: Starter, tmp_path: Path) -> None:
    """A volume with the interpreter on it that is away for a moment; a limit of processes that is reached fails in the same place."""
    interpreter = tmp_path / "bin" / "python3"
    interpreter.parent.mkdir()
    interpreter.symlink_to(os.path.realpath(sys.executable))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    app = start(*OBEDIENT, before=(str(interpreter),), env=environment)
    app.line()
    first = writer(app)
    interpreter.rename(tmp_path / "away")
    os.kill(first, signal.SIGKILL)
    assert "its writer does not start: No such file or directory" in app.says("cannot write the journal")
    app.send(signal.SIGUSR2)
    app.line()
    (tmp_path / "away").rename(interpreter)
    words = "the journal could not be written for a while: its writer does not start: No such file or directory; it goes on now"
    eventually(lambda: any(event.get("words") == words for event in app.events()))
    assert obey(app_after_ready(app)) == (7, "")
    events = read(str(app.state), None).events
    assert [event.number for event in events] == list(range(len(events)))
    assert len([event for event in events if event.kind == "signal"]) == 6


def test_a_line_that_a_killed_writer_has_left_unfinished_costs_none(start_plainly: Starter) -> None:
    app = start_plainly(*OBEDIENT)
    app.line()
    first = writer(app)
    (file,) = app.state.glob("boots/*.jsonl")
    with file.open("a") as journal:
        journal.write('{"v":1,"n":')
    os.kill(first, signal.SIGKILL)
    eventually(lambda: file.read_text().count("\n{") > 2)
    assert obey(app_after_ready(app)) == (7, "")
    events = read(str(app.state), None).events
    assert [event.number for event in events] == list(range(len(events)))
    assert events[-1].kind == "end"


def test_a_hung_writer_holds_nobody_up(start: Starter) -> None:
    app = start(*OBEDIENT)
    app.line()
    hung = writer(app)
    os.kill(hung, signal.SIGSTOP)
    code, error = obey(app_after_ready(app))
    assert code == 7
    assert error.count("cannot write the journal") == 1
    if not app.is_pid1:
        os.kill(hung, signal.SIGCONT)  # it writes what it still has, and ends
        eventually(lambda: [event["kind"] for event in app.events()][-1:] == ["end"])


def test_a_backlog_is_bounded(start_plainly: Starter) -> None:
    app = start_plainly(*OBEDIENT)
    app.line()
    hung = writer(app)
    os.kill(hung, signal.SIGSTOP)
    for _ in range(5000):  # more than a pipe and our own patience hold
        app.send(signal.SIGUSR1)
        app.line()
    app.send(signal.SIGTERM)
    code, _, error = app.finish()
    os.kill(hung, signal.SIGKILL)
    assert code == 7
    assert b"too many events wait for the volume" in error


def test_a_killed_boot_leaves_a_journal_that_can_be_read(start: Starter) -> None:
    app = start(*OBEDIENT)
    app.line()
    eventually(lambda: any(event["kind"] == "ready" for event in app.events()))
    orphan = next(pid for line, pid in app.children().items() if "obedient" in line)
    os.kill(app.pid, signal.SIGKILL)
    app.popen.wait()
    if not app.is_pid1:
        os.kill(orphan, signal.SIGKILL)
    assert [event["kind"] for event in app.events()] == ["boot", "app-started", "ready"]
