"""`pod relocate`, started by the firstlight in the pod itself: steps go out as lines of JSON, and SIGTERM undoes what is undone still."""

from __future__ import annotations

import sys

from firstlight.cli import main as cli


def main() -> int:
    """The words behind the program's name are the pod, and options."""
    return cli.main(["pod", "relocate", *sys.argv[1:], "--from-inside", "--format", "json"], ())
