"""What can be seen of firstlight's processes from outside: who they are, what they hold, who is dead and was not reaped."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

# Who is who, by a word of the command line.
ROLES = {"pump_output": "pump", "check_app": "checker", "write_journal": "journal writer", "firstlight.serve": "agent"}
ZOMBIE_PATIENCE = 2  # looks in a row that find the same zombie
KIB = 1024


@dataclass
class Process:
    """One process."""

    pid: int
    parent: int
    state: str
    command: str


def below(root: int) -> list[Process]:
    """All that live below a process."""
    children: dict[int, list[Process]] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            stat = Path(f"/proc/{name}/stat").read_text(errors="replace").rpartition(")")[2].split()
            command = Path(f"/proc/{name}/cmdline").read_text(errors="replace").replace("\0", " ")
        except OSError:
            continue
        children.setdefault(int(stat[1]), []).append(Process(int(name), int(stat[1]), stat[0], command))
    found: list[Process] = []
    waiting = [root]
    while waiting:
        some = children.get(waiting.pop(), [])
        found += some
        waiting += [process.pid for process in some]
    return found


@dataclass
class Sample:
    """What one process held at a time: seconds since the beginning, KiB of memory of its own, open descriptors."""

    at: float
    memory: float
    descriptors: int


@dataclass
class Observed:
    """All that was seen."""

    core: int = 0
    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)  # by role and pid
    most: int = 0  # processes at a time
    complaints: list[str] = field(default_factory=list)
    dead: dict[int, int] = field(default_factory=dict)  # zombies, and how often in a row each was seen

    def look(self, root: int, at: float) -> dict[str, list[int]]:
        """See who is there: pids by role."""
        roles: dict[str, list[int]] = {}
        seen = below(root)
        self.most = max(self.most, len(seen))
        for process in seen:
            role = self._role(process, root, roles)
            roles.setdefault(role, []).append(process.pid)
            if role not in ("app", "companion", "other"):
                self._measure(role, process.pid, at)
        now = {process.pid: process for process in seen if process.state == "Z" and process.parent in (self.core, root)}
        self.dead = {pid: self.dead.get(pid, 0) + 1 for pid in now}
        self.complaints += [f"zombie: {now[pid]}" for pid, times in self.dead.items() if times == ZOMBIE_PATIENCE + 1]
        return roles

    def _role(self, process: Process, root: int, roles: dict[str, list[int]]) -> str:
        if process.parent == root:
            self.core = process.pid
            return "core"
        role = next((role for word, role in ROLES.items() if word in process.command), "other")
        if role == "pump" and process.parent != self.core:
            return "copier"
        if process.parent == self.core and "soaking_app" in process.command:
            return "app"
        if process.parent == self.core and "companion-of-the-soak" in process.command:
            return "companion"
        return role

    def _measure(self, role: str, pid: int, at: float) -> None:
        try:
            status = Path(f"/proc/{pid}/status").read_text()
            memory = int(status.partition("RssAnon:")[2].split()[0])
            descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        except (OSError, IndexError):
            return
        self.samples.setdefault((role, pid), []).append(Sample(at, memory, descriptors))


@dataclass
class Growth:
    """How much more a process held at the end of a time than at its beginning, by the straight line through its samples."""

    role: str
    seconds: float
    memory_kib: float  # at the beginning
    memory_growth_kib: float
    descriptors: float
    descriptors_growth: float


def growths(observed: Observed, since: float, least: float) -> list[Growth]:
    """For each process that was looked at for `least` seconds after `since`."""
    found = []
    for (role, _), samples in observed.samples.items():
        late = [sample for sample in samples if sample.at >= since]
        if len(late) < 2 or late[-1].at - late[0].at < least:
            continue
        at = [sample.at for sample in late]
        memory, more_memory = line(at, [sample.memory for sample in late])
        descriptors, more_descriptors = line(at, [float(sample.descriptors) for sample in late])
        found.append(Growth(role, round(at[-1] - at[0], 1), memory, more_memory, descriptors, more_descriptors))
    return found


def line(at: list[float], values: list[float]) -> tuple[float, float]:
    """The least-squares line: its value at the beginning, and how much it rises until the end."""
    middle, mean = sum(at) / len(at), sum(values) / len(values)
    spread = sum((moment - middle) ** 2 for moment in at)
    slope = sum((moment - middle) * (value - mean) for moment, value in zip(at, values, strict=True)) / spread if spread else 0.0
    return round(mean + slope * (at[0] - middle), 1), round(slope * (at[-1] - at[0]), 1)
