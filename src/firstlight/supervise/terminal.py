"""The terminal, where there is one: lent to the app, so that Ctrl-C and Ctrl-Z reach it as if it had been started by the shell."""

from __future__ import annotations

import os

_STDIN = 0


def is_ours() -> bool:
    """Stdin is the terminal that controls us, and our process group is in its foreground."""
    try:
        return os.tcgetpgrp(_STDIN) == os.getpgrp()
    except OSError:
        return False


def hand_to(group: int) -> None:
    """Put a process group of our session in the foreground. (SIGTTOU, which asks back, is blocked in us.)"""
    try:
        os.tcsetpgrp(_STDIN, group)
    except OSError:
        pass  # the group has ended, or the terminal has gone
