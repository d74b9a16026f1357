"""List the packages that an interpreter finds: names, versions, where their records are, what they require and import as.

Run by the interpreter of a virtual environment. Lines: package, for each; done. The first of a name on the search path is the one that counts.
"""

from __future__ import annotations

import json
import os
import re
import sys
from importlib import metadata
from typing import Any


def say(step: str, **fields: Any) -> None:
    """Print one step, at once and in one write."""
    fields["step"] = step
    os.write(1, (json.dumps(fields) + "\n").encode("utf-8", "backslashreplace"))


def plain(name: str) -> str:
    """The name as packaging tools compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(distribution: Any) -> list[str]:
    """The names that it requires, those of its extras too."""
    names = {re.match(r"[A-Za-z0-9._-]*", line.strip()) for line in distribution.requires or ()}
    return sorted({plain(name.group()) for name in names if name and name.group()})


def modules(distribution: Any) -> list[str]:
    """What can be imported of it, by the first part of the name."""
    found = set((distribution.read_text("top_level.txt") or "").split())
    for file in distribution.files or ():
        parts = str(file).split("/")
        if parts[-1].endswith(".py") and (len(parts) == 1 or (len(parts) == 2 and parts[1] == "__init__.py")):
            found.add(parts[0][:-3] if len(parts) == 1 else parts[0])
    return sorted(name for name in found if name.isidentifier())


def main() -> None:
    """Print them all."""
    seen = set()
    for distribution in metadata.distributions():
        name = plain(str(distribution.metadata["Name"] or ""))
        if not name or name in seen:
            continue
        seen.add(name)
        record = str(getattr(distribution, "_path", ""))  # private, and the only place that tells it
        say(
            "package",
            name=name,
            version=str(distribution.version),
            record=record,
            requires=required(distribution),
            modules=modules(distribution),
        )
    say("done", prefix=sys.prefix)


if __name__ == "__main__":
    main()
