"""Say how the last boot stands: its stage, its condition, the cause of what is wrong."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from enum import Enum

from firstlight.cli import recorded, screen
from firstlight.journal import status
from firstlight.report import timeline as report


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of every verb that reads the journal."""
    recorded.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    stands = status.status(recorded.record(arguments).events)
    if arguments.format == "json":
        plain = {name: value.value if isinstance(value, Enum) else value for name, value in asdict(stands).items()}
        print(json.dumps({"version": 2, "cause": stands.cause, "sentence": stands.sentence, **plain}, indent=2))
    else:
        print(report.status(stands, screen.style()))
    return 0
