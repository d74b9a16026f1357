"""What supervising an idle app costs: the core's memory and its wake-ups, read from /proc while nothing happens."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from measure import Figure, NotMeasured

SETTLE = 4.0  # seconds for the app to start and the holder, told to leave at once, to be gone
WATCH = 12.0  # seconds of watching


def idle(firstlight: Sequence[str], options: Sequence[str], state: Path) -> list[Figure]:
    """The figures of one idle app, supervised by `firstlight run` with `options`.

    Raises:
        NotMeasured: the app was never started.
    """
    argv = [*firstlight, "run", "--state-dir", str(state), *options, "--", "sleep", "600"]
    core = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for_app(core)
        time.sleep(SETTLE)
        before, begun = _switches(core.pid), time.monotonic()
        time.sleep(WATCH)
        wakes = (_switches(core.pid) - before) / (time.monotonic() - begun)
        children = [pid for pid in descendants(core.pid) if name_of(pid) != "sleep"]
        return [
            Figure(
                name="core while supervising an idle app: VmRSS",
                samples=(_kilobytes(core.pid, "status", "VmRSS"),),
                unit="MB",
                target="≤ 18 MB",
            ),
            Figure(name="core while supervising an idle app: Pss", samples=(_kilobytes(core.pid, "smaps_rollup", "Pss"),), unit="MB"),
            Figure(
                name=f"its {len(children)} other processes (journal writer): Pss together",
                samples=(sum(_kilobytes(pid, "smaps_rollup", "Pss") for pid in children),),
                unit="MB",
            ),
            Figure(name=f"wake-ups of the core, over {WATCH:.0f} s", samples=(wakes,), unit="/s", target="≤ 1/s"),
        ]
    finally:
        core.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            core.wait(15.0)
        core.kill()
        core.wait()


def wait_for_app(core: subprocess.Popen[bytes]) -> None:
    """Wait until firstlight has started its app, which is `sleep`."""
    until = time.monotonic() + 30.0
    while time.monotonic() < until:
        if core.poll() is not None:
            raise NotMeasured(f"firstlight ended with {core.returncode} before the app was started")
        if any(name_of(pid) == "sleep" for pid in descendants(core.pid)):
            return
        time.sleep(0.05)
    raise NotMeasured("the app was not started within 30 s")


def descendants(pid: int) -> list[int]:
    """The processes below a process."""
    parents: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                status = Path("/proc", entry, "stat").read_text()
                parents.setdefault(int(status.rpartition(")")[2].split()[1]), []).append(int(entry))
    found, queue = [], [pid]
    while queue:
        children = parents.get(queue.pop(), [])
        found += children
        queue += children
    return found


def name_of(pid: int) -> str:
    """What a process is called; empty when it is gone."""
    try:
        return Path("/proc", str(pid), "comm").read_text().strip()
    except OSError:
        return ""


def parent_of(pid: int) -> int:
    """The parent of a process."""
    return int(Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[1])


def _switches(pid: int) -> int:
    lines = Path("/proc", str(pid), "status").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if "ctxt_switches" in line)


def _kilobytes(pid: int, file: str, field: str) -> float:
    """A field of a /proc file, in megabytes."""
    try:
        lines = Path("/proc", str(pid), file).read_text().splitlines()
    except OSError as error:
        raise NotMeasured(f"cannot read /proc/PID/{file}: {error.strerror}") from None
    return next((int(line.split()[1]) / 1000 * 1.024 for line in lines if line.startswith(f"{field}:")), 0.0)
