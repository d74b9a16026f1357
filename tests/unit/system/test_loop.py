"""The loop over real children: what they print, how they end, what is never waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstlight.errors import Stopped
from firstlight.system import clock, files, process as system_process
from firstlight.system.loop import BACKLOG_LIMIT, Changed, Exited, Loop, Printed, Process, Signalled, program


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    for process in list(made.children.running.values()):
        made.end(process)
    made.close()


def run(loop: Loop, script: str, words: bytes = b"") -> Process:
    """Run a script to its end, with `words` for its standard input."""
    process = loop.start(["/bin/sh", "-c", script], os.environ, name="script", keep_stdin=True)
    if words:
        loop.write(process, words)
    loop.close_stdin(process)
    assert loop.wait_for(lambda: process.ended, None)
    return process


def test_output_errors_and_exit_code_are_captured(loop: Loop) -> None:
    process = run(loop, "echo one; printf two; echo bad >&2; exit 3")
    assert (process.status, process.lines(), bytes(process.errors)) == (3, ["one"], b"bad\n")
    assert bytes(process.output) == b"one\ntwo"


def test_a_signal_is_a_negative_status(loop: Loop) -> None:
    assert run(loop, "kill -9 $$").status == -9


def test_more_than_a_pipe_holds_is_written_and_read(loop: Loop) -> None:
    words = b"0123456789abcdef" * 20_000
    assert bytes(run(loop, "cat", words).output) == words


def test_a_child_that_reads_nothing_ends_all_the_same(loop: Loop) -> None:
    assert run(loop, "exec true", b"x" * 1_000_000).status == 0


def test_a_kept_stdin_takes_lines_until_it_is_closed(loop: Loop) -> None:
    process = loop.start(["/bin/cat"], os.environ, name="cat", keep_stdin=True)
    for line in (b"one\n", b"two\n"):
        assert loop.write(process, line)
    loop.wait_for(lambda: len(process.lines()) == 2, None)
    loop.close_stdin(process)
    assert loop.wait_for(lambda: process.ended, None)
    assert not loop.write(process, b"three\n")


def test_what_waits_for_a_deaf_child_is_bounded(loop: Loop) -> None:
    process = loop.start(["/bin/sleep", "1000"], os.environ, name="deaf", keep_stdin=True)
    taken = 0
    while loop.write(process, b"x" * 4096):
        taken += 4096
    assert taken <= BACKLOG_LIMIT + (1 << 20) + 4096  # and what the pipe itself holds


def test_a_grandchild_that_holds_the_pipe_is_not_waited_for(loop: Loop) -> None:
    process = run(loop, "sleep 1000 & echo done")
    assert process.lines() == ["done"]
    loop.children.send(process, signal.SIGKILL)  # its group has outlived it


@pytest.mark.parametrize("ours", [True, False])
def test_only_a_proc_of_our_own_tells_of_orphans(loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, ours: bool) -> None:
    process = tmp_path / "proc/77"
    process.mkdir(parents=True)
    (process / "stat").write_text(f"77 (odd) name) S {os.getpid()} 1 1")
    (tmp_path / "proc/self").symlink_to(str(os.getpid() if ours else 4194305))
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    assert loop.children.orphans() == ([77] if ours else [])


def test_runaway_output_is_bounded(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_process, "OUTPUT_LIMIT", 1000)
    monkeypatch.setattr(system_process, "ERRORS_LIMIT", 1000)
    process = run(loop, "head -c 500000 /dev/zero; head -c 500000 /dev/zero >&2; echo last >&2")
    assert len(process.output) == 1000
    assert len(process.errors) == 1000
    assert process.errors.endswith(b"last\n")


def test_a_child_is_killed_when_it_ignores_the_request(loop: Loop) -> None:
    process = loop.start(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], os.environ, name="stubborn")
    loop.wait_for(lambda: process.lines() == ["ready"], None)
    loop.end(process, grace=0.01)
    loop.wait_for(lambda: process.ended, None)
    assert process.status == -signal.SIGKILL


def test_a_stop_signal_ends_a_wait_and_the_grace(loop: Loop) -> None:
    signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped:
        loop.wait_for(lambda: False, None)
    assert stopped.value.signal == signal.SIGTERM
    process = loop.start(["/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"], os.environ, name="stubborn")
    loop.wait_for(lambda: process.lines() == ["ready"], None)
    signal.raise_signal(signal.SIGINT)
    loop.end(process, grace=3600)
    with pytest.raises(Stopped):  # it was kept for whoever takes the next turn
        loop.wait_for(lambda: False, None)


def test_the_sender_of_a_signal_is_known(loop: Loop) -> None:
    run(loop, "kill -USR1 $PPID; sleep 0.01")
    signal.raise_signal(signal.SIGUSR2)
    signals = [happening for happening in loop.turn(None) if isinstance(happening, Signalled)]
    assert [(taken.number, taken.sender, taken.from_kernel) for taken in signals] == [(signal.SIGUSR2, os.getpid(), False)]


def test_every_happening_reaches_the_listeners(loop: Loop) -> None:
    heard: list[object] = []
    loop.listeners.append(heard.append)
    process = run(loop, "echo hello")
    kinds = [type(happening) for happening in heard if getattr(happening, "process", None) is process]
    assert kinds[-1] is Exited
    assert Printed in kinds


def test_a_change_in_a_watched_directory_ends_a_wait(loop: Loop, tmp_path: Path) -> None:
    assert loop.watch(str(tmp_path))
    heard: list[str] = []
    loop.listeners.append(lambda happening: heard.append(happening.directory) if isinstance(happening, Changed) else None)
    (tmp_path / "node").touch()
    loop.wait_for(lambda: bool(heard), None)
    assert set(heard) == {str(tmp_path)}
    loop.unwatch(str(tmp_path))
    heard.clear()
    (tmp_path / "another").touch()
    assert not loop.wait_for(lambda: bool(heard), clock.now())


def test_what_cannot_be_watched_is_refused(loop: Loop, tmp_path: Path) -> None:
    assert not loop.watch(str(tmp_path / "nowhere"))


def test_a_command_that_cannot_be_started_leaves_no_descriptor(loop: Loop) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        loop.start(["/no/such/program"], os.environ, name="nothing")
    assert len(os.listdir("/proc/self/fd")) == before


def test_ended_children_leave_no_descriptor(loop: Loop) -> None:
    run(loop, "true")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        left_open = loop.start(["/bin/sh", "-c", "true"], os.environ, name="script", keep_stdin=True)
        assert loop.wait_for(lambda process=left_open: process.ended, None)  # type: ignore[misc]
    assert len(os.listdir("/proc/self/fd")) == before


def test_orphans_are_told_from_children(loop: Loop) -> None:
    process = loop.start(["/bin/sleep", "1000"], os.environ, name="known")
    assert process.pid not in loop.children.orphans()


@pytest.mark.parametrize("interpreter", [None, sys.executable], ids=["our own", "a stranger's"])
def test_a_program_finds_its_modules(loop: Loop, interpreter: str | None) -> None:
    process = loop.start(program("open_nodes", "/dev/null", interpreter=interpreter), os.environ, name="program")
    assert loop.wait_for(lambda: process.ended, None)
    assert (process.status, bytes(process.errors)) == (0, b"")
    assert "/dev/null" in process.lines()[0]


# With stderr closed the first pipe would be descriptor 2, and our own messages would end in a child's stdin.
SAY_SOMETHING = """
import os
from firstlight.system.loop import Loop
loop = Loop()
process = loop.start(["/bin/cat"], os.environ, name="cat", keep_stdin=True)
for number in (0, 1, 2): os.write(number, b"a message")
loop.close_stdin(process)
loop.wait_for(lambda: process.ended, None)
raise SystemExit(len(process.output))
"""


def test_with_closed_standard_streams_messages_reach_no_child() -> None:
    closed = ["/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", sys.executable, "-c", SAY_SOMETHING]
    assert subprocess.run(closed, check=False).returncode == 0


def test_what_happened_while_somebody_lingered_is_taken_later(loop: Loop) -> None:
    process = loop.start(["/bin/sh", "-c", "echo one; exec sleep 1000"], os.environ, name="script")
    loop.linger(lambda: process.lines() == ["one"], clock.now() + 3600)
    taken: list[type] = []
    assert loop.wait_for(lambda: bool(taken), None, lambda happening: taken.append(type(happening)))
    assert Printed in taken


def test_who_lingers_until_a_stop_does_not_begin_after_one(loop: Loop) -> None:
    signal.raise_signal(signal.SIGTERM)
    loop.linger(lambda: bool(loop._postponed), clock.now() + 0.1)
    loop.linger(lambda: False, clock.now() + 3600, until_stopped=True)
    with pytest.raises(Stopped):
        loop.wait_for(lambda: False, None)
