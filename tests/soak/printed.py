"""Reads what the soaking app prints, and finds every line that is lost, torn, doubled or changed."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path

_LINE = re.compile(rb"(\d+) (\d+) (\d+) (.*)", re.DOTALL)
_OURS = b"firstlight: "
_KEPT = 20  # complaints; more would not tell more


class Printed:
    """One stream, as it comes in."""

    def __init__(self, stream: int) -> None:
        self.stream = stream
        self.lines = 0
        self.bytes = 0
        self.next: dict[int, int] = {}  # the number that comes next, by the app's pid
        self.complaints: list[str] = []

    def read(self, lines: Iterable[bytes]) -> None:
        """Take all lines until the end."""
        for line in lines:
            self.bytes += len(line)
            if line.startswith(_OURS):
                continue
            self.lines += 1
            self._take(line)

    def _take(self, line: bytes) -> None:
        found = _LINE.fullmatch(line[:-1]) if line.endswith(b"\n") else None
        if found is None or zlib.crc32(found[4]) != int(found[3]):
            self._complain(f"torn or changed: {line[:200]!r}")
            return
        pid, number = int(found[1]), int(found[2])
        if number != self.next.get(pid, 0):
            self._complain(f"line {number} of process {pid} follows on {self.next.get(pid, 0) - 1}")
        self.next[pid] = number + 1

    def _complain(self, words: str) -> None:
        if len(self.complaints) < _KEPT:
            self.complaints.append(f"stream {self.stream}: {words}")

    def compare(self, folder: Path) -> None:
        """Compare with how many lines each life of the app has written."""
        for file in folder.glob(f"*.{self.stream}"):
            # One that was killed at once has not even begun to count.
            begun, done = struct.unpack("QQ", file.read_bytes() or bytes(16))
            seen = self.next.get(int(file.stem), 0)
            if seen not in (begun, done):
                self._complain(f"process {file.stem} has written {done} lines (perhaps {begun}), and {seen} came out")
