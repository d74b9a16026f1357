#!/usr/bin/env python3
"""Say whether CUDA works here: exit 0 well, 1 ill, 2 usable but ill; any other code: it could not be asked.

    python3 check_cuda.py           # a report for people
    python3 check_cuda.py --json    # the same for programs

Every other argument goes to `firstlight doctor`, which finds it out. Any Python from 3.8 on runs this.
Made by `firstlight install`; `firstlight install --uninstall` removes it.
"""

import os
import sys


def main() -> None:
    """Become `firstlight doctor`."""
    tool = os.path.join(os.path.dirname(os.path.realpath(__file__)), "firstlight", "firstlight")
    if not os.path.isfile(tool):
        sys.exit(f"check_cuda.py: cannot find {tool}: run firstlight install again")
    words = []
    for word in sys.argv[1:]:
        words += ["--format", "json"] if word == "--json" else [word]
    os.execv("/bin/sh", ["sh", tool, "doctor", *words])


main()
