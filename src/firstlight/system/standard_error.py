"""What firstlight itself says, on standard error. Whoever should read it may be gone or stuck: that stops nobody here."""

from __future__ import annotations

import os
import select

# How long a reader that is behind may hold us up, in milliseconds. What it does not take then is lost.
_PATIENCE = 500

# A pipe that poll(2) calls writable takes this much without blocking (PIPE_BUF).
_PIECE = 4096


def say(line: str) -> None:
    """Say one line. It may quote what a stranger wrote, so nothing in it reaches the terminal as a command or a second line."""
    write("firstlight: " + "".join(character if character.isprintable() else " " for character in line) + "\n")


def write(text: str) -> None:
    """Write whole lines to standard error. Never fails, and never waits for long."""
    data = text.encode("utf-8", "backslashreplace")
    poll = select.poll()
    poll.register(2, select.POLLOUT)
    try:
        while data and poll.poll(_PATIENCE):
            data = data[os.write(2, data[:_PIECE]) :]
    except OSError:
        pass  # closed, or nobody reads it
