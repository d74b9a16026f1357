"""What the agent tells the core: lines on stdout, and how it ends."""

from __future__ import annotations

import json
import os

CANNOT_SERVE = 69
START_ANEW = 75


def answer(**words: object) -> None:
    """Tell the core. Where nobody listens any more our own end is near."""
    try:
        os.write(1, (json.dumps(words) + "\n").encode("ascii"))
    except OSError:
        pass
