"""A child of a verb that works at many things at once. Not for the core: its loop has one of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

import anyio

from firstlight.system import process
from firstlight.system.asking import Finished


async def run(argv: Sequence[str], *, timeout: float, input: bytes = b"", environment: Mapping[str, str] | None = None) -> Finished:  # noqa: A002, ASYNC109 - a deadline of the child, told in its answer
    """Run a program to its end, or kill it after `timeout` seconds.

    Raises:
        OSError: it cannot be started.
    """
    with anyio.move_on_after(timeout):
        done = await anyio.run_process(list(argv), input=input, check=False, env=environment, stderr=subprocess.PIPE)
        return Finished(process.shell_code(done.returncode), done.stdout, done.stderr)
    return Finished(None, b"", b"")
