"""`firstlight logs` prints what the app has printed: untouched, from wherever it is kept, and goes on through whatever happens to the files."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .conftest import FIRSTLIGHT, eventually
from .pumping import Pump, Reader


def logs(*options: str | Path) -> tuple[int, bytes, str]:
    """Exit code, standard output, standard error."""
    done = subprocess.run([FIRSTLIGHT, "logs", *options], capture_output=True, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


class Following:
    """`firstlight logs --follow` under way."""

    def __init__(self, *options: str | Path) -> None:
        self.popen = subprocess.Popen([FIRSTLIGHT, "logs", "--follow", *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out = Reader(self.popen.stdout.fileno())

    def printed(self) -> bytes:
        """What it has printed until now."""
        return b"".join(self.out.pieces)

    def end(self) -> tuple[int, bytes]:
        """Ctrl-C: its exit code, and what it said."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGINT)
        self.out.all()
        return self.popen.wait(), self.popen.stderr.read()


@pytest.fixture
def follow() -> Iterator[type[Following]]:
    """Starts followers, and ends them."""
    started: list[Following] = []

    def start(*options: str | Path) -> Following:
        started.append(Following(*options))
        return started[-1]

    yield start
    for following in started:
        following.end()
        following.popen.stdout.close()
        following.popen.stderr.close()


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    """The directory of an instance, under the run directory `run`."""
    directory = tmp_path / "run" / "20261124T060000Z-1f2e"
    directory.mkdir(parents=True, mode=0o700)
    return directory


KEPT = {"app.log.2": b"1\n2\n", "app.log.1": b"3\n\xff\x00\n", "app.log": b"5\n6"}

LINES: Sequence[tuple[tuple[str, ...], bytes]] = [
    ((), b"1\n2\n3\n\xff\x00\n5\n6"),
    (("--lines", "0"), b""),
    (("--lines", "1"), b"6"),
    (("--lines", "2"), b"5\n6"),
    (("--lines", "3"), b"\xff\x00\n5\n6"),
    (("--lines", "5"), b"2\n3\n\xff\x00\n5\n6"),
    (("--lines", "100"), b"1\n2\n3\n\xff\x00\n5\n6"),
]


@pytest.mark.parametrize(("options", "printed"), LINES, ids=[" ".join(options) or "all" for options, _ in LINES])
def test_all_files_are_printed_oldest_first_and_untouched(tmp_path: Path, options: Sequence[str], printed: bytes) -> None:
    for name, content in KEPT.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "app.log.mine").write_bytes(b"not ours")

    assert logs("--log-dir", tmp_path, *options) == (0, printed, "")


def test_the_last_lines_are_found_across_megabytes(tmp_path: Path) -> None:
    (tmp_path / "app.log").write_bytes(b"first\n" + b"x" * 2_500_000 + b"\nlast\n")

    code, printed, _ = logs("--log-dir", tmp_path, "--lines", "2")

    assert (code, len(printed)) == (0, 2_500_006)


def test_the_instance_answers_where_the_volume_holds_nothing(tmp_path: Path, instance: Path) -> None:
    (instance / "app.log").write_bytes(b"of the instance\n")
    (instance / "start.sh.log").write_bytes(b"of a companion\n")
    volume = tmp_path / "volume"
    places = ("--run-dir", instance.parent, "--log-dir", volume)

    assert logs(*places) == (0, b"of the instance\n", "")
    assert logs("start.sh", *places) == (0, b"of a companion\n", "")

    volume.mkdir()
    (volume / "app.log").write_bytes(b"of the volume\n")

    assert logs(*places) == (0, b"of the volume\n", "")


def test_what_is_not_there_is_told(tmp_path: Path, instance: Path) -> None:
    assert logs("--run-dir", tmp_path / "none") == (
        64,
        b"",
        f"firstlight: cannot find a running firstlight: there is no instance under {tmp_path}/none\n",
    )
    assert logs("--run-dir", instance.parent) == (64, b"", f"firstlight: cannot find output of app in {instance}: nothing was captured\n")
    (instance / "app.log").write_bytes(b"")
    assert logs("nobody", "--run-dir", instance.parent)[2] == f"firstlight: cannot find output of nobody in {instance}: there is app\n"
    assert logs("../app", "--run-dir", instance.parent)[2] == "firstlight: cannot take '../app' for the name of an output\n"
    assert logs("--lines", "-1")[0] == 64


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_nothing_but_a_plain_file_is_read(tmp_path: Path, instance: Path, kind: str) -> None:
    if kind == "link":
        (tmp_path / "secret").write_bytes(b"secret\n")
        (instance / "app.log").symlink_to(tmp_path / "secret")
    else:
        os.mkfifo(instance / "app.log")

    code, printed, _ = logs("--run-dir", instance.parent)

    assert (code, printed) == (64, b"")


def test_a_follower_sees_every_byte_of_a_real_pump_through_rotations(tmp_path: Path, follow: type[Following]) -> None:
    volume = tmp_path / "volume"
    pump = Pump(tmp_path, directory=str(volume), size=20_000, files=4)
    try:
        volume.mkdir()
        (volume / "app.log").touch()
        following = follow("--log-dir", volume)
        lines = [b"line %06d\n" % number for number in range(20_000)]
        pump.read()

        for place in range(0, len(lines), 1000):  # a file holds 1666 of them: a follower that is not left behind misses none
            pump.print(b"".join(lines[place : place + 1000]))
            eventually(lambda place=place: following.printed() == b"".join(lines[: place + 1000]))
        pump.finish()

        assert following.end() == (130, b"")
        assert len(list(volume.glob("app.log*"))) == 4
    finally:
        pump.end()


def test_a_follower_waits_for_the_first_output(instance: Path, follow: type[Following]) -> None:
    following = follow("--run-dir", instance.parent)
    (instance / "app.log").write_bytes(b"at last\n")

    eventually(lambda: following.printed() == b"at last\n")


def test_a_follower_survives_truncation_and_removal(instance: Path, follow: type[Following]) -> None:
    log = instance / "app.log"
    log.write_bytes(b"one, and more\n")
    following = follow("--run-dir", instance.parent)
    eventually(lambda: following.printed() == b"one, and more\n")

    log.write_bytes(b"two\n")
    eventually(lambda: following.printed().endswith(b"two\n"))
    log.unlink()
    log.write_bytes(b"three\n")
    eventually(lambda: following.printed().endswith(b"three\n"))

    assert following.end() == (130, b"")
    assert following.printed() == b"one, and more\ntwo\nthree\n"


def test_a_follower_ends_when_nobody_reads_any_more_though_nothing_is_printed(instance: Path) -> None:
    (instance / "app.log").write_bytes(b"one\n")
    read, write = os.pipe()
    following = subprocess.Popen([FIRSTLIGHT, "logs", "-f", "--run-dir", instance.parent], stdout=write, stderr=subprocess.PIPE)
    os.close(write)
    assert os.read(read, 100) == b"one\n"

    os.close(read)

    assert following.communicate()[1] == b""
    assert following.returncode == 141
