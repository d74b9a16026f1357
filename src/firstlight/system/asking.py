"""A child of a verb that does one thing after the other. Not for the core: its loop has one of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from firstlight.system import process


@dataclass(frozen=True)
class Finished:
    """How a child ended. `code` is 128 + the signal where one killed it, None where its time was over."""

    code: int | None
    out: bytes
    err: bytes


def ask(argv: Sequence[str], *, timeout: float, environment: Mapping[str, str] | None = None) -> Finished:
    """Run a program to its end, or kill it after `timeout` seconds.

    Raises:
        OSError: it cannot be started.
    """
    try:
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout, env=environment, check=False)
    except subprocess.TimeoutExpired:
        return Finished(None, b"", b"")
    return Finished(process.shell_code(done.returncode), done.stdout, done.stderr)
