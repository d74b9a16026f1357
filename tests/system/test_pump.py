"""The app's output passes through the real pump byte for byte, whatever becomes of the copies, the reader and the pump itself."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import eventually
from .pumping import Pump

HANGING_VOLUME = Path(__file__).parents[2] / "testing" / "hanging_volume.c"

OUTPUT = {
    "nothing": b"",
    "no newline at the end": b"one\ntwo",
    "invalid UTF-8 and NUL": b"\xff\xfe\x00 caf\xc3 \x80\n\x00\x00\n",
    "a progress bar": b"".join(b"\r%3d %%" % part for part in range(101)) + b"\r\n",
    "one line of 10 MB": b"x" * 10_000_000 + b"\n",
    "random bytes": random.Random(1).randbytes(3_000_000),
}


@pytest.fixture
def pump(tmp_path: Path) -> Iterator[Callable[..., Pump]]:
    """Starts pumps, and ends them."""
    pumps: list[Pump] = []

    def start(**configuration: Any) -> Pump:
        pumps.append(Pump(tmp_path, **configuration))
        return pumps[-1]

    yield start
    for started in pumps:
        started.end()


@pytest.mark.parametrize("output", OUTPUT.values(), ids=OUTPUT)
def test_output_passes_through_byte_for_byte(pump: Callable[..., Pump], output: bytes) -> None:
    pumped = pump()
    out = pumped.read()

    pumped.print(output)
    pumped.finish()

    assert out.all() == output
    assert pumped.drained == {"step": "drained", "streams": {"app/stdout": len(output), "app/stderr": 0, "start.sh/both": 0}, "dropped": 0}


def test_output_in_pieces_of_any_size_keeps_its_order_and_is_copied_whole(pump: Callable[..., Pump], tmp_path: Path) -> None:
    chance = random.Random(2)
    pieces = [chance.randbytes(chance.choice((1, 7, 4095, 4096, 4097, 70_000))) for _ in range(60)]  # less than the copier's pipe holds
    pumped = pump(directory=str(tmp_path / "volume"))
    out = pumped.read()

    for piece in pieces:
        pumped.print(piece)
    pumped.finish()

    assert out.all() == b"".join(pieces)
    assert (tmp_path / "volume/app.log").read_bytes() == b"".join(pieces)
    assert (pumped.copy("app.log.1") + pumped.copy()) == b"".join(pieces)[-len(pumped.copy("app.log.1") + pumped.copy()) :]


def test_both_streams_go_their_own_way_and_into_one_copy(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    os.write(pumped.error_source, b"of stderr\n")
    eventually(lambda: (pumped.folder / "instance/app.log").exists() and pumped.copy() == b"of stderr\n")
    pumped.print(b"of stdout\n")

    assert pumped.finish() == b"of stderr\nof stdout\n"  # the core would have given each a target of its own
    assert pumped.copy() == b"of stderr\nof stdout\n"
    assert pumped.drained["streams"] == {"app/stdout": 10, "app/stderr": 10, "start.sh/both": 0}


def test_output_is_passed_on_at_once(pump: Callable[..., Pump]) -> None:
    pumped = pump()

    for word in (b"no newline", b"\r", b"."):
        pumped.print(word)
        assert os.read(pumped.target, 100) == word  # without it, this waits for ever


def test_a_companion_is_copied_apart_and_passed_on_to_nobody(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    os.write(pumped.companion, b"of the companion\n")
    pumped.print(b"of the app\n")

    assert pumped.finish() == b"of the app\n"
    assert pumped.copy() == b"of the app\n"
    assert pumped.copy("start.sh.log") == b"of the companion\n"


def test_a_reader_that_stops_holds_the_app_up_and_loses_nothing(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    printing = threading.Thread(target=pumped.print, args=(OUTPUT["one line of 10 MB"],))
    printing.start()

    eventually(lambda: waiting(pumped.target) == waiting(pumped.read_end) == 1 << 20)

    assert printing.is_alive()  # 2 MiB are in the pipes, and the pump has a little in hand
    out = pumped.read()
    printing.join()
    pumped.finish()
    assert out.all() == OUTPUT["one line of 10 MB"]


def test_a_reader_that_goes_away_breaks_the_pipe_of_the_app(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    os.close(pumped.target)

    pumped.print(b"to nobody\n")

    assert pumped.answer("closed") == {"step": "closed", "name": "app", "stream": "stdout"}
    os.close(pumped.read_end)  # as the core does now
    with pytest.raises(BrokenPipeError):
        os.write(pumped.source, b"again\n")


def test_a_full_disk_under_our_output_is_told_and_does_not_end_the_app(pump: Callable[..., Pump]) -> None:
    pumped = pump(target=os.open("/dev/full", os.O_WRONLY))

    pumped.print(b"lost\n")

    assert pumped.answer("trouble")["words"] == "cannot pass the output on: No space left on device"
    pumped.target = os.open(os.devnull, os.O_RDONLY)
    pumped.finish()
    assert pumped.drained["dropped"] == 5


def test_an_output_that_somebody_made_non_blocking_loses_nothing(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    os.set_blocking(pumped.write_end, False)
    written = subprocess.Popen([sys.executable, "-c", "print('x' * 4_999_999)"], stdout=pumped.source)

    out = pumped.read()
    written.wait()
    pumped.finish()

    assert len(out.all()) == 5_000_000


def test_a_flood_that_nobody_copies_is_passed_on_byte_for_byte_and_its_last_lines_are_copied(pump: Callable[..., Pump]) -> None:
    lines = b"".join(b"line %07d\n" % number for number in range(1_000_000))
    pumped = pump(tail_size=16 << 20)
    copier = pumped.copier()
    os.kill(copier, signal.SIGSTOP)  # so nothing is taken from the pump, which then moves what it has no need to see
    printing = threading.Thread(target=pumped.print, args=(lines,))
    printing.start()
    eventually(lambda: waiting(pumped.read_end) == fcntl.fcntl(pumped.read_end, fcntl.F_GETPIPE_SZ))

    out = pumped.read()
    printing.join()
    os.kill(copier, signal.SIGCONT)
    copy = pumped.folder / "instance/app.log"
    eventually(lambda: copy.exists() and copy.read_bytes().endswith(b"line 0999998\nline 0999999\n"))
    pumped.finish()

    assert out.all() == lines
    assert pumped.drained["streams"]["app/stdout"] == len(lines)
    copied = copy.read_bytes()
    missing = sum(map(int, re.findall(rb"\[firstlight: (\d+) bytes were not copied\]", copied)))
    kept = re.sub(rb"\n?\[firstlight: \d+ bytes were not copied\]\n", b"", copied)
    assert len(kept) + missing == len(lines)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_to_the_whole_group_do_not_end_it(pump: Callable[..., Pump], number: int) -> None:
    pumped = pump()
    pumped.print(b"before\n")
    assert os.read(pumped.target, 100) == b"before\n"  # it has begun, and ignores them

    pumped.popen.send_signal(number)
    pumped.print(b"after\n")

    assert pumped.finish() == b"after\n"


def test_the_end_of_its_orders_ends_it_after_the_last_byte(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    pumped.print(b"the last words")

    pumped.popen.stdin.close()

    assert pumped.answer("drained")["streams"]["app/stdout"] == 14
    assert pumped.popen.wait() == 0


def waiting(pipe: int) -> int:
    """How many bytes wait in a pipe."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0\0\0\0"))[0]


def fill(pumped: Pump) -> bool:
    """Print as much as goes in without waiting."""
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pumped.source, b"x" * 4096)
    return True


def test_a_grandchild_that_holds_the_pipe_open_does_not_hold_the_end(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    grandchild = subprocess.Popen(["sleep", "1000"], stdout=pumped.source)
    pumped.print(b"the last words")

    assert pumped.finish() == b"the last words"

    assert grandchild.poll() is None
    grandchild.kill()
    grandchild.wait()


def test_a_reader_that_takes_nothing_does_not_hold_the_end_and_what_was_lost_is_counted(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    os.set_blocking(pumped.source, False)
    eventually(lambda: fill(pumped) and waiting(pumped.target) == waiting(pumped.read_end) == 1 << 20)

    pumped.order("drain")
    drained = pumped.answer("drained")

    assert pumped.popen.wait() == 0
    assert drained["dropped"] >= 1 << 20
    assert drained["streams"]["app/stdout"] <= 1 << 20


def test_another_pump_takes_over_from_one_that_was_killed(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    pumped.print(b"first\n")
    assert os.read(pumped.target, 100) == b"first\n"

    pumped.popen.kill()
    pumped.popen.wait()
    pumped.print(b"while there is none\n")
    pumped.popen.stdin.close()
    pumped.popen.stdout.close()
    pumped.start()

    assert pumped.finish() == b"while there is none\n"
    assert pumped.copy().endswith(b"while there is none\n")


def test_a_copier_that_dies_is_told_and_costs_copies_alone(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    pumped.print(b"first\n")
    eventually((pumped.folder / "instance/app.log").exists)
    os.kill(pumped.copier(), signal.SIGKILL)

    assert "what copies the output has ended" in pumped.answer("trouble")["words"]
    for _ in range(100):
        pumped.print(b"%099d\n" % 1 * 10)

    assert len(pumped.finish()) == 100_006


# Copies


def test_copies_are_bounded_and_files_are_left_at_the_end_of_a_line(pump: Callable[..., Pump], tmp_path: Path) -> None:
    lines = b"".join(b"line %06d\n" % number for number in range(20_000))
    pumped = pump(directory=str(tmp_path / "volume"), size=50_000, files=3, tail_size=30_000)
    out = pumped.read()

    pumped.print(lines)
    pumped.finish()

    assert out.all() == lines
    files = {path.name: path.read_bytes() for path in sorted((tmp_path / "volume").glob("app*"))}
    assert list(files) == ["app.log", "app.log.1", "app.log.2"]
    assert all(len(content) <= 50_000 and content.endswith(b"\n") for content in files.values())
    joined = files["app.log.2"] + files["app.log.1"] + files["app.log"]
    assert len(joined) > 100_000
    assert lines.endswith(joined)
    assert 30_000 < len(pumped.copy() + pumped.copy("app.log.1")) <= 60_000
    assert (tmp_path / "volume/app.log").stat().st_mode & 0o777 == 0o600


def test_a_copy_goes_on_where_somebody_has_moved_it_away(pump: Callable[..., Pump], tmp_path: Path) -> None:
    copy = tmp_path / "volume/app.log"
    pumped = pump(directory=str(copy.parent))
    pumped.print(b"before\n")
    eventually(lambda: copy.exists() and copy.read_bytes() == b"before\n")

    copy.rename(copy.with_name("mine"))
    copy.write_bytes(b"by somebody else\n")
    pumped.print(b"after\n")
    pumped.finish()

    assert copy.read_bytes() == b"by somebody else\nafter\n"


@pytest.mark.parametrize("kind", ["link", "fifo", "fifo with a reader", "folder"])
def test_nothing_but_a_plain_file_is_written_to(pump: Callable[..., Pump], tmp_path: Path, kind: str) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    if kind == "link":
        (volume / "app.log").symlink_to(tmp_path / "somewhere else")
    elif kind.startswith("fifo"):
        os.mkfifo(volume / "app.log")
        reader = os.open(volume / "app.log", os.O_RDONLY | os.O_NONBLOCK)
        if kind == "fifo":
            os.close(reader)
    else:
        (volume / "app.log").mkdir()
    pumped = pump(directory=str(volume))

    pumped.print(b"passed on\n")

    assert pumped.answer("trouble")["words"].startswith(f"cannot copy the output to {volume}: ")
    assert pumped.finish() == b"passed on\n"
    assert not (tmp_path / "somewhere else").exists()
    if kind == "fifo with a reader":
        assert os.read(reader, 100) == b""
        os.close(reader)


@pytest.fixture
def small_volume(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    volume = tmp_path / "volume"
    volume.mkdir()
    outcome = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", volume], capture_output=True, text=True, check=False)
    if outcome.returncode:
        pytest.skip(f"cannot mount: {outcome.stderr.strip()}")
    yield volume
    subprocess.run(["umount", "--lazy", volume], check=True)


@pytest.mark.root
def test_a_full_volume_is_told_once_and_again_when_there_is_room(pump: Callable[..., Pump], small_volume: Path) -> None:
    (small_volume / "filler").write_bytes(b"x" * 40_000)
    pumped = pump(directory=str(small_volume))
    out = pumped.read()
    lines = b"".join(b"line %06d\n" % number for number in range(10_000))

    pumped.print(lines)
    words = pumped.answer("trouble")["words"]
    (small_volume / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=10m", small_volume], check=True)
    pumped.answer("recovered")
    pumped.print(b"the end\n")
    pumped.finish()

    assert words == f"cannot copy the output to {small_volume}: No space left on device; it is passed on all the same"
    assert [words["step"] for words in pumped.answers] == []
    assert out.all() == lines + b"the end\n"
    assert (small_volume / "app.log").read_bytes() == lines + b"the end\n"  # what waited was not lost


@pytest.fixture
def hanging(tmp_path: Path) -> dict[str, str]:
    """The environment in which the folder `volume` hangs while `volume.hangs` exists."""
    compiler = shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    library = tmp_path / "hanging_volume.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O2", HANGING_VOLUME, "-o", library, "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "HANGING": str(tmp_path / "volume")}


def test_a_dead_volume_holds_nothing_up_and_the_copy_names_what_it_lacks(
    pump: Callable[..., Pump], hanging: dict[str, str], tmp_path: Path
) -> None:
    sign = tmp_path / "volume.hangs"
    sign.touch()
    pumped = pump(directory=str(tmp_path / "volume"), environment=hanging, size=1 << 30)
    out = pumped.read()
    lines = b"".join(b"line %06d\n" % number for number in range(1_000_000))

    pumped.print(lines)
    eventually(lambda: sum(map(len, out.pieces)) == len(lines))
    words = pumped.answer("trouble")["words"]
    sign.unlink()
    recovered = pumped.answer("recovered")
    pumped.print(b"the end\n")
    pumped.finish()

    assert words.startswith(f"cannot copy the output to {tmp_path}/volume: it takes less than the app prints")
    assert out.all() == lines + b"the end\n"
    copy = (tmp_path / "volume/app.log").read_bytes()
    marks = re.findall(rb"\n?\[firstlight: (\d+) bytes were not copied\]\n", copy)
    missing = sum(map(int, marks))
    assert missing >= recovered["missed"] > 0  # on a busy machine, the copier may be behind too
    assert copy.startswith(lines[:1_000_000])
    assert copy.endswith(b"the end\n")
    kept = re.sub(rb"\[firstlight: \d+ bytes were not copied\]\n", b"", copy)
    assert 0 <= len(kept) + missing - len(lines) - 8 <= len(marks)  # a mark begins on a line of its own


def test_a_dead_volume_does_not_hold_the_end(pump: Callable[..., Pump], hanging: dict[str, str], tmp_path: Path) -> None:
    sign = tmp_path / "volume.hangs"
    sign.touch()
    pumped = pump(directory=str(tmp_path / "volume"), environment=hanging)
    pumped.print(b"the last words\n")
    copier = pumped.copier()

    assert pumped.finish() == b"the last words\n"

    eventually(lambda: not running(copier))


def running(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# Lives and patterns

PATTERNS = [{"id": "cuda", "regex": r"CUDA error: .*$"}, {"id": "ready", "regex": r"^Uvicorn running on (\S+)"}]


def test_the_first_match_of_each_pattern_in_each_life_is_told(pump: Callable[..., Pump]) -> None:
    pumped = pump(patterns=PATTERNS)
    pumped.begin_life(1)
    pumped.print(b"no Uvicorn running on x\nUvicorn running on http://[::]:1 \xff\n")
    first = pumped.answer("matched")
    pumped.print(b"Uvicorn running on http://[::]:2\n")
    pumped.begin_life(2)
    pumped.print(b"Uvicorn running on http://[::]:3\nRuntimeError: CUDA error: an ")
    second = pumped.answer("matched")
    pumped.print(b"illegal memory access\n")
    third = pumped.answer("matched")
    out = pumped.finish()

    assert first == {"step": "matched", "id": "ready", "stream": "stdout", "life": 1, "line": "Uvicorn running on http://[::]:1 \ufffd"}
    assert second == {"step": "matched", "id": "ready", "stream": "stdout", "life": 2, "line": "Uvicorn running on http://[::]:3"}
    assert third["line"] == "RuntimeError: CUDA error: an illegal memory access"
    assert [words["step"] for words in pumped.answers] == []
    assert b"firstlight" not in out
    assert pumped.copy().count(b"[firstlight: life ") == 2
    assert b":2\n[firstlight: life 2 of the app begins]\nUvicorn running on http://[::]:3\n" in pumped.copy()


def test_an_unfinished_line_does_not_swallow_the_mark_of_a_new_life(pump: Callable[..., Pump]) -> None:
    pumped = pump(patterns=PATTERNS)
    pumped.print(b"CUDA error: unfinished")
    eventually((pumped.folder / "instance/app.log").exists)

    pumped.begin_life(2)

    assert pumped.answer("matched")["life"] == 0
    pumped.print(b"again\n")
    pumped.finish()
    assert pumped.copy() == b"CUDA error: unfinished\n[firstlight: life 2 of the app begins]\nagain\n"


def test_a_life_that_prints_nothing_or_never_comes_leaves_no_line(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    pumped.print(b"the only life\n")
    pumped.begin_life(2)

    pumped.finish()

    assert pumped.copy() == b"the only life\n"


def test_a_new_life_begins_after_what_the_last_one_has_left_in_the_pipe(pump: Callable[..., Pump]) -> None:
    pumped = pump()
    os.set_blocking(pumped.source, False)
    eventually(lambda: fill(pumped) and waiting(pumped.target) == waiting(pumped.read_end) == 1 << 20)
    os.set_blocking(pumped.source, True)

    pumped.begin_life(2)
    pumped.read()
    pumped.print(b"after\n")
    pumped.finish()

    assert (pumped.copy("app.log.1") + pumped.copy()).endswith(b"x\n[firstlight: life 2 of the app begins]\nafter\n")


def test_a_pattern_that_never_ends_costs_matches_alone(pump: Callable[..., Pump]) -> None:
    pumped = pump(patterns=[{"id": "endless", "regex": "(a|aa)+$"}])
    out = pumped.read()
    output = (b"a" * 8000 + b"!\n") * 1000

    pumped.print(output)
    eventually(lambda: sum(map(len, out.pieces)) == len(output))
    copier = os.pidfd_open(pumped.copier())
    pumped.finish()

    assert out.all() == output
    assert select.select([copier], [], [], 60)[0], "it goes on for ever"
    os.close(copier)


def test_a_pattern_that_cannot_be_read_is_told(pump: Callable[..., Pump]) -> None:
    pumped = pump(patterns=[{"id": "broken", "regex": "("}, *PATTERNS])

    assert pumped.answer("trouble")["words"].startswith("cannot look for '(' in the output: ")
    pumped.print(b"CUDA error: x\n")
    assert pumped.answer("matched")["id"] == "cuda"
