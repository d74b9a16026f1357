"""The holder: the proving child, which keeps the driver open until the app has its own context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from firstlight.probe import answers
from firstlight.system.loop import Exited

if TYPE_CHECKING:
    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Happening, Loop, Process


class Holder:
    """One holder, from the proof to its letting go, which the journal is told of."""

    def __init__(self, loop: Loop, journal: Journal, process: Process) -> None:
        self._loop = loop
        self._journal = journal
        self._process = process
        if process.ended:
            self._note_release()
        else:
            loop.listeners.append(self._listen)

    def watch(self, app: Process) -> None:
        """Let it see the app's own context come up, and let go then."""
        if not self._process.ended:
            self._loop.write(self._process, f"app {app.pid}\n".encode())

    def end(self) -> None:
        """End it; that is no news."""
        if self._listen in self._loop.listeners:
            self._loop.listeners.remove(self._listen)
            self._loop.end(self._process)

    def _listen(self, happening: Happening) -> None:
        if isinstance(happening, Exited) and happening.process is self._process:
            self._loop.listeners.remove(self._listen)
            self._note_release()

    def _note_release(self) -> None:
        why = next((step["why"] for step in answers.steps(self._process) if step["step"] == "released"), "it died")
        self._journal.note("holder", released=why)
