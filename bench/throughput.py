"""What passing the app's output on costs: megabytes a second through the pump, beside a bare pipe."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import startup
from measure import Figure, NotMeasured, interleave, ratio

SOURCES = Path(__file__).resolve().parent.parent / "src"
PUMP = f"import sys; sys.path.insert(0, {str(SOURCES)!r}); from firstlight.programs.pump_output import main; sys.exit(main())"

# Patterns as a real app's recipe has them; none is found, so that all are looked for until the end.
PATTERNS = (
    "CUDA error: .*",
    "CUDA out of memory",
    "an illegal memory access was encountered",
    "device-side assert triggered",
    "CUDNN_STATUS_[A-Z_]+",
    "NCCL (?:error|WARN)",
    r"^Uvicorn running on (\S+)",
    r"^To see the GUI go to: (\S+)",
)

TARGET = "≥ 0.80 x"

# What is printed: how, bytes with each write, bytes in all.
PRINTED = (
    ("a line of 100 bytes with each write", 100, 400_000_000),
    ("8 KiB with each write, as `yes` does", 8 << 10, 2_000_000_000),
    ("64 KiB with each write", 64 << 10, 2_000_000_000),
)

# Who reads. The second is the harder one: nobody who keeps what he reads is as fast.
READERS = (("a reader that makes JSON of it, as a container's runtime", "collect"), ("a reader that throws it away", "discard"))


def compare(rounds: int, scratch: Path) -> list[Figure]:
    """Megabytes a second and their ratios, for each kind of output and reader."""
    program = str(startup.build("print_output.c", scratch))
    figures = []
    for reading, reader in READERS:
        for printing, block, size in PRINTED:
            printer = [program, str(size), str(block)]
            ways: dict[str, Callable[[], float]] = {
                "bare": lambda printer=printer, reader=reader: bare(printer, [program, reader]),
                "pumped": lambda printer=printer, reader=reader: pumped(printer, [program, reader], scratch),
            }
            samples, failed = interleave(rounds, ways)
            words = f"output: {printing}, {reading}"
            pipe = Figure(name=f"{words}: a bare pipe", samples=samples["bare"], unit="MB/s", missing=failed["bare"])
            pump = Figure(name=f"{words}: through the pump, copied", samples=samples["pumped"], unit="MB/s", missing=failed["pumped"])
            figures += [pipe, pump, ratio(f"{words}: the pump against the pipe", pump, pipe, TARGET)]
    return figures


def bare(printer: Sequence[str], reader: Sequence[str]) -> float:
    """printer | reader. `firstlight run … -- printer | reader` is measured the same way."""
    with subprocess.Popen(printer, stdout=subprocess.PIPE) as printing:
        done = subprocess.run(reader, stdin=printing.stdout, capture_output=True, text=True, check=True)
    if printing.returncode:
        raise NotMeasured(f"what prints ended with {printing.returncode}")
    return float(done.stdout.split()[0])


def pumped(printer: Sequence[str], reader: Sequence[str], scratch: Path) -> float:
    """printer | pump | reader, with patterns, and copies in the instance's directory and in another one."""
    source, their_source = os.pipe()
    their_target, target = os.pipe()
    configuration = {
        "streams": [{"name": "app", "stream": "stdout", "from": source, "to": target}],
        "tail": str(scratch / "tail"),
        "tail_size": 256 << 10,
        "directory": str(scratch / "copies"),
        "size": 10 << 20,
        "files": 5,
        "patterns": [{"id": regex, "regex": regex} for regex in PATTERNS],
    }
    argv = [sys.executable, "-I", "-S", "-c", PUMP, json.dumps(configuration)]
    with (
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, pass_fds=(source, target)) as pump,
        subprocess.Popen(reader, stdin=their_target, stdout=subprocess.PIPE, text=True) as reading,
    ):
        for descriptor in (source, target, their_target):
            os.close(descriptor)
        code = subprocess.run(printer, stdout=their_source, check=False).returncode
        os.close(their_source)
        pump.stdin.close()  # it ends after the last byte
        said = reading.stdout.read()
    if code or pump.returncode:
        raise NotMeasured(f"what prints ended with {code}, the pump with {pump.returncode}")
    return float(said.split()[0])
