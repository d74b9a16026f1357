"""Show where the time of the last boot went."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from firstlight.cli import recorded, screen
from firstlight.journal import timeline
from firstlight.report import timeline as report


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of every verb that reads the journal."""
    recorded.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print it."""
    found = recorded.record(arguments)
    spans = timeline.timeline(found.events)
    if arguments.format == "json":
        plain = [{**asdict(span), "stage": span.stage.value} for span in spans]
        print(json.dumps({"version": 1, "boot": found.boot, "skipped_lines": found.skipped, "spans": plain}, indent=2))
    else:
        print(report.timeline(spans, screen.style()))
    return 0
