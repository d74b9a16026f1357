"""From the start of firstlight to the start of its first child, seen from outside; from the local disk and from a slow volume."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from measure import NotMeasured

HERE = Path(__file__).resolve().parent


def build(source: str, folder: Path, *flags: str) -> Path:
    """Compile one of the C files beside this one; the flags may end with libraries."""
    made = folder / source.removesuffix(".c")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise NotMeasured("no C compiler is on this machine")
    done = subprocess.run(
        [compiler, "-O2", "-D_GNU_SOURCE", str(HERE / source), "-o", str(made), *flags], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise NotMeasured(f"cannot compile {source}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}")
    return made


def to_first_child(argv: Sequence[str], stamps: Path, preload: Path) -> float:
    """Milliseconds from the exec of `argv` to the start of its first child process."""
    stamps.unlink(missing_ok=True)
    environment = {**os.environ, "LD_PRELOAD": str(preload), "STARTUP_STAMPS": str(stamps)}
    process = subprocess.Popen(argv, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        process.wait(60.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise NotMeasured("it did not end within 60 s") from None
    try:
        lines = [line.split() for line in stamps.read_text().splitlines()]
    except OSError:
        raise NotMeasured("the preloaded library was not loaded") from None
    born = [float(at) for at, pid, _ in lines if int(pid) == process.pid]
    children = [float(at) for at, _, parent in lines if int(parent) == process.pid]
    if not born or not children:
        raise NotMeasured("firstlight started no child")
    first = min(children)
    return (first - max(at for at in born if at < first)) * 1e3  # the last exec: a launcher script may stand before Python


@contextlib.contextmanager
def slow_volume(slowfs: Path, folder: Path, metadata_ms: float = 1.0) -> Iterator[Path]:
    """`folder` as a volume with that much time for each metadata operation. Every mount is cold."""
    with tempfile.TemporaryDirectory(prefix="slow-volume-") as mountpoint:
        server = subprocess.Popen([str(slowfs), str(folder), mountpoint, str(metadata_ms)], stderr=subprocess.DEVNULL)
        try:
            until = time.monotonic() + 10.0
            while not os.path.ismount(mountpoint):
                if server.poll() is not None or time.monotonic() > until:
                    raise NotMeasured("cannot mount the slow volume: it needs /dev/fuse and the right to mount")
                time.sleep(0.01)
            yield Path(mountpoint)
        finally:
            subprocess.run(["umount", mountpoint], capture_output=True, check=False)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(5.0)
            server.kill()
            server.wait()
