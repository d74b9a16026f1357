"""Where the control plane keeps what outlives a command of it: what is owed, and whom it has met."""

from __future__ import annotations

import os
from collections.abc import Mapping

from firstlight import errors
from firstlight.system import files


def folder(environment: Mapping[str, str], name: str) -> str:
    """The folder of this name in the user's directory of state.

    Raises:
        UsageError: nothing tells where that is.
    """
    own = files.state_folder(environment) or files.state_folder({"HOME": os.path.expanduser("~")})  # the latter asks the list of users
    if own is None:
        raise errors.UsageError(f"cannot tell where to keep {name}: neither XDG_STATE_HOME nor HOME names a folder")
    return os.path.join(own, name)
