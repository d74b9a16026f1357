"""The Python interpreters at hand, one of each minor version that firstlight supports."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST = (3, 10)
NEWEST = (3, 15)  # looked for, not promised

_ASK = "import sys; print(sys.implementation.cache_tag, *sys.version_info[:2], sys.version_info.releaselevel)"


def at_hand(oldest: tuple[int, int] = OLDEST) -> dict[str, str]:
    """Interpreters by cache tag ("cpython-311"), oldest first: our own, those on PATH, those of pyenv."""
    names = [f"python3.{minor}" for minor in range(oldest[1], NEWEST[1] + 1)]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    theirs = sorted(map(str, pyenv.glob("3.*/bin/python3"))) if os.access(pyenv, os.R_OK | os.X_OK) else []  # it may be another user's
    candidates = [sys.executable, *filter(None, map(shutil.which, names)), *theirs]
    found: dict[tuple[int, int], tuple[str, str]] = {}
    for candidate in candidates:
        answer = subprocess.run([candidate, "-I", "-S", "-c", _ASK], capture_output=True, text=True, check=False).stdout.split()
        if len(answer) != 4 or answer[3] != "final":  # a shim without its interpreter; byte code of a preview fits no other
            continue
        version = (int(answer[1]), int(answer[2]))
        if version >= oldest:
            found.setdefault(version, (answer[0], candidate))
    return {tag: path for _version, (tag, path) in sorted(found.items())}
