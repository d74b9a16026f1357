"""Where the control plane keeps what outlives a command of it: what is owed, and whom it has met."""

from __future__ import annotations

import os
from collections.abc import Mapping


def folder(environment: Mapping[str, str], name: str) -> str:
    """The folder of this name in the user's directory of state."""
    state = environment.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):
        state = os.path.join(environment.get("HOME") or os.path.expanduser("~"), ".local", "state")
    return os.path.join(state, "firstlight", name)
