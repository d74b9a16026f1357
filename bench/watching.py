"""What it costs to watch the GPUs of an app that runs: CPU time of the core and of its looks, read from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from measure import Figure, NotMeasured
from supervision import SETTLE, descendants, name_of, parent_of, wait_for_app

PERIOD = 0.5  # seconds between looks while it is measured
DEFAULT_PERIOD = 30.0
SECONDS = 20.0


def looks(command: Sequence[str], machine: str) -> list[Figure]:
    """The figures for `command`, which is to be `firstlight run` or `rehearse` with its options: what one look costs on that machine.

    Raises:
        NotMeasured: the app was never started.
    """
    argv = [*command, "--watch", f"{PERIOD:g}s", "--", "sleep", "600"]
    started = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_app(started)
        core = next(parent_of(pid) for pid in descendants(started.pid) if name_of(pid) == "sleep")
        time.sleep(SETTLE)
        before, begun = _cpu(core), time.monotonic()
        time.sleep(SECONDS)
        each = (_cpu(core) - before) / ((time.monotonic() - begun) / PERIOD)
        if not each:
            raise NotMeasured("no look was made")
        return [
            Figure(name=f"one look at {machine}: CPU time of the core and its child", samples=(each * 1e3,), unit="ms", target="≤ 60 ms"),
            Figure(
                name=f"that at the default period of {DEFAULT_PERIOD:g} s, of one core",
                samples=(each / DEFAULT_PERIOD * 100,),
                unit="%",
                target="≤ 0.2 %",
            ),
        ]
    finally:
        started.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(15.0)
        started.kill()
        started.wait()


def _cpu(pid: int) -> float:
    """CPU seconds of a process and of its children that have ended."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise NotMeasured(f"cannot read /proc/PID/stat: {error.strerror}") from None
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
