"""Fault pages: the docstring of a fault's module, for a terminal and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from firstlight.faults import catalogue
from firstlight.faults.fault import Fault
from firstlight.report import words
from firstlight.report.style import PLAIN, Style, fit

SECTIONS = ("You see", "Why", "Cure")


def title(fault: Fault) -> str:
    """The first sentence of the page."""
    return catalogue.page(fault).partition("\n")[0]


def sections(fault: Fault) -> dict[str, str]:
    """The page's text by heading: You see, Why, Cure."""
    found: dict[str, list[str]] = {}
    heading = ""
    for line in catalogue.page(fault).splitlines()[1:]:
        if line in SECTIONS:
            heading = line
        elif heading:
            found.setdefault(heading, []).append(line)
    return {name: textwrap.dedent("\n".join(lines)).strip() for name, lines in found.items()}


def render(fault: Fault, style: Style = PLAIN) -> str:
    """The page of one fault, without a newline at its end."""
    lines = [style.paint(fault.id, "bold"), title(fault), ""]
    for heading, text in sections(fault).items():
        lines += [style.paint(heading, "bold"), textwrap.indent(text, "    "), ""]
    lines += [style.paint("Who must act", "bold"), f"    {words.ACTOR[fault.actor].capitalize()}; {words.TIME[fault.persistence]}."]
    return fit("\n".join(lines), style)


def overview(faults: Sequence[Fault], style: Style = PLAIN) -> str:
    """One line a fault."""
    width = max(len(fault.id) for fault in faults)
    lines = [f"{style.paint(fault.id, 'bold')}{' ' * (width - len(fault.id))}  {title(fault)}" for fault in faults]
    return fit("\n".join(lines), style)


def encode(fault: Fault) -> dict[str, Any]:
    """The page as JSON-ready data."""
    return {
        "id": fault.id,
        "title": title(fault),
        "symptom": fault.symptom,
        "layer": fault.layer.value,
        "persistence": fault.persistence.value,
        "actor": fault.actor.value,
        "host_fault": fault.host_fault,
        "remedies": [remedy.value for remedy in fault.remedies],
        "advice": fault.advice,
        "sections": sections(fault),
    }
