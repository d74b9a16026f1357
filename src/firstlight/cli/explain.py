"""Print the page of a fault, by its name or by a message that you paste."""

from __future__ import annotations

import argparse
import difflib
import json

from firstlight import errors
from firstlight.cli import screen
from firstlight.faults.catalogue import CATALOGUE, find
from firstlight.faults.fault import Fault
from firstlight.report import pages, style

TAKES_SIGNALS = True


def configure(parser: argparse.ArgumentParser) -> None:
    """What to explain."""
    parser.add_argument("text", nargs="*", metavar="FAULT|TEXT", help="a fault's name or a message; nothing lists every fault")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="text for people, json for programs")


def run(arguments: argparse.Namespace) -> int:
    """Print the pages that fit, the most likely one whole."""
    text = " ".join(arguments.text)
    faults = list(CATALOGUE) if not arguments.text else _find(text)
    if arguments.format == "json":
        print(json.dumps({"faults": [pages.encode(fault) for fault in faults]}, indent=2))
        return 0
    looks = screen.style()
    if not arguments.text:
        print(pages.overview(faults, looks))
    elif len(faults) == 1:
        print(pages.render(faults[0], looks))
    else:
        print(f"This can be one of {len(faults)} faults, most likely first; `firstlight doctor` tells which it is here.\n")
        print(f"{pages.overview(faults, looks)}\n\n{pages.render(faults[0], looks)}")
    return 0


def _find(text: str) -> list[Fault]:
    faults = find(text)
    if faults:
        return faults
    near = difflib.get_close_matches(text.strip().lower(), [fault.id for fault in CATALOGUE], n=1)
    advice = f"did you mean {near[0]}?" if near else "`firstlight explain` without a name lists every fault"
    raise errors.UsageError(
        f"cannot explain {style.printable(text)[:200]!r}: no fault has this name, and none is known to show it; {advice}"
    )
