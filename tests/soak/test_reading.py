"""The soak's own eyes: each would see what it is there for."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import observed
import report
from printed import Printed


def printed(pid: int, number: int, text: bytes = b"text \xff") -> bytes:
    """A line of the soaking app."""
    return b"%d %d %d %s\n" % (pid, number, zlib.crc32(text), text)


def complaints(lines: list[bytes], folder: Path, *, begun: int, done: int) -> list[str]:
    """What is said of these lines of process 7, which counted so many."""
    (folder / "7.1").write_bytes(struct.pack("QQ", begun, done))
    stream = Printed(1)
    stream.read(lines)
    stream.compare(folder)
    return stream.complaints


WHOLE = [printed(7, number) for number in range(4)]


@pytest.mark.parametrize(
    ("lines", "begun", "done", "words"),
    [
        (WHOLE, 4, 4, None),
        ([*WHOLE, b"firstlight: a line of ours\n"], 6, 4, None),  # killed before it wrote what it was about to
        (WHOLE, 4, 2, None),  # killed before it counted what it had written
        (WHOLE, 6, 6, "process 7 has written 6 lines (perhaps 6), and 4 came out"),
        ([WHOLE[0], *WHOLE[2:]], 4, 4, "line 2 of process 7 follows on 0"),
        ([*WHOLE, WHOLE[3]], 4, 4, "line 3 of process 7 follows on 3"),
        ([WHOLE[0], WHOLE[1][:9] + b"X" + WHOLE[1][10:], *WHOLE[2:]], 4, 4, "torn or changed"),
        ([*WHOLE[:3], WHOLE[3][:-2]], 4, 4, "torn or changed"),
    ],
)
def test_lines(lines: list[bytes], begun: int, done: int, words: str | None, tmp_path: Path) -> None:
    found = complaints(lines, tmp_path, begun=begun, done=done)

    assert (not found) if words is None else any(words in complaint for complaint in found)


def test_growth_is_told_from_noise() -> None:
    seen = observed.Observed()
    seen.samples["core", 1] = [observed.Sample(at, 9000 + at % 2 * 100, 20) for at in range(600)]
    seen.samples["pump", 2] = [observed.Sample(at, 9000 + at * 5, 20 + at / 100) for at in range(600)]
    seen.samples["agent", 3] = [observed.Sample(at, at * 1000, 20) for at in range(500, 600)]  # not looked at for long enough

    found = observed.growths(seen, 300, 150)

    assert [(growth.role, growth.seconds, round(growth.memory_growth_kib)) for growth in found] == [("core", 299, 1), ("pump", 299, 1495)]
    assert report.leaks(found) == ["the pump has grown by 1495 KiB in 299 s", "the pump holds 3 descriptors more after 299 s"]


def test_a_zombie_is_seen() -> None:
    program = (
        "import os, sys; child = os.fork() or sys.exit(); os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT); print(flush=True); input()"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    parent.stdout.readline()
    seen = observed.Observed(core=parent.pid)
    for _ in range(observed.ZOMBIE_PATIENCE + 1):
        seen.look(os.getpid(), 0.0)
    parent.communicate(b"\n")

    assert len(seen.complaints) == 1


def test_readiness_that_is_not_true_is_seen(tmp_path: Path) -> None:
    (tmp_path / "7.well").touch()
    kinds = [("app-started", 7), ("ready", 7), ("app-exited", 7), ("app-started", 8), ("unready", 8), ("ready", 8)]
    events = [{"n": number, "kind": kind, "pid": pid} for number, (kind, pid) in enumerate(kinds)]

    assert report.untrue_readiness(events, tmp_path) == [
        "event 2: the app has ended and is called ready",
        "event 3: a new life begins while the last one is still called ready",
        "event 5: process 8 is called ready and never said so",
    ]
    assert report.untrue_answers([99, 104, 106, 111], [(100, 110)]) == ["/readyz said yes 6.0 s after the app had begun to say no"]
    assert not report.untrue_answers([99, 104, 111], [(100, 110)])
