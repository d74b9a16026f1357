"""Say what is wrong with the GPU stack, and who must act."""

from __future__ import annotations

import argparse
import json

from firstlight.cli import examining, screen
from firstlight.errors import ExitCode
from firstlight.faults import diagnose
from firstlight.report import diagnosis as diagnosis_report

TAKES_SIGNALS = True

_CODES = {"well": ExitCode.OK, "ill": ExitCode.ILL, "usable-but-ill": ExitCode.USABLE}


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of every examining verb."""
    examining.configure(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the diagnosis: exit 0 well, 1 ill, 2 usable but ill."""
    facts = examining.facts(arguments)
    found = diagnose.diagnose(facts)
    if arguments.format == "json":
        print(json.dumps(diagnosis_report.encode(found, facts), indent=2))
    else:
        print(diagnosis_report.render(found, facts, screen.style()))
    return int(_CODES[diagnosis_report.verdict(found)])
