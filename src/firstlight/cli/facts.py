"""Print what is true of the GPU stack, without judging it."""

from __future__ import annotations

import argparse
import json

from firstlight.cli import examining, screen
from firstlight.probe.facts import encode
from firstlight.report import summary

TAKES_SIGNALS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of every examining verb."""
    examining.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Collect and print; what could not be established is printed as such, and is no failure."""
    found = examining.facts(arguments)
    if arguments.format == "json":
        print(json.dumps(encode(found), indent=2))
    else:
        print(summary.render(found, screen.style()))
    return 0
