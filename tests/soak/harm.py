"""What befalls firstlight in a soak, by chance: kills, signals, a volume that hangs, is full or refuses, an app that is sick."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

RESIDENTS = ("pump", "copier", "checker", "journal writer", "agent")
DEADLY = (signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT, signal.SIGHUP)
FORWARDED = (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


class Harm:
    """All sorts of it. `done` counts what was done."""

    def __init__(self, chance: random.Random, volume: Path, folder: Path) -> None:
        self.chance = chance
        self.volume = volume
        self.folder = folder
        self.done: Counter[str] = Counter()
        self.ends_at = 0.0  # when the harm that lasts ends
        self.undo: Callable[[], None] | None = None
        self.sick: list[tuple[float, float]] = []  # from when to when the app said that it was not well, monotonic

    def strike(self, roles: dict[str, list[int]], *, residents: bool) -> None:
        """Do one thing. `residents` says whether our own processes may be hit."""
        if self.undo is not None and time.monotonic() > self.ends_at:
            self.recover()
        kinds = {self.kill_app: 8, self.signal_core: 3, self.kill_companion: 2}
        if residents:
            kinds[self.kill_resident] = 4
        if self.undo is None:
            kinds |= {self.hang: 1, self.fill: 1, self.refuse: 1, self.sicken: 1}
        (kind,) = self.chance.choices(list(kinds), list(kinds.values()))
        kind(roles)

    def recover(self) -> None:
        """End the harm that lasts."""
        if self.undo is not None:
            self.undo()
            self.undo = None

    def kill_app(self, roles: dict[str, list[int]]) -> None:
        self._kill("app", roles, self.chance.choice(DEADLY))

    def kill_companion(self, roles: dict[str, list[int]]) -> None:
        self._kill("companion", roles, self.chance.choice(DEADLY))

    def kill_resident(self, roles: dict[str, list[int]]) -> None:
        self._kill(self.chance.choice(RESIDENTS), roles, signal.SIGKILL)

    def signal_core(self, roles: dict[str, list[int]]) -> None:
        """A signal that firstlight forwards."""
        self._kill("core", roles, self.chance.choice(FORWARDED))

    def _kill(self, role: str, roles: dict[str, list[int]], number: signal.Signals) -> None:
        for pid in roles.get(role, [])[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
                self.done[f"{role} got {number.name}"] += 1

    def hang(self, _: object) -> None:
        """The volume answers nobody."""
        self._mark("hangs", "volume hung", self.chance.uniform(0.5, 4))

    def refuse(self, _: object) -> None:
        """The volume is read-only."""
        self._mark("refuses", "volume read-only", self.chance.uniform(0.5, 8))

    def _mark(self, word: str, name: str, seconds: float) -> None:
        mark = self.volume.with_name(f"{self.volume.name}.{word}")
        mark.touch()
        self._lasts(name, seconds, mark.unlink)

    def fill(self, _: object) -> None:
        """The volume is full."""
        ballast = self.volume / "ballast"
        subprocess.run(["dd", "if=/dev/zero", f"of={ballast}", "bs=1M"], stderr=subprocess.DEVNULL, check=False)
        self._lasts("volume full", self.chance.uniform(0.5, 8), ballast.unlink)

    def sicken(self, _: object) -> None:
        """The app says that it is not well."""
        mark = self.folder / "sick"
        mark.touch()
        begun = time.monotonic()

        def heal() -> None:
            self.sick.append((begun, time.monotonic()))
            mark.unlink()

        self._lasts("app sick", self.chance.uniform(2, 15), heal)

    def _lasts(self, name: str, seconds: float, undo: Callable[[], None]) -> None:
        self.done[name] += 1
        self.ends_at = time.monotonic() + seconds
        self.undo = undo
