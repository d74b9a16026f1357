"""What SSH sessions get of the app's environment: written down by a child, which nobody waits for."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from firstlight.supervise.resident import line
from firstlight.system.loop import Exited, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from firstlight.journal.journal import Journal
    from firstlight.system.loop import Happening, Loop, Process


class Sessions:
    """Publishes the environment of each life of the app."""

    def __init__(self, loop: Loop, journal: Journal, environment: Mapping[str, str], tell: Callable[[str], None]) -> None:
        """`environment` is the child's own; what it publishes it is told."""
        self._loop = loop
        self._journal = journal
        self._environment = environment
        self._tell = tell
        self._told: set[str] = set()
        self._child: Process | None = None
        loop.listeners.append(self._listen)

    def publish(self, variables: Mapping[str, str], absent: Iterable[str]) -> None:
        """Write these down. `absent` are the names of those that a session is not to have."""
        if self._child is not None and not self._child.ended:
            self._loop.children.send(self._child, 9)  # it may hang at a home that hangs; what it was to write is old
        try:
            self._child = self._loop.start(program("publish_environment"), self._environment, name="publish-environment", keep_stdin=True)
        except OSError as error:
            self._trouble(f"cannot publish the environment: {error.strerror}")
            return
        # Bytes, whatever their encoding: the child's may be another than ours.
        told = {_bytes(name): _bytes(value) for name, value in variables.items()}
        self._loop.write(self._child, line({"variables": told, "absent": [_bytes(name) for name in sorted(absent)]}))
        self._loop.close_stdin(self._child)

    def _listen(self, happening: Happening) -> None:
        if not (isinstance(happening, Exited) and happening.process is self._child):
            return
        lines = happening.process.lines()
        if happening.process.status != 0 or not lines:
            self._trouble(f"cannot publish the environment: its writer ended with {happening.process.exit_code}")
            return
        said: dict[str, Any] = json.loads(lines[-1])
        self._journal.note("environment", file=said["file"], variables=said["count"], hooks=said["hooks"], troubles=said["troubles"])
        for words in said["troubles"]:
            self._trouble(f"{words}; SSH sessions have not all of the app's environment")

    def _trouble(self, words: str) -> None:
        """Say once what each life would say again."""
        if words not in self._told:
            self._told.add(words)
            self._tell(words)


def _bytes(text: str) -> str:
    """What stands in the environment for this text, a byte a character."""
    return os.fsencode(text).decode("latin-1")
