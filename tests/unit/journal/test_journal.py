"""Where the journal is kept by default, and what it does when nothing takes its lines."""

from __future__ import annotations

import os
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
