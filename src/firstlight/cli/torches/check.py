"""Say which build of PyTorch fits this machine, and why: exit 0 the installed one fits, 1 it does not, 2 another would be better."""

from __future__ import annotations

import argparse
import json

from firstlight import errors
from firstlight.cli import examining, screen
from firstlight.pytorch import builds, places
from firstlight.report import builds as report

TAKES_SIGNALS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """Which environment, and where the facts come from."""
    parser.add_argument("--venv", metavar="PATH", help="the virtual environment whose torch is asked")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")
    parser.add_argument("--from", dest="file", metavar="FILE", help="take recorded facts, torch's too, instead of probing this machine")
    parser.add_argument("--probe-timeout", metavar="TIME", default="60s", help="how long one step may take before it counts as hung")


def run(arguments: argparse.Namespace) -> int:
    """Print the advice."""
    if (arguments.venv is None) == (arguments.file is None):
        raise errors.UsageError("cannot check: name an environment with --venv, or recorded facts with --from")
    arguments.torch = places.find(arguments.venv).python if arguments.venv is not None else ""
    advice = builds.advise(examining.facts(arguments))
    if arguments.format == "json":
        print(json.dumps(report.encode_advice(advice), indent=2))
    else:
        print(report.render(advice, screen.style()))
    return advice.exit_code
