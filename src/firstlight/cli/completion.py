"""Print the completion script of a shell: for bash to source, for zsh to be `_firstlight` in a folder of its fpath."""

from __future__ import annotations

import argparse
import sys
from importlib import resources

SHELLS = ("bash", "zsh")


def configure(parser: argparse.ArgumentParser) -> None:
    """Which shell."""
    parser.add_argument("shell", choices=SHELLS, help="whose completion script")


def run(arguments: argparse.Namespace) -> int:
    """Print the script. It was made from the parsers when firstlight was built: `make docs`."""
    script = resources.files("firstlight.cli") / "completions" / f"firstlight.{arguments.shell}"
    sys.stdout.write(script.read_text(encoding="utf-8"))
    return 0
