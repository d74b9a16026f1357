"""Who hears how an acceptance goes: the firstlight that runs the app, over its control socket. Where none runs, nobody does."""

from __future__ import annotations

import os
from collections.abc import Mapping

from firstlight import settings
from firstlight.errors import Error
from firstlight.system import control, instance

# Who answers on the socket is started after the app, and anew where it has died: so long is that waited for, in seconds.
_PATIENCE = 5.0


class Listener:
    """The one at a control socket; an empty path is nobody. One that has not listened is not asked again: nothing shall wait for it twice."""

    def __init__(self, path: str) -> None:
        self._path = path

    def tell(self, told: Mapping[str, object]) -> None:
        """Tell it (serve/told.py has the shape)."""
        if self._path and control.tell(self._path, told, patience=_PATIENCE):
            self._path = ""


def find(run_dir: str | None) -> Listener:
    """The firstlight that runs here. It has no part in the acceptance: whatever keeps it from being found is nobody's error."""
    try:
        directory = instance.running(os.environ, settings.load({"run_dir": run_dir}, os.environ).run_dir)
    except Error:
        directory = None
    return Listener(os.path.join(directory, instance.CONTROL) if directory else "")
