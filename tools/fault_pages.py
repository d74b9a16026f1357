"""Writes docs/reference/faults/: one page for each fault, from the fault's own file, and an overview of them all."""

from __future__ import annotations

from pathlib import Path

from firstlight.faults.catalogue import CATALOGUE
from firstlight.faults.fault import Fault
from firstlight.report import pages, words

_NOTE = "<!-- Generated from the fault's file in src/firstlight/faults by `make docs`. Edit that file instead. -->"


def render(directory: Path) -> None:
    """Write a page for each fault and README.md into `directory`, and remove the pages of faults that are gone."""
    directory.mkdir(parents=True, exist_ok=True)
    texts = {f"{fault.id}.md": page(fault) for fault in CATALOGUE} | {"README.md": overview()}
    for old in directory.glob("*.md"):
        if old.name not in texts:
            old.unlink()
    for name, text in texts.items():
        (directory / name).write_text(text, encoding="utf-8")


def page(fault: Fault) -> str:
    """One fault as Markdown."""
    remedies = ", ".join(f"`{remedy.value}`" for remedy in fault.remedies) or "none"
    lines = [
        f"# {fault.id}",
        "",
        _NOTE,
        "",
        f"**{pages.title(fault)}**",
        "",
        "| | |",
        "|---|---|",
        f"| Layer | {fault.layer.value} |",
        f"| Does time cure it? | {words.TIME[fault.persistence]} ({fault.persistence.value}) |",
        f"| Who must act | {words.ACTOR[fault.actor]} |",
        f"| Remedies tried in this order | {remedies} |",
        f"| `run` then ends with | {'75: try another host' if fault.host_fault else '69: no usable GPU in this container'} |",
    ]
    for heading, text in pages.sections(fault).items():
        lines += ["", f"## {heading}", "", text]
    lines += ["", "## What to do", "", fault.advice, ""]
    return "\n".join(lines)


def overview() -> str:
    """All faults in a table, in the order of diagnosis."""
    lines = [
        "# Faults",
        "",
        _NOTE,
        "",
        "In the order of diagnosis: causes stand before what they cause. `firstlight explain NAME` prints the same pages, and",
        '`firstlight explain "a message"` finds the fault of a message.',
        "",
        "| Fault | What it is | Layer | Does time cure it? |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| [{fault.id}]({fault.id}.md) | {pages.title(fault)} | {fault.layer.value} | {words.TIME[fault.persistence]} |"
        for fault in CATALOGUE
    ]
    return "\n".join([*lines, ""])
