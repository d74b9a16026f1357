"""What firstlight itself says, on standard error. Whoever should read it may be gone or stuck: that stops nobody here."""

from __future__ import annotations

import os
import select

from firstlight.system import clock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How long a reader that is behind may hold us up, in milliseconds. What it does not take then is lost.
_PATIENCE = 500

# A pipe that poll(2) calls writable takes this much without blocking (PIPE_BUF).
_PIECE = 4096

# What every object carries; None while we speak text. A process has one standard error, so this is one for all.
_shared: dict[str, str] | None = None


def speak_json(**shared: str) -> None:
    """From here on, say all as one JSON object a line. `shared` stands in each of them."""
    global _shared  # noqa: PLW0603 - there is one standard error
    _shared = shared


def say(line: str) -> None:
    """Say one line. It may quote what a stranger wrote, so nothing in it reaches the terminal as a command or a second line."""
    # Errors begin with "cannot", all of them: tests see to it.
    level = "error" if line.startswith("cannot ") else "info"
    if not _say_json(line, level, {}):
        _put("firstlight: " + "".join(character if character.isprintable() else " " for character in line) + "\n")


def write(text: str, **fields: Any) -> None:
    """Say why all has ended, in whole lines; as JSON it is one object with these fields, of which `message` can be one."""
    if not _say_json(text, "error", fields):
        _put(text)


def _say_json(message: str, level: str, fields: dict[str, Any]) -> bool:
    """Say it as an object, if that is how we speak."""
    if _shared is None:
        return False
    import json  # late: most speak text

    said = {"ts": clock.wall(), "level": level, "message": message, **_shared, **fields}
    _put(json.dumps(said, separators=(",", ":"), default=str) + "\n")
    return True


def _put(text: str) -> None:
    """Write to standard error. Never fails, and never waits for long."""
    data = text.encode("utf-8", "backslashreplace")
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    try:
        while data and poll.poll(_PATIENCE):
            data = data[os.write(2, data[:_PIECE]) :]
    except OSError:
        pass  # closed, or nobody reads it
