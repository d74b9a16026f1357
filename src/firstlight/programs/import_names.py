"""Import modules one after the other, and say of each whether that worked.

    import_names.py NAME ...

Run by the interpreter of a virtual environment. Lines: importing and imported for each. One that kills the process leaves
its `importing` as the last line.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import Any


def say(out: int, step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(out, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def main() -> None:
    """Import each. What they print themselves goes to standard error."""
    out = os.dup(1)
    os.dup2(2, 1)
    for name in sys.argv[1:]:
        say(out, "importing", name=name)
        error = ""
        try:
            importlib.import_module(name)
        except BaseException as failure:  # some modules end the process
            error = "%s: %s" % (type(failure).__name__, failure)
        say(out, "imported", name=name, error=error)


if __name__ == "__main__":
    main()
