"""What supervising an idle app costs: memory, wake-ups and CPU time of each process beside the app, read from /proc while nothing happens."""

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

# Our children, by what stands in their command lines.
_ROLES = {
    "programs.write_journal": "journal writer",
    "programs.pump_output": "pump",
    "programs.check_app": "checker",
    "programs.watch_gpu": "look at the GPUs",
    "programs.prove_gpu": "holder",
    "firstlight.serve.agent": "agent",
}


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
        app = next(pid for pid in descendants(core.pid) if name_of(pid) == "sleep")
        return costs("firstlight run", core.pid, app)
    finally:
        core.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            core.wait(15.0)
        core.kill()
        core.wait()


def costs(name: str, supervisor: int, app: int) -> list[Figure]:
    """What a supervisor and all that it runs beside the app take while nothing happens: memory, wake-ups and CPU time, over `WATCH` seconds.

    Raises:
        NotMeasured: one of them ended meanwhile, or cannot be read.
    """
    ours = [supervisor, *(pid for pid in descendants(supervisor) if pid != app)]
    before, begun = {pid: (_switches(pid), _cpu(pid)) for pid in ours}, time.monotonic()
    time.sleep(WATCH)
    took = time.monotonic() - begun
    after = {pid: (_switches(pid), _cpu(pid)) for pid in ours}
    figures = []
    for pid in ours:
        role = "core" if pid == supervisor and name == "firstlight run" else _role(pid)
        targets = ("≤ 18 MB", "≤ 1/s") if role == "core" else ("", "")
        words = f"{name}, idle: {role}"
        figures += [
            Figure(name=f"{words}: VmRSS", samples=(_megabytes(pid, "status", "VmRSS"),), unit="MB", target=targets[0]),
            Figure(name=f"{words}: Pss", samples=(_megabytes(pid, "smaps_rollup", "Pss"),), unit="MB"),
            Figure(name=f"{words}: wake-ups", samples=((after[pid][0] - before[pid][0]) / took,), unit="/s", target=targets[1]),
        ]
    pss = sum(_megabytes(pid, "smaps_rollup", "Pss") for pid in ours)
    cpu = sum(after[pid][1] - before[pid][1] for pid in ours)
    return [
        *figures,
        Figure(name=f"{name}, idle: its {_counted(len(ours))}, Pss together", samples=(pss,), unit="MB"),
        Figure(name=f"{name}, idle: its {_counted(len(ours))}, CPU time of one core", samples=(cpu / took * 100,), unit="%"),
    ]


def _counted(number: int) -> str:
    return "one process" if number == 1 else f"{number} processes"


def _role(pid: int) -> str:
    """What a process is for, in our words; for those of others, what it is called."""
    words = _words(pid)
    if "programs.pump_output" in words and "programs.pump_output" in _words(parent_of(pid)):
        return "keeper of copies"  # forked by the pump
    return next((role for mark, role in _ROLES.items() if mark in words), name_of(pid))


def _words(pid: int) -> str:
    return Path("/proc", str(pid), "cmdline").read_text(errors="replace")


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
    """How often it gave up the CPU by itself: to wait, and so to be woken. Of all its threads."""
    return sum(
        int(line.split()[1])
        for status in _of_threads(pid, "status")
        for line in status.splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )


def _cpu(pid: int) -> float:
    """CPU seconds of all its threads, to the nanosecond."""
    return sum(int(times.split()[0]) for times in _of_threads(pid, "schedstat")) / 1e9


def _of_threads(pid: int, file: str) -> list[str]:
    try:
        return [path.read_text() for path in Path("/proc", str(pid), "task").glob(f"*/{file}")]
    except OSError as error:
        raise NotMeasured(f"cannot read /proc/PID/task/*/{file}: {error.strerror}") from None


def _megabytes(pid: int, file: str, field: str) -> float:
    """A field of a /proc file, in megabytes."""
    try:
        lines = Path("/proc", str(pid), file).read_text().splitlines()
    except OSError as error:
        raise NotMeasured(f"cannot read /proc/PID/{file}: {error.strerror}") from None
    return next((int(line.split()[1]) / 1000 * 1.024 for line in lines if line.startswith(f"{field}:")), 0.0)
