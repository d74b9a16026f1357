"""A file of a volume is read in a child: what hangs is the child, and it leaves nothing behind."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from firstlight.system import volume


@pytest.fixture
def hanging(tmp_path: Path) -> Iterator[str]:
    """A regular file whose open hangs in the kernel: somebody holds a write lease on it, and does not give it up."""
    file = tmp_path / "leased"
    file.write_bytes(b"content")
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by which the kernel asks for the lease back
    descriptor = os.open(file, os.O_RDWR)
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    except OSError as error:
        pytest.skip(f"no lease can be had on {tmp_path}: {error.strerror}")
    else:
        yield str(file)
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


@pytest.mark.parametrize("size", [0, 1, 1000, 200_000])
def test_content_comes_whole_up_to_the_limit(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    file.write_bytes(os.urandom(size))
    assert volume.read(str(file), 1 << 20, 60) == file.read_bytes()
    assert volume.read(str(file), 500, 60) == file.read_bytes()[:500]


def wait_for_all() -> None:
    while True:
        os.waitpid(-1, 0)


def test_an_open_that_hangs_is_given_up(hanging: str) -> None:
    with pytest.raises(OSError, match="did not give it within") as caught:
        volume.read(hanging, 100, 0.05)
    assert caught.value.errno == errno.ETIMEDOUT
    with pytest.raises(ChildProcessError):  # it is killed: one that was not would be waited for in vain
        wait_for_all()


def test_the_errno_of_the_child_comes_through(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        volume.read(str(tmp_path / "none"), 100, 60)


def test_no_child_and_no_descriptor_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    before = os.listdir("/proc/self/fd")
    volume.read(str(tmp_path / "file"), 100, 60)
    with pytest.raises(OSError, match="directory"):
        volume.read(str(tmp_path), 100, 60)
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_it_reads_where_sigchld_is_ignored(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    script = (
        "import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); from firstlight.system import volume;"
        "sys.stdout.buffer.write(volume.read(sys.argv[1], 100, 60))"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "file")], capture_output=True, check=False)
    assert (done.stdout, done.stderr) == (b"content", b"")
