"""The move to another host that a hold asks for: a child orders another pod with this pod's own key, proves it, and terminates this one.

The child knows the control plane; we know the child. What it owes while it works lies on the volume, so that a kill loses none of it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from firstlight.system.loop import Exited, Printed
from firstlight.system.process import verb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Happening, Loop, Process

# Seconds for undoing what is not done yet, before it is left to the lease.
_GRACE = 20.0

_LONGEST_WORDS = 500


class Relocation:
    """One attempt. What it says goes into the journal, so that the hold's page tells it."""

    def __init__(self, loop: Loop, journal: Journal, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        self._loop = loop
        self._journal = journal
        self._environment = environment
        self._tell = tell
        self._process: Process | None = None
        self._ending = False

    def begin(self) -> None:
        """Start it; or say why it cannot be."""
        why = lacks(self._environment, self._journal.directory)
        if why:
            self._note("cannot", f"cannot move to another host: {why}")
            return
        leases = os.path.join(str(self._journal.directory), "leases")
        argv = verb("pod", "relocate", self._environment["RUNPOD_POD_ID"], "--lease-dir", leases, "--from-inside", "--format", "json")
        self._loop.listeners.append(self._listen)
        try:
            self._process = self._loop.start(argv, self._environment, name="relocation")  # the key goes with the environment
        except OSError as error:
            self._note("cannot", f"cannot move to another host: cannot start the move: {error.strerror}")
            return
        self._note("begin", "another pod is ordered in this one's place")

    def end(self) -> None:
        """The hold is over: what is not done yet is undone."""
        self._ending = True
        if self._process is not None and not self._process.ended:
            self._loop.end(self._process, _GRACE)
        if self._listen in self._loop.listeners:
            self._loop.listeners.remove(self._listen)

    def _listen(self, happening: Happening) -> None:
        if isinstance(happening, Printed) and happening.process is self._process:
            self._take_steps(happening.process)
        elif isinstance(happening, Exited) and happening.process is self._process:
            self._take_steps(happening.process)
            self._take_end(happening.process)

    def _take_steps(self, process: Process) -> None:
        for said in process.drain_objects():
            pod = said.get("pod")
            words = str(said.get("words") or f"this pod is {pod} now")
            self._journal.note(
                "relocation", step=str(said.get("step")), words=words[:_LONGEST_WORDS], pod=pod if isinstance(pod, str) else None
            )

    def _take_end(self, process: Process) -> None:
        """It ends well only with our own end; every other end leaves us where we are."""
        if process.status == 0:
            return
        if self._ending:
            self._note("undone", "the move was undone")
            return
        said = bytes(process.errors).decode("utf-8", "replace").strip().splitlines()
        words = said[-1].removeprefix("firstlight: ") if said else f"cannot move to another host: the move ended with {process.exit_code}"
        self._note("cannot", words[:_LONGEST_WORDS])

    def _note(self, step: str, words: str) -> None:
        self._journal.note("relocation", step=step, words=words, pod=None)
        self._tell(words)


def lacks(environment: Mapping[str, str], directory: str | None) -> str | None:
    """What is missing for a move from inside; None where nothing is. Pure."""
    if not environment.get("RUNPOD_POD_ID"):
        return "this is no pod of RunPod (no RUNPOD_POD_ID)"
    if not (environment.get("RUNPOD_API_KEY") or environment.get("RUNPOD_API_KEY_FILE")):
        return "there is no key of RunPod (RUNPOD_API_KEY)"
    if directory is None:
        return "there is no place for what it would owe (--state-dir)"
    return None
