"""What passing the app's output on costs: megabytes a second through `firstlight run`, beside a bare pipe and supervisord's."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import beside
import startup
from measure import Figure, NotMeasured, interleave, ratio

TARGET = "≥ 0.80 x"

# What is printed: how, bytes with each write, bytes in all.
PRINTED = (
    ("a line of 100 bytes with each write", 100, 400_000_000),
    ("8 KiB with each write, as `yes` does", 8 << 10, 2_000_000_000),
    ("64 KiB with each write", 64 << 10, 2_000_000_000),
)

# Who reads. The second is the harder one: nobody who keeps what he reads is as fast.
READERS = (("a reader that makes JSON of it, as a container's runtime", "collect"), ("a reader that throws it away", "discard"))

# What supervises is given this long, in seconds, until all that it starts beside the app is there and calm.
CALM = 2.0


def compare(firstlight: Sequence[str], rounds: int, scratch: Path) -> list[Figure]:
    """Megabytes a second and their ratios, for each kind of output and reader."""
    program = str(startup.build("print_output.c", scratch))
    ours = beside.Supervisor("firstlight run", lambda app, folder: _copied(firstlight, app, folder))
    theirs = next(one for one in beside.supervisors(firstlight) if one.name == "supervisord")
    figures = []
    for reading, reader in READERS:
        for printing, block, size in PRINTED:
            ways: dict[str, Callable[[], float]] = {
                "bare": lambda size=size, block=block, reader=reader: _piped(program, size, block, reader, None, scratch),
                "ours": lambda size=size, block=block, reader=reader: _piped(program, size, block, reader, ours, scratch),
                "theirs": lambda size=size, block=block, reader=reader: _piped(program, size, block, reader, theirs, scratch),
            }
            samples, failed = interleave(rounds, ways)
            words = f"output: {printing}, {reading}"
            pipe, through, other = (
                Figure(name=f"{words}: {name}", samples=samples[way], unit="MB/s", missing=failed[way])
                for way, name in (("bare", "a bare pipe"), ("ours", "through `firstlight run`, copied"), ("theirs", "through supervisord"))
            )
            figures += [pipe, through, other, ratio(f"{words}: firstlight against the pipe", through, pipe, TARGET)]
    return figures


def _piped(program: str, size: int, block: int, reader: str, supervisor: beside.Supervisor | None, scratch: Path) -> float:
    """Megabytes a second that come to the reader, from the first byte to the last, with `supervisor` between, or nothing.

    Raises:
        NotMeasured: the supervisor is not here, or did not pass everything on.
    """
    with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
        printer = ["sh", "-c", f"sleep {CALM:g}; exec {program} {size} {block}"]
        argv = printer if supervisor is None else beside.command(supervisor, printer, Path(folder))
        with (
            subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as printing,
            subprocess.Popen([program, reader, str(size)], stdin=printing.stdout, stdout=subprocess.PIPE, text=True) as reading,
        ):
            printing.stdout.close()
            try:
                said = reading.communicate(timeout=120.0)[0].split()
            except subprocess.TimeoutExpired:
                reading.kill()
                raise NotMeasured("not all of it came within 120 s") from None
            finally:
                beside.end(printing)
        if said[1] != "all":
            raise NotMeasured("not all of it came")
        return float(said[0])


def _copied(firstlight: Sequence[str], app: Sequence[str], folder: Path) -> list[str]:
    """With a rotated copy, and the patterns that are looked for in any app's output."""
    return [*firstlight, *beside.options(folder), "--capture", "on", "--log-dir", str(folder / "copies"), "--", *app]
