"""A pump under test, with the pipes that the core would have given it."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PROGRAM = "from firstlight.programs.pump_output import main; import sys; sys.exit(main())"


class Pump:
    """The real program. `source` and `error_source` are the app's ends of its output, `target` the end at which ours is read."""

    def __init__(self, folder: Path, *, target: int | None = None, environment: dict[str, str] | None = None, **configuration: Any) -> None:
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.read_end, self.source = os.pipe()
        self.target, self.write_end = (-1, target) if target is not None else os.pipe()
        self.error_read_end, self.error_source = os.pipe()
        self.companion_read_end, self.companion = os.pipe()
        self.configuration = {
            "tail": str(folder / "instance"),
            "tail_size": 262144,
            "directory": "",
            "size": 10485760,
            "files": 5,
            "patterns": [],
            **configuration,
        }
        self.reader: Reader | None = None
        self.answers: list[dict[str, Any]] = []
        self.start()

    def start(self) -> None:
        """Start it, or another one after its death: the core still has all ends."""
        streams = [
            {"name": "app", "stream": "stdout", "from": self.read_end, "to": self.write_end},
            {"name": "app", "stream": "stderr", "from": self.error_read_end, "to": self.write_end},
            {"name": "start.sh", "stream": "both", "from": self.companion_read_end, "to": None},
        ]
        self.popen = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, json.dumps({**self.configuration, "streams": streams})],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(self.read_end, self.error_read_end, self.write_end, self.companion_read_end),
            env=self.environment,
        )

    def order(self, order: str, **words: Any) -> None:
        """Send an order."""
        self.popen.stdin.write(json.dumps({"order": order, **words}).encode() + b"\n")
        self.popen.stdin.flush()

    def begin_life(self, life: int) -> None:
        """As the core before it starts the app."""
        self.order("life", life=life)
        assert self.answer("life")["life"] == life

    def answer(self, step: str) -> dict[str, Any]:
        """Wait for an answer of this kind. The others are kept."""
        for words in self.answers:
            if words["step"] == step:
                self.answers.remove(words)
                return words
        for line in self.popen.stdout:
            words = json.loads(line)
            if words["step"] == step:
                return words
            self.answers.append(words)
        raise AssertionError(f"it ended without answering {step!r}")

    def print(self, data: bytes) -> None:
        """Print as the app: all of it, however long that takes."""
        while data:
            data = data[os.write(self.source, data) :]

    def finish(self) -> bytes:
        """As the core at the app's end: no end of the source is open any more, then drain. Gives what came out."""
        for descriptor in (self.source, self.error_source, self.companion):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.source = self.error_source = self.companion = -1
        out = self.read()
        self.order("drain")
        self.drained = self.answer("drained")
        assert self.popen.wait() == 0
        os.close(self.write_end)
        self.write_end = -1
        return out.all()

    def read(self) -> Reader:
        """Read what comes out, meanwhile."""
        self.reader = self.reader or Reader(self.target)
        return self.reader

    def copier(self) -> int:
        """The pid of the process that copies."""
        children = Path(f"/proc/{self.popen.pid}/task/{self.popen.pid}/children")
        while not children.read_text():
            time.sleep(0.01)
        return int(children.read_text())

    def copy(self, name: str = "app.log") -> bytes:
        """A copy in the instance's directory."""
        return (self.folder / "instance" / name).read_bytes()

    def end(self) -> None:
        """Give back what a failed test has left."""
        self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        ours = (self.read_end, self.source, self.error_read_end, self.error_source, self.companion_read_end, self.companion)
        for descriptor in (*ours, self.target, self.write_end):
            with contextlib.suppress(OSError):
                os.close(descriptor)


class Reader:
    """Reads a pipe to its end, meanwhile."""

    def __init__(self, descriptor: int) -> None:
        self.pieces: list[bytes] = []
        self.thread = threading.Thread(target=self._read, args=(descriptor,))
        self.thread.start()

    def _read(self, descriptor: int) -> None:
        while piece := os.read(descriptor, 1 << 20):
            self.pieces.append(piece)

    def all(self) -> bytes:
        """What was read, once the pipe has ended."""
        self.thread.join()
        return b"".join(self.pieces)
