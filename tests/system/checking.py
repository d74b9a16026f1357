"""Drives the checker as the core does: orders on its stdin, answers on its stdout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from firstlight.apps.app import Check, check_json
from firstlight.system.process import program

# Tests have no time to lose, but an answer may take as long as a loaded machine does: only what is to be late has a short timeout.
QUICK = {"period": "50ms", "start-interval": "50ms", "timeout": "60s", "start-period": "0s"}


class Checker:
    """A checker under way, in life 1 of the app."""

    def __init__(self, checks: Iterable[Check], *, before: Sequence[str] = (), env: Mapping[str, str] | None = None) -> None:
        self.popen = subprocess.Popen(
            [*before, *program("check_app")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env
        )
        self.tell({"checks": [check_json(check) for check in checks]}, {"order": "start", "life": 1})

    def tell(self, *orders: object) -> None:
        """Give it orders."""
        self.popen.stdin.write(b"".join(json.dumps(order).encode() + b"\n" for order in orders))
        self.popen.stdin.flush()

    def answer(self) -> dict[str, Any]:
        """Its next answer of any sort."""
        line = self.popen.stdout.readline()
        if not line:
            raise AssertionError(f"it ended: {self.popen.communicate()[1].decode()}")
        return json.loads(line)

    def checked(self, name: str | None = None) -> dict[str, Any]:
        """Its next judgement, of a check by name or of any."""
        while (answer := self.answer())["step"] != "checked" or name not in (None, answer["check"]):
            pass
        return answer

    def finish(self) -> tuple[int, bytes]:
        """End its input, and wait for its end: exit code, standard error."""
        _, errors = self.popen.communicate()
        return self.popen.returncode, errors

    def end(self) -> None:
        """End it whatever has happened."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.communicate()

    def descriptors(self) -> set[str]:
        """What it holds open."""
        links = Path(f"/proc/{self.popen.pid}/fd").iterdir()
        return {os.readlink(link) for link in links if link.is_symlink()}

    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.popen.pid}/task").iterdir()))


PYTHON = (sys.executable, "-I", "-S", "-c")
