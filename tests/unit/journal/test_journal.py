"""Where the journal is kept by default, and what it does when nothing takes its lines."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from firstlight.journal import journal
from firstlight.journal.event import Stage
from firstlight.journal.read import read
from firstlight.system import clock, files
from firstlight.system.loop import Loop

PLAIN = "22 1 0:20 / / rw - overlay overlay rw\n"
VOLUME = PLAIN + "30 22 0:50 / /workspace rw - fuse mfs#eu:9421 rw\n"


@pytest.mark.parametrize(
    ("mounts", "variables", "directory"),
    [
        (VOLUME, {"HOME": "/root"}, "/workspace/.firstlight"),
        (PLAIN, {"HOME": "/root"}, "/root/.local/state/firstlight"),
        (PLAIN, {"HOME": "/root", "XDG_STATE_HOME": "/state"}, "/state/firstlight"),
        (PLAIN, {"HOME": "/root", "XDG_STATE_HOME": "state"}, "/root/.local/state/firstlight"),
        (PLAIN.replace(" / / ", " /workspace / "), {"HOME": "/root"}, "/root/.local/state/firstlight"),
        (PLAIN, {}, None),
        (None, {"HOME": "/root"}, "/root/.local/state/firstlight"),
    ],
)
def test_the_default_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mounts: str | None, variables: dict[str, str], directory: str | None
) -> None:
    if mounts is not None:
        (tmp_path / "proc" / "self").mkdir(parents=True)
        (tmp_path / "proc" / "self" / "mountinfo").write_text(mounts)
    monkeypatch.setattr(files, "ROOT", str(tmp_path))
    assert journal.default_directory(variables) == directory


def test_without_a_directory_events_stay_in_memory() -> None:
    loop = Loop()
    kept = journal.Journal(loop, None, {}, started=0.0)
    for number in range(3000):
        kept.write("note", Stage.WAIT, words=str(number))
    kept.close()
    loop.close()
    assert kept.writer is None
    numbers = [event.number for event in kept.events]
    assert len(numbers) <= 2000
    assert numbers == sorted(set(numbers))
    assert (numbers[:500], numbers[-1000:]) == (list(range(500)), list(range(2000, 3000)))


def test_a_writer_that_does_not_start_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.executable", "/no/such/python")
    said: list[str] = []
    loop = Loop()
    kept = journal.Journal(loop, str(tmp_path), {}, started=0.0, tell=said.append)
    kept.write("boot", Stage.START)
    kept.write("end", Stage.END)
    kept.close()
    loop.close()
    assert len(said) == 1
    assert said[0].startswith("cannot write the journal")
    assert [event.kind for event in kept.events] == ["boot", "end"]


def test_what_flaps_for_long_does_not_push_out_what_it_is_about() -> None:
    loop = Loop()
    kept = journal.Journal(loop, None, {}, started=0.0)
    for number in range(600):
        kept.write("app-started", Stage.APP, life=number)
    kept.note("check", check="steady", ok=True)
    for number in range(9000):
        kept.note("check", check="flapping", ok=bool(number % 2))
    loop.close()
    assert len(kept.events) <= 2000
    assert [event.data["life"] for event in kept.events if event.kind == "app-started"][-1] == 599
    assert [event.data["ok"] for event in kept.events if event.data.get("check") == "steady"] == [True]
    assert kept.events[-1].number == 9600


def test_writers_that_die_one_after_the_other_are_followed_for_as_long_as_it_takes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(journal, "_PAUSES", (0.0, 0.01))
    said: list[str] = []
    loop = Loop()
    kept = journal.Journal(loop, str(tmp_path), dict(os.environ), started=0.0, tell=said.append)
    monkeypatch.setattr("firstlight.system.loop.program", lambda *_: ["/bin/false"])
    kept.write("boot", Stage.START)
    for number in range(6):  # more often than there are pauses
        writer = kept.writer
        while kept.writer is writer:
            loop.turn(clock.now() + 10.0)
        kept.write("note", Stage.WAIT, words=str(number))
    monkeypatch.undo()
    writer = kept.writer
    while kept.writer is writer:
        loop.turn(clock.now() + 10.0)
    kept.write("end", Stage.END)
    while kept._unwritten:
        loop.turn(clock.now() + 10.0)
    kept.close()
    loop.close()

    assert len(said) == 1
    assert "its writer has ended" in said[0]
    events = read(str(tmp_path), None).events
    assert [event.number for event in events] == list(range(len(events)))
    assert events[-1].kind == "end"


def test_a_writer_that_does_not_start_is_tried_again_and_the_gap_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As long as it takes, from the first event on, and with more events than memory holds."""
    monkeypatch.setattr(journal, "_PAUSES", (0.0, 0.01))
    monkeypatch.setattr(journal, "_KEPT", 40)
    interpreter = tmp_path / "python"
    monkeypatch.setattr("sys.executable", str(interpreter))
    said: list[str] = []
    loop = Loop()
    kept = journal.Journal(loop, str(tmp_path / "state"), dict(os.environ), started=0.0, tell=said.append)
    kept.write("boot", Stage.START)
    for number in range(300):
        kept.write("note", Stage.WAIT, words=str(number))
        loop.turn(clock.now() + 0.001)
    assert kept.writer is None
    assert said == [
        f"cannot write the journal to {tmp_path}/state: its writer does not start: No such file or directory; events are kept in memory"
    ]
    interpreter.symlink_to(os.path.realpath(sys.orig_argv[0]))
    kept.write("note", Stage.WAIT, words="again")
    while kept.writer is None or kept._unwritten:
        loop.turn(clock.now() + 10.0)
    kept.write("end", Stage.END)
    kept.close()
    loop.close()

    events = read(str(tmp_path / "state"), None).events
    assert events[0].kind == "boot"
    assert [event.kind for event in events[-4:]] == ["note", "log", "log", "end"]
    gap, lost = (event.data["words"] for event in events[-3:-1])
    assert gap == "the journal could not be written for a while: its writer does not start: No such file or directory; it goes on now"
    assert int(lost.split()[0]) == 302 - (len(events) - 3)
    assert len(said) == 1


@pytest.mark.root
def test_a_limit_of_processes_that_is_reached_for_a_while_costs_no_event(tmp_path: Path) -> None:
    """EAGAIN from fork, for a user whom the limit binds; he may read everything, since the interpreter may lie where only root looks."""
    state = tmp_path / "state"
    state.mkdir()
    os.chown(state, USER, USER)
    user = ["setpriv", f"--reuid={USER}", "--clear-groups", "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]
    outcome = subprocess.run([*user, sys.executable, "-c", LIMITED, str(state)], capture_output=True, text=True, check=False)
    assert (outcome.returncode, outcome.stderr) == (0, "")
    events = read(str(state), None).events
    assert [event.kind for event in events] == ["boot", "note", "log", "end"]
    assert "its writer does not start: Resource temporarily unavailable" in events[2].data["words"]


USER = 54321  # of whom there is no other process
LIMITED = """
import os, resource, sys
from firstlight.journal import journal
from firstlight.journal.event import Stage
from firstlight.system import clock
from firstlight.system.loop import Loop

loop = Loop()
kept = journal.Journal(loop, sys.argv[1], dict(os.environ), started=0.0)
resource.setrlimit(resource.RLIMIT_NPROC, (0, 64))
kept.write("boot", Stage.START)
assert kept.writer is None
kept.write("note", Stage.WAIT)
resource.setrlimit(resource.RLIMIT_NPROC, (64, 64))
while kept.writer is None:
    loop.turn(clock.now() + 10.0)
kept.write("end", Stage.END)
kept.close()
loop.close()
"""
