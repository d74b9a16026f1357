"""Start a command in a box and watch it: the outer side of enter.py. Used by the suite and by the benchmark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from box import Box

ENTER = Path(__file__).resolve().parent / "enter.py"


@dataclass
class Start:
    """One run of a command in a box: enter.py's report, what the command printed, and its stderr lines with their times."""

    report: dict[str, Any] = field(default_factory=dict)
    output: str = ""
    errors: list[tuple[float, str]] = field(default_factory=list)


def start(
    box: Box, argv: list[str], *, environment: Mapping[str, str], directory: Path, limit: float = 60.0, patience: float | None = None
) -> Start:
    """Run `argv` in `box` and wait for its end.

    Args:
        limit: seconds after which the command is killed.
        patience: seconds after which even its launcher is given up; limit + 15 when not given.
    """
    done = Start()
    with tempfile.TemporaryDirectory(prefix="order-") as folder:
        report = Path(folder, "report.json")
        order = {
            "box": box.to_json(),
            "argv": argv,
            "environment": dict(environment),
            "directory": str(directory),
            "report": str(report),
            "limit": limit,
        }
        Path(folder, "order.json").write_text(json.dumps(order))
        launcher = subprocess.Popen(
            [sys.executable, str(ENTER), f"{folder}/order.json"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert launcher.stdout is not None
        assert launcher.stderr is not None
        readers = [
            threading.Thread(target=_read_output, args=(launcher.stdout, done), daemon=True),
            threading.Thread(target=_read_errors, args=(launcher.stderr, done), daemon=True),
        ]
        for reader in readers:
            reader.start()
        try:
            launcher.wait(limit + 15.0 if patience is None else patience)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.wait()
        for reader in readers:
            reader.join(5.0)
        done.report = _report(report, done)
    return done


def _report(place: Path, done: Start) -> dict[str, Any]:
    try:
        report = json.loads(place.read_text())
    except (OSError, ValueError):
        report = None
    if isinstance(report, dict) and report:
        return report
    words = [text for _, text in done.errors]
    return {"cannot": f"the launcher ended without a report: {words[-1] if words else 'it said nothing'}"}


def _read_output(stream: IO[bytes], done: Start) -> None:
    with stream:
        done.output = stream.read().decode(errors="replace")


def _read_errors(stream: IO[bytes], done: Start) -> None:
    """Lines with the time at which each was complete. Read by os.read, since a buffered reader would hold a line back."""
    rest = b""
    with stream:
        while chunk := os.read(stream.fileno(), 65536):
            at = time.monotonic()
            *lines, rest = (rest + chunk).split(b"\n")
            done.errors.extend((at, line.decode(errors="replace")) for line in lines)
    if rest:
        done.errors.append((time.monotonic(), rest.decode(errors="replace")))
