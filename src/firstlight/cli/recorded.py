"""What the verbs that read the journal share: where it is and which boot is meant."""

from __future__ import annotations

import argparse
import os

from firstlight import errors, settings
from firstlight.journal import journal, read


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of both verbs."""
    parser.add_argument("--state-dir", metavar="DIR", help="where the journal is kept [FIRSTLIGHT_STATE_DIR]")
    parser.add_argument("--boot", metavar="ID", help="which boot (default: the latest)")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def record(arguments: argparse.Namespace) -> read.Record:
    """The journal that the arguments name.

    Raises:
        UsageError: there is none, or it cannot be read.
    """
    directory = settings.load({"state_dir": arguments.state_dir}, os.environ).state_dir or journal.default_directory(os.environ)
    if directory is None:
        raise errors.UsageError("cannot tell where the journal is: there is no HOME; give --state-dir")
    return read.read(directory, arguments.boot)
