"""Open device nodes for real and tell the errno of each: 0 when it opened.

    open_nodes.py PATH...

Opening a GPU's node makes the driver initialise that GPU, which can take seconds and can block for ever: hence a child
with a deadline. Each path is named before it is opened, so that a hang tells which node it was.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def main() -> None:
    """Open each path in turn."""
    for path in sys.argv[1:]:
        say("opening", path=path)
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            say("opened", path=path, errno=error.errno)
        else:
            say("opened", path=path, errno=0)


if __name__ == "__main__":
    main()
