"""How standard output looks: the one place of the command line that asks the terminal."""

from __future__ import annotations

import os
import sys

from firstlight.report.style import Style, choose


def style() -> Style:
    """What standard output can show."""
    return choose(os.environ, terminal=sys.stdout.isatty(), encoding=sys.stdout.encoding)


def width() -> int | None:
    """How many columns it has; None where it has no end, as a file has."""
    try:
        return int(os.environ.get("COLUMNS") or os.get_terminal_size(sys.stdout.fileno()).columns) or None
    except (ValueError, OSError):  # UnsupportedOperation is both
        return None
